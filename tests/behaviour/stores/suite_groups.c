/* Groups: each key is decided on its own; and what is refused because it comes too late. */
#include "driver.h"
#include "store_wrapper.h"
#include "suite_parts.h"
#include "test.h"

enum { KEYS = 1000, CONFLICTING = 333, NOT_ENCODED = 700, SPOILT = 999 };

struct keys {
    char bytes[KEYS][16];
    size_t sizes[KEYS];
};

static struct keys *keys_new(void)
{
    struct keys *keys = malloc(sizeof *keys);
    assert_non_null(keys);
    for (size_t i = 0; i < KEYS; i++)
        keys->sizes[i] = (size_t)sprintf(keys->bytes[i], "key %zu", i);
    return keys;
}

struct writing {
    struct store_fixture *fixture;
    const struct keys *keys;
};

static void write_the_conflicting_key(void *arg)
{
    struct writing *writing = arg;
    writing->fixture->write(writing->fixture, writing->keys->bytes[CONFLICTING],
                            writing->keys->sizes[CONFLICTING], "of another", 10);
}

static int expected_status(size_t key)
{
    switch (key) {
    case CONFLICTING:
        return BATCH_CONFLICT;
    case NOT_ENCODED:
        return BATCH_SAVE_FAILED;
    case SPOILT:
        return BATCH_LOAD_FAILED;
    default:
        return BATCH_OK;
    }
}

/* Twice, since rows are first inserted and then updated. With `sessions` 0 the worker hands over
 * all that it was given at once. */
static void test_one_key_never_decides_for_another(void **state)
{
    struct store_fixture *fixture = *state;
    struct keys *keys = keys_new();
    fixture->write(fixture, keys->bytes[SPOILT], keys->sizes[SPOILT], TEXT_SPOILT,
                   strlen(TEXT_SPOILT));
    batch_options options = text_options(fixture->store, 0);
    struct text_request *requests = calloc(KEYS, sizeof *requests);
    struct latch latch;
    assert_non_null(requests);
    for (int turn = 0; turn < 2; turn++) {
        batch_processor *processor = processor_start(&options);
        struct writing writing = {fixture, keys};
        batch_op *ops[KEYS];
        latch_init(&latch, KEYS);
        for (size_t i = 0; i < KEYS; i++) {
            text_request_init(&requests[i], keys->bytes[i], keys->sizes[i],
                              turn == 0 ? "first" : "second", turn == 0 ? 5 : 6);
            requests[i].request.latch = &latch;
            requests[i].must_not_encode = i == NOT_ENCODED;
            ops[i] = &requests[i].request.op;
        }
        requests[CONFLICTING].request.meddle = write_the_conflicting_key;
        requests[CONFLICTING].request.meddle_arg = &writing;
        assert_int_equal(batch_submit_many(processor, ops, KEYS), BATCH_OK);
        latch_wait(&latch);
        latch_destroy(&latch);

        batch_stats stats = BATCH_STATS_INIT;
        assert_int_equal(batch_processor_stats(processor, &stats), BATCH_OK);
        assert_int_equal(stats.load_group.max, KEYS);
        assert_int_equal(stats.save_group.max, KEYS - 1); /* SPOILT is not loaded */
        for (size_t i = 0; i < KEYS; i++) {
            assert_int_equal(requests[i].request.result.status, expected_status(i));
            free(requests[i].seen);
            char stored[16] = "";
            fixture->read(fixture, keys->bytes[i], keys->sizes[i], stored, sizeof stored, NULL,
                          NULL);
            if (i == CONFLICTING)
                assert_string_equal(stored, "of another");
            else if (i == NOT_ENCODED)
                assert_string_equal(stored, "");
            else if (i == SPOILT)
                assert_string_equal(stored, TEXT_SPOILT);
            else
                assert_string_equal(stored, turn == 0 ? "first" : "second");
        }
        processor_end(processor);
    }
    free(requests);
    free(keys);
}

/* ---- Callbacks ------------------------------------------------------------------------------ */

static int meddling_decode(void *resource, const void *bytes, size_t bytes_size, void *arg)
{
    struct store_fixture *fixture = arg;
    int64_t number = 11;
    fixture->write(fixture, "by decode", 9, &number, sizeof number);
    if (bytes != NULL && bytes_size == sizeof number)
        memcpy(resource, bytes, sizeof number);
    return BATCH_OK;
}

static int meddling_encode(void *resource, const void **ret_bytes, size_t *ret_bytes_size,
                           void *arg)
{
    struct store_fixture *fixture = arg;
    int64_t number = 12;
    fixture->write(fixture, "by encode", 9, &number, sizeof number);
    *ret_bytes = resource;
    *ret_bytes_size = sizeof(int64_t);
    return BATCH_OK;
}

static void test_no_lock_is_held_while_the_codec_is_called(void **state)
{
    struct store_fixture *fixture = *state;
    batch_codec codec = {
        .size = sizeof codec, .decode = meddling_decode, .encode = meddling_encode, .arg = fixture};
    batch_options options = number_options(fixture->store, 1);
    options.codec = &codec;
    batch_processor *processor = processor_start(&options);
    assert_int_equal(number_add(processor, "key", 3, 3), 3);
    assert_int_equal(number_add(processor, "key", 3, 4), 7);
    processor_end(processor);
    assert_int_equal(stored_number(fixture, "by decode"), 11);
    assert_int_equal(stored_number(fixture, "by encode"), 12);
}

/* ---- Too late ------------------------------------------------------------------------------- */

static void test_a_load_after_the_deadline_is_not_begun(void **state)
{
    struct store_fixture *fixture = *state;
    batch_options options = number_options(fixture->store, 1);
    options.deadline_ns = 1;
    batch_processor *processor = processor_start(&options);
    struct request request;
    request_init(&request, "key", 3, 1);
    assert_int_equal(request_run(processor, &request), BATCH_LOAD_FAILED);
    assert_non_null(strstr(request.result.message, "deadline"));
    processor_end(processor);
    assert_int_equal(stored_number(fixture, "key"), -1);
}

static void save_too_late(batch_store *store, void *session, batch_call *const *calls,
                          size_t calls_size)
{
    batch_store *inner = store_wrapper_of(store)->inner;
    store_suite_await_deadline(calls[0]);
    inner->save(inner, session, calls, calls_size);
}

static void test_a_save_after_the_deadline_is_not_begun(void **state)
{
    struct store_fixture *fixture = *state;
    struct store_wrapper wrapper;
    store_wrapper_init(&wrapper, "late", fixture->store);
    batch_options options = number_options(&wrapper.store, 1);
    wrapper.store.save = save_too_late;
    /* On a slow machine the load comes too late already: then with more time. */
    options.deadline_ns = 50000000;
    int status = BATCH_LOAD_FAILED;
    for (; status == BATCH_LOAD_FAILED; options.deadline_ns *= 2) {
        batch_processor *processor = processor_start(&options);
        struct request request;
        request_init(&request, "key", 3, 1);
        status = request_run(processor, &request);
        if (status == BATCH_SAVE_FAILED)
            assert_non_null(strstr(request.result.message, "deadline"));
        processor_end(processor);
    }
    assert_int_equal(status, BATCH_SAVE_FAILED);
    assert_int_equal(stored_number(fixture, "key"), -1);
}

static void run_until_stopped(void *arg)
{
    struct latch *latches = arg;
    latch_count_down(&latches[0]); /* it runs */
    latch_wait(&latches[1]);       /* the processor is to abort */
}

static int decode_nothing(void *resource, const void *bytes, size_t bytes_size, void *arg)
{
    (void)resource;
    (void)bytes;
    (void)bytes_size;
    (void)arg;
    return BATCH_OK;
}

static int note_encode(void *resource, const void **ret_bytes, size_t *ret_bytes_size, void *arg)
{
    *(bool *)arg = true;
    *ret_bytes = resource;
    *ret_bytes_size = sizeof(int64_t);
    return BATCH_OK;
}

static void test_a_save_after_the_time_to_stop_is_not_begun(void **state)
{
    struct store_fixture *fixture = *state;
    bool is_encoded = false;
    batch_codec codec = {
        .size = sizeof codec, .decode = decode_nothing, .encode = note_encode, .arg = &is_encoded};
    batch_options options = number_options(fixture->store, 1);
    options.codec = &codec;
    batch_processor *processor = processor_start(&options);
    struct latch latches[2];
    struct latch completed;
    latch_init(&latches[0], 1);
    latch_init(&latches[1], 1);
    latch_init(&completed, 1);
    struct request request;
    request_init(&request, "key", 3, 1);
    request.meddle = run_until_stopped;
    request.meddle_arg = latches;
    request.latch = &completed;
    assert_int_equal(batch_submit(processor, &request.op), BATCH_OK);
    latch_wait(&latches[0]);
    assert_true(batch_processor_stop(processor, 1) > 0);
    latch_count_down(&latches[1]);
    latch_wait(&completed);
    assert_int_equal(request.result.status, BATCH_SAVE_FAILED);
    assert_non_null(strstr(request.result.message, "stopping"));
    processor_end(processor);
    assert_false(is_encoded);
    assert_int_equal(stored_number(fixture, "key"), -1);
    latch_destroy(&latches[0]);
    latch_destroy(&latches[1]);
    latch_destroy(&completed);
}

int store_suite_groups(struct store_fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        SUITE_TEST(fixture, test_one_key_never_decides_for_another),
        SUITE_TEST(fixture, test_no_lock_is_held_while_the_codec_is_called),
        SUITE_TEST(fixture, test_a_load_after_the_deadline_is_not_begun),
        SUITE_TEST(fixture, test_a_save_after_the_deadline_is_not_begun),
        SUITE_TEST(fixture, test_a_save_after_the_time_to_stop_is_not_begun),
    };
    return cmocka_run_group_tests_name("groups", tests, NULL, NULL);
}
