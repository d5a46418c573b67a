/* no_memory_test.c: one allocation fails, the first, the second, and so on until none is left to
 * fail: from start to free, every status is a clean one, every operation completes once, nothing
 * leaks, and afterwards the processor works. */
#include "harness.h"

enum { JOBS = 40, TOO_MANY = 2000 };

struct scenario {
    struct harness harness;
    struct job jobs[JOBS];
    char keys[JOBS][64];
    batch_op *ops[JOBS];
    bool is_accepted[JOBS];
};

static void name_keys(struct scenario *scenario)
{
    for (int i = 0; i < JOBS; i++) /* every other one too long to be stored inline */
        snprintf(scenario->keys[i], sizeof scenario->keys[i], i % 2 == 0 ? "%d" : "%050d", i);
}

static bool is_clean(int status)
{
    return status == BATCH_OK || status == BATCH_NO_MEMORY;
}

/* Start, or see that it failed cleanly. */
static bool begin(struct scenario *scenario)
{
    batch_result error;
    memset(&error, 0, sizeof error);
    int status =
        batch_processor_start(&scenario->harness.processor, &scenario->harness.options, &error);
    assert_true(is_clean(status));
    if (status == BATCH_OK)
        return true;
    assert_int_equal(error.status, status);
    assert_true(error.message[0] != '\0');
    assert_null(scenario->harness.processor);
    return false;
}

static void submit_all(struct scenario *scenario)
{
    struct harness *harness = &scenario->harness;
    for (int i = 0; i < JOBS; i++) {
        job_init(&scenario->jobs[i], harness, scenario->keys[i], 1);
        scenario->ops[i] = &scenario->jobs[i].op;
        scenario->is_accepted[i] = true;
    }
    for (int i = 0; i < JOBS / 2; i++) {
        int status = batch_submit(harness->processor, scenario->ops[i]);
        assert_int_equal(status, BATCH_OK); /* submit itself allocates nothing */
    }
    assert_int_equal(batch_submit_many(harness->processor, scenario->ops + JOBS / 2, JOBS / 2),
                     BATCH_OK);
    batch_cancel(harness->processor, scenario->ops[JOBS - 1]);
}

static void watch(struct scenario *scenario, batch_subscription **ret_subscription)
{
    *ret_subscription = NULL;
    int status = batch_metrics_subscribe(scenario->harness.processor, NULL, ret_subscription);
    assert_true(is_clean(status));
    assert_int_equal(status == BATCH_OK, *ret_subscription != NULL);
}

static void check_results(struct scenario *scenario)
{
    int64_t stored = 0;
    uint32_t ok = 0;
    for (int i = 0; i < JOBS; i++) {
        struct job *job = &scenario->jobs[i];
        assert_int_equal(job->completions, 1);
        int status = job->result.status;
        assert_true(is_clean(status) || status == BATCH_CANCELED || status == BATCH_LOAD_FAILED ||
                    status == BATCH_SAVE_FAILED);
        ok += status == BATCH_OK;
        stored += harness_stored(&scenario->harness, scenario->keys[i]);
        if (status == BATCH_NO_MEMORY)
            assert_int_equal(job->runs, 0);
    }
    if (scenario->harness.options.resource_size > 0)
        assert_int_equal(stored, ok);
}

/* True if it went to its end with no allocation left to fail. */
static bool run_scenario(enum harness_kind kind, uint32_t sessions, uint64_t fail_at,
                         bool fails_from_there)
{
    struct scenario *scenario = calloc(1, sizeof *scenario);
    struct harness *harness = &scenario->harness;
    name_keys(scenario);
    harness_init(harness, kind);
    harness->options.sessions = sessions;
    harness->options.shards = 2;
    harness->fault_key = "4"; /* one fails, with a text to be stored */
    harness_fault(harness, BATCH_OK, BATCH_SAVE_FAILED, 9, "the disk is full");
    harness->memory.fail_at = fail_at;
    harness->memory.fails_from_there = fails_from_there;
    if (begin(scenario)) {
        batch_subscription *subscription;
        watch(scenario, &subscription);
        submit_all(scenario);
        for (int i = 0; i < JOBS; i++)
            job_wait(&scenario->jobs[i]);
        harness->memory.fails_from_there = false; /* memory comes back */
        harness_fault(harness, BATCH_OK, BATCH_OK, 0, NULL);
        check_results(scenario);
        struct job again;
        job_init(&again, harness, "again", 1);
        int status = job_run(&again);
        assert_true(is_clean(status));
        harness_stop(harness);
        batch_metrics_unsubscribe(subscription);
        harness_free(harness);
    }
    bool is_clean_pass = harness->memory.taken < fail_at;
    harness_destroy(harness); /* finds leaks */
    free(scenario);
    return is_clean_pass;
}

static void sweep(enum harness_kind kind, uint32_t sessions, bool fails_from_there)
{
    uint64_t fail_at = 1;
    while (!run_scenario(kind, sessions, fail_at, fails_from_there)) {
        fail_at++;
        assert_true(fail_at < TOO_MANY);
    }
    assert_true(fail_at > 10); /* it did fail many times */
}

TEST(any_one_allocation_may_fail)
{
    sweep(HARNESS_FUNCTIONS, 1, false);
    sweep(HARNESS_STORE, 2, false);
    sweep(HARNESS_STORE, 0, false);
}

TEST(all_allocations_from_any_one_on_may_fail)
{
    sweep(HARNESS_FUNCTIONS, 1, true);
    sweep(HARNESS_STORE, 2, true);
    sweep(HARNESS_STORE, 0, true);
}

HARNESS_TEST(operation_refused_for_memory_fails_and_the_next_may_succeed, HARNESS_FUNCTIONS)
{
    harness->memory.fail_at = harness->memory.taken + 1;
    struct job job;
    assert_int_equal(job_call(&job, harness, "k", 1), BATCH_NO_MEMORY);
    assert_string_equal(job.result.message, batch_status_text(BATCH_NO_MEMORY));
    assert_int_equal(harness_loads(harness), 0);
    assert_int_equal(job_run(&job), BATCH_OK);
}
