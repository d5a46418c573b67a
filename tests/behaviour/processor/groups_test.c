/* groups_test.c: natural batching (BATCH_WINDOW_NONE), and the groups in which the store is given
 * calls. While a save is held, whatever comes gathers, and goes together. */
#include "harness.h"

/* ---- Natural batching ------------------------------------------------------------------------ */

TEST(lone_operation_does_not_wait_for_others)
{
    for (uint32_t sessions = 0; sessions < 3; sessions++) {
        struct harness harness;
        harness_init(&harness, HARNESS_STORE);
        harness.options.sessions = sessions;
        harness_start(&harness);
        batch_subscription *subscription = NULL;
        assert_int_equal(batch_metrics_subscribe(harness.processor, NULL, &subscription), BATCH_OK);
        struct job job;
        job_init(&job, &harness, "k", 1);
        assert_int_equal(job_run(&job), BATCH_OK);
        assert_int_equal(job.result.batch_operations, 1);
        batch_metric metric;
        assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &metric), BATCH_OK);
        assert_int_equal(metric.close_reason, BATCH_CLOSED_BY_STORE);
        assert_int_equal(harness_stored(&harness, "k"), 1);
        batch_metrics_unsubscribe(subscription);
        harness_end(&harness);
    }
}

TEST(operations_gather_while_their_key_is_saved)
{
    enum { JOBS = 50 };
    for (uint32_t sessions = 1; sessions < 3; sessions++) {
        struct harness harness;
        harness_init(&harness, HARNESS_STORE);
        harness.options.sessions = sessions;
        harness_start(&harness);
        gate_close(&harness.save_gate);
        struct job first, jobs[JOBS];
        job_send(&first, &harness, "k", 1);
        gate_await(&harness.save_gate, 1);
        for (int i = 0; i < JOBS; i++) {
            job_send(&jobs[i], &harness, "k", 1);
        }
        harness_settle(&harness);
        gate_open(&harness.save_gate);
        assert_int_equal(job_wait(&first), BATCH_OK);
        assert_int_equal(first.result.batch_operations, 1);
        for (int i = 0; i < JOBS; i++) {
            assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
            assert_int_equal(jobs[i].result.batch_operations, JOBS);
        }
        assert_int_equal(harness_saves(&harness), 2);
        harness_end(&harness);
    }
}

/* With one session, even other keys wait: for the session. */
TEST(batch_stays_open_while_the_only_session_is_busy)
{
    enum { JOBS = 20 };
    struct harness harness;
    harness_begin(&harness, HARNESS_STORE);
    gate_close(&harness.load_gate);
    struct job other, first, jobs[JOBS];
    job_send(&other, &harness, "other", 1);
    gate_await(&harness.load_gate, 1);
    job_send(&first, &harness, "k", 1); /* loads together with nothing, after `other` */
    harness_settle(&harness);
    gate_close(&harness.save_gate);
    gate_open(&harness.load_gate);
    gate_await(&harness.save_gate, 1); /* of one of them or both: the other one, if any, is open */
    for (int i = 0; i < JOBS; i++) {
        job_send(&jobs[i], &harness, "k", 1);
    }
    harness_settle(&harness);
    gate_open(&harness.save_gate);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
    /* They went together: with `first`, or behind it. */
    assert_in_range(jobs[0].result.batch_operations, JOBS, JOBS + 1);
    assert_in_range(harness_saves(&harness), 2, 3);
    assert_int_equal(harness_stored(&harness, "k"), JOBS + 1);
    harness_end(&harness);
}

TEST(worker_that_calls_the_store_itself_gathers_meanwhile)
{
    enum { JOBS = 50 };
    struct harness harness;
    harness_init(&harness, HARNESS_STORE);
    harness.options.sessions = 0;
    harness_start(&harness);
    gate_close(&harness.save_gate);
    struct job first, jobs[JOBS];
    job_send(&first, &harness, "k", 1);
    gate_await(&harness.save_gate, 1);
    for (int i = 0; i < JOBS; i++) {
        job_send(&jobs[i], &harness, "k", 1);
    }
    gate_open(&harness.save_gate);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
        assert_int_equal(jobs[i].result.batch_operations, JOBS);
    }
    harness_end(&harness);
}

/* Batches that need no save close without the store's saying so. */
TEST(batches_that_change_nothing_all_end)
{
    enum { JOBS = 100 };
    enum harness_kind kinds[] = {HARNESS_STORE, HARNESS_FUNCTIONS, HARNESS_BARE};
    for (size_t kind = 0; kind < 3; kind++) {
        for (uint32_t sessions = 0; sessions < 3; sessions++) {
            struct harness harness;
            harness_init(&harness, kinds[kind]);
            harness.options.sessions = sessions;
            harness.options.group_max = 3;
            harness_start(&harness);
            struct job jobs[JOBS];
            char keys[JOBS][8];
            batch_op *ops[JOBS];
            for (int i = 0; i < JOBS; i++) {
                snprintf(keys[i], sizeof keys[i], "%d", i);
                job_init(&jobs[i], &harness, keys[i], i % 10 == 9); /* most only read */
                ops[i] = &jobs[i].op;
            }
            assert_int_equal(batch_submit_many(harness.processor, ops, JOBS), BATCH_OK);
            for (int i = 0; i < JOBS; i++)
                assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
            harness_end(&harness);
        }
    }
}

/* ---- Groups ---------------------------------------------------------------------------------- */

enum { KEYS = 1000 };

struct crowd {
    struct job jobs[KEYS];
    char keys[KEYS][8];
};

/* A held save, and behind it a load for each key. */
static struct crowd *gather(struct harness *harness, struct job *first)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);
    gate_close(&harness->save_gate);
    job_init(first, harness, "first", 1);
    job_submit(first);
    gate_await(&harness->save_gate, 1);
    for (int i = 0; i < KEYS; i++) {
        snprintf(crowd->keys[i], sizeof crowd->keys[i], "%d", i);
        job_init(&crowd->jobs[i], harness, crowd->keys[i], 1);
        job_submit(&crowd->jobs[i]);
    }
    harness_settle(harness);
    return crowd;
}

static void await_all(struct crowd *crowd)
{
    for (int i = 0; i < KEYS; i++)
        assert_int_equal(job_wait(&crowd->jobs[i]), BATCH_OK);
    free(crowd);
}

TEST(held_save_gathers_the_calls_of_many_keys_into_few_groups)
{
    struct harness harness;
    harness_begin(&harness, HARNESS_STORE);
    struct job first;
    struct crowd *crowd = gather(&harness, &first);
    gate_open(&harness.save_gate);
    await_all(crowd);
    assert_int_equal(harness.loads, KEYS + 1);
    assert_int_equal(harness.saves, KEYS + 1);
    assert_int_equal(harness.load_groups, 2);
    assert_int_equal(harness.group_largest, KEYS);
    /* Loads that finish while the worker looks at others are saved with the next group. */
    assert_in_range(harness.save_groups, 2, KEYS / 20);
    batch_stats stats = harness_stats(&harness);
    assert_int_equal(stats.load_group.max, KEYS);
    assert_int_equal(stats.load_group.count, 2);
    assert_int_equal(stats.save_group.count, harness.save_groups);
    harness_end(&harness);
}

TEST(windows_that_end_together_are_saved_together)
{
    struct harness harness;
    harness_init(&harness, HARNESS_STORE);
    harness.options.window_ns = LONG_NS;
    harness_start(&harness);
    struct crowd *crowd = calloc(1, sizeof *crowd);
    for (int i = 0; i < KEYS; i++) {
        snprintf(crowd->keys[i], sizeof crowd->keys[i], "%d", i);
        job_init(&crowd->jobs[i], &harness, crowd->keys[i], 1);
        job_submit(&crowd->jobs[i]);
    }
    pthread_mutex_lock(&harness.lock);
    while (harness.order < KEYS) /* all have run */
        pthread_cond_wait(&harness.changed, &harness.lock);
    pthread_mutex_unlock(&harness.lock);
    harness_stop(&harness);
    await_all(crowd);
    assert_int_equal(harness.saves, KEYS);
    assert_int_equal(harness.save_groups, 1);
    harness_end(&harness);
}

TEST(group_max_is_respected)
{
    for (uint32_t sessions = 0; sessions < 3; sessions++) {
        struct harness harness;
        harness_init(&harness, HARNESS_STORE);
        harness.options.sessions = sessions;
        harness.options.group_max = 10;
        harness_start(&harness);
        struct job first;
        if (sessions > 0) {
            struct crowd *crowd = gather(&harness, &first);
            gate_open(&harness.save_gate);
            await_all(crowd);
        } else {
            struct crowd *crowd = calloc(1, sizeof *crowd);
            batch_op *ops[KEYS];
            for (int i = 0; i < KEYS; i++) {
                snprintf(crowd->keys[i], sizeof crowd->keys[i], "%d", i);
                job_init(&crowd->jobs[i], &harness, crowd->keys[i], 1);
                ops[i] = &crowd->jobs[i].op;
            }
            assert_int_equal(batch_submit_many(harness.processor, ops, KEYS), BATCH_OK);
            await_all(crowd);
        }
        assert_int_equal(harness.group_largest, 10);
        assert_true(harness.load_groups >= KEYS / 10);
        assert_true(harness.save_groups >= KEYS / 10);
        harness_end(&harness);
    }
}

TEST(sessions_are_the_limit_on_calls_at_a_time)
{
    enum { SESSIONS = 3, JOBS = 30 };
    struct harness harness;
    harness_init(&harness, HARNESS_STORE);
    harness.options.sessions = SESSIONS;
    harness.options.group_max = 1;
    harness.options.shards = 2;
    harness_start(&harness);
    gate_close(&harness.load_gate);
    struct job jobs[JOBS];
    char keys[JOBS][8];
    for (int i = 0; i < JOBS; i++) {
        snprintf(keys[i], sizeof keys[i], "%d", i);
        job_send(&jobs[i], &harness, keys[i], 1);
    }
    gate_await(&harness.load_gate, SESSIONS - 1); /* one is left to saves */
    gate_close(&harness.save_gate);
    gate_open(&harness.load_gate);
    gate_await(&harness.save_gate, SESSIONS - 1); /* one is left to loads */
    gate_close(&harness.load_gate);
    struct job late;
    job_send(&late, &harness, "late", 1);
    gate_await(&harness.load_gate, 1); /* all of them are used */
    gate_open(&harness.load_gate);
    gate_open(&harness.save_gate);
    assert_int_equal(job_wait(&late), BATCH_OK);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
    assert_int_equal(harness.users_most, SESSIONS);
    harness_end(&harness);
}

TEST(one_failed_call_of_a_group_decides_for_no_other)
{
    struct harness harness;
    harness_begin(&harness, HARNESS_STORE);
    struct job first;
    struct crowd *crowd = gather(&harness, &first);
    harness.fault_key = "500";
    harness_fault(&harness, BATCH_OK, BATCH_CONFLICT, 5, "taken");
    gate_open(&harness.save_gate);
    for (int i = 0; i < KEYS; i++) {
        struct job *job = &crowd->jobs[i];
        assert_int_equal(job_wait(job), i == 500 ? BATCH_CONFLICT : BATCH_OK);
        assert_int_equal(job->result.store_code, i == 500 ? 5 : 0);
        assert_string_equal(
            job->result.message,
            i == 500 ? "another writer saved meanwhile, not applied: key '500': taken" : "done");
    }
    harness_end(&harness);
    free(crowd);
}
