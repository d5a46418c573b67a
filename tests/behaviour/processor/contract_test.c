/* contract_test.c: what the library promises in the ordinary course of things: resources, batches,
 * windows, subscriptions. */
#include "harness.h"

#include <signal.h>

/* ---- Resources ------------------------------------------------------------------------------- */

HARNESS_TEST(resource_is_zeroed_when_there_is_no_load, HARNESS_BARE)
{
    for (int i = 0; i < 3; i++) {
        struct job job;
        assert_int_equal(job_call(&job, harness, "k", 5), BATCH_OK);
        assert_non_null(job.resource);
        assert_int_equal(job.seen, 5); /* not what the batch before left there */
    }
}

static void check_null_resource(enum harness_kind kind)
{
    struct harness harness;
    harness_begin_with(&harness, kind, .resource_size = 0);
    struct job job;
    assert_int_equal(job_call(&job, &harness, "k", 1), BATCH_OK);
    assert_int_equal(job.runs, 1);
    assert_null(job.resource);
    harness_end(&harness);
}

TEST(resource_is_null_when_its_size_is_0)
{
    check_null_resource(HARNESS_BARE);
    check_null_resource(HARNESS_FUNCTIONS);
    check_null_resource(HARNESS_STORE);
}

HARNESS_TEST_WITH(save_is_optional, HARNESS_FUNCTIONS, .save = NULL)
{
    harness_store(harness, "k", 40);
    struct job job;
    assert_int_equal(job_call(&job, harness, "k", 2), BATCH_OK);
    assert_true(job.result.changed);
    assert_int_equal(job.seen, 42);
    assert_int_equal(harness_loads(harness), 1);
    assert_int_equal(harness_stored(harness, "k"), 40);
    assert_int_equal(harness->releases, 1);
}

HARNESS_TEST_WITH(load_is_optional, HARNESS_FUNCTIONS, .load = NULL)
{
    harness_add(harness, "k", 3);
    harness_add(harness, "k", 4);
    assert_int_equal(harness_stored(harness, "k"), 4);
    assert_int_equal(harness_saves(harness), 2);
}

HARNESS_TEST(what_load_sets_in_the_call_save_finds, HARNESS_FUNCTIONS)
{
    harness_store(harness, "k", 1);
    uint64_t version = 0;
    assert_true(batch_memory_read(harness->wrapper.inner, "k", 1, NULL, 0, NULL, &version));
    harness_add(harness, "k", 1);
    assert_int_equal(harness->save_version, version);
    harness_add(harness, "new", 1);
    assert_int_equal(harness->save_version, 0);
}

HARNESS_TEST(release_comes_once_for_each_loaded_resource, HARNESS_FUNCTIONS)
{
    harness_add(harness, "k", 1);
    harness_fault(harness, BATCH_OK, BATCH_SAVE_FAILED, 0, NULL);
    struct job job;
    assert_int_equal(job_call(&job, harness, "k", 1), BATCH_SAVE_FAILED);
    harness_fault(harness, BATCH_LOAD_FAILED, BATCH_OK, 0, NULL);
    assert_int_equal(job_call(&job, harness, "k", 1), BATCH_LOAD_FAILED); /* nothing was loaded */
    harness_stop(harness);
    assert_int_equal(harness->releases, 2);
}

/* ---- Operations of one key ------------------------------------------------------------------- */

enum { THREADS = 4, RUNS_EACH = 300 };

/* Not protected by anything: what it is protected by is tested. */
struct unprotected {
    int64_t count;
    int inside;
};

static batch_verdict count_unprotected(void *resource, void *arg)
{
    (void)resource;
    struct unprotected *unprotected = arg;
    MUST(unprotected->inside++ == 0);
    unprotected->count++;
    MUST(unprotected->inside-- == 1);
    return BATCH_UNCHANGED;
}

struct counting {
    struct harness *harness;
    struct unprotected *unprotected;
};

static void *run_many(void *arg)
{
    struct counting *counting = arg;
    for (int i = 0; i < RUNS_EACH; i++) {
        batch_op op = BATCH_OP_INIT;
        op.key = "k";
        op.key_size = 1;
        op.run = count_unprotected;
        op.arg = counting->unprotected;
        MUST(batch_run(counting->harness->processor, &op, NULL) == BATCH_OK);
    }
    return NULL;
}

HARNESS_TEST_WITH(operations_of_a_key_never_overlap, HARNESS_FUNCTIONS, .shards = 2, .sessions = 2)
{
    struct unprotected unprotected = {0, 0};
    struct counting counting = {harness, &unprotected};
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        threads[i] = thread_start(run_many, &counting);
    for (int i = 0; i < THREADS; i++)
        thread_join(threads[i]);
    assert_int_equal(unprotected.count, THREADS * RUNS_EACH);
}

HARNESS_TEST(each_operation_sees_the_one_before_it, HARNESS_FUNCTIONS)
{
    gate_close(&harness->load_gate);
    struct job jobs[10];
    jobs_send(jobs, 10, harness, "k", 1);
    gate_await(&harness->load_gate, 1);
    gate_open(&harness->load_gate);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
        assert_int_equal(jobs[i].seen, i + 1);
    }
    assert_int_equal(harness_stored(harness, "k"), 10);
    harness_end(harness);
}

HARNESS_TEST(keys_are_bytes_of_any_kind_and_length, HARNESS_STORE)
{
    char *longest = calloc(1, BATCH_KEY_SIZE_MAX + 1);
    struct {
        const void *key;
        size_t size;
    } keys[] = {{NULL, 0},
                {"\0", 1},
                {"\0\0", 2},
                {"a", 1},
                {"a\0", 2},
                {"\xff\xfe", 2},
                {longest, 24},
                {longest, 25},
                {longest, 64},
                {longest, 65},
                {longest, BATCH_KEY_SIZE_MAX}};
    enum { KEYS = sizeof keys / sizeof keys[0] };
    for (int round = 1; round <= 2; round++) {
        for (int i = 0; i < KEYS; i++) {
            struct job job;
            job_init_bytes(&job, harness, keys[i].key, keys[i].size, i + 1);
            assert_int_equal(job_run(&job), BATCH_OK);
            assert_int_equal(job.seen, round * (i + 1)); /* none is another's */
        }
    }
    struct job job;
    job_init_bytes(&job, harness, longest, BATCH_KEY_SIZE_MAX + 1, 1);
    assert_int_equal(job_run(&job), BATCH_INVALID);
    free(longest);
}

/* ---- Threads of the library ------------------------------------------------------------------ */

static const int asynchronous[] = {SIGINT, SIGTERM, SIGHUP, SIGUSR1, SIGALRM, SIGCHLD};

static bool are_blocked(bool expected)
{
    sigset_t set;
    MUST(pthread_sigmask(SIG_SETMASK, NULL, &set) == 0);
    for (size_t i = 0; i < sizeof asynchronous / sizeof asynchronous[0]; i++) {
        if (sigismember(&set, asynchronous[i]) != expected)
            return false;
    }
    return true;
}

static void must_be_blocked(struct job *job)
{
    (void)job;
    MUST(are_blocked(true));
}

static int load_blocked(batch_call *call, void *resource, void *arg)
{
    (void)call;
    (void)resource;
    (void)arg;
    MUST(are_blocked(true));
    return BATCH_OK;
}

HARNESS_TEST_WITH(signals_are_blocked_in_the_librarys_threads_and_no_others, HARNESS_FUNCTIONS,
                  .load = load_blocked)
{
    assert_true(are_blocked(false));
    struct job job;
    job_init(&job, harness, "k", 1);
    job.on_run = must_be_blocked;
    assert_int_equal(job_run(&job), BATCH_OK);
    harness_end(harness);
    assert_true(are_blocked(false));
}

/* ---- Windows --------------------------------------------------------------------------------- */

/* By default: a window of 100 ms, and for a load or save twice the window, at least a second. */
static void expect_deadline(uint64_t window_ns, uint64_t deadline_ns)
{
    struct harness harness;
    harness_begin_with(&harness, HARNESS_FUNCTIONS, .window_ns = window_ns, .deadline_ns = 0);
    uint64_t begun_ns = batch_now_ns();
    harness_add(&harness, "k", 1);
    uint64_t ended_ns = batch_now_ns();
    assert_in_range(harness.deadline_ns, begun_ns + deadline_ns, ended_ns + deadline_ns);
    harness_end(&harness);
}

TEST(deadline_is_a_second_by_default_or_twice_a_longer_window)
{
    expect_deadline(0, 1000 * MS);
    expect_deadline(1 * MS, 1000 * MS);
    expect_deadline(BATCH_WINDOW_NONE, 1000 * MS);
    expect_deadline(501 * MS, 1002 * MS);
}

HARNESS_TEST_WITH(window_is_100_ms_by_default, HARNESS_FUNCTIONS, .window_ns = 0)
{
    batch_subscription *subscription = harness_subscribe(harness);
    struct job job;
    job_send(&job, harness, "k", 1);
    batch_metric metric;
    assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &metric), BATCH_OK);
    assert_int_equal(metric.close_reason, BATCH_CLOSED_BY_WINDOW);
    assert_true(metric.total_ns >= 100 * MS);
    batch_metrics_unsubscribe(subscription);
    harness_end(harness);
}

/* Twice that window is more than there is. */
HARNESS_TEST_WITH(window_without_end_is_ended_by_stop, HARNESS_FUNCTIONS,
                  .window_ns = BATCH_WINDOW_NONE - 1, .deadline_ns = 0)
{
    struct job job;
    job_send(&job, harness, "k", 1);
    harness_stop(harness);
    assert_int_equal(job.result.status, BATCH_OK);
    assert_false(harness->was_canceled);
}

HARNESS_TEST_WITH(batch_takes_operations_for_at_least_the_window, HARNESS_FUNCTIONS,
                  .window_ns = 10 * MS)
{
    batch_subscription *subscription = harness_subscribe(harness);
    for (int i = 0; i < 5; i++) {
        harness_add(harness, "k", 1);
        batch_metric metric;
        assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &metric), BATCH_OK);
        assert_int_equal(metric.close_reason, BATCH_CLOSED_BY_WINDOW);
        assert_true(metric.total_ns >= 10 * MS);
    }
    batch_metrics_unsubscribe(subscription);
}

/* Keeps the worker until the clock has gone well past the window. */
static void run_past_the_window(struct job *job)
{
    const batch_options *options = job->arg;
    harness_spin(3 * options->window_ns);
}

HARNESS_TEST_WITH(operation_that_runs_past_the_window_ends_its_batch, HARNESS_FUNCTIONS,
                  .window_ns = 20 * MS)
{
    gate_close(&harness->run_gate);
    struct job slow, next;
    job_init(&slow, harness, "k", 1);
    slow.on_run = run_past_the_window;
    slow.arg = &harness->options;
    slow.gate = &harness->run_gate;
    job_init(&next, harness, "k", 1);
    job_submit(&slow);
    gate_await(&harness->run_gate,
               1); /* it runs, so `next` was not there when the batch was loaded */
    job_submit(&next);
    gate_open(&harness->run_gate);
    assert_int_equal(job_wait(&slow), BATCH_OK);
    assert_int_equal(job_wait(&next), BATCH_OK);
    assert_int_equal(slow.result.batch_operations, 1);
    assert_int_equal(next.result.batch_operations, 1);
    assert_int_equal(harness_loads(harness), 2);
    harness_end(harness);
}

enum { SHORT_OPS = 100 };

/* Keeps the worker for a millisecond: too short to be noticed alone. */
static void take_a_millisecond(struct job *job)
{
    (void)job;
    harness_spin(MS);
}

HARNESS_TEST_WITH(short_operations_that_together_run_past_the_window_end_their_batch,
                  HARNESS_FUNCTIONS, .window_ns = 20 * MS)
{
    gate_close(&harness->run_gate);
    struct job jobs[SHORT_OPS];
    for (size_t i = 0; i < SHORT_OPS; i++) {
        job_init(&jobs[i], harness, "k", 1);
        jobs[i].on_run = take_a_millisecond;
        jobs[i].gate = i == 0 ? &harness->run_gate : NULL;
        job_submit(&jobs[i]);
        if (i == 0)
            gate_await(&harness->run_gate,
                       1); /* it runs: the others were not there when it was loaded */
    }
    gate_open(&harness->run_gate);
    for (size_t i = 0; i < SHORT_OPS; i++) {
        assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
        assert_in_range(jobs[i].result.batch_operations, 1, SHORT_OPS - 1);
    }
    harness_end(harness);
}

HARNESS_TEST(operations_expire_behind_short_ones_that_together_take_long, HARNESS_FUNCTIONS)
{
    struct job jobs[SHORT_OPS];
    for (size_t i = 0; i < SHORT_OPS; i++) {
        job_init(&jobs[i], harness, "k", 1);
        jobs[i].on_run = take_a_millisecond;
        jobs[i].op.start_by_ns = batch_now_ns() + SHORT_OPS / 2 * MS;
    }
    for (size_t i = 0; i < SHORT_OPS; i++)
        job_submit(&jobs[i]);
    for (size_t i = 0; i < SHORT_OPS - 1; i++)
        job_wait(&jobs[i]);
    assert_int_equal(job_wait(&jobs[SHORT_OPS - 1]), BATCH_EXPIRED);
    harness_end(harness);
}

/* ---- Subscriptions --------------------------------------------------------------------------- */

HARNESS_TEST(every_subscriber_sees_every_batch, HARNESS_FUNCTIONS)
{
    enum { SUBSCRIBERS = 3, BATCHES = 20 };
    batch_subscription *subscriptions[SUBSCRIBERS];
    for (int i = 0; i < SUBSCRIBERS; i++)
        subscriptions[i] = harness_subscribe(harness);
    for (int i = 0; i < BATCHES; i++)
        harness_add(harness, "k", 1);
    harness_stop(harness);
    for (int i = 0; i < SUBSCRIBERS; i++) {
        batch_metric metric;
        for (int batch = 0; batch < BATCHES; batch++) {
            assert_int_equal(batch_metrics_next(subscriptions[i], 0, &metric), BATCH_OK);
            assert_int_equal(metric.key_size, 1);
            assert_memory_equal(metric.key, "k", 1);
            assert_int_equal(metric.operations, 1);
            assert_int_equal(metric.operations_ok, 1);
            assert_string_equal(metric.error, "");
        }
        assert_int_equal(batch_metrics_next(subscriptions[i], BATCH_FOREVER, &metric), BATCH_ENDED);
        batch_metrics_unsubscribe(subscriptions[i]);
    }
}

static void *read_until_the_end(void *arg)
{
    batch_metric metric;
    while (batch_metrics_next(arg, BATCH_FOREVER, &metric) == BATCH_OK)
        continue;
    return NULL;
}

HARNESS_TEST(stop_ends_subscriptions_whose_readers_wait, HARNESS_FUNCTIONS)
{
    batch_subscription *subscription = harness_subscribe(harness);
    pthread_t reader = thread_start(read_until_the_end, subscription);
    harness_add(harness, "k", 1);
    harness_stop(harness);
    thread_join(reader);
    batch_metrics_unsubscribe(subscription);
}

HARNESS_TEST(subscribing_after_stop_gives_an_ended_subscription, HARNESS_FUNCTIONS)
{
    harness_add(harness, "k", 1);
    harness_stop(harness);
    batch_subscription *subscription = harness_subscribe(harness);
    batch_metric metric;
    assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &metric), BATCH_ENDED);
    harness_free(harness);
    assert_int_equal(batch_metrics_next(subscription, 0, &metric), BATCH_ENDED);
    batch_metrics_unsubscribe(subscription); /* after its processor is freed */
}

HARNESS_TEST(stats_add_up, HARNESS_FUNCTIONS)
{
    harness_add(harness, "a", 1);
    harness_add(harness, "b", 1);
    struct job job;
    assert_int_equal(job_call(&job, harness, "a", 0), BATCH_OK);
    harness_fault(harness, BATCH_OK, BATCH_CONFLICT, 0, NULL);
    assert_int_equal(job_call(&job, harness, "a", 1), BATCH_CONFLICT);
    harness_stop(harness);
    batch_stats stats = harness_stats(harness);
    assert_int_equal(stats.operations_accepted, 4);
    assert_int_equal(stats.operations_waiting, 0);
    assert_int_equal(stats.operations_completed[0], 3);
    assert_int_equal(stats.operations_completed[-BATCH_CONFLICT], 1);
    assert_int_equal(stats.batches, 4);
    assert_int_equal(stats.batches_saved, 2);
    assert_int_equal(stats.batches_closed[BATCH_CLOSED_BY_STORE], 4);
    assert_int_equal(stats.batch_operations.sum, 4);
    assert_int_equal(stats.load_group.sum, 4);
    assert_int_equal(stats.save_group.sum, 3);
}
