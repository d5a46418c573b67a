#include "harness.h"

/* ---- What the harness sees of a call --------------------------------------------------------- */

static void enter(struct harness *harness, bool is_save, size_t calls)
{
    pthread_mutex_lock(&harness->lock);
    MUST(!harness->is_stop_over);
    *(is_save ? &harness->saves : &harness->loads) += (uint32_t)calls;
    ++*(is_save ? &harness->save_groups : &harness->load_groups);
    if (calls > harness->group_largest)
        harness->group_largest = (uint32_t)calls;
    if (++harness->users > harness->users_most)
        harness->users_most = harness->users;
    pthread_cond_broadcast(&harness->changed);
    pthread_mutex_unlock(&harness->lock);
    gate_pass(is_save ? &harness->save_gate : &harness->load_gate);
}

static void leave(struct harness *harness)
{
    pthread_mutex_lock(&harness->lock);
    harness->users--;
    pthread_mutex_unlock(&harness->lock);
}

/* Note what the call shows, and return the fault that it is to meet, or BATCH_OK. */
static int look_at(struct harness *harness, batch_call *call, bool is_save)
{
    size_t key_size;
    const char *key = batch_call_key(call, &key_size);
    MUST(key != NULL);
    pthread_mutex_lock(&harness->lock);
    size_t shown = key_size < sizeof harness->key ? key_size : sizeof harness->key - 1;
    memcpy(harness->key, key, shown);
    harness->key[shown] = '\0';
    harness->was_canceled = harness->was_canceled || batch_call_is_canceled(call);
    harness->deadline_ns = batch_call_deadline_ns(call);
    if (is_save)
        harness->save_version = batch_call_version(call);
    bool is_meant = harness->fault_key == NULL || (strlen(harness->fault_key) == key_size &&
                                                   memcmp(harness->fault_key, key, key_size) == 0);
    int status = BATCH_OK;
    if (is_meant)
        status = is_save ? harness->save_status : harness->load_status;
    if (status != BATCH_OK && (harness->fault_code != 0 || harness->fault_text != NULL))
        batch_call_set_error(call, harness->fault_code, harness->fault_text);
    pthread_mutex_unlock(&harness->lock);
    return status;
}

/* ---- load and save functions ----------------------------------------------------------------- */

int harness_load(batch_call *call, void *resource, void *arg)
{
    struct harness *harness = arg;
    enter(harness, false, 1);
    int status = look_at(harness, call, false);
    size_t key_size;
    const void *key = batch_call_key(call, &key_size);
    uint64_t version = 0;
    if (status == BATCH_OK && resource != NULL)
        batch_memory_read(harness->wrapper.inner, key, key_size, resource, sizeof(int64_t), NULL,
                          &version);
    batch_call_set_version(call, version);
    leave(harness);
    return status;
}

int harness_save(batch_call *call, void *resource, void *arg)
{
    struct harness *harness = arg;
    enter(harness, true, 1);
    int status = look_at(harness, call, true);
    size_t key_size;
    const void *key = batch_call_key(call, &key_size);
    if (status == BATCH_OK && resource != NULL)
        status =
            batch_memory_write(harness->wrapper.inner, key, key_size, resource, sizeof(int64_t));
    leave(harness);
    return status;
}

void harness_release(void *resource, void *arg)
{
    struct harness *harness = arg;
    (void)resource;
    pthread_mutex_lock(&harness->lock);
    MUST(!harness->is_stop_over);
    harness->releases++;
    pthread_mutex_unlock(&harness->lock);
}

/* ---- The harness as a store ------------------------------------------------------------------ */

static int session_open(batch_store *store, void **ret_session, batch_result *reterr)
{
    struct harness *harness = (struct harness *)(void *)store;
    pthread_mutex_lock(&harness->lock);
    bool fails = harness->open_status != BATCH_OK &&
                 harness->sessions_opened >= harness->open_failures_after;
    int status = fails ? harness->open_status : BATCH_OK;
    if (fails && (harness->fault_code != 0 || harness->fault_text != NULL)) {
        reterr->store_code = harness->fault_code;
        snprintf(reterr->message, sizeof reterr->message, "%s", harness->fault_text);
    }
    pthread_mutex_unlock(&harness->lock);
    if (status == BATCH_OK)
        status = harness->wrapper.inner->session_open(harness->wrapper.inner, ret_session, reterr);
    pthread_mutex_lock(&harness->lock);
    harness->sessions_opened += status == BATCH_OK;
    pthread_mutex_unlock(&harness->lock);
    return status;
}

static void note_close(enum store_step step, size_t calls_size, void *arg)
{
    struct harness *harness = arg;
    (void)calls_size;
    if (step == STORE_CLOSES_SESSION)
        gate_pass(&harness->close_gate);
    pthread_mutex_lock(&harness->lock);
    harness->sessions_closed += step == STORE_CLOSES_SESSION;
    pthread_mutex_unlock(&harness->lock);
}

/* Calls that are to fail fail here, the others are passed on one by one. */
static void pass_on(struct harness *harness, void *session, batch_call *const *calls,
                    size_t calls_size, bool is_save)
{
    enter(harness, is_save, calls_size);
    for (size_t i = 0; i < calls_size; i++) {
        MUST(batch_call_group_index(calls[i]) == i);
        int status = look_at(harness, calls[i], is_save);
        if (status != BATCH_OK)
            batch_call_finish(calls[i], status);
        else if (is_save)
            harness->wrapper.inner->save(harness->wrapper.inner, session, &calls[i], 1);
        else
            harness->wrapper.inner->load(harness->wrapper.inner, session, &calls[i], 1);
    }
    leave(harness);
}

static void load(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    pass_on((struct harness *)(void *)store, session, calls, calls_size, false);
}

static void save(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    pass_on((struct harness *)(void *)store, session, calls, calls_size, true);
}

/* ---- The harness ----------------------------------------------------------------------------- */

static void make_store(struct harness *harness)
{
    batch_store *memory;
    MUST(batch_memory_open(&memory) == BATCH_OK);
    store_wrapper_init(&harness->wrapper, "harness", memory);
    harness->wrapper.store.session_open = session_open;
    harness->wrapper.store.load = load;
    harness->wrapper.store.save = save;
    harness->wrapper.before = note_close;
    harness->wrapper.arg = harness;
}

/* The functions stay with HARNESS_FUNCTIONS, or if they are a test's. */
static void set_functions(struct harness *harness, enum harness_kind kind)
{
    batch_options *options = &harness->options;
    if (kind == HARNESS_FUNCTIONS && options->arg == NULL)
        options->arg = harness;
    if (kind == HARNESS_FUNCTIONS)
        return;
    options->load = options->load == harness_load ? NULL : options->load;
    options->save = options->save == harness_save ? NULL : options->save;
    options->release = options->release == harness_release ? NULL : options->release;
}

void harness_init_as(struct harness *harness, enum harness_kind kind, const batch_options *options)
{
    memset(harness, 0, sizeof *harness);
    make_store(harness);
    gate_init(&harness->load_gate);
    gate_init(&harness->save_gate);
    gate_init(&harness->run_gate);
    gate_init(&harness->close_gate);
    MUST(pthread_mutex_init(&harness->lock, NULL) == 0);
    MUST(pthread_cond_init(&harness->changed, NULL) == 0);

    harness->options = *options;
    harness->options.allocator = allocator_functions(&harness->memory);
    if (kind == HARNESS_STORE && options->store == NULL)
        harness->options.store = &harness->wrapper.store;
    set_functions(harness, kind);
}

void harness_init(struct harness *harness, enum harness_kind kind)
{
    harness_init_as(harness, kind, &(batch_options){HARNESS_OPTIONS});
}

void harness_start(struct harness *harness)
{
    batch_result error;
    int status = batch_processor_start(&harness->processor, &harness->options, &error);
    if (status != BATCH_OK)
        fail_msg("start: %s: %s", batch_status_name(status), error.message);
}

void harness_begin_as(struct harness *harness, enum harness_kind kind, const batch_options *options)
{
    harness_init_as(harness, kind, options);
    harness_start(harness);
}

void harness_begin(struct harness *harness, enum harness_kind kind)
{
    harness_begin_as(harness, kind, &(batch_options){HARNESS_OPTIONS});
}

void harness_stop(struct harness *harness)
{
    assert_int_equal(batch_processor_stop(harness->processor, BATCH_FOREVER), 0);
    pthread_mutex_lock(&harness->lock);
    harness->is_stop_over = true;
    pthread_mutex_unlock(&harness->lock);
}

void harness_free(struct harness *harness)
{
    assert_int_equal(batch_processor_free(harness->processor), BATCH_OK);
    harness->processor = NULL;
}

void harness_destroy(struct harness *harness)
{
    assert_int_equal(harness->memory.live, 0);
    assert_int_equal(harness->sessions_opened, harness->sessions_closed);
    assert_int_equal(batch_store_close(&harness->wrapper.store), BATCH_OK);
    assert_int_equal(batch_store_close(harness->wrapper.inner), BATCH_OK);
    gate_destroy(&harness->load_gate);
    gate_destroy(&harness->save_gate);
    gate_destroy(&harness->run_gate);
    gate_destroy(&harness->close_gate);
    pthread_cond_destroy(&harness->changed);
    pthread_mutex_destroy(&harness->lock);
    harness->has_ended = true;
}

void harness_end(struct harness *harness)
{
    if (harness->has_ended)
        return;
    if (harness->processor != NULL) {
        harness_stop(harness);
        harness_free(harness);
    }
    harness_destroy(harness);
}

void harness_fault(struct harness *harness, int load_status, int save_status, int code,
                   const char *text)
{
    pthread_mutex_lock(&harness->lock);
    harness->load_status = load_status;
    harness->save_status = save_status;
    harness->fault_code = code;
    harness->fault_text = text;
    pthread_mutex_unlock(&harness->lock);
}

static uint32_t locked(struct harness *harness, const uint32_t *number)
{
    pthread_mutex_lock(&harness->lock);
    uint32_t value = *number;
    pthread_mutex_unlock(&harness->lock);
    return value;
}

uint32_t harness_loads(struct harness *harness)
{
    return locked(harness, &harness->loads);
}

uint32_t harness_saves(struct harness *harness)
{
    return locked(harness, &harness->saves);
}

int64_t harness_stored(struct harness *harness, const char *key)
{
    int64_t number = 0;
    batch_memory_read(harness->wrapper.inner, key, strlen(key), &number, sizeof number, NULL, NULL);
    return number;
}

void harness_store(struct harness *harness, const char *key, int64_t number)
{
    assert_int_equal(
        batch_memory_write(harness->wrapper.inner, key, strlen(key), &number, sizeof number),
        BATCH_OK);
}

batch_stats harness_stats(struct harness *harness)
{
    batch_stats stats = BATCH_STATS_INIT;
    assert_int_equal(batch_processor_stats(harness->processor, &stats), BATCH_OK);
    return stats;
}

batch_subscription *harness_subscribe(struct harness *harness)
{
    batch_subscription *subscription = NULL;
    assert_int_equal(batch_metrics_subscribe(harness->processor, NULL, &subscription), BATCH_OK);
    return subscription;
}

void harness_await_completed(struct harness *harness, uint32_t jobs)
{
    pthread_mutex_lock(&harness->lock);
    while (harness->completed < jobs)
        pthread_cond_wait(&harness->changed, &harness->lock);
    pthread_mutex_unlock(&harness->lock);
}

/* ---- Jobs ------------------------------------------------------------------------------------ */

static batch_verdict run(void *resource, void *arg)
{
    struct job *job = arg;
    struct harness *harness = job->harness;
    int64_t *number = resource;
    pthread_mutex_lock(&harness->lock);
    MUST(!harness->is_stop_over);
    job->runs++;
    job->ran_as = ++harness->order;
    job->resource = resource;
    if (number != NULL)
        job->seen = *number += job->add;
    pthread_cond_broadcast(&harness->changed);
    pthread_mutex_unlock(&harness->lock);
    if (job->on_run != NULL)
        job->on_run(job);
    if (job->gate != NULL)
        gate_pass(job->gate);
    return job->add != 0 ? BATCH_CHANGED : BATCH_UNCHANGED;
}

static void note_completion(struct job *job, const batch_result *result)
{
    struct harness *harness = job->harness;
    pthread_mutex_lock(&harness->lock);
    MUST(!harness->is_stop_over);
    job->result = *result;
    job->completed_as = ++harness->order;
    job->completions++;
    harness->completed++;
    pthread_cond_broadcast(&harness->changed);
    pthread_mutex_unlock(&harness->lock);
}

static void done(batch_op *op, const batch_result *result)
{
    struct job *job = (struct job *)(void *)op;
    if (job->on_done != NULL)
        job->on_done(job, result);
    note_completion(job, result);
}

void job_init_bytes(struct job *job, struct harness *harness, const void *key, size_t key_size,
                    int64_t add)
{
    *job = (struct job){.op = BATCH_OP_INIT, .harness = harness, .add = add};
    job->op.key = key;
    job->op.key_size = key_size;
    job->op.run = run;
    job->op.done = done;
    job->op.arg = job;
}

void job_init(struct job *job, struct harness *harness, const char *key, int64_t add)
{
    job_init_bytes(job, harness, key, strlen(key), add);
}

void job_init_number(struct job *job, struct harness *harness, int key, int64_t add)
{
    job_init_bytes(job, harness, job->number, 0, add);
    snprintf(job->number, sizeof job->number, "%d", key);
    job->op.key_size = strlen(job->number);
}

void job_submit(struct job *job)
{
    assert_int_equal(batch_submit(job->harness->processor, &job->op), BATCH_OK);
}

void job_send(struct job *job, struct harness *harness, const char *key, int64_t add)
{
    job_init(job, harness, key, add);
    job_submit(job);
}

int job_wait(struct job *job)
{
    struct harness *harness = job->harness;
    pthread_mutex_lock(&harness->lock);
    while (job->completions == 0)
        pthread_cond_wait(&harness->changed, &harness->lock);
    int status = job->result.status;
    pthread_mutex_unlock(&harness->lock);
    return status;
}

int job_run(struct job *job)
{
    return batch_run(job->harness->processor, &job->op, &job->result);
}

int job_call(struct job *job, struct harness *harness, const char *key, int64_t add)
{
    job_init(job, harness, key, add);
    return job_run(job);
}

bool job_is_complete(struct job *job)
{
    pthread_mutex_lock(&job->harness->lock);
    bool is_complete = job->completions > 0;
    pthread_mutex_unlock(&job->harness->lock);
    return is_complete;
}

void jobs_send(struct job *jobs, size_t size, struct harness *harness, const char *key, int64_t add)
{
    for (size_t i = 0; i < size; i++)
        job_send(&jobs[i], harness, key, add);
}

void jobs_submit_many(struct job *jobs, size_t size)
{
    batch_op **ops = calloc(size, sizeof(batch_op *));
    MUST(ops != NULL);
    for (size_t i = 0; i < size; i++)
        ops[i] = &jobs[i].op;
    assert_int_equal(batch_submit_many(jobs[0].harness->processor, ops, size), BATCH_OK);
    free(ops); /* the array may be reused */
}

void jobs_wait(struct job *jobs, size_t size)
{
    for (size_t i = 0; i < size; i++)
        assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
}

void harness_add(struct harness *harness, const char *key, int64_t add)
{
    struct job job;
    job_send(&job, harness, key, add);
    assert_int_equal(job_wait(&job), BATCH_OK);
}

/* An operation that came too late completes at once. The second is taken by the worker in a later
 * turn than the first, and a turn ends with handing calls over to the store. */
void harness_settle(struct harness *harness)
{
    for (int i = 0; i < 2; i++) {
        struct job job;
        job_init(&job, harness, "", 0);
        job.op.start_by_ns = 1;
        job_submit(&job);
        assert_int_equal(job_wait(&job), BATCH_EXPIRED);
    }
}

void harness_spin(uint64_t time_ns)
{
    uint64_t until_ns = batch_now_ns() + time_ns;
    while (batch_now_ns() < until_ns)
        continue;
}

/* ---- Threads of the test --------------------------------------------------------------------- */

pthread_t thread_start(void *(*body)(void *arg), void *arg)
{
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, body, arg) == 0);
    return thread;
}

void thread_join(pthread_t thread)
{
    MUST(pthread_join(thread, NULL) == 0);
}

static void *runner_main(void *arg)
{
    struct runner *runner = arg;
    runner->status = job_run(runner->job);
    return NULL;
}

void runner_start(struct runner *runner, struct job *job)
{
    runner->job = job;
    runner->thread = thread_start(runner_main, runner);
}

int runner_join(struct runner *runner)
{
    thread_join(runner->thread);
    return runner->status;
}

/* ---- A codec -------------------------------------------------------------------------------- */

int harness_decode(void *resource, const void *bytes, size_t bytes_size, void *arg)
{
    (void)resource;
    (void)bytes;
    (void)bytes_size;
    (void)arg;
    return BATCH_OK;
}

int harness_encode(void *resource, const void **ret_bytes, size_t *ret_bytes_size, void *arg)
{
    (void)arg;
    *ret_bytes = resource;
    *ret_bytes_size = sizeof(int64_t);
    return BATCH_OK;
}
