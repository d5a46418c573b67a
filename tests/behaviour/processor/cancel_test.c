/* cancel_test.c: batch_cancel and start_by_ns, at every point of an operation's life. */
#include "harness.h"

HARNESS_TEST(cancel_before_submit_has_no_effect, HARNESS_FUNCTIONS)
{
    struct job job;
    job_init(&job, harness, "k", 1);
    assert_int_equal(batch_cancel(harness->processor, &job.op), BATCH_OK);
    job_submit(&job);
    assert_int_equal(job_wait(&job), BATCH_OK);
    harness_end(harness);
}

HARNESS_TEST(cancel_while_waiting_for_the_load_completes_before_it_ends, HARNESS_FUNCTIONS)
{
    gate_close(&harness->load_gate);
    struct job jobs[3];
    jobs_send(jobs, 3, harness, "k", 1);
    gate_await(&harness->load_gate, 1);
    batch_cancel(harness->processor, &jobs[1].op);
    batch_cancel(harness->processor, &jobs[1].op); /* again: nothing more */
    assert_int_equal(job_wait(&jobs[1]), BATCH_CANCELED);
    assert_string_equal(jobs[1].result.message, batch_status_text(BATCH_CANCELED));
    assert_false(job_is_complete(&jobs[0]));
    gate_open(&harness->load_gate);
    assert_int_equal(job_wait(&jobs[0]), BATCH_OK);
    assert_int_equal(job_wait(&jobs[2]), BATCH_OK);
    assert_int_equal(jobs[0].result.batch_operations, 2);
    harness_stop(harness);
    assert_int_equal(jobs[1].runs, 0);
    assert_int_equal(jobs[1].completions, 1);
    assert_int_equal(harness_stored(harness, "k"), 2);
}

HARNESS_TEST(cancel_while_waiting_for_the_save_before_it_completes_at_once, HARNESS_FUNCTIONS)
{
    gate_close(&harness->save_gate);
    struct job saved, waiting;
    job_send(&saved, harness, "k", 1);
    gate_await(&harness->save_gate, 1);
    job_send(&waiting, harness, "k", 1);
    batch_cancel(harness->processor, &waiting.op);
    assert_int_equal(job_wait(&waiting), BATCH_CANCELED);
    batch_cancel(harness->processor, &saved.op); /* it has run: its own outcome comes */
    gate_open(&harness->save_gate);
    assert_int_equal(job_wait(&saved), BATCH_OK);
    harness_stop(harness);
    assert_int_equal(harness_loads(harness), 1); /* no batch for nobody */
    assert_int_equal(harness_stored(harness, "k"), 1);
}

HARNESS_TEST(cancel_while_running_comes_too_late, HARNESS_FUNCTIONS)
{
    gate_close(&harness->run_gate);
    struct job job;
    job_init(&job, harness, "k", 1);
    job.gate = &harness->run_gate;
    job_submit(&job);
    gate_await(&harness->run_gate, 1);
    batch_cancel(harness->processor, &job.op);
    gate_open(&harness->run_gate);
    assert_int_equal(job_wait(&job), BATCH_OK);
    assert_int_equal(harness_stored(harness, "k"), 1);
    harness_end(harness);
}

HARNESS_TEST(cancel_after_completion_has_no_effect, HARNESS_FUNCTIONS)
{
    struct job job;
    job_send(&job, harness, "k", 1);
    assert_int_equal(job_wait(&job), BATCH_OK);
    assert_int_equal(batch_cancel(harness->processor, &job.op), BATCH_OK);
    assert_int_equal(job_run(&job), BATCH_OK); /* not the next use either */
    assert_int_equal(job.completions, 1);
    harness_end(harness);
}

/* Which of its uses was meant, a pointer cannot tell: batch.h warns of it. */
HARNESS_TEST(cancel_that_comes_late_cancels_what_was_submitted_again, HARNESS_FUNCTIONS)
{
    struct job job;
    job_send(&job, harness, "k", 1);
    assert_int_equal(job_wait(&job), BATCH_OK);
    gate_close(&harness->load_gate);
    job_send(&job, harness, "k", 1);
    gate_await(&harness->load_gate, 1);
    batch_cancel(harness->processor, &job.op);
    assert_int_equal(job_wait(&job), BATCH_CANCELED);
    gate_open(&harness->load_gate);
    harness_stop(harness);
    assert_int_equal(job.completions, 1);
    assert_int_equal(harness_stored(harness, "k"), 1);
}

HARNESS_TEST(cancel_is_completed_when_the_worker_is_free, HARNESS_FUNCTIONS)
{
    gate_close(&harness->run_gate);
    struct job long_one, canceled;
    job_init(&long_one, harness, "a", 1);
    long_one.gate = &harness->run_gate;
    job_submit(&long_one);
    gate_await(&harness->run_gate, 1);
    job_send(&canceled, harness, "b", 1);
    batch_cancel(harness->processor, &canceled.op);
    assert_false(job_is_complete(&canceled)); /* it is the worker that completes it */
    gate_open(&harness->run_gate);
    assert_int_equal(job_wait(&canceled), BATCH_CANCELED);
    assert_int_equal(job_wait(&long_one), BATCH_OK);
    harness_stop(harness);
    assert_int_equal(canceled.runs, 0);
}

HARNESS_TEST(cancel_ends_a_blocking_run, HARNESS_FUNCTIONS)
{
    gate_close(&harness->load_gate);
    struct job job;
    job_init(&job, harness, "k", 1);
    struct runner runner;
    runner_start(&runner, &job);
    gate_await(&harness->load_gate, 1);
    batch_cancel(harness->processor, &job.op);
    assert_int_equal(runner_join(&runner), BATCH_CANCELED);
    assert_int_equal(job.result.status, BATCH_CANCELED);
    gate_open(&harness->load_gate);
    harness_end(harness);
    assert_int_equal(job.runs, 0);
}

static void cancel_another(struct job *job)
{
    struct job *other = job->arg;
    MUST(batch_cancel(job->harness->processor, &other->op) == BATCH_OK);
}

HARNESS_TEST(operation_can_cancel_the_one_behind_it, HARNESS_FUNCTIONS)
{
    gate_close(&harness->load_gate);
    struct job first, second;
    job_init(&first, harness, "k", 1);
    job_init(&second, harness, "k", 1);
    first.on_run = cancel_another;
    first.arg = &second;
    job_submit(&first);
    job_submit(&second);
    gate_await(&harness->load_gate, 1);
    harness_settle(harness);
    gate_open(&harness->load_gate);
    assert_int_equal(job_wait(&first), BATCH_OK);
    assert_int_equal(job_wait(&second), BATCH_CANCELED);
    assert_int_equal(second.runs, 0);
    harness_end(harness);
}

HARNESS_TEST_WITH(many_canceled_among_many_are_all_found, HARNESS_FUNCTIONS, .shards = 2)
{
    enum { JOBS = 20000 };
    gate_close(&harness->load_gate);
    struct job *jobs = calloc(JOBS, sizeof *jobs);
    for (int i = 0; i < JOBS; i++) {
        job_init_number(&jobs[i], harness, i % 50, 1);
        job_submit(&jobs[i]);
    }
    gate_await(&harness->load_gate, 1);
    for (int i = 0; i < JOBS; i += 3)
        batch_cancel(harness->processor, &jobs[i].op);
    for (int i = 0; i < JOBS; i += 3)
        assert_int_equal(job_wait(&jobs[i]), BATCH_CANCELED); /* nothing is loaded yet */
    gate_open(&harness->load_gate);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(job_wait(&jobs[i]), i % 3 == 0 ? BATCH_CANCELED : BATCH_OK);
    harness_end(harness);
    free(jobs);
}

/* ---- start_by_ns ----------------------------------------------------------------------------- */

HARNESS_TEST(operation_expires_while_it_waits, HARNESS_FUNCTIONS)
{
    gate_close(&harness->save_gate);
    struct job saved, waiting[2];
    job_init(&saved, harness, "k", 1);
    saved.op.start_by_ns = batch_now_ns() + LONG_NS;
    job_submit(&saved);
    gate_await(&harness->save_gate, 1);
    for (int i = 0; i < 2; i++) {
        job_init(&waiting[i], harness, "k", 1);
        waiting[i].op.start_by_ns = batch_now_ns() + (i == 0 ? 5 * MS : LONG_NS);
        job_submit(&waiting[i]);
    }
    assert_int_equal(job_wait(&waiting[0]), BATCH_EXPIRED); /* with the save not over */
    assert_true(batch_now_ns() > waiting[0].op.start_by_ns);
    assert_string_equal(waiting[0].result.message, batch_status_text(BATCH_EXPIRED));
    gate_open(&harness->save_gate);
    assert_int_equal(job_wait(&saved), BATCH_OK);
    assert_int_equal(job_wait(&waiting[1]), BATCH_OK);
    harness_end(harness);
    assert_int_equal(waiting[0].runs, 0);
}

HARNESS_TEST(operation_that_began_in_time_is_not_expired_by_a_long_save, HARNESS_FUNCTIONS)
{
    gate_close(&harness->save_gate);
    struct job job;
    job_init(&job, harness, "k", 1);
    do {
        job_init(&job, harness, "k", 1);
        job.op.start_by_ns = batch_now_ns() + 20 * MS;
        job_submit(&job);
        while (!job_is_complete(&job) && batch_now_ns() <= job.op.start_by_ns)
            continue;
        batch_cancel(harness->processor, &job.op); /* has it begun? then it is at the gate */
        harness_settle(harness);
    } while (job_is_complete(&job)); /* a slow machine: again */
    gate_await(&harness->save_gate, 1);
    gate_open(&harness->save_gate);
    assert_int_equal(job_wait(&job), BATCH_OK);
    harness_end(harness);
}

HARNESS_TEST(blocking_run_expires, HARNESS_FUNCTIONS)
{
    gate_close(&harness->load_gate);
    struct job job;
    job_init(&job, harness, "k", 1);
    job.op.start_by_ns = batch_now_ns() + 5 * MS;
    assert_int_equal(job_run(&job), BATCH_EXPIRED);
    gate_open(&harness->load_gate);
    harness_end(harness);
    assert_int_equal(job.runs, 0);
}
