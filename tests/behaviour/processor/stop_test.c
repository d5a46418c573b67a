/* stop_test.c: stop with a time limit, free, and closing a store. */
#include "rig.h"

static void stop_says_how_many_it_left_and_can_be_called_again(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, RIG_FUNCTIONS);
    rig_start(&rig);
    gate_close(&rig.save_gate);
    struct job jobs[3];
    for (int i = 0; i < 3; i++) {
        job_init(&jobs[i], &rig, "k", 1);
        job_submit(&jobs[i]);
    }
    gate_await(&rig.save_gate, 1);
    rig_settle(&rig);
    assert_int_equal(batch_processor_stop(rig.processor, 0), 3);
    assert_int_equal(batch_processor_stop(rig.processor, 1 * MS), 3);
    assert_int_equal(batch_processor_free(rig.processor), BATCH_BUSY);
    gate_open(&rig.save_gate);
    rig_stop(&rig);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(jobs[i].answers, 1);
        assert_int_equal(jobs[i].result.status, BATCH_OK);
    }
    assert_int_equal(rig_stored(&rig, "k"), 3);
    rig_free(&rig);
    rig_destroy(&rig);
}

static void operations_that_the_worker_has_not_looked_at_yet_are_answered_too(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, RIG_FUNCTIONS);
    rig_start(&rig);
    struct gate gate;
    gate_init(&gate);
    gate_close(&gate);
    struct job running, waiting[10];
    batch_op *ops[5];
    job_init(&running, &rig, "k", 1);
    running.gate = &gate;
    job_submit(&running);
    gate_await(&gate, 1); /* the worker stands there */
    for (int i = 0; i < 10; i++)
        job_init(&waiting[i], &rig, "l", 1);
    for (int i = 0; i < 5; i++) {
        job_submit(&waiting[i]);
        ops[i] = &waiting[i + 5].op;
    }
    assert_int_equal(batch_submit_many(rig.processor, ops, 5), BATCH_OK);
    assert_in_range(batch_processor_stop(rig.processor, 0), 1, 11); /* it may not have counted */
    gate_open(&gate);
    rig_stop(&rig);
    for (int i = 0; i < 10; i++)
        assert_int_equal(waiting[i].result.status, BATCH_OK);
    rig_free(&rig);
    rig_destroy(&rig);
    gate_destroy(&gate);
}

static void check_canceled(uint64_t timeout_ns, bool expected)
{
    struct rig rig;
    rig_init(&rig, RIG_FUNCTIONS);
    rig_start(&rig);
    gate_close(&rig.save_gate);
    struct job job;
    job_init(&job, &rig, "k", 1);
    job_submit(&job);
    gate_await(&rig.save_gate, 1);
    if (timeout_ns != BATCH_FOREVER)
        assert_int_equal(batch_processor_stop(rig.processor, timeout_ns), 1);
    gate_open(&rig.save_gate);
    rig_stop(&rig);
    assert_int_equal(rig.was_canceled, expected);
    rig_free(&rig);
    rig_destroy(&rig);
}

static void calls_are_told_to_give_up_once_a_stop_has_run_out_of_time(void **state)
{
    (void)state;
    check_canceled(0, false); /* only asked */
    check_canceled(1 * MS, true);
    check_canceled(BATCH_FOREVER, false);
}

static void calls_are_told_to_give_up_after_their_deadline(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, RIG_FUNCTIONS);
    rig.options.deadline_ns = 1; /* passed when the store gets the call */
    rig_start(&rig);
    rig_add(&rig, "k", 1);
    assert_true(rig.was_canceled);
    rig_end(&rig);
}

static void memory_store_begins_nothing_after_a_stop_has_run_out_of_time(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, RIG_STORE);
    rig_start(&rig);
    gate_close(&rig.save_gate);
    struct job job;
    job_init(&job, &rig, "k", 1);
    job_submit(&job);
    gate_await(&rig.save_gate, 1);
    assert_int_equal(batch_processor_stop(rig.processor, 1), 1);
    gate_open(&rig.save_gate);
    rig_stop(&rig);
    assert_int_equal(job.result.status, BATCH_SAVE_FAILED);
    assert_int_equal(rig_stored(&rig, "k"), 0);
    rig_free(&rig);
    rig_destroy(&rig);
}

static void stop_with_time_enough_ends_everything(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, RIG_FUNCTIONS);
    rig_start(&rig);
    struct job job;
    job_init(&job, &rig, "k", 1);
    job_submit(&job);
    assert_int_equal(batch_processor_stop(rig.processor, LONG_NS), 0);
    assert_int_equal(job.result.status, BATCH_OK);
    rig_end(&rig);
}

static void stop_without_waiting_may_be_asked_until_it_is_over(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, RIG_FUNCTIONS);
    rig_start(&rig);
    int64_t left;
    while ((left = batch_processor_stop(rig.processor, 0)) != 0)
        assert_int_equal(left, 1); /* no operation, but a thread */
    rig_end(&rig);
}

struct stopper {
    struct rig *rig;
    uint64_t timeout_ns;
    int64_t left;
};

static void *stop_as_told(void *arg)
{
    struct stopper *stopper = arg;
    stopper->left = batch_processor_stop(stopper->rig->processor, stopper->timeout_ns);
    return NULL;
}

/* The system may give a new thread the name of a worker that has just been joined. */
static void stop_by_a_new_thread_is_not_taken_for_a_callback(void **state)
{
    (void)state;
    for (int round = 0; round < 20; round++) {
        struct rig rig;
        rig_init(&rig, RIG_FUNCTIONS);
        rig.options.sessions = 0;
        rig.options.shards = 256; /* to be long at joining them */
        rig_start(&rig);
        struct stopper first = {&rig, BATCH_FOREVER, 0};
        struct stopper new = {&rig, 0, 1};
        pthread_t thread = thread_start(stop_as_told, &first);
        while (new.left > 0)
            thread_join(thread_start(stop_as_told, &new));
        thread_join(thread);
        assert_int_equal(new.left, 0);
        assert_int_equal(first.left, 0);
        rig_end(&rig);
    }
}

static void operations_submitted_while_stopping_are_refused(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, RIG_FUNCTIONS);
    rig_start(&rig);
    gate_close(&rig.save_gate);
    struct job job, late;
    job_init(&job, &rig, "k", 1);
    job_submit(&job);
    gate_await(&rig.save_gate, 1);
    assert_int_equal(batch_processor_stop(rig.processor, 0), 1);
    job_init(&late, &rig, "k", 1);
    assert_int_equal(batch_submit(rig.processor, &late.op), BATCH_STOPPED);
    assert_int_equal(job_run(&late), BATCH_STOPPED);
    gate_open(&rig.save_gate);
    rig_end(&rig);
    assert_int_equal(late.runs + late.answers, 0);
}

static void failing_load_while_stopping_answers_all(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, RIG_FUNCTIONS);
    rig_start(&rig);
    gate_close(&rig.load_gate);
    struct job jobs[3];
    for (int i = 0; i < 3; i++) {
        job_init(&jobs[i], &rig, "k", 1);
        job_submit(&jobs[i]);
    }
    gate_await(&rig.load_gate, 1);
    rig_settle(&rig);
    rig_fault(&rig, BATCH_LOAD_FAILED, BATCH_OK, 0, NULL);
    assert_int_equal(batch_processor_stop(rig.processor, 0), 3);
    gate_open(&rig.load_gate);
    rig_stop(&rig);
    for (int i = 0; i < 3; i++)
        assert_int_equal(jobs[i].result.status, BATCH_LOAD_FAILED);
    rig_free(&rig);
    rig_destroy(&rig);
}

static void submit_again(struct job *job, const batch_result *result)
{
    int *status = job->arg;
    (void)result;
    *status = batch_submit(job->rig->processor, &job->op);
}

static void done_cannot_keep_a_stopping_processor_alive(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, RIG_FUNCTIONS);
    rig_start(&rig);
    gate_close(&rig.save_gate);
    struct job job;
    int status = BATCH_OK;
    job_init(&job, &rig, "k", 1);
    job.on_done = submit_again;
    job.arg = &status;
    job_submit(&job);
    gate_await(&rig.save_gate, 1);
    assert_int_equal(batch_processor_stop(rig.processor, 0), 1);
    gate_open(&rig.save_gate);
    rig_stop(&rig);
    assert_int_equal(status, BATCH_STOPPED);
    assert_int_equal(job.answers, 1);
    rig_free(&rig);
    rig_destroy(&rig);
}

static void free_before_stop_is_busy(void **state)
{
    (void)state;
    struct rig rig;
    rig_init(&rig, RIG_FUNCTIONS);
    rig_start(&rig);
    assert_int_equal(batch_processor_free(rig.processor), BATCH_BUSY);
    rig_add(&rig, "k", 1); /* nothing was freed */
    rig_end(&rig);
}

static void store_in_use_cannot_be_closed(void **state)
{
    (void)state;
    batch_store *store = NULL;
    assert_int_equal(batch_memory_open(&store), BATCH_OK);
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = store;
    options.resource_size = 8;
    batch_processor *processors[2];
    for (int i = 0; i < 2; i++)
        assert_int_equal(batch_processor_start(&processors[i], &options, NULL), BATCH_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(batch_store_close(store), BATCH_BUSY);
        assert_int_equal(batch_processor_stop(processors[i], BATCH_FOREVER), 0);
        assert_int_equal(batch_store_close(store), BATCH_BUSY);
        assert_int_equal(batch_processor_free(processors[i]), BATCH_OK);
    }
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

static void null_is_answered_not_followed(void **state)
{
    (void)state;
    assert_int_equal(batch_processor_stop(NULL, 0), BATCH_INVALID);
    assert_int_equal(batch_processor_free(NULL), BATCH_OK);
    assert_int_equal(batch_store_close(NULL), BATCH_OK);
    batch_metrics_unsubscribe(NULL);
    batch_op op = BATCH_OP_INIT;
    batch_op *ops[] = {&op};
    batch_result result;
    assert_int_equal(batch_run(NULL, &op, &result), BATCH_INVALID);
    assert_int_equal(result.status, BATCH_INVALID);
    assert_int_equal(batch_submit(NULL, &op), BATCH_INVALID);
    assert_int_equal(batch_submit_many(NULL, ops, 1), BATCH_INVALID);
    assert_int_equal(batch_cancel(NULL, &op), BATCH_INVALID);
    batch_stats stats = BATCH_STATS_INIT;
    batch_subscription *subscription = NULL;
    batch_metric metric;
    assert_int_equal(batch_processor_stats(NULL, &stats), BATCH_INVALID);
    assert_int_equal(batch_metrics_subscribe(NULL, NULL, &subscription), BATCH_INVALID);
    assert_int_equal(batch_metrics_next(NULL, 0, &metric), BATCH_INVALID);

    struct rig rig;
    rig_init(&rig, RIG_FUNCTIONS);
    rig_start(&rig);
    assert_int_equal(batch_run(rig.processor, NULL, NULL), BATCH_INVALID);
    assert_int_equal(batch_submit(rig.processor, NULL), BATCH_INVALID);
    assert_int_equal(batch_submit_many(rig.processor, NULL, 1), BATCH_INVALID);
    assert_int_equal(batch_submit_many(rig.processor, NULL, 0), BATCH_OK);
    assert_int_equal(batch_cancel(rig.processor, NULL), BATCH_INVALID);
    assert_int_equal(batch_processor_stats(rig.processor, NULL), BATCH_INVALID);
    assert_int_equal(batch_metrics_subscribe(rig.processor, NULL, NULL), BATCH_INVALID);
    rig_end(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stop_says_how_many_it_left_and_can_be_called_again),
        cmocka_unit_test(operations_that_the_worker_has_not_looked_at_yet_are_answered_too),
        cmocka_unit_test(calls_are_told_to_give_up_once_a_stop_has_run_out_of_time),
        cmocka_unit_test(calls_are_told_to_give_up_after_their_deadline),
        cmocka_unit_test(memory_store_begins_nothing_after_a_stop_has_run_out_of_time),
        cmocka_unit_test(stop_with_time_enough_ends_everything),
        cmocka_unit_test(stop_without_waiting_may_be_asked_until_it_is_over),
        cmocka_unit_test(stop_by_a_new_thread_is_not_taken_for_a_callback),
        cmocka_unit_test(operations_submitted_while_stopping_are_refused),
        cmocka_unit_test(failing_load_while_stopping_answers_all),
        cmocka_unit_test(done_cannot_keep_a_stopping_processor_alive),
        cmocka_unit_test(free_before_stop_is_busy),
        cmocka_unit_test(store_in_use_cannot_be_closed),
        cmocka_unit_test(null_is_answered_not_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
