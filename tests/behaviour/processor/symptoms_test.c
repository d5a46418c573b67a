/* symptoms_test.c: what other batchers get wrong, each named for the symptom it must not have here:
 * lost and late completions, overtaking, hangs and crashes around stop. */
#include "harness.h"

/* ---- Results and stop ------------------------------------------------------------------------ */

static void *stop_for_ever(void *arg)
{
    struct harness *harness = arg;
    MUST(batch_processor_stop(harness->processor, BATCH_FOREVER) == 0);
    return NULL;
}

/* Until a stop has begun, seen from outside. */
static void await_stopping(struct harness *harness)
{
    for (;;) {
        struct job job;
        job_init(&job, harness, "", 0);
        job.op.start_by_ns = 1;
        if (batch_submit(harness->processor, &job.op) == BATCH_STOPPED)
            return;
        if (job_wait(&job) == BATCH_STOPPED)
            return;
    }
}

HARNESS_TEST(operation_waiting_while_its_key_saves_completes_before_stop_returns, HARNESS_FUNCTIONS)
{
    gate_close(&harness->save_gate);
    struct job first, waiting[3];
    job_send(&first, harness, "k", 1);
    gate_await(&harness->save_gate, 1);
    jobs_send(waiting, 3, harness, "k", 1);
    pthread_t stopper = thread_start(stop_for_ever, harness);
    await_stopping(harness);
    assert_false(job_is_complete(&first));
    gate_open(&harness->save_gate);
    thread_join(stopper);
    harness_stop(harness); /* from here on the harness aborts on any callback */
    assert_int_equal(first.result.status, BATCH_OK);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(waiting[i].completions, 1);
        assert_int_equal(waiting[i].result.status, BATCH_OK);
    }
    assert_int_equal(harness_stored(harness, "k"), 4);
}

HARNESS_TEST_WITH(open_window_is_ended_by_stop, HARNESS_FUNCTIONS, .window_ns = LONG_NS)
{
    batch_subscription *subscription = harness_subscribe(harness);
    struct job job;
    job_send(&job, harness, "k", 1);
    harness_stop(harness);
    assert_int_equal(job.result.status, BATCH_OK);
    assert_int_equal(harness_stored(harness, "k"), 1);
    batch_metric metric;
    assert_int_equal(batch_metrics_next(subscription, 0, &metric), BATCH_OK);
    assert_int_equal(metric.close_reason, BATCH_CLOSED_BY_STOP);
    batch_metrics_unsubscribe(subscription);
}

enum { RUNNERS = 6 };

struct racer {
    struct harness *harness;
    pthread_t thread;
    uint64_t ok;
};

static void *run_until_stopped(void *arg)
{
    struct racer *racer = arg;
    for (;;) {
        struct job job;
        job_init(&job, racer->harness, "k", 1);
        int status = job_run(&job);
        if (status == BATCH_STOPPED) {
            MUST(job.runs == 0);
            return NULL;
        }
        MUST(status == BATCH_OK);
        MUST(job.runs == 1);
        racer->ok++;
    }
}

TEST(run_racing_stop_is_done_or_refused)
{
    for (int round = 0; round < 30; round++) {
        struct harness harness;
        harness_begin_with(&harness, HARNESS_FUNCTIONS, .sessions = (uint32_t)round % 2);
        struct racer racers[RUNNERS];
        for (int i = 0; i < RUNNERS; i++) {
            racers[i] = (struct racer){.harness = &harness};
            racers[i].thread = thread_start(run_until_stopped, &racers[i]);
        }
        harness_add(&harness, "k", 1);
        assert_int_equal(batch_processor_stop(harness.processor, BATCH_FOREVER), 0);
        uint64_t ok = 1;
        for (int i = 0; i < RUNNERS; i++) {
            thread_join(racers[i].thread);
            ok += racers[i].ok;
        }
        assert_int_equal(harness_stored(&harness, "k"), (int64_t)ok); /* none lost, none twice */
        assert_int_equal(harness_stats(&harness).operations_completed[0], ok);
        harness_end(&harness);
    }
}

HARNESS_TEST(run_after_stop_is_refused, HARNESS_FUNCTIONS)
{
    harness_stop(harness);
    struct job job;
    assert_int_equal(job_call(&job, harness, "k", 1), BATCH_STOPPED);
    assert_int_equal(job.result.status, BATCH_STOPPED);
    assert_string_equal(job.result.message, batch_status_text(BATCH_STOPPED));
    assert_int_equal(batch_submit(harness->processor, &job.op), BATCH_STOPPED);
    batch_op *ops[] = {&job.op};
    assert_int_equal(batch_submit_many(harness->processor, ops, 1), BATCH_STOPPED);
    assert_int_equal(batch_cancel(harness->processor, &job.op), BATCH_OK);
    assert_int_equal(job.runs + job.completions, 0);
}

HARNESS_TEST(second_stop_returns_the_same, HARNESS_FUNCTIONS)
{
    harness_add(harness, "k", 1);
    assert_int_equal(batch_processor_stop(harness->processor, BATCH_FOREVER), 0);
    assert_int_equal(batch_processor_stop(harness->processor, BATCH_FOREVER), 0);
    assert_int_equal(batch_processor_stop(harness->processor, 0), 0);
}

HARNESS_TEST(stops_from_many_threads_all_wait_for_the_end, HARNESS_FUNCTIONS)
{
    gate_close(&harness->save_gate);
    struct job job;
    job_send(&job, harness, "k", 1);
    gate_await(&harness->save_gate, 1);
    pthread_t stoppers[RUNNERS];
    for (int i = 0; i < RUNNERS; i++)
        stoppers[i] = thread_start(stop_for_ever, harness);
    await_stopping(harness);
    gate_open(&harness->save_gate);
    for (int i = 0; i < RUNNERS; i++)
        thread_join(stoppers[i]);
    assert_int_equal(job.result.status, BATCH_OK);
    harness_end(harness);
}

/* ---- Deadlocks ------------------------------------------------------------------------------- */

struct inside {
    int run_same, run_other, submit_same, submit_other;
    int64_t stop;
    int free;
    batch_op ops[4];
};

static batch_verdict do_nothing(void *resource, void *arg)
{
    (void)resource;
    (void)arg;
    return BATCH_UNCHANGED;
}

static void ignore(batch_op *op, const batch_result *result)
{
    (void)op;
    MUST(result->status == BATCH_OK);
}

static void call_from_inside(struct job *job)
{
    struct inside *inside = job->arg;
    for (int i = 0; i < 4; i++) {
        inside->ops[i] = (batch_op)BATCH_OP_INIT;
        inside->ops[i].key = i % 2 == 0 ? job->op.key : "another";
        inside->ops[i].key_size = i % 2 == 0 ? job->op.key_size : 7;
        inside->ops[i].run = do_nothing;
        inside->ops[i].done = ignore;
    }
    batch_processor *processor = job->harness->processor;
    inside->run_same = batch_run(processor, &inside->ops[0], NULL);
    inside->run_other = batch_run(processor, &inside->ops[1], NULL);
    inside->submit_same = batch_submit(processor, &inside->ops[2]);
    inside->submit_other = batch_submit(processor, &inside->ops[3]);
    inside->stop = batch_processor_stop(processor, BATCH_FOREVER);
    inside->free = batch_processor_free(processor);
}

static void call_from_done(struct job *job, const batch_result *result)
{
    (void)result;
    call_from_inside(job);
}

static void check_inside(const struct inside *inside)
{
    assert_int_equal(inside->run_same, BATCH_DEADLOCK);
    assert_int_equal(inside->run_other, BATCH_DEADLOCK);
    assert_int_equal(inside->submit_same, BATCH_OK);
    assert_int_equal(inside->submit_other, BATCH_OK);
    assert_int_equal(inside->stop, BATCH_DEADLOCK);
    assert_int_equal(inside->free, BATCH_DEADLOCK);
}

TEST(run_inside_an_operation_is_a_deadlock_and_submit_is_allowed)
{
    for (uint32_t sessions = 0; sessions < 2; sessions++) {
        struct harness harness;
        harness_begin_with(&harness, HARNESS_FUNCTIONS, .sessions = sessions, .shards = 2);
        struct inside in_run, in_done;
        struct job job;
        job_init(&job, &harness, "k", 1);
        job.on_run = call_from_inside;
        job.arg = &in_run;
        job_submit(&job);
        assert_int_equal(job_wait(&job), BATCH_OK);
        check_inside(&in_run);
        job_init(&job, &harness, "k", 1);
        job.on_done = call_from_done;
        job.arg = &in_done;
        job_submit(&job);
        assert_int_equal(job_wait(&job), BATCH_OK);
        check_inside(&in_done);
        harness_end(&harness);
    }
}

/* On a thread of one processor: calls of another. It must not wait for it, but may end it. */
static void stop_another(struct job *job)
{
    batch_processor *another = job->arg;
    batch_op op = BATCH_OP_INIT;
    op.run = do_nothing;
    MUST(batch_run(another, &op, NULL) == BATCH_DEADLOCK);
    MUST(batch_processor_stop(another, BATCH_FOREVER) == BATCH_DEADLOCK);
    while (batch_processor_stop(another, 0) != 0)
        continue;
    MUST(batch_run(another, &op, NULL) == BATCH_STOPPED);
    MUST(batch_processor_free(another) == BATCH_OK);
}

/* On the thread of a session, or with none on the worker: calls of its own processor. */
static int load_from_inside(batch_call *call, void *resource, void *arg)
{
    struct harness *harness = arg;
    (void)call;
    *(int64_t *)resource = 0;
    batch_op op = BATCH_OP_INIT;
    op.run = do_nothing;
    MUST(batch_run(harness->processor, &op, NULL) == BATCH_DEADLOCK);
    MUST(batch_processor_stop(harness->processor, 0) == BATCH_DEADLOCK);
    MUST(batch_processor_free(harness->processor) == BATCH_DEADLOCK);
    return BATCH_OK;
}

TEST(a_thread_must_not_wait_for_its_own_processor_nor_for_another)
{
    for (uint32_t sessions = 0; sessions < 3; sessions++) {
        struct harness harness, another;
        harness_begin(&another, HARNESS_BARE);
        harness_begin_with(&harness, HARNESS_FUNCTIONS, .sessions = sessions,
                           .load = load_from_inside);
        struct job job;
        job_init(&job, &harness, "k", 1);
        job.on_run = stop_another;
        job.arg = another.processor;
        job_submit(&job);
        assert_int_equal(job_wait(&job), BATCH_OK);
        harness_destroy(&another);
        harness_end(&harness);
    }
}

/* ---- Loads ----------------------------------------------------------------------------------- */

enum { MANY = 200 };

static void submit_behind_a_load(struct harness *harness, struct job *jobs, size_t count)
{
    gate_close(&harness->load_gate);
    jobs_send(jobs, count, harness, "k", 1);
    gate_await(&harness->load_gate, 1);
    harness_settle(harness);
}

HARNESS_TEST_WITH(operations_waiting_for_a_long_load_all_join_its_batch, HARNESS_FUNCTIONS,
                  .window_ns = 1 * MS, .deadline_ns = LONG_NS)
{
    struct job jobs[MANY];
    submit_behind_a_load(harness, jobs, MANY);
    harness_spin(5 *
                 harness->options.window_ns); /* the window has passed long before the load ends */
    gate_open(&harness->load_gate);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
        assert_int_equal(jobs[i].result.batch_operations, MANY);
    }
    assert_int_equal(harness_loads(harness), 1);
    assert_int_equal(harness_saves(harness), 1);
    harness_end(harness);
}

HARNESS_TEST(failed_load_fails_everyone_who_waits_for_it, HARNESS_FUNCTIONS)
{
    harness_fault(harness, BATCH_LOAD_FAILED, BATCH_OK, 7, "no route");
    struct job jobs[MANY];
    submit_behind_a_load(harness, jobs, MANY);
    gate_open(&harness->load_gate);
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(job_wait(&jobs[i]), BATCH_LOAD_FAILED);
        assert_int_equal(jobs[i].runs, 0);
        assert_int_equal(jobs[i].result.store_code, 7);
        assert_int_equal(jobs[i].result.batch_operations, 0);
        assert_false(jobs[i].result.changed);
    }
    assert_int_equal(harness_loads(harness), 1);
    harness_fault(harness, BATCH_OK, BATCH_OK, 0, NULL);
    harness_add(harness, "k", 1); /* a new batch, loaded again */
    assert_int_equal(harness_loads(harness), 2);
    assert_int_equal(harness_stored(harness, "k"), 1);
    harness_end(harness);
}

/* ---- Canceled and expired -------------------------------------------------------------------- */

HARNESS_TEST(operation_canceled_before_its_turn_opens_no_batch, HARNESS_FUNCTIONS)
{
    gate_close(&harness->run_gate);
    struct job blocker, canceled;
    job_init(&blocker, harness, "a", 1);
    blocker.gate = &harness->run_gate;
    job_submit(&blocker);
    gate_await(&harness->run_gate, 1); /* the worker stands there */
    job_send(&canceled, harness, "b", 1);
    assert_int_equal(batch_cancel(harness->processor, &canceled.op), BATCH_OK);
    gate_open(&harness->run_gate);
    assert_int_equal(job_wait(&canceled), BATCH_CANCELED);
    harness_stop(harness);
    assert_int_equal(blocker.result.status, BATCH_OK);
    assert_int_equal(canceled.runs, 0);
    assert_int_equal(harness_loads(harness), 1);
    assert_int_equal(harness_stats(harness).batches, 1);
    harness_end(harness);
}

HARNESS_TEST(operation_that_comes_too_late_opens_no_batch, HARNESS_FUNCTIONS)
{
    struct job job;
    job_init(&job, harness, "k", 1);
    job.op.start_by_ns = batch_now_ns() - 1;
    job_submit(&job);
    assert_int_equal(job_wait(&job), BATCH_EXPIRED);
    assert_int_equal(job.runs, 0);
    assert_int_equal(harness_loads(harness), 0);
    assert_int_equal(harness_stats(harness).batches, 0);
    harness_end(harness);
}

HARNESS_TEST_WITH(canceled_operation_does_not_shorten_the_next_ones_window, HARNESS_FUNCTIONS,
                  .window_ns = 30 * MS)
{
    batch_subscription *subscription = harness_subscribe(harness);
    gate_close(&harness->load_gate);
    struct job canceled, next;
    job_send(&canceled, harness, "k", 1);
    gate_await(&harness->load_gate, 1);
    batch_cancel(harness->processor, &canceled.op);
    assert_int_equal(job_wait(&canceled), BATCH_CANCELED);
    uint64_t before_ns = batch_now_ns();
    job_send(&next, harness, "k", 1);
    gate_open(&harness->load_gate);
    assert_int_equal(job_wait(&next), BATCH_OK);
    batch_metric metric;
    assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &metric), BATCH_OK);
    assert_true(metric.start_ns >= before_ns);
    assert_int_equal(metric.close_reason, BATCH_CLOSED_BY_WINDOW);
    assert_true(metric.total_ns >= harness->options.window_ns);
    batch_metrics_unsubscribe(subscription);
    harness_end(harness);
}

HARNESS_TEST(batch_that_all_have_left_runs_saves_and_reports_nothing, HARNESS_FUNCTIONS)
{
    struct job jobs[3];
    submit_behind_a_load(harness, jobs, 3);
    for (int i = 0; i < 3; i++)
        batch_cancel(harness->processor, &jobs[i].op);
    for (int i = 0; i < 3; i++)
        assert_int_equal(job_wait(&jobs[i]), BATCH_CANCELED); /* before the load has ended */
    gate_open(&harness->load_gate);
    harness_stop(harness);
    assert_int_equal(harness->releases, 1);
    assert_int_equal(harness->saves, 0);
    assert_int_equal(harness_stats(harness).batches, 0);
}

/* ---- Order ----------------------------------------------------------------------------------- */

HARNESS_TEST_WITH(waiting_operations_do_not_overtake_each_other, HARNESS_FUNCTIONS, .ops_max = 3)
{
    enum { JOBS = 20 };
    struct job jobs[JOBS];
    gate_close(&harness->save_gate);
    for (int i = 0; i < JOBS; i++) {
        job_send(&jobs[i], harness, "k", 1);
        if (i == 0)
            gate_await(&harness->save_gate, 1);
    }
    gate_open(&harness->save_gate);
    jobs_wait(jobs, JOBS);
    for (int i = 1; i < JOBS; i++) {
        assert_true(jobs[i].ran_as > jobs[i - 1].ran_as);
        assert_true(jobs[i].completed_as > jobs[i - 1].completed_as);
        assert_int_equal(jobs[i].seen, i + 1);
    }
    harness_end(harness);
}
