/* Replays of conflicts and resources cached between batches, through the whole library: what is
 * stored, how operations complete, and what the records and totals show. */
#include "harness.h"

#include <sched.h>

enum { OTHERS = 1000 };

/* Another process adds 1,000 to a key, between the load and the save of whoever runs now. */
static void somebody_else_adds(struct job *job)
{
    int64_t number = 0;
    size_t key_size = job->op.key_size;
    batch_memory_read(job->harness->wrapper.inner, job->op.key, key_size, &number, sizeof number,
                      NULL, NULL);
    number += OTHERS;
    MUST(batch_memory_write(job->harness->wrapper.inner, job->op.key, key_size, &number,
                            sizeof number) == BATCH_OK);
}

static void somebody_else_adds_once(struct job *job)
{
    if (job->runs == 1)
        somebody_else_adds(job);
}

HARNESS_TEST_WITH(a_conflict_is_replayed_on_what_is_stored, HARNESS_STORE, .replays_max = 2)
{
    batch_subscription *subscription = harness_subscribe(harness);
    struct job job;
    job_init(&job, harness, "key", 1);
    job.on_run = somebody_else_adds_once;
    job_submit(&job);
    assert_int_equal(job_wait(&job), BATCH_OK);
    assert_int_equal(job.runs, 2);
    assert_int_equal(job.completions, 1);
    assert_int_equal(job.seen, OTHERS + 1);
    assert_true(job.result.changed);
    assert_string_equal(job.result.message, "done");
    assert_int_equal(job.result.store_code, 0);
    assert_int_equal(harness_stored(harness, "key"), OTHERS + 1);
    batch_metric metric;
    assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &metric), BATCH_OK);
    assert_int_equal(metric.replays, 1);
    assert_int_equal(metric.status, BATCH_OK);
    assert_int_equal(metric.operations_ok, 1);
    assert_int_equal(metric.store_code, 0);
    batch_metrics_unsubscribe(subscription);
    assert_int_equal(harness_stats(harness).replays, 1);
    harness_end(harness);
}

HARNESS_TEST_WITH(a_conflict_that_does_not_end_is_reported_with_its_reason, HARNESS_STORE,
                  .replays_max = 3)
{
    struct job job;
    job_init(&job, harness, "key", 1);
    job.on_run = somebody_else_adds;
    job_submit(&job);
    assert_int_equal(job_wait(&job), BATCH_CONFLICT);
    assert_int_equal(job.runs, 4);
    assert_int_equal(harness_stored(harness, "key"), 4 * OTHERS);
    assert_non_null(strstr(job.result.message, "another writer saved meanwhile"));
    harness_settle(harness); /* what is complete is counted a moment later */
    assert_int_equal(harness_stats(harness).replays, 3);
    harness_end(harness);
}

HARNESS_TEST(without_the_option_nothing_runs_again, HARNESS_STORE)
{
    struct job job;
    job_init(&job, harness, "key", 1);
    job.on_run = somebody_else_adds_once;
    job_submit(&job);
    assert_int_equal(job_wait(&job), BATCH_CONFLICT);
    assert_int_equal(job.runs, 1);
    assert_int_equal(harness_stored(harness, "key"), OTHERS);
    harness_end(harness);
}

static void cancel_itself(struct job *job)
{
    somebody_else_adds_once(job);
    batch_cancel(job->harness->processor, &job->op);
}

HARNESS_TEST_WITH(the_canceled_leave_a_replay, HARNESS_STORE, .replays_max = 2)
{
    gate_close(&harness->load_gate);
    struct job leaves, stays;
    job_init(&leaves, harness, "key", 10);
    job_init(&stays, harness, "key", 1);
    leaves.on_run = cancel_itself;
    job_submit(&leaves);
    job_submit(&stays);
    harness_settle(harness);
    gate_open(&harness->load_gate);
    assert_int_equal(job_wait(&leaves), BATCH_CANCELED);
    assert_false(leaves.result.changed);
    assert_int_equal(job_wait(&stays), BATCH_OK);
    assert_int_equal(stays.result.batch_operations, 1);
    assert_int_equal(harness_stored(harness, "key"), OTHERS + 1);
    harness_end(harness);
}

/* ---- Cached resources ------------------------------------------------------------------------ */

HARNESS_TEST_WITH(a_cached_resource_is_not_loaded_again, HARNESS_STORE, .resource_cache_max = 10)
{
    batch_subscription *subscription = harness_subscribe(harness);
    for (int i = 0; i < 5; i++)
        harness_add(harness, "key", 1);
    assert_int_equal(harness_loads(harness), 1);
    assert_int_equal(harness_saves(harness), 5);
    assert_int_equal(harness_stored(harness, "key"), 5);
    harness_settle(harness);
    assert_int_equal(harness_stats(harness).loads_skipped, 4);
    for (int i = 0; i < 5; i++) {
        batch_metric metric;
        assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &metric), BATCH_OK);
        assert_int_equal(metric.load_skipped, i > 0);
        assert_true(i == 0 || metric.load_ns == 0);
    }
    batch_metrics_unsubscribe(subscription);
}

HARNESS_TEST_WITH(what_is_read_is_never_older_than_what_is_stored, HARNESS_STORE,
                  .resource_cache_max = 10)
{
    harness_add(harness, "key", 1);
    int64_t number = 500;
    assert_int_equal(batch_memory_write(harness->wrapper.inner, "key", 3, &number, sizeof number),
                     BATCH_OK);
    struct job read;
    job_send(&read, harness, "key", 0);
    assert_int_equal(job_wait(&read), BATCH_OK);
    assert_int_equal(read.seen, 500);
    assert_int_equal(harness_loads(harness), 2);
    harness_end(harness);
}

TEST(a_stale_resource_is_a_conflict_and_then_forgotten)
{
    for (uint32_t replays_max = 0; replays_max < 2; replays_max++) {
        struct harness harness;
        harness_begin_with(&harness, HARNESS_STORE, .resource_cache_max = 10,
                           .replays_max = replays_max);
        harness_add(&harness, "key", 1);
        int64_t number = 500;
        assert_int_equal(
            batch_memory_write(harness.wrapper.inner, "key", 3, &number, sizeof number), BATCH_OK);
        struct job job;
        job_send(&job, &harness, "key", 1);
        assert_int_equal(job_wait(&job), replays_max > 0 ? BATCH_OK : BATCH_CONFLICT);
        harness_add(&harness, "key", 1);
        assert_int_equal(harness_stored(&harness, "key"), replays_max > 0 ? 502 : 501);
        harness_end(&harness);
    }
}

TEST(after_a_failure_it_is_loaded_again)
{
    static const int outcomes[] = {BATCH_SAVE_FAILED, BATCH_UNKNOWN};
    for (size_t i = 0; i < 2; i++) {
        struct harness harness;
        harness_begin_with(&harness, HARNESS_STORE, .resource_cache_max = 10);
        harness_add(&harness, "key", 1);
        harness_fault(&harness, BATCH_OK, outcomes[i], 0, NULL);
        struct job job;
        job_send(&job, &harness, "key", 7);
        assert_int_equal(job_wait(&job), outcomes[i]);
        harness_fault(&harness, BATCH_OK, BATCH_OK, 0, NULL);
        harness_add(&harness, "key", 1);
        assert_int_equal(harness_stored(&harness, "key"), 2); /* the 7 is gone */
        assert_int_equal(harness_loads(&harness), 2);
        harness_end(&harness);
    }
}

HARNESS_TEST_WITH(no_more_are_cached_than_asked_for, HARNESS_STORE, .resource_cache_max = 2)
{
    static const char *const keys[] = {"a", "b", "c", "a", "c", "a"};
    for (size_t i = 0; i < 6; i++)
        harness_add(harness, keys[i], 1);
    assert_int_equal(harness_loads(harness), 4); /* "a" was forgotten for "c", and loaded again */
}

TEST(nothing_is_cached_where_nobody_checks_versions)
{
    struct harness harness;
    harness_init(&harness, HARNESS_BARE);
    harness.options.resource_cache_max = 2;
    batch_result error;
    assert_int_equal(batch_processor_start(&harness.processor, &harness.options, &error),
                     BATCH_INVALID);
    assert_non_null(strstr(error.message, "resource_cache_max"));
    harness_destroy(&harness);
}

/* ---- What cannot begin in time --------------------------------------------------------------- */

/* A save that takes 200 ms at least. Then, while the next one is held, an operation that has to
 * begin within 100 ms. How it ends. */
static int asked_for_too_much(struct harness *harness)
{
    struct job slow, first, second;
    gate_close(&harness->save_gate);
    job_send(&slow, harness, "slow", 1);
    gate_await(&harness->save_gate, 1);
    for (uint64_t begin_ns = batch_now_ns(); batch_now_ns() < begin_ns + 200 * MS;)
        sched_yield();
    gate_open(&harness->save_gate);
    assert_int_equal(job_wait(&slow), BATCH_OK);

    gate_close(&harness->save_gate);
    job_send(&first, harness, "key", 1);
    gate_await(&harness->save_gate, 1);
    job_init(&second, harness, "key", 1);
    second.op.start_by_ns = batch_now_ns() + 100 * MS;
    job_submit(&second);
    int status = job_wait(&second);
    gate_open(&harness->save_gate);
    assert_int_equal(job_wait(&first), BATCH_OK);
    return status;
}

HARNESS_TEST(what_cannot_begin_in_time_is_busy_at_once, HARNESS_STORE)
{
    /* If this machine stands still for 100 ms it expires after all; not so every time. */
    int status = BATCH_EXPIRED;
    for (int i = 0; i < 100 && status == BATCH_EXPIRED; i++)
        status = asked_for_too_much(harness);
    assert_int_equal(status, BATCH_BUSY);
}
