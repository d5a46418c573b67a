/* driven_test.c: a processor that the test drives: what runs where, what drive returns, and when
 * its descriptor is readable. */
#include "driven.h"
#include "loop.h"

#include <batch/metrics.h>

static void note_thread(struct job *job)
{
    MUST(pthread_equal(pthread_self(), *(pthread_t *)job->arg));
}

static void note_thread_done(struct job *job, const batch_result *result)
{
    (void)result;
    note_thread(job);
}

static void job_on_thread(struct job *job, struct harness *harness, const char *key,
                          pthread_t *thread)
{
    job_init(job, harness, key, 1);
    job->on_run = note_thread;
    job->on_done = note_thread_done;
    job->arg = thread;
}

/* ---- What runs where ------------------------------------------------------------------------- */

HARNESS_TEST_WITH(nothing_runs_before_it_is_driven, HARNESS_STORE, .driven = true, .sessions = 0)
{
    pthread_t self = pthread_self();
    struct job job;
    job_on_thread(&job, harness, "k", &self);
    job_submit(&job);
    assert_int_equal(job.runs, 0);
    assert_int_equal(driven_drive(harness), INT64_MAX);
    assert_int_equal(job.completions, 1);
    assert_int_equal(job.result.status, BATCH_OK);
    assert_int_equal(harness_stored(harness, "k"), 1);
}

static void check_threads(uint32_t sessions)
{
    unsigned before = driven_threads();
    struct harness harness;
    harness_begin_with(&harness, HARNESS_STORE, .driven = true, .sessions = sessions);
    assert_int_equal(driven_threads(), before + sessions);
    struct job job;
    assert_int_equal(job_call(&job, &harness, "k", 1), BATCH_OK);
    assert_int_equal(driven_threads(), before + sessions);
    harness_end(&harness);
}

TEST(it_has_no_thread_but_those_of_sessions)
{
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
    skip(); /* it has one of its own */
#endif
#endif
    check_threads(0);
    check_threads(2);
}

HARNESS_TEST_WITH(sessions_work_while_the_loop_does_other_things, HARNESS_FUNCTIONS, .driven = true,
                  .sessions = 2)
{
    pthread_t self = pthread_self();
    struct job job;
    gate_close(&harness->load_gate);
    job_on_thread(&job, harness, "k", &self);
    job_submit(&job);
    driven_drive(harness);
    gate_await(&harness->load_gate, 1); /* on a thread of its own */
    assert_int_equal(driven_drive(harness), INT64_MAX);
    assert_int_equal(job.runs, 0);
    gate_open(&harness->load_gate);
    assert_int_equal(driven_wait(harness, &job), BATCH_OK);
    assert_int_equal(harness_stored(harness, "k"), 1);
}

HARNESS_TEST_WITH(a_call_is_late_although_nothing_is_to_be_driven, HARNESS_FUNCTIONS,
                  .driven = true, .sessions = 2, .deadline_ns = 40 * MS)
{
    struct job job;
    gate_close(&harness->load_gate);
    job_send(&job, harness, "k", 1);
    driven_drive(harness);
    gate_await(&harness->load_gate, 1);
    harness_spin(80 * MS);
    gate_open(&harness->load_gate);
    driven_wait(harness, &job);
    assert_true(harness->was_canceled);
}

HARNESS_TEST_WITH(without_a_store_too, HARNESS_BARE, .driven = true, .sessions = 0)
{
    struct job jobs[3];
    for (size_t i = 0; i < 3; i++)
        job_send(&jobs[i], harness, i < 2 ? "a" : "b", 1);
    driven_drive(harness);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(jobs[i].completions, 1);
    assert_true(jobs[0].ran_as < jobs[1].ran_as);
    assert_true(jobs[0].completed_as < jobs[1].completed_as);
}

HARNESS_TEST_WITH(completions_of_loops_come_there, HARNESS_STORE, .driven = true, .sessions = 0)
{
    struct loop loop;
    struct job job;
    loop_open(&loop);
    job_send_to(&job, &loop, harness, "k", 1);
    driven_drive(harness);
    assert_int_equal(job.completions, 0);
    loop_dispatch(&loop, 1);
    assert_int_equal(job.completions, 1);
    assert_int_equal(job.result.status, BATCH_OK);
    loop_close(&loop);
}

HARNESS_TEST_WITH(canceled_operation_does_not_begin, HARNESS_STORE, .driven = true, .sessions = 0)
{
    struct job job;
    job_send(&job, harness, "k", 1);
    assert_int_equal(batch_cancel(harness->processor, &job.op), BATCH_OK);
    driven_drive(harness);
    assert_int_equal(job.result.status, BATCH_CANCELED);
    assert_int_equal(job.runs, 0);
}

/* ---- What drive returns ---------------------------------------------------------------------- */

HARNESS_TEST_WITH(window_is_a_time_to_come_back, HARNESS_BARE, .driven = true, .sessions = 0,
                  .window_ns = LONG_NS)
{
    struct job job;
    assert_int_equal(driven_drive(harness), INT64_MAX);
    job_send(&job, harness, "k", 1);
    int64_t due_ns = driven_drive(harness);
    assert_in_range(due_ns, 1, LONG_NS);
    assert_int_equal(job.runs, 1);
    assert_int_equal(job.completions, 0);
    assert_int_equal(batch_processor_stop(harness->processor, BATCH_FOREVER), 0);
    assert_int_equal(job.completions, 1);
}

HARNESS_TEST_WITH(drive_waits_for_the_end_of_a_window, HARNESS_BARE, .driven = true, .sessions = 0,
                  .window_ns = 1 * MS)
{
    struct job job;
    job_send(&job, harness, "k", 1);
    while (!job_is_complete(&job))
        assert_true(batch_processor_drive(harness->processor, BATCH_FOREVER) >= 0);
}

HARNESS_TEST_WITH(drive_that_waits_in_vain_returns, HARNESS_BARE, .driven = true, .sessions = 0)
{
    assert_int_equal(batch_processor_drive(harness->processor, 1 * MS), INT64_MAX);
}

static void *submit_one(void *arg)
{
    job_submit(arg);
    return NULL;
}

HARNESS_TEST_WITH(drive_waits_for_other_threads, HARNESS_BARE, .driven = true, .sessions = 0)
{
    struct job job;
    job_init(&job, harness, "k", 1);
    pthread_t thread = thread_start(submit_one, &job);
    while (!job_is_complete(&job))
        assert_true(batch_processor_drive(harness->processor, BATCH_FOREVER) >= 0);
    thread_join(thread);
}

/* What completes in the last of several turns, with nothing new, was waited past: for whatever came
 * next. Turns are counted out to several rounds of drive, as it depends on which of these it is. */
enum { TURNS = 50 };

static void take_a_turn(struct job *job)
{
    (void)job;
    harness_spin(3 * MS / 20);
}

static struct job *send_behind(struct harness *harness, struct job jobs[TURNS + 1], int before)
{
    for (int i = 0; i <= before; i++) {
        job_init(&jobs[i], harness, "k", 0);
        jobs[i].on_run = take_a_turn;
        if (i < before)
            job_submit(&jobs[i]);
    }
    return &jobs[before];
}

HARNESS_TEST_WITH(drive_that_waits_returns_when_the_last_turn_has_completed_something,
                  HARNESS_STORE, .driven = true, .sessions = 0)
{
    static struct job jobs[TURNS + 1];
    for (int before = 0; before <= TURNS; before++) {
        struct job *last = send_behind(harness, jobs, before);
        job_submit(last);
        while (!job_is_complete(last))
            assert_true(batch_processor_drive(harness->processor, BATCH_FOREVER) >= 0);
    }
}

HARNESS_TEST_WITH(batch_run_returns_however_many_turns_it_has_waited_for, HARNESS_STORE,
                  .driven = true, .sessions = 0, .window_ns = 1)
{
    static struct job jobs[TURNS + 1];
    for (int before = 0; before <= TURNS; before++)
        assert_int_equal(job_run(send_behind(harness, jobs, before)), BATCH_OK);
}

/* The batch resubmits itself, for ever: the rest of the loop gets its turn all the same. */
static void resubmit(struct job *job, const batch_result *result)
{
    (void)result;
    if (*(bool *)job->arg)
        job_submit(job);
}

HARNESS_TEST_WITH(drive_returns_though_there_is_always_more, HARNESS_STORE, .driven = true,
                  .sessions = 0)
{
    bool goes_on = true;
    struct job job;
    job_init(&job, harness, "k", 1);
    job.on_done = resubmit;
    job.arg = &goes_on;
    job_submit(&job);
    assert_int_equal(batch_processor_drive(harness->processor, BATCH_FOREVER), 0);
    assert_true(job.completions > 1);
    assert_true(driven_is_readable(harness));
    assert_int_equal(batch_processor_drive(harness->processor, 0), 0);
    assert_true(driven_is_readable(harness)); /* there is more */
    goes_on = false;
    assert_int_equal(driven_drive(harness), INT64_MAX);
    assert_false(driven_is_readable(harness));
}

/* ---- The descriptor -------------------------------------------------------------------------- */

HARNESS_TEST_WITH(descriptor_is_readable_while_there_is_something, HARNESS_STORE, .driven = true,
                  .sessions = 0)
{
    struct job jobs[2];
    driven_is_readable(harness); /* it may be, at first */
    assert_int_equal(driven_drive(harness), INT64_MAX);
    for (int i = 0; i < 3; i++) {
        assert_false(driven_is_readable(harness));
        job_send(&jobs[0], harness, "k", 1);
        assert_true(driven_is_readable(harness));
        job_send(&jobs[1], harness, "l", 1);
        assert_true(driven_is_readable(harness)); /* until it is driven */
        assert_int_equal(driven_drive(harness), INT64_MAX);
        assert_int_equal(jobs[0].completions, 1);
        assert_int_equal(jobs[1].completions, 1);
    }
    assert_false(driven_is_readable(harness));
}

HARNESS_TEST_WITH(descriptor_asked_for_late_knows_what_has_come, HARNESS_STORE, .driven = true,
                  .sessions = 0)
{
    struct job job;
    job_send(&job, harness, "k", 1);
    assert_true(driven_is_readable(harness));
    assert_int_equal(driven_wait(harness, &job), BATCH_OK);
}

HARNESS_TEST_WITH(descriptor_is_readable_when_a_window_ends, HARNESS_BARE, .driven = true,
                  .sessions = 0, .window_ns = 1 * MS)
{
    struct job job;
    for (int i = 0; i < 3; i++) {
        job_send(&job, harness, "k", 1);
        assert_int_equal(driven_wait(harness, &job), BATCH_OK);
        assert_int_equal(driven_drive(harness), INT64_MAX);
        assert_false(driven_is_readable(harness));
    }
}

static void note_stop(batch_processor *processor, void *arg)
{
    (void)processor;
    *(bool *)arg = true;
}

HARNESS_TEST_WITH(descriptor_is_readable_after_a_cancel_and_a_stop, HARNESS_BARE, .driven = true,
                  .sessions = 0, .window_ns = LONG_NS)
{
    struct loop loop;
    struct job job;
    bool has_stopped = false;
    driven_is_readable(harness);
    driven_drive(harness);
    loop_open(&loop);
    job_send_to(&job, &loop, harness, "k", 1);
    driven_drive(harness);
    assert_false(driven_is_readable(harness));
    assert_int_equal(batch_cancel(harness->processor, &job.op), BATCH_OK);
    assert_true(driven_is_readable(harness));
    assert_in_range(driven_drive(harness), 1, LONG_NS);
    assert_false(driven_is_readable(harness));
    assert_int_equal(
        batch_processor_stop_to(harness->processor, loop.completions, note_stop, &has_stopped),
        BATCH_OK);
    assert_true(driven_is_readable(harness));
    assert_int_equal(driven_drive(harness), BATCH_STOPPED);
    assert_false(driven_is_readable(harness));
    loop_dispatch(&loop, 2);
    assert_int_equal(job.result.status, BATCH_OK); /* it had begun */
    assert_true(has_stopped);
    loop_close(&loop);
}

/* ---- What waits, drives ---------------------------------------------------------------------- */

HARNESS_TEST_WITH(batch_run_drives, HARNESS_FUNCTIONS, .driven = true, .sessions = 1)
{
    pthread_t self = pthread_self();
    struct job other, job;
    job_on_thread(&other, harness, "k", &self);
    job_submit(&other);
    job_on_thread(&job, harness, "k", &self);
    assert_int_equal(job_run(&job), BATCH_OK);
    assert_int_equal(other.completions, 1);
    assert_int_equal(harness_stored(harness, "k"), 2);
}

static void run_both(void *const *resources, batch_transaction *transaction)
{
    for (size_t i = 0; i < transaction->parts_size; i++) {
        ++*(int64_t *)resources[i];
        transaction->parts[i].changed = true;
    }
}

HARNESS_TEST_WITH(batch_transaction_run_drives, HARNESS_BARE, .driven = true, .sessions = 0)
{
    batch_part parts[2] = {BATCH_PART_INIT, BATCH_PART_INIT};
    parts[0].key = "a";
    parts[1].key = "b";
    parts[0].key_size = parts[1].key_size = 1;
    batch_transaction transaction = BATCH_TRANSACTION_INIT;
    transaction.parts = parts;
    transaction.parts_size = 2;
    transaction.run = run_both;
    assert_int_equal(batch_transaction_run(harness->processor, &transaction, NULL), BATCH_OK);
}

/* Another thread waits until it is driven; whoever drives takes over. */
HARNESS_TEST_WITH(batch_run_elsewhere_waits_for_the_one_who_drives, HARNESS_STORE, .driven = true,
                  .sessions = 0)
{
    pthread_t self = pthread_self();
    struct job job;
    struct runner runner;
    driven_is_readable(harness);
    driven_drive(harness);
    job_init(&job, harness, "k", 1);
    job.on_run = note_thread;
    job.arg = &self;
    runner_start(&runner, &job);
    driven_await_readable(harness);
    assert_int_equal(driven_drive(harness), INT64_MAX);
    assert_int_equal(runner_join(&runner), BATCH_OK);
}

static void *drive_all(void *arg)
{
    struct job *job = arg;
    struct harness *harness = job->harness;
    while (!job_is_complete(job)) {
        int64_t due_ns = batch_processor_drive(harness->processor, BATCH_FOREVER);
        MUST(due_ns >= 0 || due_ns == BATCH_STOPPED);
    }
    return NULL;
}

HARNESS_TEST_WITH(whoever_drives_takes_over, HARNESS_STORE, .driven = true, .sessions = 0)
{
    struct job held, waiting;
    job_init(&held, harness, "k", 1);
    held.gate = &harness->run_gate;
    gate_close(&harness->run_gate);
    job_submit(&held);
    pthread_t thread = thread_start(drive_all, &held);
    gate_await(&harness->run_gate, 1); /* that thread drives, here and now */
    assert_int_equal(batch_processor_drive(harness->processor, 0), BATCH_BUSY);
    assert_int_equal(batch_processor_drive(harness->processor, BATCH_FOREVER), BATCH_BUSY);
    assert_int_equal(batch_processor_free(harness->processor), BATCH_BUSY);
    assert_true(batch_processor_stop(harness->processor, 0) > 0); /* does not drive */
    gate_open(&harness->run_gate);
    thread_join(thread);
    job_init(&waiting, harness, "k", 1);
    assert_int_equal(job_run(&waiting), BATCH_STOPPED);
    assert_int_equal(driven_drive(harness), BATCH_STOPPED); /* and takes over */
}

/* ---- What is refused ------------------------------------------------------------------------- */

HARNESS_TEST(processor_with_a_worker_is_not_driven, HARNESS_BARE)
{
    assert_int_equal(batch_processor_drive(harness->processor, 0), BATCH_INVALID);
    assert_int_equal(batch_processor_fd(harness->processor), BATCH_INVALID);
    assert_int_equal(batch_processor_drive(NULL, 0), BATCH_INVALID);
    assert_int_equal(batch_processor_fd(NULL), BATCH_INVALID);
}

TEST(driven_needs_one_shard)
{
    struct harness harness;
    batch_result error;
    harness_init_with(&harness, HARNESS_BARE, .driven = true, .shards = 2);
    assert_int_equal(batch_processor_start(&harness.processor, &harness.options, &error),
                     BATCH_INVALID);
    assert_string_equal(error.message, "options: driven needs one shard: one thread drives it");
    harness_destroy(&harness);
}

HARNESS_TEST_WITH(reader_that_drives_is_not_waited_for, HARNESS_BARE, .driven = true, .sessions = 0)
{
    batch_subscription_options options = BATCH_SUBSCRIPTION_OPTIONS_INIT;
    batch_subscription *subscription;
    batch_metric metric;
    options.block = true;
    assert_int_equal(batch_metrics_subscribe(harness->processor, &options, &subscription),
                     BATCH_INVALID);
    subscription = harness_subscribe(harness);
    assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &metric), BATCH_DEADLOCK);
    struct job job;
    assert_int_equal(job_call(&job, harness, "k", 1), BATCH_OK);
    assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &metric), BATCH_OK);
    batch_metrics_unsubscribe(subscription);
}

/* ---- In callbacks ---------------------------------------------------------------------------- */

struct seen {
    batch_processor *processor;
    int64_t drive_0, drive_forever, run, stop_0, stop_forever, free;
};

static void call_all(struct job *job)
{
    struct seen *seen = job->arg;
    batch_op op = job->op;
    op.private_state = 0;
    seen->drive_0 = batch_processor_drive(seen->processor, 0);
    seen->drive_forever = batch_processor_drive(seen->processor, BATCH_FOREVER);
    seen->run = batch_run(seen->processor, &op, NULL);
    seen->stop_forever = batch_processor_stop(seen->processor, BATCH_FOREVER);
    seen->free = batch_processor_free(seen->processor);
}

HARNESS_TEST_WITH(callback_does_not_drive_its_own_processor, HARNESS_STORE, .driven = true,
                  .sessions = 0)
{
    struct seen seen = {.processor = harness->processor};
    struct job job;
    job_init(&job, harness, "k", 1);
    job.on_run = call_all;
    job.arg = &seen;
    assert_int_equal(job_run(&job), BATCH_OK);
    assert_int_equal(seen.drive_0, BATCH_DEADLOCK);
    assert_int_equal(seen.drive_forever, BATCH_DEADLOCK);
    assert_int_equal(seen.run, BATCH_DEADLOCK);
    assert_int_equal(seen.stop_forever, BATCH_DEADLOCK);
    assert_int_equal(seen.free, BATCH_DEADLOCK);
    job_init(&job, harness, "k", 1);
    assert_int_equal(job_run(&job), BATCH_OK); /* outside of it, all is as before */
}

HARNESS_TEST_WITH(callback_may_drive_another_processor_without_waiting, HARNESS_STORE,
                  .driven = true, .sessions = 0)
{
    struct harness other;
    harness_begin_with(&other, HARNESS_STORE, .driven = true, .sessions = 0);
    struct seen seen = {.processor = other.processor};
    struct job job, nested;
    job_send(&nested, &other, "k", 1);
    job_init(&job, harness, "k", 1);
    job.on_run = call_all;
    job.arg = &seen;
    assert_int_equal(job_run(&job), BATCH_OK);
    assert_true(seen.drive_0 >= 0);
    assert_int_equal(nested.completions, 1);
    assert_int_equal(seen.drive_forever, BATCH_DEADLOCK);
    assert_int_equal(seen.run, BATCH_DEADLOCK);
    assert_int_equal(seen.stop_forever, BATCH_DEADLOCK);
    assert_int_equal(seen.free, BATCH_BUSY);
    harness_end(&other);
}
