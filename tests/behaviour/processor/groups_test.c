/* groups_test.c: natural batching (BATCH_WINDOW_NONE), and the groups in which the store is given
 * calls. While a save is held, whatever comes gathers, and goes together. */
#include "rig.h"

/* ---- Natural batching ----------------------------------------------------------------------- */

static void lone_operation_does_not_wait_for_others(void **state)
{
    (void)state;
    for (uint32_t sessions = 0; sessions < 3; sessions++) {
        struct rig rig;
        rig_init(&rig, RIG_STORE);
        rig.options.sessions = sessions;
        rig_start(&rig);
        batch_subscription *subscription = NULL;
        assert_int_equal(batch_metrics_subscribe(rig.processor, NULL, &subscription), BATCH_OK);
        struct job job;
        job_init(&job, &rig, "k", 1);
        assert_int_equal(job_run(&job), BATCH_OK);
        assert_int_equal(job.result.batch_operations, 1);
        batch_metric metric;
        assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &metric), BATCH_OK);
        assert_int_equal(metric.close_reason, BATCH_CLOSED_BY_STORE);
        assert_int_equal(rig_stored(&rig, "k"), 1);
        batch_metrics_unsubscribe(subscription);
        rig_end(&rig);
    }
}

static void operations_gather_while_their_key_is_saved(void **state)
{
    (void)state;
    enum { JOBS = 50 };
    for (uint32_t sessions = 1; sessions < 3; sessions++) {
        struct rig rig;
        rig_init(&rig, RIG_STORE);
        rig.options.sessions = sessions;
        rig_start(&rig);
        gate_close(&rig.save_gate);
        struct job first, jobs[JOBS];
        job_init(&first, &rig, "k", 1);
        job_submit(&first);
        gate_await(&rig.save_gate, 1);
        for (int i = 0; i < JOBS; i++) {
            job_init(&jobs[i], &rig, "k", 1);
            job_submit(&jobs[i]);
        }
        rig_settle(&rig);
        gate_open(&rig.save_gate);
        assert_int_equal(job_wait(&first), BATCH_OK);
        assert_int_equal(first.result.batch_operations, 1);
        for (int i = 0; i < JOBS; i++) {
            assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
            assert_int_equal(jobs[i].result.batch_operations, JOBS);
        }
        assert_int_equal(rig_saves(&rig), 2);
        rig_end(&rig);
    }
}

/* With one session, even other keys wait: for the session. */
static void batch_stays_open_while_the_only_session_is_busy(void **state)
{
    (void)state;
    enum { JOBS = 20 };
    struct rig rig;
    rig_init(&rig, RIG_STORE);
    rig_start(&rig);
    gate_close(&rig.load_gate);
    struct job other, first, jobs[JOBS];
    job_init(&other, &rig, "other", 1);
    job_submit(&other);
    gate_await(&rig.load_gate, 1);
    job_init(&first, &rig, "k", 1);
    job_submit(&first); /* loads together with nothing, after `other` */
    rig_settle(&rig);
    gate_close(&rig.save_gate);
    gate_open(&rig.load_gate);
    gate_await(&rig.save_gate, 1); /* of one of them or both: the other one, if any, is open */
    for (int i = 0; i < JOBS; i++) {
        job_init(&jobs[i], &rig, "k", 1);
        job_submit(&jobs[i]);
    }
    rig_settle(&rig);
    gate_open(&rig.save_gate);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
    /* They went together: with `first`, or behind it. */
    assert_in_range(jobs[0].result.batch_operations, JOBS, JOBS + 1);
    assert_in_range(rig_saves(&rig), 2, 3);
    assert_int_equal(rig_stored(&rig, "k"), JOBS + 1);
    rig_end(&rig);
}

static void worker_that_calls_the_store_itself_gathers_meanwhile(void **state)
{
    (void)state;
    enum { JOBS = 50 };
    struct rig rig;
    rig_init(&rig, RIG_STORE);
    rig.options.sessions = 0;
    rig_start(&rig);
    gate_close(&rig.save_gate);
    struct job first, jobs[JOBS];
    job_init(&first, &rig, "k", 1);
    job_submit(&first);
    gate_await(&rig.save_gate, 1);
    for (int i = 0; i < JOBS; i++) {
        job_init(&jobs[i], &rig, "k", 1);
        job_submit(&jobs[i]);
    }
    gate_open(&rig.save_gate);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
        assert_int_equal(jobs[i].result.batch_operations, JOBS);
    }
    rig_end(&rig);
}

/* Batches that need no save close without the store's saying so. */
static void batches_that_change_nothing_all_end(void **state)
{
    (void)state;
    enum { JOBS = 100 };
    enum rig_kind kinds[] = {RIG_STORE, RIG_FUNCTIONS, RIG_BARE};
    for (size_t kind = 0; kind < 3; kind++) {
        for (uint32_t sessions = 0; sessions < 3; sessions++) {
            struct rig rig;
            rig_init(&rig, kinds[kind]);
            rig.options.sessions = sessions;
            rig.options.group_max = 3;
            rig_start(&rig);
            struct job jobs[JOBS];
            char keys[JOBS][8];
            batch_op *ops[JOBS];
            for (int i = 0; i < JOBS; i++) {
                snprintf(keys[i], sizeof keys[i], "%d", i);
                job_init(&jobs[i], &rig, keys[i], i % 10 == 9); /* most only read */
                ops[i] = &jobs[i].op;
            }
            assert_int_equal(batch_submit_many(rig.processor, ops, JOBS), BATCH_OK);
            for (int i = 0; i < JOBS; i++)
                assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
            rig_end(&rig);
        }
    }
}

/* ---- Groups --------------------------------------------------------------------------------- */

enum { KEYS = 1000 };

struct crowd {
    struct job jobs[KEYS];
    char keys[KEYS][8];
};

/* A held save, and behind it a load for each key. */
static struct crowd *gather(struct rig *rig, struct job *first)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);
    gate_close(&rig->save_gate);
    job_init(first, rig, "first", 1);
    job_submit(first);
    gate_await(&rig->save_gate, 1);
    for (int i = 0; i < KEYS; i++) {
        snprintf(crowd->keys[i], sizeof crowd->keys[i], "%d", i);
        job_init(&crowd->jobs[i], rig, crowd->keys[i], 1);
        job_submit(&crowd->jobs[i]);
    }
    rig_settle(rig);
    return crowd;
}

static void await_all(struct crowd *crowd)
{
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(job_wait(&crowd->jobs[i]), BATCH_OK);
    free(crowd);
}

static void held_save_gathers_the_calls_of_many_keys_into_few_groups(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, RIG_STORE);
    rig_start(&rig);
    struct job first;
    struct crowd *crowd = gather(&rig, &first);
    gate_open(&rig.save_gate);
    await_all(crowd);
    assert_int_equal(rig.loads, KEYS + 1);
    assert_int_equal(rig.saves, KEYS + 1);
    assert_int_equal(rig.load_groups, 2);
    assert_int_equal(rig.group_largest, KEYS);
    /* Loads that finish while the worker looks at others are saved with the next group. */
    assert_in_range(rig.save_groups, 2, KEYS / 20);
    batch_stats stats = rig_stats(&rig);
    assert_int_equal(stats.load_group.max, KEYS);
    assert_int_equal(stats.load_group.count, 2);
    assert_int_equal(stats.save_group.count, rig.save_groups);
    rig_end(&rig);
}

static void windows_that_end_together_are_saved_together(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, RIG_STORE);
    rig.options.window_ns = LONG_NS;
    rig_start(&rig);
    struct crowd *crowd = calloc(1, sizeof *crowd);
    for (int i = 0; i < KEYS; i++) {
        snprintf(crowd->keys[i], sizeof crowd->keys[i], "%d", i);
        job_init(&crowd->jobs[i], &rig, crowd->keys[i], 1);
        job_submit(&crowd->jobs[i]);
    }
    pthread_mutex_lock(&rig.lock);
    while (rig.order < KEYS) /* all have run */
        pthread_cond_wait(&rig.changed, &rig.lock);
    pthread_mutex_unlock(&rig.lock);
    rig_stop(&rig);
    await_all(crowd);
    assert_int_equal(rig.saves, KEYS);
    assert_int_equal(rig.save_groups, 1);
    rig_free(&rig);
    rig_destroy(&rig);
}

static void group_max_is_respected(void **state)
{
    (void)state;
    for (uint32_t sessions = 0; sessions < 3; sessions++) {
        struct rig rig;
        rig_init(&rig, RIG_STORE);
        rig.options.sessions = sessions;
        rig.options.group_max = 10;
        rig_start(&rig);
        struct job first;
        if (sessions > 0) {
            struct crowd *crowd = gather(&rig, &first);
            gate_open(&rig.save_gate);
            await_all(crowd);
        } else {
            struct crowd *crowd = calloc(1, sizeof *crowd);
            batch_op *ops[KEYS];
            for (int i = 0; i < KEYS; i++) {
                snprintf(crowd->keys[i], sizeof crowd->keys[i], "%d", i);
                job_init(&crowd->jobs[i], &rig, crowd->keys[i], 1);
                ops[i] = &crowd->jobs[i].op;
            }
            assert_int_equal(batch_submit_many(rig.processor, ops, KEYS), BATCH_OK);
            await_all(crowd);
        }
        assert_int_equal(rig.group_largest, 10);
        assert_true(rig.load_groups >= KEYS / 10);
        assert_true(rig.save_groups >= KEYS / 10);
        rig_end(&rig);
    }
}

static void sessions_are_the_limit_on_calls_at_a_time(void **state)
{
    (void)state;
    enum { SESSIONS = 3, JOBS = 30 };
    struct rig rig;
    rig_init(&rig, RIG_STORE);
    rig.options.sessions = SESSIONS;
    rig.options.group_max = 1;
    rig.options.shards = 2;
    rig_start(&rig);
    gate_close(&rig.load_gate);
    struct job jobs[JOBS];
    char keys[JOBS][8];
    for (int i = 0; i < JOBS; i++) {
        snprintf(keys[i], sizeof keys[i], "%d", i);
        job_init(&jobs[i], &rig, keys[i], 1);
        job_submit(&jobs[i]);
    }
    gate_await(&rig.load_gate, SESSIONS - 1); /* one is left to saves */
    gate_close(&rig.save_gate);
    gate_open(&rig.load_gate);
    gate_await(&rig.save_gate, SESSIONS); /* all of them are used */
    gate_open(&rig.save_gate);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
    assert_int_equal(rig.users_most, SESSIONS);
    rig_end(&rig);
}

static void one_failed_call_of_a_group_decides_for_no_other(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, RIG_STORE);
    rig_start(&rig);
    struct job first;
    struct crowd *crowd = gather(&rig, &first);
    rig.fault_key = "500";
    rig_fault(&rig, BATCH_OK, BATCH_CONFLICT, 5, "taken");
    gate_open(&rig.save_gate);
    for (int i = 0; i < KEYS; i++) {
        struct job *job = &crowd->jobs[i];
        assert_int_equal(job_wait(job), i == 500 ? BATCH_CONFLICT : BATCH_OK);
        assert_int_equal(job->result.store_code, i == 500 ? 5 : 0);
        assert_string_equal(
            job->result.message,
            i == 500 ? "another writer saved meanwhile, not applied: key '500': taken" : "done");
    }
    rig_end(&rig);
    free(crowd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lone_operation_does_not_wait_for_others),
        cmocka_unit_test(operations_gather_while_their_key_is_saved),
        cmocka_unit_test(batch_stays_open_while_the_only_session_is_busy),
        cmocka_unit_test(worker_that_calls_the_store_itself_gathers_meanwhile),
        cmocka_unit_test(batches_that_change_nothing_all_end),
        cmocka_unit_test(held_save_gathers_the_calls_of_many_keys_into_few_groups),
        cmocka_unit_test(windows_that_end_together_are_saved_together),
        cmocka_unit_test(group_max_is_respected),
        cmocka_unit_test(sessions_are_the_limit_on_calls_at_a_time),
        cmocka_unit_test(one_failed_call_of_a_group_decides_for_no_other),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
