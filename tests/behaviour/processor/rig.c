#include "rig.h"

/* ---- What the rig sees of a call ------------------------------------------------------------ */

static void enter(struct rig *rig, bool is_save, size_t calls)
{
    pthread_mutex_lock(&rig->lock);
    MUST(!rig->is_stop_over);
    *(is_save ? &rig->saves : &rig->loads) += (uint32_t)calls;
    ++*(is_save ? &rig->save_groups : &rig->load_groups);
    if (calls > rig->group_largest)
        rig->group_largest = (uint32_t)calls;
    if (++rig->users > rig->users_most)
        rig->users_most = rig->users;
    pthread_cond_broadcast(&rig->changed);
    pthread_mutex_unlock(&rig->lock);
    gate_pass(is_save ? &rig->save_gate : &rig->load_gate);
}

static void leave(struct rig *rig)
{
    pthread_mutex_lock(&rig->lock);
    rig->users--;
    pthread_mutex_unlock(&rig->lock);
}

/* Note what the call says, and tell the fault that it is to meet, or BATCH_OK. */
static int look_at(struct rig *rig, batch_call *call, bool is_save)
{
    size_t key_size;
    const char *key = batch_call_key(call, &key_size);
    MUST(key != NULL);
    pthread_mutex_lock(&rig->lock);
    size_t shown = key_size < sizeof rig->key ? key_size : sizeof rig->key - 1;
    memcpy(rig->key, key, shown);
    rig->key[shown] = '\0';
    rig->was_canceled = rig->was_canceled || batch_call_is_canceled(call);
    rig->deadline_ns = batch_call_deadline_ns(call);
    if (is_save)
        rig->save_version = batch_call_version(call);
    bool is_meant = rig->fault_key == NULL || (strlen(rig->fault_key) == key_size &&
                                               memcmp(rig->fault_key, key, key_size) == 0);
    int status = BATCH_OK;
    if (is_meant)
        status = is_save ? rig->save_status : rig->load_status;
    if (status != BATCH_OK && (rig->fault_code != 0 || rig->fault_text != NULL))
        batch_call_set_error(call, rig->fault_code, rig->fault_text);
    pthread_mutex_unlock(&rig->lock);
    return status;
}

/* ---- load and save functions ---------------------------------------------------------------- */

static int load_function(batch_call *call, void *resource, void *arg)
{
    struct rig *rig = arg;
    enter(rig, false, 1);
    int status = look_at(rig, call, false);
    size_t key_size;
    const void *key = batch_call_key(call, &key_size);
    uint64_t version = 0;
    if (status == BATCH_OK && resource != NULL)
        batch_memory_read(rig->inner, key, key_size, resource, sizeof(int64_t), NULL, &version);
    batch_call_set_version(call, version);
    leave(rig);
    return status;
}

static int save_function(batch_call *call, void *resource, void *arg)
{
    struct rig *rig = arg;
    enter(rig, true, 1);
    int status = look_at(rig, call, true);
    size_t key_size;
    const void *key = batch_call_key(call, &key_size);
    if (status == BATCH_OK && resource != NULL)
        status = batch_memory_write(rig->inner, key, key_size, resource, sizeof(int64_t));
    leave(rig);
    return status;
}

static void release_function(void *resource, void *arg)
{
    struct rig *rig = arg;
    (void)resource;
    pthread_mutex_lock(&rig->lock);
    MUST(!rig->is_stop_over);
    rig->releases++;
    pthread_mutex_unlock(&rig->lock);
}

/* ---- The rig as a store --------------------------------------------------------------------- */

static int session_open(batch_store *store, void **ret_session, batch_result *reterr)
{
    struct rig *rig = (struct rig *)(void *)store;
    pthread_mutex_lock(&rig->lock);
    bool fails = rig->open_status != BATCH_OK && rig->sessions_opened >= rig->open_failures_after;
    int status = fails ? rig->open_status : BATCH_OK;
    if (fails && (rig->fault_code != 0 || rig->fault_text != NULL)) {
        reterr->store_code = rig->fault_code;
        snprintf(reterr->message, sizeof reterr->message, "%s", rig->fault_text);
    }
    pthread_mutex_unlock(&rig->lock);
    if (status == BATCH_OK)
        status = rig->inner->session_open(rig->inner, ret_session, reterr);
    pthread_mutex_lock(&rig->lock);
    rig->sessions_opened += status == BATCH_OK;
    pthread_mutex_unlock(&rig->lock);
    return status;
}

static void session_close(batch_store *store, void *session)
{
    struct rig *rig = (struct rig *)(void *)store;
    rig->inner->session_close(rig->inner, session);
    pthread_mutex_lock(&rig->lock);
    rig->sessions_closed++;
    pthread_mutex_unlock(&rig->lock);
}

/* Calls that are to fail fail here, the others are passed on one by one. */
static void pass_on(struct rig *rig, void *session, batch_call *const *calls, size_t calls_size,
                    bool is_save)
{
    enter(rig, is_save, calls_size);
    for (size_t i = 0; i < calls_size; i++) {
        MUST(batch_call_group_index(calls[i]) == i);
        int status = look_at(rig, calls[i], is_save);
        if (status != BATCH_OK)
            batch_call_finish(calls[i], status);
        else if (is_save)
            rig->inner->save(rig->inner, session, &calls[i], 1);
        else
            rig->inner->load(rig->inner, session, &calls[i], 1);
    }
    leave(rig);
}

static void load(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    pass_on((struct rig *)(void *)store, session, calls, calls_size, false);
}

static void save(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    pass_on((struct rig *)(void *)store, session, calls, calls_size, true);
}

static void close_nothing(batch_store *store)
{
    (void)store;
}

/* ---- The rig -------------------------------------------------------------------------------- */

static void make_store(struct rig *rig)
{
    rig->store = (batch_store)BATCH_STORE_INIT;
    rig->store.name = "rig";
    rig->store.session_open = session_open;
    rig->store.session_close = session_close;
    rig->store.load = load;
    rig->store.save = save;
    rig->store.close = close_nothing;
}

void rig_init(struct rig *rig, enum rig_kind kind)
{
    memset(rig, 0, sizeof *rig);
    make_store(rig);
    MUST(batch_memory_open(&rig->inner) == BATCH_OK);
    gate_init(&rig->load_gate);
    gate_init(&rig->save_gate);
    MUST(pthread_mutex_init(&rig->lock, NULL) == 0);
    MUST(pthread_cond_init(&rig->changed, NULL) == 0);

    rig->options = (batch_options)BATCH_OPTIONS_INIT;
    rig->options.sessions = 1;
    rig->options.resource_size = sizeof(int64_t);
    rig->options.window_ns = BATCH_WINDOW_NONE;
    rig->options.deadline_ns = LONG_NS;
    rig->options.allocator = allocator_functions(&rig->memory);
    if (kind == RIG_STORE)
        rig->options.store = &rig->store;
    if (kind == RIG_FUNCTIONS) {
        rig->options.load = load_function;
        rig->options.save = save_function;
        rig->options.release = release_function;
        rig->options.arg = rig;
    }
}

void rig_start(struct rig *rig)
{
    batch_result error;
    int status = batch_processor_start(&rig->processor, &rig->options, &error);
    if (status != BATCH_OK)
        fail_msg("start: %s: %s", batch_status_name(status), error.message);
}

void rig_stop(struct rig *rig)
{
    assert_int_equal(batch_processor_stop(rig->processor, BATCH_FOREVER), 0);
    pthread_mutex_lock(&rig->lock);
    rig->is_stop_over = true;
    pthread_mutex_unlock(&rig->lock);
}

void rig_free(struct rig *rig)
{
    assert_int_equal(batch_processor_free(rig->processor), BATCH_OK);
    rig->processor = NULL;
}

void rig_destroy(struct rig *rig)
{
    assert_int_equal(rig->memory.live, 0);
    assert_int_equal(rig->sessions_opened, rig->sessions_closed);
    assert_int_equal(batch_store_close(&rig->store), BATCH_OK);
    assert_int_equal(batch_store_close(rig->inner), BATCH_OK);
    gate_destroy(&rig->load_gate);
    gate_destroy(&rig->save_gate);
    pthread_cond_destroy(&rig->changed);
    pthread_mutex_destroy(&rig->lock);
}

void rig_end(struct rig *rig)
{
    rig_stop(rig);
    rig_free(rig);
    rig_destroy(rig);
}

void rig_fault(struct rig *rig, int load_status, int save_status, int code, const char *text)
{
    pthread_mutex_lock(&rig->lock);
    rig->load_status = load_status;
    rig->save_status = save_status;
    rig->fault_code = code;
    rig->fault_text = text;
    pthread_mutex_unlock(&rig->lock);
}

static uint32_t locked(struct rig *rig, const uint32_t *number)
{
    pthread_mutex_lock(&rig->lock);
    uint32_t value = *number;
    pthread_mutex_unlock(&rig->lock);
    return value;
}

uint32_t rig_loads(struct rig *rig)
{
    return locked(rig, &rig->loads);
}

uint32_t rig_saves(struct rig *rig)
{
    return locked(rig, &rig->saves);
}

int64_t rig_stored(struct rig *rig, const char *key)
{
    int64_t number = 0;
    batch_memory_read(rig->inner, key, strlen(key), &number, sizeof number, NULL, NULL);
    return number;
}

batch_stats rig_stats(struct rig *rig)
{
    batch_stats stats = BATCH_STATS_INIT;
    assert_int_equal(batch_processor_stats(rig->processor, &stats), BATCH_OK);
    return stats;
}

/* ---- Jobs ----------------------------------------------------------------------------------- */

static batch_verdict run(void *resource, void *arg)
{
    struct job *job = arg;
    struct rig *rig = job->rig;
    int64_t *number = resource;
    pthread_mutex_lock(&rig->lock);
    MUST(!rig->is_stop_over);
    job->runs++;
    job->ran_as = ++rig->order;
    job->resource = resource;
    if (number != NULL)
        job->seen = *number += job->add;
    pthread_cond_broadcast(&rig->changed);
    pthread_mutex_unlock(&rig->lock);
    if (job->on_run != NULL)
        job->on_run(job);
    if (job->gate != NULL)
        gate_pass(job->gate);
    return job->add != 0 ? BATCH_CHANGED : BATCH_UNCHANGED;
}

static void note_answer(struct job *job, const batch_result *result)
{
    struct rig *rig = job->rig;
    pthread_mutex_lock(&rig->lock);
    MUST(!rig->is_stop_over);
    job->result = *result;
    job->answered_as = ++rig->order;
    job->answers++;
    rig->answered++;
    pthread_cond_broadcast(&rig->changed);
    pthread_mutex_unlock(&rig->lock);
}

static void done(batch_op *op, const batch_result *result)
{
    struct job *job = (struct job *)(void *)op;
    if (job->on_done != NULL)
        job->on_done(job, result);
    note_answer(job, result);
}

void job_init_bytes(struct job *job, struct rig *rig, const void *key, size_t key_size, int64_t add)
{
    *job = (struct job){.op = BATCH_OP_INIT, .rig = rig, .add = add};
    job->op.key = key;
    job->op.key_size = key_size;
    job->op.run = run;
    job->op.done = done;
    job->op.arg = job;
}

void job_init(struct job *job, struct rig *rig, const char *key, int64_t add)
{
    job_init_bytes(job, rig, key, strlen(key), add);
}

void job_submit(struct job *job)
{
    assert_int_equal(batch_submit(job->rig->processor, &job->op), BATCH_OK);
}

int job_wait(struct job *job)
{
    struct rig *rig = job->rig;
    pthread_mutex_lock(&rig->lock);
    while (job->answers == 0)
        pthread_cond_wait(&rig->changed, &rig->lock);
    int status = job->result.status;
    pthread_mutex_unlock(&rig->lock);
    return status;
}

int job_run(struct job *job)
{
    return batch_run(job->rig->processor, &job->op, &job->result);
}

bool job_is_answered(struct job *job)
{
    pthread_mutex_lock(&job->rig->lock);
    bool is_answered = job->answers > 0;
    pthread_mutex_unlock(&job->rig->lock);
    return is_answered;
}

void rig_add(struct rig *rig, const char *key, int64_t add)
{
    struct job job;
    job_init(&job, rig, key, add);
    job_submit(&job);
    assert_int_equal(job_wait(&job), BATCH_OK);
}

/* An operation that came too late is answered at once. The second is taken by the worker in a later
 * turn than the first, and a turn ends with handing calls over to the store. */
void rig_settle(struct rig *rig)
{
    for (int i = 0; i < 2; i++) {
        struct job job;
        job_init(&job, rig, "", 0);
        job.op.start_by_ns = 1;
        job_submit(&job);
        assert_int_equal(job_wait(&job), BATCH_EXPIRED);
    }
}

/* ---- Threads of the test -------------------------------------------------------------------- */

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
