/* driven_stop_test.c: a driven processor is stopped, in every state, from the thread that drives
 * and from others: it ends, everything accepted is complete, and nobody hangs. */
#include "driven.h"
#include "loop.h"

#include <sched.h>

static void check_stopped(struct harness *harness)
{
    assert_int_equal(batch_processor_drive(harness->processor, 0), BATCH_STOPPED);
    assert_int_equal(batch_processor_drive(harness->processor, BATCH_FOREVER), BATCH_STOPPED);
    assert_int_equal(batch_processor_stop(harness->processor, BATCH_FOREVER), 0);
    assert_int_equal(batch_processor_stop(harness->processor, 0), 0);
    harness_end(harness);
}

HARNESS_TEST_WITH(that_was_never_driven, HARNESS_STORE, .driven = true, .sessions = 0)
{
    assert_int_equal(batch_processor_stop(harness->processor, 0), 0);
    check_stopped(harness);
}

HARNESS_TEST_WITH(that_was_never_driven_with_sessions, HARNESS_STORE, .driven = true)
{
    assert_int_equal(batch_processor_stop(harness->processor, BATCH_FOREVER), 0);
    check_stopped(harness);
}

HARNESS_TEST_WITH(with_operations_that_nobody_has_run, HARNESS_FUNCTIONS, .driven = true,
                  .sessions = 2)
{
    struct job jobs[3];
    jobs_send(jobs, 3, harness, "k", 1);
    assert_int_equal(batch_processor_stop(harness->processor, BATCH_FOREVER), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(jobs[i].result.status, BATCH_OK);
    assert_int_equal(harness_stored(harness, "k"), 3);
    check_stopped(harness);
}

HARNESS_TEST_WITH(with_an_open_window, HARNESS_STORE, .driven = true, .sessions = 0,
                  .window_ns = LONG_NS)
{
    struct job job;
    job_send(&job, harness, "k", 1);
    driven_is_readable(harness);
    driven_drive(harness);
    assert_int_equal(job.completions, 0);
    assert_int_equal(batch_processor_stop(harness->processor, BATCH_FOREVER), 0);
    assert_int_equal(job.result.status, BATCH_OK);
    assert_false(driven_is_readable(harness)); /* nor by the timer of the window */
    check_stopped(harness);
}

static void check_in_flight(struct harness *harness, struct gate *gate,
                            uint32_t (*calls)(struct harness *harness))
{
    struct job job;
    gate_close(gate);
    job_send(&job, harness, "k", 1);
    while (calls(harness) == 0)
        assert_true(batch_processor_drive(harness->processor, 1 * MS) >= 0);
    gate_await(gate, 1);
    assert_true(batch_processor_stop(harness->processor, 0) > 0);
    assert_true(batch_processor_stop(harness->processor, 1 * MS) > 0);
    assert_true(batch_processor_drive(harness->processor, 0) >= 0);
    assert_int_equal(batch_processor_free(harness->processor), BATCH_BUSY);
    gate_open(gate);
    assert_int_equal(batch_processor_stop(harness->processor, BATCH_FOREVER), 0);
    assert_int_equal(job.completions, 1);
    check_stopped(harness);
}

HARNESS_TEST_WITH(while_a_load_is_in_flight, HARNESS_FUNCTIONS, .driven = true)
{
    check_in_flight(harness, &harness->load_gate, harness_loads);
}

HARNESS_TEST_WITH(while_a_save_is_in_flight, HARNESS_FUNCTIONS, .driven = true)
{
    check_in_flight(harness, &harness->save_gate, harness_saves);
}

HARNESS_TEST_WITH(by_polling, HARNESS_STORE, .driven = true)
{
    struct job job;
    job_send(&job, harness, "k", 1);
    while (batch_processor_stop(harness->processor, 0) > 0)
        sched_yield();
    assert_int_equal(job.result.status, BATCH_OK);
    check_stopped(harness);
}

static void note_stop(batch_processor *processor, void *arg)
{
    (void)processor;
    *(bool *)arg = true;
}

static void check_event(struct harness *harness)
{
    struct loop loop;
    struct job job;
    bool has_stopped = false;
    loop_open(&loop);
    job_send_to(&job, &loop, harness, "k", 1);
    assert_int_equal(
        batch_processor_stop_to(harness->processor, loop.completions, note_stop, &has_stopped),
        BATCH_OK);
    int64_t due_ns;
    while ((due_ns = batch_processor_drive(harness->processor, 0)) >= 0)
        driven_await_readable(harness);
    assert_int_equal(due_ns, BATCH_STOPPED);
    loop_dispatch(&loop, 2);
    assert_true(has_stopped);
    assert_int_equal(job.result.status, BATCH_OK);
    check_stopped(harness);
    loop_close(&loop);
}

HARNESS_TEST_WITH(as_an_event, HARNESS_STORE, .driven = true, .sessions = 0)
{
    check_event(harness);
}

HARNESS_TEST_WITH(as_an_event_with_sessions, HARNESS_FUNCTIONS, .driven = true, .sessions = 2)
{
    check_event(harness);
}

/* ---- From another thread --------------------------------------------------------------------- */

static void *stop_forever(void *arg)
{
    struct harness *harness = arg;
    MUST(batch_processor_stop(harness->processor, BATCH_FOREVER) == 0);
    return NULL;
}

HARNESS_TEST_WITH(by_another_thread_while_it_is_driven, HARNESS_FUNCTIONS, .driven = true)
{
    struct job job;
    job_send(&job, harness, "k", 1);
    pthread_t thread = thread_start(stop_forever, harness);
    int64_t due_ns;
    while ((due_ns = batch_processor_drive(harness->processor, 0)) >= 0)
        driven_await_readable(harness);
    assert_int_equal(due_ns, BATCH_STOPPED);
    thread_join(thread);
    assert_int_equal(job.result.status, BATCH_OK);
    check_stopped(harness);
}

/* Nobody drives: the stop does not end, and says so; until somebody takes over. */
static void *stop_and_take_over(void *arg)
{
    struct job *job = arg;
    struct harness *harness = job->harness;
    MUST(batch_processor_stop(harness->processor, 1 * MS) > 0);
    MUST(batch_processor_stop(harness->processor, 0) > 0);
    MUST(!job_is_complete(job));
    while (batch_processor_drive(harness->processor, BATCH_FOREVER) >= 0)
        continue;
    MUST(job_is_complete(job));
    MUST(batch_processor_stop(harness->processor, BATCH_FOREVER) == 0);
    return NULL;
}

HARNESS_TEST_WITH(by_another_thread_while_it_is_not_driven, HARNESS_STORE, .driven = true)
{
    struct job job;
    job_send(&job, harness, "k", 1);
    thread_join(thread_start(stop_and_take_over, &job));
    assert_int_equal(job.result.status, BATCH_LOAD_FAILED); /* canceled: it took too long */
    check_stopped(harness);
}
