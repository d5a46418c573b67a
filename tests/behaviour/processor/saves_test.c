/* saves_test.c: what is saved, who is told how the save went, and what is told of it to
 * subscriptions that nobody reads. */
#include "rig.h"

/* ---- Saves ---------------------------------------------------------------------------------- */

static void what_changed_nothing_is_not_saved(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, RIG_FUNCTIONS);
    rig_start(&rig);
    struct job job;
    job_init(&job, &rig, "k", 0);
    assert_int_equal(job_run(&job), BATCH_OK);
    assert_int_equal(job.runs, 1);
    assert_false(job.result.changed);
    assert_int_equal(rig_saves(&rig), 0);
    job_init(&job, &rig, "k", 1);
    assert_int_equal(job_run(&job), BATCH_OK);
    assert_true(job.result.changed);
    assert_int_equal(rig_saves(&rig), 1);
    rig_end(&rig);
}

static void reader_in_a_changed_batch_shares_its_outcome(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, RIG_FUNCTIONS);
    rig_start(&rig);
    struct job jobs[2];
    gate_close(&rig.load_gate);
    job_init(&jobs[0], &rig, "k", 1);
    job_init(&jobs[1], &rig, "k", 0);
    job_submit(&jobs[0]);
    job_submit(&jobs[1]);
    rig_settle(&rig);
    rig_fault(&rig, BATCH_OK, BATCH_UNKNOWN, 0, NULL);
    gate_open(&rig.load_gate);
    assert_int_equal(job_wait(&jobs[0]), BATCH_UNKNOWN);
    assert_int_equal(job_wait(&jobs[1]), BATCH_UNKNOWN); /* it saw what may never be stored */
    assert_true(jobs[0].result.changed);
    assert_false(jobs[1].result.changed);
    rig_end(&rig);
}

static void failed_save_is_told_to_its_batch_and_to_no_other(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, RIG_FUNCTIONS);
    rig_fault(&rig, BATCH_OK, BATCH_SAVE_FAILED, 13, "disk full");
    rig_start(&rig);
    gate_close(&rig.save_gate);
    struct job failed[2], waiting;
    batch_op *ops[2];
    for (int i = 0; i < 2; i++) {
        job_init(&failed[i], &rig, "k", 1);
        ops[i] = &failed[i].op;
    }
    gate_close(&rig.load_gate);
    assert_int_equal(batch_submit_many(rig.processor, ops, 2), BATCH_OK);
    gate_await(&rig.load_gate, 1);
    rig_settle(&rig);
    gate_open(&rig.load_gate);
    gate_await(&rig.save_gate, 1);
    job_init(&waiting, &rig, "k", 1);
    job_submit(&waiting);
    gate_close(&rig.load_gate);
    gate_open(&rig.save_gate);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(job_wait(&failed[i]), BATCH_SAVE_FAILED);
        assert_int_equal(failed[i].result.store_code, 13);
        assert_int_equal(failed[i].result.batch_operations, 2);
        assert_string_equal(failed[i].result.message, "could not save key 'k': disk full");
    }
    rig_fault(&rig, BATCH_OK, BATCH_OK, 0, NULL);
    gate_open(&rig.load_gate);
    assert_int_equal(job_wait(&waiting), BATCH_OK);
    assert_int_equal(waiting.seen, 1); /* loaded anew: nothing of the failed batch is left */
    assert_int_equal(rig_stored(&rig, "k"), 1);
    rig_end(&rig);
}

/* ---- Subscriptions that nobody reads -------------------------------------------------------- */

static void unread_subscription_drops_and_counts(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, RIG_FUNCTIONS);
    rig_start(&rig);
    batch_subscription_options options = BATCH_SUBSCRIPTION_OPTIONS_INIT;
    options.queue_max = 2;
    batch_subscription *subscription = NULL;
    assert_int_equal(batch_metrics_subscribe(rig.processor, &options, &subscription), BATCH_OK);
    for (int i = 0; i < 2000; i++)
        rig_add(&rig, "k", 1);
    rig_stop(&rig);
    assert_int_equal(batch_metrics_dropped(subscription), 1998);
    assert_int_equal(rig_stats(&rig).metrics_dropped, 1998);
    batch_metrics_unsubscribe(subscription);
    rig_free(&rig);
    rig_destroy(&rig);
}

/* A reader that is slow to come may wait for the answers first. */
static void full_blocking_subscription_holds_back_no_answer(void **state)
{
    (void)state;
    enum { KEYS = 8 };
    struct rig rig;
    rig_init(&rig, RIG_STORE);
    rig.options.sessions = 0;
    rig_start(&rig);
    batch_subscription_options options = BATCH_SUBSCRIPTION_OPTIONS_INIT;
    options.queue_max = 1;
    options.block = true;
    batch_subscription *subscription = NULL;
    assert_int_equal(batch_metrics_subscribe(rig.processor, &options, &subscription), BATCH_OK);
    struct job jobs[KEYS];
    const char *keys[KEYS] = {"a", "b", "c", "d", "e", "f", "g", "h"};
    batch_op *ops[KEYS];
    for (int i = 0; i < KEYS; i++) {
        job_init(&jobs[i], &rig, keys[i], 1);
        ops[i] = &jobs[i].op;
    }
    assert_int_equal(batch_submit_many(rig.processor, ops, KEYS), BATCH_OK);
    batch_metric metric;
    for (int i = 0; i < KEYS; i++) {
        /* Which batch is first does not matter: two are answered before the second record waits. */
        pthread_mutex_lock(&rig.lock);
        while (rig.answered < (i + 2 < KEYS ? (uint32_t)i + 2 : KEYS))
            pthread_cond_wait(&rig.changed, &rig.lock);
        pthread_mutex_unlock(&rig.lock);
        assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &metric), BATCH_OK);
    }
    assert_int_equal(batch_metrics_dropped(subscription), 0);
    batch_metrics_unsubscribe(subscription);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_changed_nothing_is_not_saved),
        cmocka_unit_test(reader_in_a_changed_batch_shares_its_outcome),
        cmocka_unit_test(failed_save_is_told_to_its_batch_and_to_no_other),
        cmocka_unit_test(unread_subscription_drops_and_counts),
        cmocka_unit_test(full_blocking_subscription_holds_back_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
