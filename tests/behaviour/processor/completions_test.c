/* completions_test.c: operations that complete on the thread of an event loop. */
#include "loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/time.h>

enum { JOBS = 8 };

static void check_loop_thread(struct job *job, const batch_result *result)
{
    const struct loop *loop = job->arg;
    (void)result;
    MUST(pthread_equal(loop->thread, pthread_self()));
}

/* As many jobs of one key as make one batch: they are all there before it is loaded. */
static void send_batch(struct job *jobs, size_t size, struct harness *harness, struct loop **loops,
                       size_t loops_size)
{
    gate_close(&harness->load_gate);
    for (size_t i = 0; i < size; i++) {
        job_init(&jobs[i], harness, "a", 1);
        jobs[i].arg = loops[i % loops_size];
        jobs[i].on_done = check_loop_thread;
        job_submit_to(&jobs[i], loops[i % loops_size]);
    }
    harness_settle(harness);
    gate_open(&harness->load_gate);
}

/* What was completed on "b" before is handed over: the second one is loaded after that. */
static void pass_worker(struct harness *harness)
{
    harness_add(harness, "b", 1);
    harness_add(harness, "b", 1);
}

/* ---- Where and when ------------------------------------------------------------------------- */

HARNESS_TEST(done_is_called_by_dispatch_on_its_thread_and_nowhere_else, HARNESS_FUNCTIONS)
{
    struct loop loop;
    struct job jobs[JOBS];
    loop_open(&loop);
    struct loop *loops[] = {&loop};
    send_batch(jobs, JOBS, harness, loops, 1);
    loop_await_readable(&loop);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(jobs[i].completions, 0);
    loop_dispatch(&loop, JOBS);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].completions, 1);
        assert_int_equal(jobs[i].result.status, BATCH_OK);
        assert_int_equal(jobs[i].result.batch_operations, JOBS);
        assert_int_equal(jobs[i].result.store_code, 0);
        assert_true(jobs[i].result.changed);
        assert_string_equal(jobs[i].result.message, "done");
        assert_int_equal(jobs[i].seen, i + 1);
        assert_true(i == 0 || jobs[i].completed_as > jobs[i - 1].completed_as);
    }
    loop_close(&loop);
}

HARNESS_TEST(file_descriptor_is_readable_while_there_is_something, HARNESS_FUNCTIONS)
{
    struct loop loop;
    struct job jobs[JOBS];
    loop_open(&loop);
    int fd = batch_completions_fd(loop.completions);
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    assert_true((fcntl(fd, F_GETFL) & O_NONBLOCK) != 0);
    assert_false(loop_is_readable(&loop));
    struct loop *loops[] = {&loop};
    send_batch(jobs, JOBS, harness, loops, 1);
    loop_await_readable(&loop);
    for (int left = JOBS; left > 0; left -= 3) {
        assert_true(loop_is_readable(&loop));
        assert_int_equal(batch_completions_dispatch(loop.completions, 3, 0), left < 3 ? left : 3);
    }
    assert_false(loop_is_readable(&loop));
    assert_int_equal(batch_completions_dispatch(loop.completions, 0, 0), 0);
    loop_close(&loop);
    assert_int_equal(fcntl(fd, F_GETFD), -1);
    assert_int_equal(errno, EBADF);
}

HARNESS_TEST(a_batch_wakes_each_of_its_loops_once, HARNESS_FUNCTIONS)
{
    struct loop one, other;
    struct job jobs[JOBS];
    loop_open_wake(&one);
    loop_open_wake(&other);
    struct loop *loops[] = {&one, &other};
    send_batch(jobs, JOBS, harness, loops, 2);
    loop_await_wakes(&one, 1);
    loop_await_wakes(&other, 1);
    struct job more[2]; /* nobody has come: it is not woken again */
    job_send_to(&more[0], &one, harness, "b", 1);
    job_send_to(&more[1], &one, harness, "b", 1);
    pass_worker(harness);
    assert_int_equal(one.wakes, 1);
    assert_int_equal(other.wakes, 1);
    assert_int_equal(batch_completions_dispatch(one.completions, 0, 0), JOBS / 2 + 2);
    assert_int_equal(batch_completions_dispatch(other.completions, 0, 0), JOBS / 2);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(jobs[i].completions, 1);
    job_send_to(&more[0], &one, harness, "b", 1);
    pass_worker(harness);
    assert_int_equal(one.wakes, 2);
    assert_int_equal(batch_completions_dispatch(one.completions, 0, 0), 1);
    loop_close(&one);
    loop_close(&other);
}

HARNESS_TEST(what_is_left_for_later_wakes_the_loop_again, HARNESS_FUNCTIONS)
{
    struct loop loop;
    struct job jobs[JOBS];
    loop_open_wake(&loop);
    struct loop *loops[] = {&loop};
    send_batch(jobs, JOBS, harness, loops, 1);
    loop_await_wakes(&loop, 1);
    assert_int_equal(batch_completions_dispatch(loop.completions, JOBS - 1, 0), JOBS - 1);
    assert_int_equal(loop.wakes, 2);
    assert_int_equal(batch_completions_dispatch(loop.completions, JOBS, 0), 1);
    assert_int_equal(loop.wakes, 2);
    loop_close(&loop);
}

/* More than a worker collects at a time. */
HARNESS_TEST(operations_of_very_many_loops_find_theirs, HARNESS_FUNCTIONS)
{
    enum { LOOPS = 40, ROUNDS = 3 };
    struct loop *loops[LOOPS];
    struct job *jobs = calloc(LOOPS * ROUNDS, sizeof *jobs);
    for (int i = 0; i < LOOPS; i++) {
        loops[i] = calloc(1, sizeof *loops[i]);
        loop_open(loops[i]);
    }
    send_batch(jobs, LOOPS * ROUNDS, harness, loops, LOOPS);
    for (int i = 0; i < LOOPS; i++)
        loop_dispatch(loops[i], ROUNDS);
    for (int i = 0; i < LOOPS * ROUNDS; i++) {
        assert_int_equal(jobs[i].completions, 1);
        assert_int_equal(jobs[i].result.batch_operations, LOOPS * ROUNDS);
        assert_true(i < LOOPS || jobs[i].completed_as > jobs[i - LOOPS].completed_as);
    }
    for (int i = 0; i < LOOPS; i++) {
        loop_close(loops[i]);
        free(loops[i]);
    }
    harness_end(harness);
    free(jobs);
}

HARNESS_TEST_WITH(loops_callbacks_and_waiting_callers_share_a_batch, HARNESS_FUNCTIONS, .shards = 2)
{
    struct loop loop;
    struct job bound, called, waiting;
    struct runner runner;
    loop_open(&loop);
    gate_close(&harness->load_gate);
    job_send_to(&bound, &loop, harness, "a", 1);
    job_send(&called, harness, "a", 1);
    job_init(&waiting, harness, "a", 1);
    runner_start(&runner, &waiting);
    gate_await(&harness->load_gate, 1);
    gate_open(&harness->load_gate);
    assert_int_equal(runner_join(&runner), BATCH_OK);
    assert_int_equal(job_wait(&called), BATCH_OK);
    loop_dispatch(&loop, 1);
    assert_int_equal(bound.result.status, BATCH_OK);
    loop_close(&loop);
}

/* ---- How it ended --------------------------------------------------------------------------- */

HARNESS_TEST(operations_of_a_failed_batch_share_its_message, HARNESS_FUNCTIONS)
{
    struct loop one, other;
    struct job jobs[JOBS];
    loop_open(&one);
    loop_open(&other);
    struct loop *loops[] = {&one, &other};
    harness_fault(harness, BATCH_OK, BATCH_SAVE_FAILED, 28, "no room");
    send_batch(jobs, JOBS, harness, loops, 2);
    assert_int_equal(batch_processor_stop(harness->processor, BATCH_FOREVER), 0);
    harness_free(harness); /* before they are dispatched */
    assert_int_equal(harness->memory.live, 1);
    loop_dispatch(&one, JOBS / 2);
    assert_int_equal(harness->memory.live, 1);
    loop_dispatch(&other, JOBS / 2);
    assert_int_equal(harness->memory.live, 0);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].result.status, BATCH_SAVE_FAILED);
        assert_int_equal(jobs[i].result.store_code, 28);
        assert_int_equal(jobs[i].result.batch_operations, JOBS);
        assert_true(jobs[i].result.changed);
        assert_string_equal(jobs[i].result.message, "could not save key 'a': no room");
    }
    loop_close(&one);
    loop_close(&other);
}

static void refuse_memory(struct job *job)
{
    allocator_refuse(&job->harness->memory, true);
}

HARNESS_TEST(without_memory_for_the_message_there_is_a_general_one, HARNESS_FUNCTIONS)
{
    struct loop loop;
    struct job jobs[JOBS];
    loop_open(&loop);
    struct loop *loops[] = {&loop};
    harness_fault(harness, BATCH_OK, BATCH_UNKNOWN, -28, NULL);
    gate_close(&harness->load_gate);
    for (int i = 0; i < JOBS; i++) {
        job_init(&jobs[i], harness, "a", 1);
        jobs[i].on_run = refuse_memory;
        job_submit_to(&jobs[i], loops[0]);
    }
    harness_settle(harness);
    gate_open(&harness->load_gate);
    loop_dispatch(&loop, JOBS);
    allocator_refuse(&harness->memory, false);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].result.status, BATCH_UNKNOWN);
        assert_int_equal(jobs[i].result.store_code, -28);
        assert_int_equal(jobs[i].result.batch_operations, JOBS);
        assert_string_equal(jobs[i].result.message, batch_status_text(BATCH_UNKNOWN));
    }
    loop_close(&loop);
}

HARNESS_TEST_WITH(operations_that_never_began_say_why, HARNESS_FUNCTIONS, .ops_waiting_max = 2)
{
    struct loop loop;
    struct job running, canceled, expired;
    loop_open(&loop);
    gate_close(&harness->load_gate);
    job_send_to(&running, &loop, harness, "a", 1);
    gate_await(&harness->load_gate, 1);
    job_send_to(&canceled, &loop, harness, "b", 1);
    assert_int_equal(batch_cancel(harness->processor, &canceled.op), BATCH_OK);
    loop_dispatch(&loop, 1);
    assert_int_equal(canceled.result.status, BATCH_CANCELED);
    assert_int_equal(canceled.result.batch_operations, 0);
    assert_int_equal(canceled.result.store_code, 0);
    assert_false(canceled.result.changed);
    assert_string_equal(canceled.result.message, batch_status_text(BATCH_CANCELED));
    job_init(&expired, harness, "b", 1);
    expired.op.start_by_ns = 1;
    job_submit_to(&expired, &loop);
    loop_dispatch(&loop, 1);
    assert_int_equal(expired.result.status, BATCH_EXPIRED);
    assert_string_equal(expired.result.message, batch_status_text(BATCH_EXPIRED));
    gate_open(&harness->load_gate);
    loop_dispatch(&loop, 1);
    assert_int_equal(running.result.status, BATCH_OK);
    loop_close(&loop);
}

HARNESS_TEST_WITH(one_that_is_refused_is_not_expected, HARNESS_FUNCTIONS, .ops_waiting_max = 1)
{
    struct loop loop;
    struct job jobs[3];
    loop_open(&loop);
    gate_close(&harness->load_gate);
    job_send_to(&jobs[0], &loop, harness, "a", 1);
    gate_await(&harness->load_gate, 1);
    job_init(&jobs[1], harness, "b", 1);
    job_init(&jobs[2], harness, "c", 1);
    batch_op *ops[] = {&jobs[1].op, &jobs[2].op};
    batch_completions *completions = loop.completions;
    batch_processor *processor = harness->processor;
    /* Until the worker has published that it is full, it accepts and refuses them itself. */
    while (batch_submit_to(processor, &jobs[1].op, completions) == BATCH_OK) {
        loop_dispatch(&loop, 1);
        assert_int_equal(jobs[1].result.status, BATCH_BUSY);
        assert_string_equal(jobs[1].result.message, batch_status_text(BATCH_BUSY));
    }
    assert_int_equal(batch_submit_to(processor, &jobs[1].op, completions), BATCH_BUSY);
    assert_int_equal(batch_submit_many_to(processor, ops, 2, completions), BATCH_BUSY);
    gate_open(&harness->load_gate);
    loop_dispatch(&loop, 1);
    assert_int_equal(batch_processor_stop(processor, BATCH_FOREVER), 0);
    assert_int_equal(batch_submit_to(processor, &jobs[1].op, completions), BATCH_STOPPED);
    assert_int_equal(batch_submit_many_to(processor, ops, 2, completions), BATCH_STOPPED);
    loop_close(&loop);
}

HARNESS_TEST_WITH(many_are_accepted_all_or_none, HARNESS_FUNCTIONS, .shards = 3)
{
    struct loop loop;
    struct job jobs[JOBS];
    batch_op *ops[JOBS];
    loop_open(&loop);
    for (int i = 0; i < JOBS; i++) {
        job_init_number(&jobs[i], harness, i, 1);
        jobs[i].arg = &loop;
        jobs[i].on_done = check_loop_thread;
        ops[i] = &jobs[i].op;
    }
    batch_processor *processor = harness->processor;
    ops[JOBS - 1] = NULL;
    assert_int_equal(batch_submit_many_to(processor, ops, JOBS, loop.completions), BATCH_INVALID);
    ops[JOBS - 1] = &jobs[JOBS - 1].op;
    assert_int_equal(batch_submit_many_to(processor, ops, JOBS, loop.completions), BATCH_OK);
    loop_dispatch(&loop, JOBS);
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(jobs[i].completions, 1);
        assert_int_equal(jobs[i].result.status, BATCH_OK);
    }
    loop_close(&loop);
}

/* ---- In use until it is dispatched ---------------------------------------------------------- */

static void submit_once_more(struct job *job, const batch_result *result)
{
    struct loop *loop = job->arg;
    (void)result;
    if (job->completions == 0)
        MUST(batch_submit_to(job->harness->processor, &job->op, loop->completions) == BATCH_OK);
}

HARNESS_TEST(operation_is_its_owners_again_in_done_and_not_before, HARNESS_FUNCTIONS)
{
    struct loop loop;
    struct job job;
    loop_open(&loop);
    job_init(&job, harness, "a", 1);
    job.arg = &loop;
    job.on_done = submit_once_more;
    job_submit_to(&job, &loop);
    loop_await_readable(&loop);
    assert_int_equal(batch_submit(harness->processor, &job.op), BATCH_INVALID);
    assert_int_equal(batch_cancel(harness->processor, &job.op), BATCH_OK); /* too late */
    loop_dispatch(&loop, 1);
    assert_int_equal(job.result.status, BATCH_OK);
    loop_dispatch(&loop, 1);
    assert_int_equal(job.completions, 2);
    assert_int_equal(job.result.status, BATCH_OK);
    loop_close(&loop);
}

static void close_from_done(struct job *job, const batch_result *result)
{
    struct loop *loop = job->arg;
    (void)result;
    MUST(batch_completions_close(loop->completions) == BATCH_BUSY);
}

HARNESS_TEST(queue_is_not_closed_while_something_may_come, HARNESS_FUNCTIONS)
{
    struct loop loop;
    struct job job;
    loop_open(&loop);
    gate_close(&harness->save_gate);
    job_init(&job, harness, "a", 1);
    job.arg = &loop;
    job.on_done = close_from_done;
    job_submit_to(&job, &loop);
    gate_await(&harness->save_gate, 1);
    assert_int_equal(batch_completions_close(loop.completions), BATCH_BUSY);
    gate_open(&harness->save_gate);
    loop_await_readable(&loop);
    assert_int_equal(batch_completions_close(loop.completions), BATCH_BUSY);
    loop_dispatch(&loop, 1);
    loop_close(&loop);
    assert_int_equal(batch_completions_close(NULL), BATCH_OK);
}

/* ---- Dispatch in dispatch, and waiting ------------------------------------------------------- */

static void dispatch_the_rest(struct job *job, const batch_result *result)
{
    struct loop *loop = job->arg;
    (void)result;
    if (job->add == 2)
        MUST(batch_completions_dispatch(loop->completions, 2, 0) == 2);
}

HARNESS_TEST(dispatch_in_done_goes_on_with_the_next_ones, HARNESS_FUNCTIONS)
{
    struct loop loop;
    struct job jobs[4];
    loop_open(&loop);
    gate_close(&harness->load_gate);
    for (int i = 0; i < 4; i++) {
        job_init(&jobs[i], harness, "a", i == 0 ? 2 : 1);
        jobs[i].arg = &loop;
        jobs[i].on_done = dispatch_the_rest;
        job_submit_to(&jobs[i], &loop);
    }
    harness_settle(harness);
    gate_open(&harness->load_gate);
    loop_await_readable(&loop);
    assert_int_equal(batch_completions_dispatch(loop.completions, 2, 0), 2);
    assert_true(jobs[1].completed_as < jobs[2].completed_as);
    assert_true(jobs[2].completed_as < jobs[0].completed_as); /* noted when its `done` returns */
    assert_true(jobs[0].completed_as < jobs[3].completed_as);
    loop_close(&loop);
}

HARNESS_TEST(dispatch_waits_as_long_as_it_may, HARNESS_FUNCTIONS)
{
    struct loop loop, woken;
    loop_open(&loop);
    loop_open_wake(&woken);
    uint64_t begin_ns = batch_now_ns();
    assert_int_equal(batch_completions_dispatch(loop.completions, 0, 20 * MS), 0);
    assert_true(batch_now_ns() - begin_ns >= 20 * MS);
    struct job job;
    job_send_to(&job, &loop, harness, "a", 1);
    assert_int_equal(batch_completions_dispatch(loop.completions, 0, BATCH_FOREVER), 1);
    assert_int_equal(batch_completions_dispatch(woken.completions, 0, 1), BATCH_INVALID);
    assert_int_equal(batch_completions_dispatch(woken.completions, 0, 0), 0);
    loop_close(&loop);
    loop_close(&woken);
}

static void on_signal(int number)
{
    (void)number;
}

TEST(a_signal_handler_ends_the_wait)
{
    struct loop loop;
    loop_open(&loop);
    struct sigaction action = {.sa_handler = on_signal};
    sigaction(SIGALRM, &action, NULL);
    struct itimerval often = {{0, 1000}, {0, 1000}}; /* one of them comes while it waits */
    setitimer(ITIMER_REAL, &often, NULL);
    assert_int_equal(batch_completions_dispatch(loop.completions, 0, BATCH_FOREVER), 0);
    setitimer(ITIMER_REAL, &(struct itimerval){{0, 0}, {0, 0}}, NULL);
    loop_close(&loop);
}

/* On a worker nothing may be waited for; what is there is dispatched. */
static void dispatch_on_worker(struct job *job, const batch_result *result)
{
    struct loop *loop = job->arg;
    (void)result;
    MUST(batch_completions_dispatch(loop->completions, 0, BATCH_FOREVER) == BATCH_DEADLOCK);
    MUST(batch_completions_dispatch(loop->completions, 0, 0) == 0);
}

HARNESS_TEST(dispatch_in_a_callback_does_not_wait, HARNESS_FUNCTIONS)
{
    struct loop loop;
    struct job job;
    loop_open(&loop);
    job_init(&job, harness, "a", 1);
    job.arg = &loop;
    job.on_done = dispatch_on_worker;
    job_submit(&job);
    assert_int_equal(job_wait(&job), BATCH_OK);
    loop_close(&loop);
}

/* ---- Arguments ------------------------------------------------------------------------------ */

HARNESS_TEST(arguments_that_are_not_valid_are_refused, HARNESS_FUNCTIONS)
{
    struct loop loop;
    struct job job;
    loop_open_wake(&loop);
    batch_processor *processor = harness->processor;
    batch_op *ops[] = {&job.op};
    job_init(&job, harness, "a", 1);
    assert_int_equal(batch_submit_to(NULL, &job.op, loop.completions), BATCH_INVALID);
    assert_int_equal(batch_submit_to(processor, NULL, loop.completions), BATCH_INVALID);
    assert_int_equal(batch_submit_to(processor, &job.op, NULL), BATCH_INVALID);
    assert_int_equal(batch_submit_many_to(NULL, ops, 1, loop.completions), BATCH_INVALID);
    assert_int_equal(batch_submit_many_to(processor, NULL, 1, loop.completions), BATCH_INVALID);
    assert_int_equal(batch_submit_many_to(processor, ops, 1, NULL), BATCH_INVALID);
    assert_int_equal(batch_submit_many_to(processor, NULL, 0, loop.completions), BATCH_OK);
    job.op.done = NULL;
    assert_int_equal(batch_submit_to(processor, &job.op, loop.completions), BATCH_INVALID);
    job_init(&job, harness, "a", 1);
    job.op.run = NULL;
    assert_int_equal(batch_submit_to(processor, &job.op, loop.completions), BATCH_INVALID);
    assert_int_equal(batch_completions_dispatch(NULL, 0, 0), BATCH_INVALID);
    assert_int_equal(batch_completions_fd(NULL), BATCH_INVALID);
    assert_int_equal(batch_completions_fd(loop.completions), BATCH_INVALID);
    loop_close(&loop);
}

TEST(options_that_are_not_valid_are_refused)
{
    batch_completions *completions = NULL;
    batch_completions_options options = BATCH_COMPLETIONS_OPTIONS_INIT;
    struct allocator memory;
    memset(&memory, 0, sizeof memory);
    assert_int_equal(batch_completions_open(NULL, NULL), BATCH_INVALID);
    options.size = 8;
    assert_int_equal(batch_completions_open(&completions, &options), BATCH_INVALID);
    options.size = sizeof options;
    options.allocator = allocator_functions(&memory);
    options.allocator.release = NULL;
    assert_int_equal(batch_completions_open(&completions, &options), BATCH_INVALID);
    options.allocator = allocator_functions(&memory);
    options.allocator.allocate = NULL;
    assert_int_equal(batch_completions_open(&completions, &options), BATCH_INVALID);
    options.allocator = allocator_functions(&memory);
    allocator_refuse(&memory, true);
    assert_int_equal(batch_completions_open(&completions, &options), BATCH_NO_MEMORY);
    assert_null(completions);
    assert_int_equal(batch_completions_open(&completions, NULL), BATCH_OK);
    assert_int_equal(batch_completions_close(completions), BATCH_OK);
}
