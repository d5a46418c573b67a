/* groups_test.c: natural batching (BATCH_WINDOW_NONE), and the groups in which the store is given
 * calls. While a save is held, whatever comes gathers, and goes together. */
#include "harness.h"

/* ---- Natural batching ------------------------------------------------------------------------ */

TEST(lone_operation_does_not_wait_for_others)
{
    for (uint32_t sessions = 0; sessions < 3; sessions++) {
        struct harness harness;
        harness_begin_with(&harness, HARNESS_STORE, .sessions = sessions);
        batch_subscription *subscription = harness_subscribe(&harness);
        struct job job;
        assert_int_equal(job_call(&job, &harness, "k", 1), BATCH_OK);
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
        harness_begin_with(&harness, HARNESS_STORE, .sessions = sessions);
        gate_close(&harness.save_gate);
        struct job first, jobs[JOBS];
        job_send(&first, &harness, "k", 1);
        gate_await(&harness.save_gate, 1);
        jobs_send(jobs, JOBS, &harness, "k", 1);
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
HARNESS_TEST(batch_stays_open_while_the_only_session_is_busy, HARNESS_STORE)
{
    enum { JOBS = 20 };
    gate_close(&harness->load_gate);
    struct job other, first, jobs[JOBS];
    job_send(&other, harness, "other", 1);
    gate_await(&harness->load_gate, 1);
    job_send(&first, harness, "k", 1); /* loads together with nothing, after `other` */
    harness_settle(harness);
    gate_close(&harness->save_gate);
    gate_open(&harness->load_gate);
    gate_await(&harness->save_gate, 1); /* of one of them or both: the other one, if any, is open */
    jobs_send(jobs, JOBS, harness, "k", 1);
    harness_settle(harness);
    gate_open(&harness->save_gate);
    jobs_wait(jobs, JOBS);
    /* They went together: with `first`, or behind it. */
    assert_in_range(jobs[0].result.batch_operations, JOBS, JOBS + 1);
    assert_in_range(harness_saves(harness), 2, 3);
    assert_int_equal(harness_stored(harness, "k"), JOBS + 1);
    harness_end(harness);
}

HARNESS_TEST_WITH(worker_that_calls_the_store_itself_gathers_meanwhile, HARNESS_STORE,
                  .sessions = 0)
{
    enum { JOBS = 50 };
    gate_close(&harness->save_gate);
    struct job first, jobs[JOBS];
    job_send(&first, harness, "k", 1);
    gate_await(&harness->save_gate, 1);
    jobs_send(jobs, JOBS, harness, "k", 1);
    gate_open(&harness->save_gate);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
        assert_int_equal(jobs[i].result.batch_operations, JOBS);
    }
    harness_end(harness);
}

/* Batches that need no save close without the store's saying so. */
TEST(batches_that_change_nothing_all_end)
{
    enum { JOBS = 100 };
    enum harness_kind kinds[] = {HARNESS_STORE, HARNESS_FUNCTIONS, HARNESS_BARE};
    for (size_t kind = 0; kind < 3; kind++) {
        for (uint32_t sessions = 0; sessions < 3; sessions++) {
            struct harness harness;
            harness_begin_with(&harness, kinds[kind], .sessions = sessions, .group_max = 3);
            struct job jobs[JOBS];
            for (int i = 0; i < JOBS; i++)
                job_init_number(&jobs[i], &harness, i, i % 10 == 9); /* most only read */
            jobs_submit_many(jobs, JOBS);
            jobs_wait(jobs, JOBS);
            harness_end(&harness);
        }
    }
}

/* ---- Groups ---------------------------------------------------------------------------------- */

enum { KEYS = 1000 };

/* Jobs on the keys "0", "1", …, not submitted yet. */
static struct job *make_crowd(struct harness *harness)
{
    struct job *crowd = calloc(KEYS, sizeof *crowd);
    for (int i = 0; i < KEYS; i++)
        job_init_number(&crowd[i], harness, i, 1);
    return crowd;
}

/* A held save, and behind it a load for each key. */
static struct job *gather(struct harness *harness, struct job *first)
{
    struct job *crowd = make_crowd(harness);
    gate_close(&harness->save_gate);
    job_send(first, harness, "first", 1);
    gate_await(&harness->save_gate, 1);
    for (int i = 0; i < KEYS; i++)
        job_submit(&crowd[i]);
    harness_settle(harness);
    return crowd;
}

static void await_all(struct job *crowd)
{
    jobs_wait(crowd, KEYS);
    free(crowd);
}

HARNESS_TEST(held_save_gathers_the_calls_of_many_keys_into_few_groups, HARNESS_STORE)
{
    struct job first;
    struct job *crowd = gather(harness, &first);
    gate_open(&harness->save_gate);
    await_all(crowd);
    assert_int_equal(harness->loads, KEYS + 1);
    assert_int_equal(harness->saves, KEYS + 1);
    assert_int_equal(harness->load_groups, 2);
    assert_int_equal(harness->group_largest, KEYS);
    /* Loads that finish while the worker looks at others are saved with the next group, and so is
     * what waits for its turn: where an operation takes microseconds, some dozens go together. */
    assert_in_range(harness->save_groups, 2, KEYS / 4);
    batch_stats stats = harness_stats(harness);
    assert_int_equal(stats.load_group.max, KEYS);
    assert_int_equal(stats.load_group.count, 2);
    assert_int_equal(stats.save_group.count, harness->save_groups);
    harness_end(harness);
}

HARNESS_TEST_WITH(windows_that_end_together_are_saved_together, HARNESS_STORE, .window_ns = LONG_NS)
{
    struct job *crowd = make_crowd(harness);
    for (int i = 0; i < KEYS; i++)
        job_submit(&crowd[i]);
    pthread_mutex_lock(&harness->lock);
    while (harness->order < KEYS) /* all have run */
        pthread_cond_wait(&harness->changed, &harness->lock);
    pthread_mutex_unlock(&harness->lock);
    harness_stop(harness);
    await_all(crowd);
    assert_int_equal(harness->saves, KEYS);
    assert_int_equal(harness->save_groups, 1);
}

TEST(group_max_is_respected)
{
    for (uint32_t sessions = 0; sessions < 3; sessions++) {
        struct harness harness;
        harness_begin_with(&harness, HARNESS_STORE, .sessions = sessions, .group_max = 10);
        struct job first, *crowd;
        if (sessions > 0) {
            crowd = gather(&harness, &first);
            gate_open(&harness.save_gate);
        } else {
            crowd = make_crowd(&harness);
            jobs_submit_many(crowd, KEYS);
        }
        await_all(crowd);
        assert_int_equal(harness.group_largest, 10);
        assert_true(harness.load_groups >= KEYS / 10);
        assert_true(harness.save_groups >= KEYS / 10);
        harness_end(&harness);
    }
}

/* The resources are small, but the store has much to do: half of a time limit for one group. */
HARNESS_TEST_WITH(calls_that_take_long_go_in_smaller_groups_from_then_on, HARNESS_STORE,
                  .sessions = 1, .deadline_ns = 200 * MS)
{
    enum { SMALL = 512 };
    struct job first;
    struct job *crowd = gather(harness, &first);
    gate_close(&harness->load_gate);
    gate_open(&harness->save_gate);
    gate_await(&harness->load_gate, 1);
    harness_spin(100 * MS);
    gate_open(&harness->load_gate);
    await_all(crowd);
    assert_int_equal(harness->load_groups, 2);
    assert_int_equal(harness->group_largest, KEYS);
    crowd = gather(harness, &first);
    gate_open(&harness->save_gate);
    await_all(crowd);
    assert_int_equal(harness->load_groups, 2 + 1 + 2);
    assert_in_range(KEYS, SMALL + 1, 2 * SMALL);
    harness_end(harness);
}

enum { SESSIONS = 3 };

HARNESS_TEST_WITH(sessions_are_the_limit_on_calls_at_a_time, HARNESS_STORE, .sessions = SESSIONS,
                  .group_max = 1, .shards = 2)
{
    enum { JOBS = 30 };
    gate_close(&harness->load_gate);
    struct job jobs[JOBS];
    for (int i = 0; i < JOBS; i++) {
        job_init_number(&jobs[i], harness, i, 1);
        job_submit(&jobs[i]);
    }
    gate_await(&harness->load_gate, SESSIONS - 1); /* one is left to saves */
    gate_close(&harness->save_gate);
    gate_open(&harness->load_gate);
    gate_await(&harness->save_gate, SESSIONS - 1); /* one is left to loads */
    gate_close(&harness->load_gate);
    struct job late;
    job_send(&late, harness, "late", 1);
    gate_await(&harness->load_gate, 1); /* all of them are used */
    gate_open(&harness->load_gate);
    gate_open(&harness->save_gate);
    assert_int_equal(job_wait(&late), BATCH_OK);
    jobs_wait(jobs, JOBS);
    assert_int_equal(harness->users_most, SESSIONS);
    harness_end(harness);
}

HARNESS_TEST(one_failed_call_of_a_group_decides_for_no_other, HARNESS_STORE)
{
    struct job first;
    struct job *crowd = gather(harness, &first);
    harness->fault_key = "500";
    harness_fault(harness, BATCH_OK, BATCH_CONFLICT, 5, "taken");
    gate_open(&harness->save_gate);
    for (int i = 0; i < KEYS; i++) {
        struct job *job = &crowd[i];
        assert_int_equal(job_wait(job), i == 500 ? BATCH_CONFLICT : BATCH_OK);
        assert_int_equal(job->result.store_code, i == 500 ? 5 : 0);
        assert_string_equal(
            job->result.message,
            i == 500 ? "another writer saved meanwhile, not applied: key '500': taken" : "done");
    }
    harness_end(harness);
    free(crowd);
}
