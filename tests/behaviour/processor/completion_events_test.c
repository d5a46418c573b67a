/* completion_events_test.c: what comes to an event loop beside operations: the end of a stop, and
 * records of a subscription. */
#include "loop.h"

#include <sched.h>

/* ---- The end of a stop ---------------------------------------------------------------------- */

struct stop {
    struct loop *loop;
    struct job *job; /* must be complete */
    unsigned calls;
    bool frees;
    bool subscription_has_ended;
};

static void stopped(batch_processor *processor, void *arg)
{
    struct stop *stop = arg;
    MUST(pthread_equal(stop->loop->thread, pthread_self()));
    MUST(stop->job == NULL || stop->job->completions == 1);
    MUST(batch_processor_stop(processor, BATCH_FOREVER) == 0);
    MUST(batch_completions_close(stop->loop->completions) == BATCH_BUSY);
    if (stop->frees)
        MUST(batch_processor_free(processor) == BATCH_OK);
    stop->calls++;
}

static void stop_to(struct harness *harness, struct stop *stop)
{
    assert_int_equal(
        batch_processor_stop_to(harness->processor, stop->loop->completions, stopped, stop),
        BATCH_OK);
}

HARNESS_TEST_WITH(end_of_a_stop_comes_after_everything_else, HARNESS_STORE, .sessions = 3,
                  .shards = 2)
{
    struct loop loop;
    struct job job;
    loop_open(&loop);
    struct stop stop = {.loop = &loop, .job = &job, .frees = true};
    gate_close(&harness->save_gate);
    job_send_to(&job, &loop, harness, "a", 1);
    gate_await(&harness->save_gate, 1);
    stop_to(harness, &stop);
    assert_int_equal(batch_submit(harness->processor, &job.op), BATCH_INVALID);
    assert_int_equal(batch_completions_dispatch(loop.completions, 0, 0), 0);
    assert_int_equal(batch_processor_free(harness->processor), BATCH_BUSY);
    assert_int_equal(batch_completions_close(loop.completions), BATCH_BUSY);
    gate_open(&harness->save_gate);
    loop_dispatch(&loop, 2);
    assert_int_equal(stop.calls, 1);
    assert_int_equal(harness->sessions_closed, 3);
    harness->processor = NULL; /* it is freed */
    loop_close(&loop);
}

HARNESS_TEST_WITH(end_of_a_stop_without_sessions, HARNESS_STORE, .sessions = 0)
{
    struct loop loop;
    loop_open_wake(&loop);
    struct stop stop = {.loop = &loop, .frees = true};
    stop_to(harness, &stop);
    loop_await_wakes(&loop, 1);
    assert_int_equal(batch_completions_dispatch(loop.completions, 0, 0), 1);
    assert_int_equal(stop.calls, 1);
    harness->processor = NULL;
    loop_close(&loop);
}

HARNESS_TEST(a_stopped_processor_says_so_at_once, HARNESS_FUNCTIONS)
{
    struct loop loop;
    loop_open(&loop);
    struct stop stop = {.loop = &loop};
    assert_int_equal(batch_processor_stop(harness->processor, BATCH_FOREVER), 0);
    stop_to(harness, &stop);
    assert_true(loop_is_readable(&loop));
    assert_int_equal(batch_processor_free(harness->processor), BATCH_BUSY); /* it is to be said */
    loop_dispatch(&loop, 1);
    assert_int_equal(stop.calls, 1);
    loop_close(&loop);
}

HARNESS_TEST(a_stop_is_reported_once_to_one_loop, HARNESS_FUNCTIONS)
{
    struct loop loop;
    loop_open(&loop);
    struct stop stop = {.loop = &loop};
    batch_processor *processor = harness->processor;
    batch_completions *completions = loop.completions;
    assert_int_equal(batch_processor_stop_to(NULL, completions, stopped, &stop), BATCH_INVALID);
    assert_int_equal(batch_processor_stop_to(processor, NULL, stopped, &stop), BATCH_INVALID);
    assert_int_equal(batch_processor_stop_to(processor, completions, NULL, &stop), BATCH_INVALID);
    stop_to(harness, &stop);
    assert_int_equal(batch_processor_stop_to(processor, completions, stopped, &stop), BATCH_BUSY);
    assert_int_equal(batch_processor_stop(processor, BATCH_FOREVER), 0);
    assert_int_equal(batch_processor_stop_to(processor, completions, stopped, &stop), BATCH_BUSY);
    loop_dispatch(&loop, 1);
    assert_int_equal(stop.calls, 1);
    assert_int_equal(batch_processor_stop_to(processor, completions, stopped, &stop), BATCH_BUSY);
    loop_close(&loop);
}

static void stop_in_callback(struct job *job)
{
    struct stop *stop = job->arg;
    MUST(batch_processor_stop_to(job->harness->processor, stop->loop->completions, stopped, stop) ==
         BATCH_OK);
}

HARNESS_TEST(a_callback_may_stop_its_own_processor, HARNESS_FUNCTIONS)
{
    struct loop loop;
    struct job job;
    loop_open(&loop);
    struct stop stop = {.loop = &loop};
    job_init(&job, harness, "a", 1);
    job.arg = &stop;
    job.on_run = stop_in_callback;
    job_submit(&job);
    loop_dispatch(&loop, 1);
    assert_int_equal(stop.calls, 1);
    assert_int_equal(job_wait(&job), BATCH_OK);
    loop_close(&loop);
}

/* The sessions are closed before, and not on the loop: it does not wait for the store. */
HARNESS_TEST_WITH(closing_of_sessions_does_not_hold_up_the_loop, HARNESS_STORE, .sessions = 2)
{
    struct loop loop;
    loop_open(&loop);
    struct stop stop = {.loop = &loop};
    gate_close(&harness->close_gate);
    stop_to(harness, &stop);
    gate_await(&harness->close_gate, 1);
    assert_int_equal(batch_completions_dispatch(loop.completions, 0, 0), 0);
    assert_int_equal(batch_processor_stop(harness->processor, 1), 1);
    gate_open(&harness->close_gate);
    loop_dispatch(&loop, 1);
    assert_int_equal(stop.calls, 1);
    loop_close(&loop);
}

/* ---- Subscriptions -------------------------------------------------------------------------- */

struct reader {
    struct loop *loop;
    batch_subscription *subscription;
    unsigned calls, records;
    unsigned records_max; /* read in one call */
    bool unsubscribes;    /* at the end */
    bool has_ended;
};

static void ready(batch_subscription *subscription, void *arg)
{
    struct reader *reader = arg;
    MUST(pthread_equal(reader->loop->thread, pthread_self()));
    MUST(subscription == reader->subscription);
    reader->calls++;
    for (unsigned i = 0; i < reader->records_max; i++) {
        batch_metric metric;
        int status = batch_metrics_next(subscription, 0, &metric);
        reader->records += status == BATCH_OK;
        reader->has_ended = reader->has_ended || status == BATCH_ENDED;
        MUST(status == BATCH_OK || status == BATCH_TIMED_OUT || status == BATCH_ENDED);
        if (status != BATCH_OK)
            break;
    }
    if (reader->has_ended && reader->unsubscribes) {
        batch_metrics_unsubscribe(subscription);
        reader->subscription = NULL;
    }
}

static void reader_open(struct reader *reader, struct harness *harness, struct loop *loop)
{
    *reader = (struct reader){.loop = loop, .records_max = 1000};
    batch_subscription_options options = BATCH_SUBSCRIPTION_OPTIONS_INIT;
    options.completions = loop->completions;
    options.ready = ready;
    options.ready_arg = reader;
    assert_int_equal(batch_metrics_subscribe(harness->processor, &options, &reader->subscription),
                     BATCH_OK);
}

HARNESS_TEST(loop_hears_of_records_once_until_it_has_come, HARNESS_FUNCTIONS)
{
    struct loop loop;
    struct reader reader;
    loop_open_wake(&loop);
    reader_open(&reader, harness, &loop);
    assert_int_equal(batch_completions_dispatch(loop.completions, 0, 0), 0);
    for (int i = 0; i < 3; i++) {
        harness_add(harness, "a", 1);
        harness_settle(harness);
    }
    batch_metric metric;
    assert_int_equal(loop.wakes, 1);
    assert_int_equal(batch_metrics_next(reader.subscription, 0, &metric), BATCH_OK);
    assert_int_equal(batch_completions_dispatch(loop.completions, 0, 0), 1);
    assert_int_equal(reader.calls, 1);
    assert_true(reader.records >= 2);
    harness_add(harness, "a", 1);
    harness_settle(harness);
    assert_int_equal(loop.wakes, 2);
    assert_int_equal(batch_completions_close(loop.completions), BATCH_BUSY);
    batch_metrics_unsubscribe(reader.subscription);
    assert_int_equal(batch_completions_close(loop.completions), BATCH_BUSY); /* it is on its way */
    assert_int_equal(batch_completions_dispatch(loop.completions, 0, 0), 1);
    assert_int_equal(reader.calls, 1);
    loop_close(&loop);
}

HARNESS_TEST(loop_hears_again_of_records_that_are_left, HARNESS_FUNCTIONS)
{
    struct loop loop;
    struct reader reader;
    loop_open(&loop);
    reader_open(&reader, harness, &loop);
    reader.records_max = 1;
    for (int i = 0; i < 3; i++)
        harness_add(harness, "a", 1);
    assert_int_equal(batch_processor_stop(harness->processor, BATCH_FOREVER), 0);
    for (unsigned i = 1; i <= 4; i++) { /* three batches, and the end */
        assert_int_equal(batch_completions_dispatch(loop.completions, 0, 0), 1);
        assert_int_equal(reader.calls, i);
        assert_int_equal(reader.records, i <= 3 ? i : 3);
        assert_int_equal(reader.has_ended, i == 4);
        assert_int_equal(loop_is_readable(&loop), i < 4);
    }
    batch_metrics_unsubscribe(reader.subscription);
    loop_close(&loop);
}

HARNESS_TEST(loop_hears_of_the_end, HARNESS_FUNCTIONS)
{
    struct loop loop;
    struct reader reader, late;
    loop_open(&loop);
    reader_open(&reader, harness, &loop);
    reader.unsubscribes = true;
    assert_int_equal(batch_processor_stop(harness->processor, BATCH_FOREVER), 0);
    assert_int_equal(batch_completions_dispatch(loop.completions, 0, 0), 1);
    assert_true(reader.has_ended);
    assert_null(reader.subscription);
    reader_open(&late, harness, &loop); /* it has ended from the start */
    assert_int_equal(batch_completions_dispatch(loop.completions, 0, 0), 1);
    assert_true(late.has_ended);
    assert_int_equal(late.calls, 1);
    assert_false(loop_is_readable(&loop));
    batch_metrics_unsubscribe(late.subscription);
    loop_close(&loop);
}

HARNESS_TEST(a_loop_goes_with_a_function_and_not_with_blocking, HARNESS_FUNCTIONS)
{
    struct loop loop;
    loop_open(&loop);
    batch_subscription *subscription = NULL;
    batch_subscription_options options = BATCH_SUBSCRIPTION_OPTIONS_INIT;
    options.completions = loop.completions;
    assert_int_equal(batch_metrics_subscribe(harness->processor, &options, &subscription),
                     BATCH_INVALID);
    options.ready = ready;
    options.block = true;
    assert_int_equal(batch_metrics_subscribe(harness->processor, &options, &subscription),
                     BATCH_INVALID);
    options.block = false;
    options.completions = NULL;
    assert_int_equal(batch_metrics_subscribe(harness->processor, &options, &subscription),
                     BATCH_INVALID);
    options.completions = loop.completions;
    allocator_refuse(&harness->memory, true);
    assert_int_equal(batch_metrics_subscribe(harness->processor, &options, &subscription),
                     BATCH_NO_MEMORY);
    allocator_refuse(&harness->memory, false);
    assert_null(subscription);
    loop_close(&loop); /* it expects nothing */
}
