/* stop_test.c: stop with a time limit, free, and closing a store. */
#include "harness.h"

/* Three jobs of a key, of which the first load or save stands at the gate. */
static void jobs_hold(struct harness *harness, struct gate *gate, struct job jobs[3])
{
    gate_close(gate);
    jobs_send(jobs, 3, harness, "k", 1);
    gate_await(gate, 1);
    harness_settle(harness);
}

HARNESS_TEST(stop_returns_how_many_it_left_and_can_be_called_again, HARNESS_FUNCTIONS)
{
    struct job jobs[3];
    jobs_hold(harness, &harness->save_gate, jobs);
    assert_int_equal(batch_processor_stop(harness->processor, 0), 3);
    assert_int_equal(batch_processor_stop(harness->processor, 1 * MS), 3);
    assert_int_equal(batch_processor_free(harness->processor), BATCH_BUSY);
    gate_open(&harness->save_gate);
    harness_stop(harness);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(jobs[i].completions, 1);
        assert_int_equal(jobs[i].result.status, BATCH_OK);
    }
    assert_int_equal(harness_stored(harness, "k"), 3);
}

HARNESS_TEST(operations_that_the_worker_has_not_taken_yet_complete_too, HARNESS_FUNCTIONS)
{
    gate_close(&harness->run_gate);
    struct job running, waiting[10];
    batch_op *ops[5];
    job_init(&running, harness, "k", 1);
    running.gate = &harness->run_gate;
    job_submit(&running);
    gate_await(&harness->run_gate, 1); /* the worker stands there */
    for (int i = 0; i < 10; i++)
        job_init(&waiting[i], harness, "l", 1);
    for (int i = 0; i < 5; i++) {
        job_submit(&waiting[i]);
        ops[i] = &waiting[i + 5].op;
    }
    assert_int_equal(batch_submit_many(harness->processor, ops, 5), BATCH_OK);
    assert_in_range(batch_processor_stop(harness->processor, 0), 1,
                    11); /* it may not have counted */
    gate_open(&harness->run_gate);
    harness_stop(harness);
    for (int i = 0; i < 10; i++)
        assert_int_equal(waiting[i].result.status, BATCH_OK);
    harness_end(harness);
}

static void check_canceled(uint64_t timeout_ns, bool expected)
{
    struct harness harness;
    harness_begin(&harness, HARNESS_FUNCTIONS);
    gate_close(&harness.save_gate);
    struct job job;
    job_send(&job, &harness, "k", 1);
    gate_await(&harness.save_gate, 1);
    if (timeout_ns != BATCH_FOREVER)
        assert_int_equal(batch_processor_stop(harness.processor, timeout_ns), 1);
    gate_open(&harness.save_gate);
    harness_stop(&harness);
    assert_int_equal(harness.was_canceled, expected);
    harness_end(&harness);
}

TEST(calls_are_canceled_once_a_stop_has_run_out_of_time)
{
    check_canceled(0, false); /* only asked */
    check_canceled(1 * MS, true);
    check_canceled(BATCH_FOREVER, false);
}

/* Which has passed when the store gets the call. */
HARNESS_TEST_WITH(calls_are_canceled_after_their_deadline, HARNESS_FUNCTIONS, .deadline_ns = 1)
{
    harness_add(harness, "k", 1);
    assert_true(harness->was_canceled);
}

HARNESS_TEST(memory_store_begins_nothing_after_a_stop_has_run_out_of_time, HARNESS_STORE)
{
    gate_close(&harness->save_gate);
    struct job job;
    job_send(&job, harness, "k", 1);
    gate_await(&harness->save_gate, 1);
    assert_int_equal(batch_processor_stop(harness->processor, 1), 1);
    gate_open(&harness->save_gate);
    harness_stop(harness);
    assert_int_equal(job.result.status, BATCH_SAVE_FAILED);
    assert_int_equal(harness_stored(harness, "k"), 0);
}

HARNESS_TEST(stop_with_time_enough_ends_everything, HARNESS_FUNCTIONS)
{
    struct job job;
    job_send(&job, harness, "k", 1);
    assert_int_equal(batch_processor_stop(harness->processor, LONG_NS), 0);
    assert_int_equal(job.result.status, BATCH_OK);
    harness_end(harness);
}

HARNESS_TEST(stop_without_waiting_may_be_asked_until_it_is_over, HARNESS_FUNCTIONS)
{
    int64_t left;
    while ((left = batch_processor_stop(harness->processor, 0)) != 0)
        assert_int_equal(left, 1); /* no operation, but a thread */
}

struct stopper {
    struct harness *harness;
    uint64_t timeout_ns;
    int64_t left;
};

static void *stop_with_timeout(void *arg)
{
    struct stopper *stopper = arg;
    stopper->left = batch_processor_stop(stopper->harness->processor, stopper->timeout_ns);
    return NULL;
}

/* The system may give a new thread the name of a worker that has just been joined. */
TEST(stop_by_a_new_thread_is_not_taken_for_a_callback)
{
    for (int round = 0; round < 20; round++) {
        struct harness harness;
        /* Many shards, to be long at joining them. */
        harness_begin_with(&harness, HARNESS_FUNCTIONS, .sessions = 0, .shards = 256);
        struct stopper first = {&harness, BATCH_FOREVER, 0};
        struct stopper new = {&harness, 0, 1};
        pthread_t thread = thread_start(stop_with_timeout, &first);
        while (new.left > 0)
            thread_join(thread_start(stop_with_timeout, &new));
        thread_join(thread);
        assert_int_equal(new.left, 0);
        assert_int_equal(first.left, 0);
        harness_end(&harness);
    }
}

HARNESS_TEST(operations_submitted_while_stopping_are_refused, HARNESS_FUNCTIONS)
{
    gate_close(&harness->save_gate);
    struct job job, late;
    job_send(&job, harness, "k", 1);
    gate_await(&harness->save_gate, 1);
    assert_int_equal(batch_processor_stop(harness->processor, 0), 1);
    job_init(&late, harness, "k", 1);
    assert_int_equal(batch_submit(harness->processor, &late.op), BATCH_STOPPED);
    assert_int_equal(job_run(&late), BATCH_STOPPED);
    gate_open(&harness->save_gate);
    harness_end(harness);
    assert_int_equal(late.runs + late.completions, 0);
}

HARNESS_TEST(failing_load_while_stopping_completes_all, HARNESS_FUNCTIONS)
{
    struct job jobs[3];
    jobs_hold(harness, &harness->load_gate, jobs);
    harness_fault(harness, BATCH_LOAD_FAILED, BATCH_OK, 0, NULL);
    assert_int_equal(batch_processor_stop(harness->processor, 0), 3);
    gate_open(&harness->load_gate);
    harness_stop(harness);
    for (int i = 0; i < 3; i++)
        assert_int_equal(jobs[i].result.status, BATCH_LOAD_FAILED);
}

static void submit_again(struct job *job, const batch_result *result)
{
    int *status = job->arg;
    (void)result;
    *status = batch_submit(job->harness->processor, &job->op);
}

HARNESS_TEST(done_cannot_keep_a_stopping_processor_alive, HARNESS_FUNCTIONS)
{
    gate_close(&harness->save_gate);
    struct job job;
    int status = BATCH_OK;
    job_init(&job, harness, "k", 1);
    job.on_done = submit_again;
    job.arg = &status;
    job_submit(&job);
    gate_await(&harness->save_gate, 1);
    assert_int_equal(batch_processor_stop(harness->processor, 0), 1);
    gate_open(&harness->save_gate);
    harness_stop(harness);
    assert_int_equal(status, BATCH_STOPPED);
    assert_int_equal(job.completions, 1);
}

HARNESS_TEST(free_before_stop_is_busy, HARNESS_FUNCTIONS)
{
    assert_int_equal(batch_processor_free(harness->processor), BATCH_BUSY);
    harness_add(harness, "k", 1); /* nothing was freed */
}

TEST(store_in_use_cannot_be_closed)
{
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

TEST(null_is_refused_not_followed)
{
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

    struct harness harness;
    harness_begin(&harness, HARNESS_FUNCTIONS);
    assert_int_equal(batch_run(harness.processor, NULL, NULL), BATCH_INVALID);
    assert_int_equal(batch_submit(harness.processor, NULL), BATCH_INVALID);
    assert_int_equal(batch_submit_many(harness.processor, NULL, 1), BATCH_INVALID);
    assert_int_equal(batch_submit_many(harness.processor, NULL, 0), BATCH_OK);
    assert_int_equal(batch_cancel(harness.processor, NULL), BATCH_INVALID);
    assert_int_equal(batch_processor_stats(harness.processor, NULL), BATCH_INVALID);
    assert_int_equal(batch_metrics_subscribe(harness.processor, NULL, NULL), BATCH_INVALID);
    harness_end(&harness);
}

/* ---- Without a window ------------------------------------------------------------------------ */

static batch_verdict only_look(void *resource, void *arg)
{
    (void)resource;
    (void)arg;
    return BATCH_UNCHANGED;
}

static void count_completion(batch_op *op, const batch_result *result)
{
    size_t *completed = op->arg;
    *completed += result->status == BATCH_OK;
}

#ifndef MANY_KEYS
#define MANY_KEYS 20000
#endif

/* What was only read is not saved: the last batches end where the worker closes them, and nothing
 * comes back from the store after that. */
TEST(stop_ends_with_the_last_batches_that_were_only_read)
{
    static batch_op ops[MANY_KEYS];
    static char keys[MANY_KEYS][8];
    for (int round = 0; round < 10; round++) {
        size_t completed = 0;
        batch_store *store = NULL;
        assert_int_equal(batch_memory_open(&store), BATCH_OK);
        batch_options options = BATCH_OPTIONS_INIT;
        options.store = store;
        options.resource_size = sizeof(int64_t);
        options.window_ns = BATCH_WINDOW_NONE;
        batch_processor *processor = NULL;
        assert_int_equal(batch_processor_start(&processor, &options, NULL), BATCH_OK);
        for (size_t i = 0; i < MANY_KEYS; i++) {
            snprintf(keys[i], sizeof keys[i], "%u", (unsigned)i);
            ops[i] = (batch_op){.key = keys[i],
                                .key_size = strlen(keys[i]),
                                .run = only_look,
                                .done = count_completion,
                                .arg = &completed};
            assert_int_equal(batch_submit(processor, &ops[i]), BATCH_OK);
        }
        assert_int_equal(batch_processor_stop(processor, BATCH_FOREVER), 0);
        assert_int_equal(completed, MANY_KEYS);
        assert_int_equal(batch_processor_free(processor), BATCH_OK);
        assert_int_equal(batch_store_close(store), BATCH_OK);
    }
}
