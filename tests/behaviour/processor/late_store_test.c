/* late_store_test.c: a store that only notes calls, and finishes them later on a thread of its own,
 * as one that sends them over a network does. */
#include "rig.h"

enum { CALLS_MAX = 256 };

struct late_call {
    batch_call *call;
    bool is_save;
};

struct late_store {
    batch_store store; /* first */
    batch_store *inner;
    void *session; /* of the inner store, for the thread */
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct late_call calls[CALLS_MAX]; /* under lock; a ring */
    size_t begin, count;
    bool is_held; /* under lock: nothing is finished */
    bool is_over;
};

static void *finish_calls(void *arg)
{
    struct late_store *late = arg;
    pthread_mutex_lock(&late->lock);
    for (;;) {
        while ((late->count == 0 || late->is_held) && !late->is_over)
            pthread_cond_wait(&late->changed, &late->lock);
        if (late->count == 0)
            break;
        struct late_call next = late->calls[late->begin];
        late->begin = (late->begin + 1) % CALLS_MAX;
        late->count--;
        pthread_cond_broadcast(&late->changed);
        pthread_mutex_unlock(&late->lock);
        if (next.is_save)
            late->inner->save(late->inner, late->session, &next.call, 1);
        else
            late->inner->load(late->inner, late->session, &next.call, 1);
        pthread_mutex_lock(&late->lock);
    }
    pthread_mutex_unlock(&late->lock);
    return NULL;
}

static void note(batch_store *store, batch_call *const *calls, size_t calls_size, bool is_save)
{
    struct late_store *late = (struct late_store *)(void *)store;
    pthread_mutex_lock(&late->lock);
    for (size_t i = 0; i < calls_size; i++) {
        while (late->count == CALLS_MAX)
            pthread_cond_wait(&late->changed, &late->lock);
        late->calls[(late->begin + late->count++) % CALLS_MAX] =
            (struct late_call){calls[i], is_save};
        pthread_cond_broadcast(&late->changed);
    }
    pthread_mutex_unlock(&late->lock);
}

static void load(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    (void)session;
    note(store, calls, calls_size, false);
}

static void save(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    (void)session;
    note(store, calls, calls_size, true);
}

static int session_open(batch_store *store, void **ret_session, batch_result *reterr)
{
    (void)reterr;
    *ret_session = store;
    return BATCH_OK;
}

static void session_close(batch_store *store, void *session)
{
    (void)store;
    (void)session;
}

static void close_nothing(batch_store *store)
{
    (void)store;
}

static void late_open(struct late_store *late)
{
    memset(late, 0, sizeof *late);
    late->store = (batch_store)BATCH_STORE_INIT;
    late->store.name = "late";
    late->store.session_open = session_open;
    late->store.session_close = session_close;
    late->store.load = load;
    late->store.save = save;
    late->store.close = close_nothing;
    MUST(pthread_mutex_init(&late->lock, NULL) == 0);
    MUST(pthread_cond_init(&late->changed, NULL) == 0);
    batch_result error;
    MUST(batch_memory_open(&late->inner) == BATCH_OK);
    MUST(late->inner->session_open(late->inner, &late->session, &error) == BATCH_OK);
    late->thread = thread_start(finish_calls, late);
}

static void late_hold(struct late_store *late, bool is_held)
{
    pthread_mutex_lock(&late->lock);
    late->is_held = is_held;
    pthread_cond_broadcast(&late->changed);
    pthread_mutex_unlock(&late->lock);
}

static void late_await(struct late_store *late, size_t count)
{
    pthread_mutex_lock(&late->lock);
    while (late->count < count)
        pthread_cond_wait(&late->changed, &late->lock);
    pthread_mutex_unlock(&late->lock);
}

static void late_close(struct late_store *late)
{
    pthread_mutex_lock(&late->lock);
    late->is_over = true;
    pthread_cond_broadcast(&late->changed);
    pthread_mutex_unlock(&late->lock);
    thread_join(late->thread);
    late->inner->session_close(late->inner, late->session);
    MUST(batch_store_close(late->inner) == BATCH_OK);
    MUST(batch_store_close(&late->store) == BATCH_OK);
    pthread_cond_destroy(&late->changed);
    pthread_mutex_destroy(&late->lock);
}

/* ---- Tests ---------------------------------------------------------------------------------- */

static void calls_may_be_finished_later_from_another_thread(void **state)
{
    (void)state;
    enum { JOBS = 400 };
    for (uint32_t sessions = 0; sessions < 3; sessions++) {
        for (uint32_t shards = 1; shards < 4; shards += 2) {
            struct late_store late;
            late_open(&late);
            struct rig rig;
            rig_init(&rig, RIG_STORE);
            rig.options.store = &late.store;
            rig.options.sessions = sessions;
            rig.options.shards = shards;
            rig_start(&rig);
            struct job *jobs = calloc(JOBS, sizeof *jobs);
            char(*keys)[8] = calloc(JOBS, sizeof *keys);
            for (int i = 0; i < JOBS; i++) {
                snprintf(keys[i], sizeof keys[i], "%d", i % 100);
                job_init(&jobs[i], &rig, keys[i], 1);
                job_submit(&jobs[i]);
            }
            for (int i = 0; i < JOBS; i++) {
                assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
                assert_int_equal(jobs[i].seen, i / 100 + 1);
            }
            rig_end(&rig);
            late_close(&late);
            free(keys);
            free(jobs);
        }
    }
}

static void worker_goes_on_while_a_late_store_has_its_calls(void **state)
{
    (void)state;
    struct late_store late;
    late_open(&late);
    late_hold(&late, true);
    struct rig rig;
    rig_init(&rig, RIG_STORE);
    rig.options.store = &late.store;
    rig.options.sessions = 0;
    rig_start(&rig);
    struct job held, canceled;
    job_init(&held, &rig, "a", 1);
    job_init(&canceled, &rig, "b", 1);
    job_submit(&held);
    job_submit(&canceled);
    late_await(&late, 2);
    batch_cancel(rig.processor, &canceled.op);
    assert_int_equal(job_wait(&canceled), BATCH_CANCELED);
    assert_false(job_is_answered(&held));
    late_hold(&late, false);
    assert_int_equal(job_wait(&held), BATCH_OK);
    rig_end(&rig);
    late_close(&late);
}

static void stop_waits_for_a_late_store(void **state)
{
    (void)state;
    for (uint32_t sessions = 0; sessions < 2; sessions++) {
        struct late_store late;
        late_open(&late);
        late_hold(&late, true);
        struct rig rig;
        rig_init(&rig, RIG_STORE);
        rig.options.store = &late.store;
        rig.options.sessions = sessions;
        rig_start(&rig);
        struct job job;
        job_init(&job, &rig, "k", 1);
        job_submit(&job);
        late_await(&late, 1);
        assert_int_equal(batch_processor_stop(rig.processor, 1 * MS), 1);
        assert_int_equal(batch_processor_free(rig.processor), BATCH_BUSY);
        late_hold(&late, false);
        rig_stop(&rig);
        assert_int_equal(job.result.status, BATCH_LOAD_FAILED); /* memory gives up what is late */
        rig_free(&rig);
        rig_destroy(&rig);
        late_close(&late);
    }
}

/* The thread that finishes the last call may still be in batch_call_finish when stop returns. */
static void processor_may_be_freed_as_soon_as_a_late_store_has_finished(void **state)
{
    (void)state;
    struct late_store late;
    late_open(&late);
    for (int i = 0; i < 1500; i++) {
        struct rig rig;
        rig_init(&rig, RIG_STORE);
        rig.options.store = &late.store;
        rig.options.sessions = 0;
        rig_start(&rig);
        struct job job;
        job_init(&job, &rig, "k", 1);
        job_submit(&job);
        rig_end(&rig);
        assert_int_equal(job.result.status, BATCH_OK);
    }
    late_close(&late);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(calls_may_be_finished_later_from_another_thread),
        cmocka_unit_test(worker_goes_on_while_a_late_store_has_its_calls),
        cmocka_unit_test(stop_waits_for_a_late_store),
        cmocka_unit_test(processor_may_be_freed_as_soon_as_a_late_store_has_finished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
