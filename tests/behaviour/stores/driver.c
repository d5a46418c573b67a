#include "driver.h"
#include "test.h"

/* ---- Processors ----------------------------------------------------------------------------- */

batch_options number_options(batch_store *store, uint32_t sessions)
{
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = store;
    options.sessions = sessions;
    options.resource_size = sizeof(int64_t);
    options.window_ns = BATCH_WINDOW_NONE;
    options.deadline_ns = LONG_NS;
    return options;
}

batch_processor *processor_start(const batch_options *options)
{
    batch_processor *processor = NULL;
    batch_result error = {0};
    if (batch_processor_start(&processor, options, &error) != BATCH_OK)
        fail_msg("cannot start: %s", error.message);
    return processor;
}

batch_processor *number_processor(batch_store *store, uint32_t sessions)
{
    batch_options options = number_options(store, sessions);
    return processor_start(&options);
}

batch_processor *text_processor(batch_store *store, uint32_t sessions)
{
    batch_options options = text_options(store, sessions);
    return processor_start(&options);
}

void processor_end(batch_processor *processor)
{
    assert_int_equal(batch_processor_stop(processor, BATCH_FOREVER), 0);
    assert_int_equal(batch_processor_free(processor), BATCH_OK);
}

void processor_end_with_store(batch_processor *processor, batch_store *store)
{
    processor_end(processor);
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

/* ---- Operations ----------------------------------------------------------------------------- */

static batch_verdict add(void *resource, void *arg)
{
    struct request *request = arg;
    int64_t *number = resource;
    if (request->meddle != NULL)
        request->meddle(request->meddle_arg);
    *number += request->add;
    request->seen = *number;
    return request->add != 0 ? BATCH_CHANGED : BATCH_UNCHANGED;
}

static void done(batch_op *op, const batch_result *result)
{
    struct request *request = (struct request *)op;
    request->result = *result;
    latch_count_down(request->latch);
}

void request_init(struct request *request, const void *key, size_t key_size, int64_t number)
{
    *request = (struct request){.op = BATCH_OP_INIT, .add = number};
    request->op.key = key;
    request->op.key_size = key_size;
    request->op.run = add;
    request->op.done = done;
    request->op.arg = request;
}

int request_run(batch_processor *processor, struct request *request)
{
    return batch_run(processor, &request->op, &request->result);
}

void requests_run(batch_processor *processor, struct request *requests, size_t requests_size)
{
    struct latch latch;
    latch_init(&latch, requests_size);
    batch_op **ops = calloc(requests_size, sizeof *ops);
    assert_non_null(ops);
    for (size_t i = 0; i < requests_size; i++) {
        requests[i].latch = &latch;
        ops[i] = &requests[i].op;
    }
    assert_int_equal(batch_submit_many(processor, ops, requests_size), BATCH_OK);
    latch_wait(&latch);
    latch_destroy(&latch);
    free(ops);
}

int64_t number_add(batch_processor *processor, const void *key, size_t key_size, int64_t number)
{
    struct request request;
    request_init(&request, key, key_size, number);
    if (request_run(processor, &request) != BATCH_OK)
        fail_msg("%s", request.result.message);
    return request.seen;
}

/* ---- Latch ---------------------------------------------------------------------------------- */

void latch_init(struct latch *latch, size_t left)
{
    pthread_mutex_init(&latch->lock, NULL);
    pthread_cond_init(&latch->changed, NULL);
    latch->left = left;
}

void latch_count_down(struct latch *latch)
{
    pthread_mutex_lock(&latch->lock);
    if (--latch->left == 0)
        pthread_cond_broadcast(&latch->changed);
    pthread_mutex_unlock(&latch->lock);
}

void latch_wait(struct latch *latch)
{
    pthread_mutex_lock(&latch->lock);
    while (latch->left > 0)
        pthread_cond_wait(&latch->changed, &latch->lock);
    pthread_mutex_unlock(&latch->lock);
}

void latch_destroy(struct latch *latch)
{
    pthread_mutex_destroy(&latch->lock);
    pthread_cond_destroy(&latch->changed);
}

/* ---- Texts ---------------------------------------------------------------------------------- */

static int text_fill(struct text *text, const void *bytes, size_t size)
{
    char *copy = malloc(size + 1);
    if (copy == NULL)
        return -1;
    memcpy(copy, bytes, size);
    copy[size] = '\0';
    free(text->bytes);
    text->bytes = copy;
    text->size = size;
    return BATCH_OK;
}

static int text_decode(void *resource, const void *bytes, size_t bytes_size, void *arg)
{
    (void)arg;
    if (bytes == NULL)
        return BATCH_OK;
    size_t spoilt_size = strlen(TEXT_SPOILT);
    if (bytes_size >= spoilt_size && memcmp(bytes, TEXT_SPOILT, spoilt_size) == 0)
        return TEXT_DECODE_CODE;
    return text_fill(resource, bytes, bytes_size);
}

static int text_encode(void *resource, const void **ret_bytes, size_t *ret_bytes_size, void *arg)
{
    (void)arg;
    struct text *text = resource;
    if (text->must_not_encode)
        return TEXT_ENCODE_CODE;
    *ret_bytes = text->bytes;
    *ret_bytes_size = text->size;
    return BATCH_OK;
}

static void text_release(void *resource, void *arg)
{
    (void)arg;
    struct text *text = resource;
    free(text->bytes);
}

static const batch_codec text_codec = {.size = sizeof(batch_codec),
                                       .decode = text_decode,
                                       .encode = text_encode,
                                       .release = text_release};

batch_options text_options(batch_store *store, uint32_t sessions)
{
    batch_options options = number_options(store, sessions);
    options.resource_size = sizeof(struct text);
    options.codec = &text_codec;
    return options;
}

static batch_verdict text_exchange(void *resource, void *arg)
{
    struct text_request *request = arg;
    struct text *text = resource;
    if (request->request.meddle != NULL)
        request->request.meddle(request->request.meddle_arg);
    request->seen_size = text->size;
    if (text->bytes != NULL) {
        request->seen = malloc(text->size + 1);
        if (request->seen != NULL)
            memcpy(request->seen, text->bytes, text->size + 1);
    }
    if (request->set == NULL || text_fill(text, request->set, request->set_size) != BATCH_OK)
        return BATCH_UNCHANGED;
    text->must_not_encode = request->must_not_encode;
    return BATCH_CHANGED;
}

void text_request_init(struct text_request *request, const void *key, size_t key_size,
                       const void *set, size_t set_size)
{
    *request = (struct text_request){.set = set, .set_size = set_size};
    request_init(&request->request, key, key_size, 0);
    request->request.op.run = text_exchange;
    request->request.op.arg = request;
}

void text_set(batch_processor *processor, const void *key, size_t key_size, const void *set,
              size_t set_size)
{
    struct text_request request;
    text_request_init(&request, key, key_size, set, set_size);
    if (request_run(processor, &request.request) != BATCH_OK)
        fail_msg("%s", request.request.result.message);
    free(request.seen);
}

char *text_get(batch_processor *processor, const void *key, size_t key_size, size_t *ret_size)
{
    struct text_request request;
    text_request_init(&request, key, key_size, NULL, 0);
    if (request_run(processor, &request.request) != BATCH_OK)
        fail_msg("%s", request.request.result.message);
    *ret_size = request.seen_size;
    return request.seen;
}
