/* saves_test.c: what is saved, who gets the outcome of the save, and what is reported of it to
 * subscriptions that nobody reads. */
#include "harness.h"

/* ---- Saves ----------------------------------------------------------------------------------- */

HARNESS_TEST(what_changed_nothing_is_not_saved, HARNESS_FUNCTIONS)
{
    struct job job;
    assert_int_equal(job_call(&job, harness, "k", 0), BATCH_OK);
    assert_int_equal(job.runs, 1);
    assert_false(job.result.changed);
    assert_int_equal(harness_saves(harness), 0);
    assert_int_equal(job_call(&job, harness, "k", 1), BATCH_OK);
    assert_true(job.result.changed);
    assert_int_equal(harness_saves(harness), 1);
}

HARNESS_TEST(reader_in_a_changed_batch_shares_its_outcome, HARNESS_FUNCTIONS)
{
    struct job jobs[2];
    gate_close(&harness->load_gate);
    job_init(&jobs[0], harness, "k", 1);
    job_init(&jobs[1], harness, "k", 0);
    job_submit(&jobs[0]);
    job_submit(&jobs[1]);
    harness_settle(harness);
    harness_fault(harness, BATCH_OK, BATCH_UNKNOWN, 0, NULL);
    gate_open(&harness->load_gate);
    assert_int_equal(job_wait(&jobs[0]), BATCH_UNKNOWN);
    assert_int_equal(job_wait(&jobs[1]), BATCH_UNKNOWN); /* it saw what may never be stored */
    assert_true(jobs[0].result.changed);
    assert_false(jobs[1].result.changed);
    harness_end(harness);
}

HARNESS_TEST(failed_save_fails_its_batch_and_no_other, HARNESS_FUNCTIONS)
{
    harness_fault(harness, BATCH_OK, BATCH_SAVE_FAILED, 13, "disk full");
    gate_close(&harness->save_gate);
    struct job failed[2], waiting;
    for (int i = 0; i < 2; i++)
        job_init(&failed[i], harness, "k", 1);
    gate_close(&harness->load_gate);
    jobs_submit_many(failed, 2);
    gate_await(&harness->load_gate, 1);
    harness_settle(harness);
    gate_open(&harness->load_gate);
    gate_await(&harness->save_gate, 1);
    job_send(&waiting, harness, "k", 1);
    gate_close(&harness->load_gate);
    gate_open(&harness->save_gate);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(job_wait(&failed[i]), BATCH_SAVE_FAILED);
        assert_int_equal(failed[i].result.store_code, 13);
        assert_int_equal(failed[i].result.batch_operations, 2);
        assert_string_equal(failed[i].result.message, "could not save key 'k': disk full");
    }
    harness_fault(harness, BATCH_OK, BATCH_OK, 0, NULL);
    gate_open(&harness->load_gate);
    assert_int_equal(job_wait(&waiting), BATCH_OK);
    assert_int_equal(waiting.seen, 1); /* loaded anew: nothing of the failed batch is left */
    assert_int_equal(harness_stored(harness, "k"), 1);
    harness_end(harness);
}

/* ---- Subscriptions that nobody reads --------------------------------------------------------- */

HARNESS_TEST(unread_subscription_drops_and_counts, HARNESS_FUNCTIONS)
{
    batch_subscription_options options = BATCH_SUBSCRIPTION_OPTIONS_INIT;
    options.queue_max = 2;
    batch_subscription *subscription = NULL;
    assert_int_equal(batch_metrics_subscribe(harness->processor, &options, &subscription),
                     BATCH_OK);
    for (int i = 0; i < 2000; i++)
        harness_add(harness, "k", 1);
    harness_stop(harness);
    assert_int_equal(batch_metrics_dropped(subscription), 1998);
    assert_int_equal(harness_stats(harness).metrics_dropped, 1998);
    batch_metrics_unsubscribe(subscription);
}

/* A reader that is slow to come may wait for the completions first. */
HARNESS_TEST_WITH(full_blocking_subscription_holds_back_no_completion, HARNESS_STORE, .sessions = 0)
{
    enum { KEYS = 8 };
    batch_subscription_options options = BATCH_SUBSCRIPTION_OPTIONS_INIT;
    options.queue_max = 1;
    options.block = true;
    batch_subscription *subscription = NULL;
    assert_int_equal(batch_metrics_subscribe(harness->processor, &options, &subscription),
                     BATCH_OK);
    struct job jobs[KEYS];
    for (int i = 0; i < KEYS; i++)
        job_init_number(&jobs[i], harness, i, 1);
    jobs_submit_many(jobs, KEYS);
    batch_metric metric;
    for (int i = 0; i < KEYS; i++) {
        /* Which batch is first does not matter: two complete before the second record waits. */
        harness_await_completed(harness, i + 2 < KEYS ? (uint32_t)i + 2 : KEYS);
        assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &metric), BATCH_OK);
    }
    assert_int_equal(batch_metrics_dropped(subscription), 0);
    batch_metrics_unsubscribe(subscription);
    harness_end(harness);
}
