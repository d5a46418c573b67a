/* submit_test.c: submit_many, operations that are not valid or in use, and limits. */
#include "harness.h"

/* ---- submit_many ----------------------------------------------------------------------------- */

HARNESS_TEST_WITH(all_of_many_are_run_in_order_over_several_shards, HARNESS_FUNCTIONS, .shards = 3)
{
    enum { JOBS = 500, KEYS = 7 };
    struct job *jobs = calloc(JOBS, sizeof *jobs);
    batch_op *ops[JOBS];
    for (int i = 0; i < JOBS; i++) {
        job_init_number(&jobs[i], harness, i % KEYS, 1);
        ops[i] = &jobs[i].op;
    }
    assert_int_equal(batch_submit_many(harness->processor, ops, JOBS), BATCH_OK);
    memset(ops, 0xff, sizeof ops); /* the array may be reused */
    for (int i = 0; i < JOBS; i++) {
        assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
        assert_int_equal(jobs[i].seen, i / KEYS + 1);
    }
    harness_end(harness);
    free(jobs);
}

/* Nothing of a refused group is in use afterwards: it can be submitted whole. */
static void expect_none_taken(struct harness *harness, struct job *jobs, batch_op **ops,
                              size_t count)
{
    harness_add(harness, "other", 1);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(jobs[i].runs + jobs[i].completions, 0);
        ops[i] = &jobs[i].op;
    }
    assert_int_equal(batch_submit_many(harness->processor, ops, count), BATCH_OK);
    jobs_wait(jobs, count);
}

enum { GROUP = 9 };

static void make_group(struct harness *harness, struct job *jobs, batch_op **ops)
{
    for (int i = 0; i < GROUP; i++) {
        job_init_number(&jobs[i], harness, i, 1);
        ops[i] = &jobs[i].op;
    }
}

HARNESS_TEST_WITH(one_invalid_operation_refuses_all_of_many, HARNESS_FUNCTIONS, .shards = 3)
{
    struct job jobs[GROUP];
    batch_op *ops[GROUP];
    make_group(harness, jobs, ops);
    for (int bad = 0; bad < GROUP; bad += 4) {
        ops[bad] = NULL;
        assert_int_equal(batch_submit_many(harness->processor, ops, GROUP), BATCH_INVALID);
        ops[bad] = &jobs[bad].op;
        batch_op whole = jobs[bad].op;
        jobs[bad].op.run = NULL;
        assert_int_equal(batch_submit_many(harness->processor, ops, GROUP), BATCH_INVALID);
        jobs[bad].op = whole;
        jobs[bad].op.done = NULL;
        assert_int_equal(batch_submit_many(harness->processor, ops, GROUP), BATCH_INVALID);
        jobs[bad].op = whole;
        jobs[bad].op.key_size = BATCH_KEY_SIZE_MAX + 1;
        assert_int_equal(batch_submit_many(harness->processor, ops, GROUP), BATCH_INVALID);
        jobs[bad].op = whole;
    }
    expect_none_taken(harness, jobs, ops, GROUP);
    harness_end(harness);
}

HARNESS_TEST_WITH(operation_given_twice_refuses_all_of_many, HARNESS_FUNCTIONS, .shards = 3)
{
    struct job jobs[GROUP];
    batch_op *ops[GROUP];
    make_group(harness, jobs, ops);
    ops[GROUP - 1] = &jobs[2].op;
    assert_int_equal(batch_submit_many(harness->processor, ops, GROUP), BATCH_INVALID);
    ops[GROUP - 1] = &jobs[GROUP - 1].op;
    ops[1] = &jobs[0].op;
    assert_int_equal(batch_submit_many(harness->processor, ops, GROUP), BATCH_INVALID);
    expect_none_taken(harness, jobs, ops, GROUP);
    harness_end(harness);
}

HARNESS_TEST_WITH(operation_in_use_refuses_all_of_many_and_still_completes, HARNESS_FUNCTIONS,
                  .shards = 3)
{
    struct job jobs[GROUP];
    batch_op *ops[GROUP];
    make_group(harness, jobs, ops);
    gate_close(&harness->load_gate);
    job_submit(&jobs[4]);
    assert_int_equal(batch_submit_many(harness->processor, ops, GROUP), BATCH_INVALID);
    gate_open(&harness->load_gate);
    assert_int_equal(job_wait(&jobs[4]), BATCH_OK);
    job_init_number(&jobs[4], harness, 4, 1);
    expect_none_taken(harness, jobs, ops, GROUP);
    harness_end(harness);
}

/* ---- Operations that are refused ------------------------------------------------------------- */

HARNESS_TEST(operation_that_is_not_valid_is_refused, HARNESS_FUNCTIONS)
{
    struct job job;
    job_init(&job, harness, "k", 1);
    batch_op whole = job.op;
    job.op.run = NULL;
    assert_int_equal(job_run(&job), BATCH_INVALID);
    assert_string_equal(job.result.message, "op->run is NULL");
    assert_int_equal(batch_submit(harness->processor, &job.op), BATCH_INVALID);
    job.op = whole;
    job.op.done = NULL;
    assert_int_equal(batch_submit(harness->processor, &job.op), BATCH_INVALID);
    assert_int_equal(job_run(&job), BATCH_OK); /* done is for submit */
    job.op = whole;
    job.op.key = NULL;
    assert_int_equal(job_run(&job), BATCH_INVALID);
    assert_string_equal(job.result.message, "op->key is NULL, but op->key_size is not 0");
    job.op.key = "k";
    job.op.key_size = BATCH_KEY_SIZE_MAX + 1;
    assert_int_equal(job_run(&job), BATCH_INVALID);
    assert_string_equal(job.result.message, "op->key_size exceeds 65,536");
    assert_int_equal(batch_run(harness->processor, NULL, &job.result), BATCH_INVALID);
    assert_string_equal(job.result.message, "op is NULL");
    assert_int_equal(batch_run(NULL, &job.op, &job.result), BATCH_INVALID);
    assert_string_equal(job.result.message, "processor is NULL");
    harness_end(harness);
}

HARNESS_TEST(operation_in_use_is_refused_and_still_completes_once, HARNESS_FUNCTIONS)
{
    gate_close(&harness->load_gate);
    struct job job;
    job_send(&job, harness, "k", 1);
    gate_await(&harness->load_gate, 1);
    assert_int_equal(batch_submit(harness->processor, &job.op), BATCH_INVALID);
    batch_result result;
    assert_int_equal(batch_run(harness->processor, &job.op, NULL), BATCH_INVALID);
    assert_int_equal(batch_run(harness->processor, &job.op, &result), BATCH_INVALID);
    assert_non_null(strstr(result.message, "op is in use"));
    gate_open(&harness->load_gate);
    assert_int_equal(job_wait(&job), BATCH_OK);
    harness_stop(harness);
    assert_int_equal(job.completions, 1);
    assert_int_equal(harness_stored(harness, "k"), 1);
}

static void submit_once_more(struct job *job, const batch_result *result)
{
    MUST(result->status == BATCH_OK);
    if (++*(int *)job->arg < 100)
        MUST(batch_submit(job->harness->processor, &job->op) == BATCH_OK);
}

HARNESS_TEST(operation_may_be_submitted_again_from_its_own_done, HARNESS_FUNCTIONS)
{
    struct job job;
    int times = 0;
    job_init(&job, harness, "k", 1);
    job.on_done = submit_once_more;
    job.arg = &times;
    job_submit(&job);
    harness_await_completed(harness, 100);
    assert_int_equal(harness_stored(harness, "k"), 100);
    harness_end(harness);
}

struct freed {
    batch_op op; /* first */
    struct gate *freed;
};

static batch_verdict say_unchanged(void *resource, void *arg)
{
    (void)resource;
    (void)arg;
    return BATCH_UNCHANGED;
}

static void free_itself(batch_op *op, const batch_result *result)
{
    struct gate *gate = ((struct freed *)(void *)op)->freed;
    MUST(result->status == BATCH_OK);
    free(op);
    gate_pass(gate);
}

HARNESS_TEST(operation_may_be_freed_in_its_own_done, HARNESS_FUNCTIONS)
{
    struct gate gate;
    gate_init(&gate);
    gate_close(&harness->load_gate);
    for (int i = 0; i < 50; i++) {
        struct freed *freed = calloc(1, sizeof *freed);
        freed->freed = &gate;
        freed->op.key = "k";
        freed->op.key_size = 1;
        freed->op.run = say_unchanged;
        freed->op.done = free_itself;
        assert_int_equal(batch_submit(harness->processor, &freed->op), BATCH_OK);
    }
    gate_open(&harness->load_gate);
    harness_end(harness);
    assert_int_equal(gate.arrived, 50);
    gate_destroy(&gate);
}

/* ---- Limits ---------------------------------------------------------------------------------- */

HARNESS_TEST_WITH(full_processor_refuses_as_busy_and_later_at_once, HARNESS_FUNCTIONS,
                  .ops_waiting_max = 3)
{
    gate_close(&harness->run_gate);
    struct job first, within[2], over[2];
    job_init(&first, harness, "k", 1);
    first.gate = &harness->run_gate;
    job_submit(&first);
    gate_await(&harness->run_gate, 1); /* the worker stands there: it cannot refuse yet */
    jobs_send(within, 2, harness, "l", 1);
    jobs_send(over, 2, harness, "m", 1);
    gate_close(&harness->save_gate);
    gate_open(&harness->run_gate);
    for (int i = 0; i < 2; i++)
        assert_int_equal(job_wait(&over[i]), BATCH_BUSY); /* the one way: to `done` */
    int status;
    do {
        job_init(&over[0], harness, "m", 1);
        status = batch_submit(harness->processor, &over[0].op);
        if (status == BATCH_OK)
            assert_int_equal(job_wait(&over[0]), BATCH_BUSY);
    } while (status == BATCH_OK);
    assert_int_equal(status, BATCH_BUSY); /* the other way: from submit */
    assert_int_equal(job_run(&over[0]), BATCH_BUSY);
    batch_op *ops[] = {&over[0].op, &over[1].op};
    assert_int_equal(batch_submit_many(harness->processor, ops, 2), BATCH_BUSY);
    gate_open(&harness->save_gate);
    assert_int_equal(job_wait(&first), BATCH_OK);
    jobs_wait(within, 2);
    job_init(&over[0], harness, "m", 1); /* there is room again */
    assert_int_equal(job_run(&over[0]), BATCH_OK);
    assert_int_equal(harness_stored(harness, "m"), 1);
    harness_end(harness);
}

/* Not only some time after. */
static void submit_next(struct job *job, const batch_result *result)
{
    (void)result;
    MUST(batch_submit(job->harness->processor, job->arg) == BATCH_OK);
}

/* One whose load is held, and which submits the next one when it completes. */
static void hold_first(struct harness *harness, struct job *first, struct job *next)
{
    job_init(first, harness, "k", 1);
    job_init(next, harness, "k", 1);
    first->on_done = submit_next;
    first->arg = &next->op;
    gate_close(&harness->load_gate);
    job_submit(first);
    gate_await(&harness->load_gate, 1);
}

HARNESS_TEST_WITH(there_is_room_as_soon_as_an_operation_is_complete, HARNESS_FUNCTIONS,
                  .ops_waiting_max = 1)
{
    enum { JOBS = 20 };
    struct job jobs[JOBS];
    for (int i = 0; i < JOBS; i++) {
        job_init(&jobs[i], harness, "k", 1);
        jobs[i].arg = i + 1 < JOBS ? &jobs[i + 1].op : NULL;
        jobs[i].on_done = i + 1 < JOBS ? submit_next : NULL;
    }
    job_submit(&jobs[0]);
    jobs_wait(jobs, JOBS);
    for (int i = 0; i < JOBS; i++)
        assert_int_equal(job_run(&jobs[JOBS - 1]), BATCH_OK);
    struct job first, next; /* one that leaves before it begins leaves room too */
    hold_first(harness, &first, &next);
    batch_cancel(harness->processor, &first.op);
    assert_int_equal(job_wait(&first), BATCH_CANCELED);
    gate_open(&harness->load_gate);
    assert_int_equal(job_wait(&next), BATCH_OK);
    harness_end(harness);
}

HARNESS_TEST_WITH(there_is_room_on_a_key_as_soon_as_an_operation_is_complete, HARNESS_FUNCTIONS,
                  .key_ops_waiting_max = 1)
{
    for (int is_canceled = 0; is_canceled < 2; is_canceled++) {
        struct job first, refused, next;
        hold_first(harness, &first, &next);
        job_send(&refused, harness, "k", 1);
        assert_int_equal(job_wait(&refused), BATCH_BUSY);
        if (is_canceled) {
            batch_cancel(harness->processor, &first.op);
            assert_int_equal(job_wait(&first), BATCH_CANCELED);
        }
        gate_open(&harness->load_gate);
        assert_int_equal(job_wait(&first), is_canceled ? BATCH_CANCELED : BATCH_OK);
        assert_int_equal(job_wait(&next), BATCH_OK);
    }
    harness_end(harness);
}

HARNESS_TEST_WITH(full_key_refuses_as_busy_and_leaves_other_keys_alone, HARNESS_FUNCTIONS,
                  .key_ops_waiting_max = 2, .sessions = 2)
{
    gate_close(&harness->load_gate);
    struct job jobs[4];
    for (int i = 0; i < 4; i++)
        job_init(&jobs[i], harness, "k", 1);
    jobs_submit_many(jobs, 4);
    assert_int_equal(job_wait(&jobs[2]), BATCH_BUSY); /* the worker refuses it */
    assert_int_equal(job_wait(&jobs[3]), BATCH_BUSY);
    assert_int_equal(jobs[3].runs, 0);
    assert_string_equal(jobs[3].result.message, batch_status_text(BATCH_BUSY));
    struct job other;
    job_send(&other, harness, "l", 1);
    struct runner runner;
    struct job blocked;
    job_init(&blocked, harness, "k", 1);
    runner_start(&runner, &blocked);
    assert_int_equal(runner_join(&runner), BATCH_BUSY); /* batch_run likewise … */
    assert_int_equal(batch_submit(harness->processor, &blocked.op), BATCH_BUSY); /* … at the door */
    gate_open(&harness->load_gate);
    assert_int_equal(job_wait(&jobs[0]), BATCH_OK);
    assert_int_equal(job_wait(&jobs[1]), BATCH_OK);
    assert_int_equal(job_wait(&other), BATCH_OK);
    job_init(&blocked, harness, "k", 1); /* there is room again */
    assert_int_equal(job_run(&blocked), BATCH_OK);
    assert_int_equal(harness_stored(harness, "k"), 3);
    harness_end(harness);
}

HARNESS_TEST_WITH(batch_that_has_ops_max_closes, HARNESS_FUNCTIONS, .window_ns = LONG_NS,
                  .ops_max = 10)
{
    enum { JOBS = 25 };
    batch_subscription *subscription = harness_subscribe(harness);
    struct job jobs[JOBS];
    jobs_send(jobs, JOBS, harness, "k", 1);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(job_wait(&jobs[i]), BATCH_OK); /* long before the window ends */
        assert_int_equal(jobs[i].result.batch_operations, 10);
    }
    harness_stop(harness);
    assert_int_equal(jobs[20].result.batch_operations, 5);
    batch_metric metric;
    int reasons[] = {BATCH_CLOSED_BY_SIZE, BATCH_CLOSED_BY_SIZE, BATCH_CLOSED_BY_STOP};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(batch_metrics_next(subscription, 0, &metric), BATCH_OK);
        assert_int_equal(metric.close_reason, reasons[i]);
    }
    assert_int_equal(harness_loads(harness), 3);
    batch_metrics_unsubscribe(subscription);
}
