/* metrics_test.c: what an operator sees: refusals at the door, gauges, histograms, and the text. */
#include "harness.h"

static uint64_t refused(struct harness *harness, int status)
{
    return harness_stats(harness).operations_refused[-status];
}

static void nothing_done(batch_op *op, const batch_result *result)
{
    (void)op;
    (void)result;
}

static batch_verdict nothing_run(void *resource, void *arg)
{
    (void)resource;
    (void)arg;
    return BATCH_UNCHANGED;
}

HARNESS_TEST(what_is_not_valid_is_counted_as_refused, HARNESS_FUNCTIONS)
{
    batch_op op = BATCH_OP_INIT;
    assert_int_equal(batch_submit(harness->processor, &op), BATCH_INVALID); /* no done */
    op.done = nothing_done;
    assert_int_equal(batch_submit(harness->processor, &op), BATCH_INVALID); /* no run */
    assert_int_equal(batch_submit(harness->processor, NULL), BATCH_INVALID);
    assert_int_equal(batch_run(harness->processor, &op, NULL), BATCH_INVALID);
    assert_int_equal(batch_run(harness->processor, NULL, NULL), BATCH_INVALID);
    batch_op *ops[3] = {&op, &op, &op};
    assert_int_equal(batch_submit_many(harness->processor, ops, 3), BATCH_INVALID);
    assert_int_equal(batch_submit_many(harness->processor, NULL, 2), BATCH_INVALID);
    assert_int_equal(refused(harness, BATCH_INVALID), 10);
    assert_int_equal(harness_stats(harness).operations_accepted, 0);
}

HARNESS_TEST_WITH(what_finds_no_room_is_counted_as_refused, HARNESS_FUNCTIONS, .ops_waiting_max = 1)
{
    struct job first;
    gate_close(&harness->load_gate);
    job_send(&first, harness, "k", 1);
    gate_await(&harness->load_gate, 1);
    batch_op op = BATCH_OP_INIT;
    op.run = nothing_run;
    op.done = nothing_done;
    batch_op *ops[2] = {&op, &op};
    while (refused(harness, BATCH_BUSY) == 0) /* at first by the worker, then at the door */
        assert_int_equal(batch_run(harness->processor, &op, NULL), BATCH_BUSY);
    assert_int_equal(batch_submit(harness->processor, &op), BATCH_BUSY);
    assert_int_equal(batch_submit_many(harness->processor, ops, 2), BATCH_BUSY);
    assert_int_equal(refused(harness, BATCH_BUSY), 4);
    gate_open(&harness->load_gate);
    assert_int_equal(job_wait(&first), BATCH_OK);
}

static void run_inside(struct job *job, const batch_result *result)
{
    struct job *inner = job->arg;
    (void)result;
    assert_int_equal(batch_run(job->harness->processor, &inner->op, NULL), BATCH_DEADLOCK);
}

HARNESS_TEST(what_would_wait_or_comes_too_late_is_counted_as_refused, HARNESS_FUNCTIONS)
{
    struct job outer, inner;
    job_init(&inner, harness, "k", 1);
    job_init(&outer, harness, "k", 1);
    outer.arg = &inner;
    outer.on_done = run_inside;
    assert_int_equal(job_run(&outer), BATCH_OK); /* batch_run calls no done */
    assert_int_equal(refused(harness, BATCH_DEADLOCK), 0);
    job_init(&outer, harness, "k", 1);
    outer.arg = &inner;
    outer.on_done = run_inside;
    job_submit(&outer);
    assert_int_equal(job_wait(&outer), BATCH_OK);
    harness_stop(harness);
    assert_int_equal(refused(harness, BATCH_DEADLOCK), 1);
    assert_int_equal(batch_submit(harness->processor, &inner.op), BATCH_STOPPED);
    assert_int_equal(batch_run(harness->processor, &inner.op, NULL), BATCH_STOPPED);
    assert_int_equal(refused(harness, BATCH_STOPPED), 2);
}

HARNESS_TEST_WITH(gauges_show_what_is_there_now, HARNESS_FUNCTIONS, .sessions = 3,
                  .resource_cache_max = 10)
{
    batch_stats stats = harness_stats(harness);
    assert_int_equal(stats.sessions, 3);
    assert_int_equal(stats.sessions_busy, 0);
    assert_int_equal(stats.oldest_waiting_ns, 0);

    gate_close(&harness->save_gate);
    struct job job;
    uint64_t before_ns = batch_now_ns();
    job_send(&job, harness, "k", 1);
    gate_await(&harness->save_gate, 1);
    harness_settle(harness);
    stats = harness_stats(harness);
    assert_int_equal(stats.operations_waiting, 1);
    assert_int_equal(stats.batches_open, 1);
    assert_int_equal(stats.resources_cached, 0);
    assert_int_equal(stats.sessions_busy, 1);
    assert_true(stats.oldest_waiting_ns > 0);
    assert_true(stats.oldest_waiting_ns <= batch_now_ns() - before_ns);

    gate_open(&harness->save_gate);
    assert_int_equal(job_wait(&job), BATCH_OK);
    harness_settle(harness);
    stats = harness_stats(harness);
    assert_int_equal(stats.operations_waiting, 0);
    assert_int_equal(stats.oldest_waiting_ns, 0);
    assert_int_equal(stats.batches_open, 0);
    assert_int_equal(stats.resources_cached, 1);
    harness_stop(harness);
    stats = harness_stats(harness);
    assert_int_equal(stats.sessions_busy, 0);
    assert_int_equal(stats.resources_cached, 0);
}

HARNESS_TEST(an_operation_takes_as_long_as_it_waits, HARNESS_FUNCTIONS)
{
    gate_close(&harness->save_gate);
    uint64_t before_ns = batch_now_ns();
    struct job job;
    job_send(&job, harness, "k", 1);
    gate_await(&harness->save_gate, 1);
    uint64_t held_ns = batch_now_ns();
    while (batch_now_ns() - held_ns < 3 * MS) {
    }
    gate_open(&harness->save_gate);
    assert_int_equal(job_wait(&job), BATCH_OK); /* it is counted before `done` is called */
    uint64_t most_ns = batch_now_ns() - before_ns;
    batch_stats stats = harness_stats(harness);
    assert_int_equal(stats.operation_ns.count, 1);
    assert_true(stats.operation_ns.max >= 3 * MS);
    assert_true(stats.operation_ns.max <= most_ns);
    harness_fault(harness, BATCH_LOAD_FAILED, BATCH_OK, 0, NULL);
    assert_int_equal(job_call(&job, harness, "k", 1), BATCH_LOAD_FAILED);
    assert_int_equal(harness_stats(harness).operation_ns.count, 2);
}

HARNESS_TEST_WITH(histograms_are_those_of_the_distributions, HARNESS_FUNCTIONS, .shards = 2)
{
    for (int i = 0; i < 20; i++) {
        struct job job;
        job_init_number(&job, harness, i, 1);
        assert_int_equal(job_run(&job), BATCH_OK);
    }
    harness_stop(harness);
    batch_stats stats = harness_stats(harness);
    const batch_distribution *distributions[BATCH_HISTOGRAM_KIND_COUNT] = {
        &stats.operation_ns, &stats.load_ns,       &stats.save_ns,
        &stats.total_ns,     &stats.first_wait_ns, &stats.batch_operations,
        &stats.load_group,   &stats.save_group,    &stats.unit_keys};
    for (int kind = 0; kind < BATCH_HISTOGRAM_KIND_COUNT; kind++) {
        batch_histogram histogram;
        assert_int_equal(batch_processor_histogram(harness->processor, kind, &histogram), BATCH_OK);
        assert_int_equal(histogram.count > 0, kind != BATCH_HISTOGRAM_UNIT_KEYS);
        assert_int_equal(histogram.count, distributions[kind]->count);
        assert_int_equal(histogram.sum, distributions[kind]->sum);
        assert_int_equal(histogram.max, distributions[kind]->max);
        assert_int_equal(batch_histogram_quantile(&histogram, 0.5), distributions[kind]->p50);
        assert_int_equal(batch_histogram_quantile(&histogram, 0.99), distributions[kind]->p99);
    }
    batch_histogram unchanged;
    memset(&unchanged, 1, sizeof unchanged);
    batch_histogram histogram = unchanged;
    static const int kinds[] = {-1, BATCH_HISTOGRAM_KIND_COUNT};
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(batch_processor_histogram(harness->processor, kinds[i], &histogram),
                         BATCH_INVALID);
    assert_int_equal(batch_processor_histogram(NULL, 0, &histogram), BATCH_INVALID);
    assert_int_equal(batch_processor_histogram(harness->processor, 0, NULL), BATCH_INVALID);
    assert_memory_equal(&histogram, &unchanged, sizeof unchanged);
}

/* ---- Events and hot keys --------------------------------------------------------------------- */

struct log {
    pthread_mutex_t lock;
    uint32_t calls;
    int kind;
    uint64_t count;
    char message[BATCH_MESSAGE_SIZE];
};

static struct log journal = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void take_event(const batch_event *event, void *arg)
{
    struct log *log = arg;
    pthread_mutex_lock(&log->lock);
    log->calls++;
    log->kind = event->kind;
    log->count = event->count;
    snprintf(log->message, sizeof log->message, "%s", event->message);
    pthread_mutex_unlock(&log->lock);
}

static struct log take_log(void)
{
    pthread_mutex_lock(&journal.lock);
    struct log taken = journal;
    journal.calls = 0;
    pthread_mutex_unlock(&journal.lock);
    return taken;
}

HARNESS_TEST_WITH(a_slow_batch_is_logged_and_counted, HARNESS_FUNCTIONS, .log = take_event,
                  .log_arg = &journal, .slow_batch_ns = 2 * MS)
{
    take_log();
    gate_close(&harness->save_gate);
    struct job job;
    job_send(&job, harness, "the key", 1);
    gate_await(&harness->save_gate, 1);
    uint64_t held_ns = batch_now_ns();
    while (batch_now_ns() - held_ns < 3 * MS) {
    }
    gate_open(&harness->save_gate);
    assert_int_equal(job_wait(&job), BATCH_OK);
    harness_stop(harness); /* the batch is reported after its completions */
    struct log log = take_log();
    assert_int_equal(log.calls, 1);
    assert_int_equal(log.kind, BATCH_EVENT_SLOW_BATCH);
    assert_int_equal(log.count, 1);
    assert_non_null(strstr(log.message, "1 operations, BATCH_OK, 0 replays, key 'the key'"));
    assert_int_equal(harness_stats(harness).events[BATCH_EVENT_SLOW_BATCH], 1);
}

HARNESS_TEST_WITH(a_batch_is_not_slow_by_itself, HARNESS_FUNCTIONS, .log = take_event,
                  .log_arg = &journal)
{
    take_log();
    harness_add(harness, "k", 1);
    harness_stop(harness);
    assert_int_equal(take_log().calls, 0);
    assert_int_equal(harness_stats(harness).events[BATCH_EVENT_SLOW_BATCH], 0);
}

static int load_and_log(batch_call *call, void *resource, void *arg)
{
    batch_call_log(call, BATCH_EVENT_LOCK_WAIT, "somebody has the lock");
    batch_call_log(call, BATCH_EVENT_COUNT, "no such kind");
    batch_call_log(call, BATCH_EVENT_RECONNECTED, NULL);
    return harness_load(call, resource, arg);
}

HARNESS_TEST_WITH(a_store_can_log, HARNESS_FUNCTIONS, .log = take_event, .log_arg = &journal,
                  .load = load_and_log)
{
    take_log();
    harness_add(harness, "k", 1);
    struct log log = take_log();
    assert_int_equal(log.calls, 2);
    assert_int_equal(log.kind, BATCH_EVENT_RECONNECTED);
    assert_string_equal(log.message, "reconnected"); /* without a text, its name */
    batch_stats stats = harness_stats(harness);
    assert_int_equal(stats.events[BATCH_EVENT_LOCK_WAIT], 1);
    assert_int_equal(stats.events[BATCH_EVENT_RECONNECTED], 1);
}

HARNESS_TEST_WITH(the_hottest_keys_are_known, HARNESS_BARE, .shards = 2)
{
    enum { JOBS = 4000 };
    struct job *jobs = calloc(JOBS, sizeof *jobs);
    for (int i = 0; i < JOBS; i++) {
        job_init_number(&jobs[i], harness, i % 4 == 0 ? i : 1, 1); /* three in four: key 1 */
        job_submit(&jobs[i]);
    }
    harness_stop(harness);
    batch_hot_key keys[3];
    size_t count = batch_processor_hot_keys(harness->processor, keys, 3);
    assert_true(count >= 1 && count <= 3);
    assert_int_equal(keys[0].key_size, 1);
    assert_int_equal(keys[0].key[0], '1');
    assert_true(keys[0].share > 0.4);
    assert_int_equal(batch_processor_hot_keys(NULL, keys, 3), 0);
    assert_int_equal(batch_processor_hot_keys(harness->processor, NULL, 3), 0);
    harness_end(harness);
    free(jobs);
}

/* ---- Text ------------------------------------------------------------------------------------ */

enum { TEXT_SIZE = 100000 };

static char text[TEXT_SIZE];

static void expect_line(const char *line)
{
    char whole[256];
    snprintf(whole, sizeof whole, "\n%s\n", line);
    if (strstr(text, whole) == NULL)
        fail_msg("there is no line \"%s\" in:\n%s", line, text);
}

HARNESS_TEST(the_text_has_the_numbers, HARNESS_FUNCTIONS)
{
    harness_add(harness, "a", 1);
    harness_add(harness, "b", 1);
    harness_stop(harness);
    size_t length =
        batch_metrics_text(&harness->processor, NULL, 1, BATCH_TEXT_OPENMETRICS, text, TEXT_SIZE);
    assert_int_equal(length, strlen(text));
    expect_line("# TYPE libbatch_operations_accepted counter");
    expect_line("libbatch_operations_accepted_total 2");
    expect_line("libbatch_operations_completed_total{status=\"OK\"} 2");
    expect_line("libbatch_operations_refused_total{status=\"BUSY\"} 0");
    expect_line("libbatch_batches_total{closed_by=\"store\"} 2");
    expect_line("# UNIT libbatch_save_seconds seconds");
    expect_line("libbatch_save_seconds_count 2");
    expect_line("libbatch_save_seconds_bucket{le=\"+Inf\"} 2");
    expect_line("libbatch_batch_operations_bucket{le=\"1.0\"} 2");
    assert_string_equal(text + length - 6, "# EOF\n");

    static const char *const names[] = {"the \"first\"", "a\\b\nc"};
    batch_processor *processors[] = {harness->processor, harness->processor};
    length = batch_metrics_text(processors, names, 2, BATCH_TEXT_PROMETHEUS, text, TEXT_SIZE);
    assert_int_equal(length, strlen(text));
    expect_line("# TYPE libbatch_operations_accepted_total counter");
    expect_line("libbatch_operations_accepted_total{processor=\"the \\\"first\\\"\"} 2");
    expect_line("libbatch_save_seconds_count{processor=\"a\\\\b\\nc\"} 2");
    expect_line("libbatch_batches_total{processor=\"a\\\\b\\nc\",closed_by=\"store\"} 2");
    assert_null(strstr(text, "# EOF"));
    assert_null(strstr(text, "# UNIT"));
}

HARNESS_TEST(the_buckets_of_the_text_add_up, HARNESS_FUNCTIONS)
{
    enum { JOBS = 300 };
    struct job *jobs = calloc(JOBS, sizeof *jobs);
    jobs_send(jobs, JOBS, harness, "k", 1);
    jobs_wait(jobs, JOBS);
    harness_stop(harness);
    batch_stats stats = harness_stats(harness);
    batch_metrics_text(&harness->processor, NULL, 1, BATCH_TEXT_OPENMETRICS, text, TEXT_SIZE);
    static const char bucket[] = "libbatch_operation_seconds_bucket{le=\"";
    unsigned long long before = 0;
    double le_before = 0;
    int lines = 0;
    for (const char *at = strstr(text, bucket); at != NULL; at = strstr(at + 1, bucket), lines++) {
        double le;
        unsigned long long count;
        assert_int_equal(sscanf(at + sizeof bucket - 1, "%lf\"} %llu", &le, &count), 2);
        assert_true(le > le_before);
        assert_true(count >= before);
        if (le * 1e9 >= (double)stats.operation_ns.max)
            assert_int_equal(count, JOBS);
        before = count;
        le_before = le;
    }
    assert_int_equal(lines, 28);
    assert_int_equal(before, JOBS);
    harness_end(harness);
    free(jobs);
}

HARNESS_TEST(the_text_is_cut_where_there_is_no_room, HARNESS_FUNCTIONS)
{
    static char cut[TEXT_SIZE];
    harness_stop(harness);
    size_t length =
        batch_metrics_text(&harness->processor, NULL, 1, BATCH_TEXT_PROMETHEUS, text, TEXT_SIZE);
    assert_in_range(length, 5000, 40000);
    assert_int_equal(
        batch_metrics_text(&harness->processor, NULL, 1, BATCH_TEXT_PROMETHEUS, NULL, 0), length);
    for (size_t size = 1; size < length + 3; size += 1 + size / 40) {
        memset(cut, 'x', sizeof cut);
        assert_int_equal(
            batch_metrics_text(&harness->processor, NULL, 1, BATCH_TEXT_PROMETHEUS, cut, size),
            length);
        size_t whole = size <= length ? size - 1 : length;
        assert_int_equal(strlen(cut), whole);
        assert_memory_equal(cut, text, whole);
        assert_int_equal(cut[size], 'x');
    }
}

HARNESS_TEST(text_of_nothing_or_too_much_is_refused, HARNESS_FUNCTIONS)
{
    batch_processor *processors[BATCH_TEXT_PROCESSORS_MAX + 1];
    const char *names[BATCH_TEXT_PROCESSORS_MAX + 1];
    for (size_t i = 0; i <= BATCH_TEXT_PROCESSORS_MAX; i++) {
        processors[i] = harness->processor;
        names[i] = "n";
    }
    strcpy(text, "untouched");
    assert_int_equal(batch_metrics_text(NULL, names, 1, 0, text, TEXT_SIZE), 0);
    assert_int_equal(batch_metrics_text(processors, names, 0, 0, text, TEXT_SIZE), 0);
    assert_int_equal(
        batch_metrics_text(processors, names, BATCH_TEXT_PROCESSORS_MAX + 1, 0, text, TEXT_SIZE),
        0);
    assert_int_equal(batch_metrics_text(processors, NULL, 2, 0, text, TEXT_SIZE), 0);
    assert_int_equal(batch_metrics_text(processors, names, 1, 2, text, TEXT_SIZE), 0);
    assert_int_equal(batch_metrics_text(processors, names, 1, -1, text, TEXT_SIZE), 0);
    assert_int_equal(batch_metrics_text(processors, names, 1, 0, NULL, 1), 0);
    names[1] = NULL;
    assert_int_equal(batch_metrics_text(processors, names, 2, 0, text, TEXT_SIZE), 0);
    processors[0] = NULL;
    assert_int_equal(batch_metrics_text(processors, NULL, 1, 0, text, TEXT_SIZE), 0);
    assert_string_equal(text, "untouched");
    names[1] = "n";
    processors[0] = harness->processor;
    assert_true(batch_metrics_text(processors, names, BATCH_TEXT_PROCESSORS_MAX, 0, NULL, 0) > 0);
}
