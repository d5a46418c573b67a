/* cancel_test.c: batch_cancel and start_by_ns, at every point of an operation's life. */
#include "harness.h"

TEST(cancel_before_submit_has_no_effect)
{
    struct harness harness;
    harness_begin(&harness, HARNESS_FUNCTIONS);
    struct job job;
    job_init(&job, &harness, "k", 1);
    assert_int_equal(batch_cancel(harness.processor, &job.op), BATCH_OK);
    job_submit(&job);
    assert_int_equal(job_wait(&job), BATCH_OK);
    harness_end(&harness);
}

TEST(cancel_while_waiting_for_the_load_completes_before_it_ends)
{
    struct harness harness;
    harness_begin(&harness, HARNESS_FUNCTIONS);
    gate_close(&harness.load_gate);
    struct job jobs[3];
    for (int i = 0; i < 3; i++) {
        job_send(&jobs[i], &harness, "k", 1);
    }
    gate_await(&harness.load_gate, 1);
    batch_cancel(harness.processor, &jobs[1].op);
    batch_cancel(harness.processor, &jobs[1].op); /* again: nothing more */
    assert_int_equal(job_wait(&jobs[1]), BATCH_CANCELED);
    assert_string_equal(jobs[1].result.message, batch_status_text(BATCH_CANCELED));
    assert_false(job_is_complete(&jobs[0]));
    gate_open(&harness.load_gate);
    assert_int_equal(job_wait(&jobs[0]), BATCH_OK);
    assert_int_equal(job_wait(&jobs[2]), BATCH_OK);
    assert_int_equal(jobs[0].result.batch_operations, 2);
    harness_stop(&harness);
    assert_int_equal(jobs[1].runs, 0);
    assert_int_equal(jobs[1].completions, 1);
    assert_int_equal(harness_stored(&harness, "k"), 2);
    harness_end(&harness);
}

TEST(cancel_while_waiting_for_the_save_before_it_completes_at_once)
{
    struct harness harness;
    harness_begin(&harness, HARNESS_FUNCTIONS);
    gate_close(&harness.save_gate);
    struct job saved, waiting;
    job_send(&saved, &harness, "k", 1);
    gate_await(&harness.save_gate, 1);
    job_send(&waiting, &harness, "k", 1);
    batch_cancel(harness.processor, &waiting.op);
    assert_int_equal(job_wait(&waiting), BATCH_CANCELED);
    batch_cancel(harness.processor, &saved.op); /* it has run: its own outcome comes */
    gate_open(&harness.save_gate);
    assert_int_equal(job_wait(&saved), BATCH_OK);
    harness_stop(&harness);
    assert_int_equal(harness_loads(&harness), 1); /* no batch for nobody */
    assert_int_equal(harness_stored(&harness, "k"), 1);
    harness_end(&harness);
}

TEST(cancel_while_running_comes_too_late)
{
    struct harness harness;
    harness_begin(&harness, HARNESS_FUNCTIONS);
    struct gate gate;
    gate_init_closed(&gate);
    struct job job;
    job_init(&job, &harness, "k", 1);
    job.gate = &gate;
    job_submit(&job);
    gate_await(&gate, 1);
    batch_cancel(harness.processor, &job.op);
    gate_open(&gate);
    assert_int_equal(job_wait(&job), BATCH_OK);
    assert_int_equal(harness_stored(&harness, "k"), 1);
    harness_end(&harness);
    gate_destroy(&gate);
}

TEST(cancel_after_completion_has_no_effect)
{
    struct harness harness;
    harness_begin(&harness, HARNESS_FUNCTIONS);
    struct job job;
    job_send(&job, &harness, "k", 1);
    assert_int_equal(job_wait(&job), BATCH_OK);
    assert_int_equal(batch_cancel(harness.processor, &job.op), BATCH_OK);
    assert_int_equal(job_run(&job), BATCH_OK); /* not the next use either */
    assert_int_equal(job.completions, 1);
    harness_end(&harness);
}

TEST(cancel_ends_a_blocking_run)
{
    struct harness harness;
    harness_begin(&harness, HARNESS_FUNCTIONS);
    gate_close(&harness.load_gate);
    struct job job;
    job_init(&job, &harness, "k", 1);
    struct runner runner;
    runner_start(&runner, &job);
    gate_await(&harness.load_gate, 1);
    batch_cancel(harness.processor, &job.op);
    assert_int_equal(runner_join(&runner), BATCH_CANCELED);
    assert_int_equal(job.result.status, BATCH_CANCELED);
    gate_open(&harness.load_gate);
    harness_end(&harness);
    assert_int_equal(job.runs, 0);
}

static void cancel_another(struct job *job)
{
    struct job *other = job->arg;
    MUST(batch_cancel(job->harness->processor, &other->op) == BATCH_OK);
}

TEST(operation_can_cancel_the_one_behind_it)
{
    struct harness harness;
    harness_begin(&harness, HARNESS_FUNCTIONS);
    gate_close(&harness.load_gate);
    struct job first, second;
    job_init(&first, &harness, "k", 1);
    job_init(&second, &harness, "k", 1);
    first.on_run = cancel_another;
    first.arg = &second;
    job_submit(&first);
    job_submit(&second);
    gate_await(&harness.load_gate, 1);
    harness_settle(&harness);
    gate_open(&harness.load_gate);
    assert_int_equal(job_wait(&first), BATCH_OK);
    assert_int_equal(job_wait(&second), BATCH_CANCELED);
    assert_int_equal(second.runs, 0);
    harness_end(&harness);
}

TEST(many_canceled_among_many_are_all_found)
{
    enum { JOBS = 20000 };
    struct harness harness;
    harness_init(&harness, HARNESS_FUNCTIONS);
    harness.options.shards = 2;
    harness_start(&harness);
    gate_close(&harness.load_gate);
    struct job *jobs = calloc(JOBS, sizeof *jobs);
    char(*keys)[8] = calloc(JOBS, sizeof *keys);
    for (int i = 0; i < JOBS; i++) {
        snprintf(keys[i], sizeof keys[i], "%d", i % 50);
        job_send(&jobs[i], &harness, keys[i], 1);
    }
    gate_await(&harness.load_gate, 1);
    for (int i = 0; i < JOBS; i += 3)
        batch_cancel(harness.processor, &jobs[i].op);
    for (int i = 0; i < JOBS; i += 3)
        assert_int_equal(job_wait(&jobs[i]), BATCH_CANCELED); /* nothing is loaded yet */
    gate_open(&harness.load_gate);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(job_wait(&jobs[i]), i % 3 == 0 ? BATCH_CANCELED : BATCH_OK);
    harness_end(&harness);
    free(keys);
    free(jobs);
}

/* ---- start_by_ns ----------------------------------------------------------------------------- */

TEST(operation_expires_while_it_waits)
{
    struct harness harness;
    harness_begin(&harness, HARNESS_FUNCTIONS);
    gate_close(&harness.save_gate);
    struct job saved, waiting[2];
    job_init(&saved, &harness, "k", 1);
    saved.op.start_by_ns = batch_now_ns() + LONG_NS;
    job_submit(&saved);
    gate_await(&harness.save_gate, 1);
    for (int i = 0; i < 2; i++) {
        job_init(&waiting[i], &harness, "k", 1);
        waiting[i].op.start_by_ns = batch_now_ns() + (i == 0 ? 5 * MS : LONG_NS);
        job_submit(&waiting[i]);
    }
    assert_int_equal(job_wait(&waiting[0]), BATCH_EXPIRED); /* with the save not over */
    assert_true(batch_now_ns() > waiting[0].op.start_by_ns);
    assert_string_equal(waiting[0].result.message, batch_status_text(BATCH_EXPIRED));
    gate_open(&harness.save_gate);
    assert_int_equal(job_wait(&saved), BATCH_OK);
    assert_int_equal(job_wait(&waiting[1]), BATCH_OK);
    harness_end(&harness);
    assert_int_equal(waiting[0].runs, 0);
}

TEST(operation_that_began_in_time_is_not_expired_by_a_long_save)
{
    struct harness harness;
    harness_begin(&harness, HARNESS_FUNCTIONS);
    gate_close(&harness.save_gate);
    struct job job;
    job_init(&job, &harness, "k", 1);
    do {
        job_init(&job, &harness, "k", 1);
        job.op.start_by_ns = batch_now_ns() + 20 * MS;
        job_submit(&job);
        while (!job_is_complete(&job) && batch_now_ns() <= job.op.start_by_ns)
            continue;
        batch_cancel(harness.processor, &job.op); /* has it begun? then it is at the gate */
        harness_settle(&harness);
    } while (job_is_complete(&job)); /* a slow machine: again */
    gate_await(&harness.save_gate, 1);
    gate_open(&harness.save_gate);
    assert_int_equal(job_wait(&job), BATCH_OK);
    harness_end(&harness);
}

TEST(blocking_run_expires)
{
    struct harness harness;
    harness_begin(&harness, HARNESS_FUNCTIONS);
    gate_close(&harness.load_gate);
    struct job job;
    job_init(&job, &harness, "k", 1);
    job.op.start_by_ns = batch_now_ns() + 5 * MS;
    assert_int_equal(job_run(&job), BATCH_EXPIRED);
    gate_open(&harness.load_gate);
    harness_end(&harness);
    assert_int_equal(job.runs, 0);
}
