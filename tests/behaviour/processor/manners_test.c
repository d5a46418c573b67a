/* manners_test.c: on threads that are not the library's own, and in a process that is not: signals
 * of a crash reach their handlers, other signals reach no thread of the library; pthread_cancel
 * breaks nothing; a fork takes nothing from the parent. */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* MAP_ANONYMOUS */
#endif
#include "harness.h"

#include <batch/completions.h>
#include <batch/driven.h>

#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const int crashes[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
enum { CRASHES = sizeof crashes / sizeof crashes[0], HANDLED = 100 };

/* ---- Signals --------------------------------------------------------------------------------- */

static void handle(int number)
{
    syscall(SYS_exit_group, HANDLED + number); /* nobody's last words, as a sanitizer has */
}

/* By the CPU: a page that must not be written. */
static void write_where_nobody_may(void)
{
    volatile char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    MUST(page != MAP_FAILED);
    page[0] = 1;
}

enum { IN_OPERATION, IN_DONE, IN_LOAD, IN_SAVE, IN_DECODE, IN_ENCODE, PLACES };

/* How a thread crashes, and where. */
struct crash {
    int number; /* 0: by the CPU */
    int place;
    uint32_t sessions;
};

static void crash_at(const struct crash *crash, int place)
{
    if (crash->place != place)
        return;
    if (crash->number != 0)
        raise(crash->number);
    else
        write_where_nobody_may();
}

static batch_verdict crash_in_operation(void *resource, void *arg)
{
    (void)resource;
    crash_at(arg, IN_OPERATION);
    return BATCH_CHANGED;
}

static void crash_in_done(batch_op *op, const batch_result *result)
{
    (void)result;
    crash_at(op->arg, IN_DONE);
}

static int crash_in_load(batch_call *call, void *resource, void *arg)
{
    (void)call;
    (void)resource;
    crash_at(arg, IN_LOAD);
    return BATCH_OK;
}

static int crash_in_save(batch_call *call, void *resource, void *arg)
{
    (void)call;
    (void)resource;
    crash_at(arg, IN_SAVE);
    return BATCH_OK;
}

static int crash_in_decode(void *resource, const void *bytes, size_t bytes_size, void *arg)
{
    (void)resource;
    (void)bytes;
    (void)bytes_size;
    crash_at(arg, IN_DECODE);
    return BATCH_OK;
}

static int crash_in_encode(void *resource, const void **ret_bytes, size_t *ret_bytes_size,
                           void *arg)
{
    *ret_bytes = resource;
    *ret_bytes_size = 0;
    crash_at(arg, IN_ENCODE);
    return BATCH_OK;
}

/* In a process of its own. Does not return. */
static void crash_now(struct crash *crash)
{
    for (size_t i = 0; i < CRASHES; i++)
        signal(crashes[i], handle);
    batch_codec codec = {
        .size = sizeof codec, .decode = crash_in_decode, .encode = crash_in_encode, .arg = crash};
    batch_options options = BATCH_OPTIONS_INIT;
    options.sessions = crash->sessions;
    options.window_ns = BATCH_WINDOW_NONE;
    if (crash->place == IN_DECODE || crash->place == IN_ENCODE) {
        MUST(batch_memory_open(&options.store) == BATCH_OK);
        options.codec = &codec;
    } else {
        options.load = crash_in_load;
        options.save = crash_in_save;
        options.arg = crash;
    }
    batch_processor *processor;
    MUST(batch_processor_start(&processor, &options, NULL) == BATCH_OK);
    batch_op op = BATCH_OP_INIT;
    op.run = crash_in_operation;
    op.done = crash_in_done;
    op.arg = crash;
    MUST(batch_submit(processor, &op) == BATCH_OK);
    batch_processor_stop(processor, BATCH_FOREVER);
    _exit(0);
}

/* What became of a process that crashed: the handler's exit code, or minus the signal. */
static int end_of_crash(struct crash crash)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        crash_now(&crash);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(handler_is_called_for_every_signal_of_a_crash_in_an_operation)
{
    for (size_t i = 0; i < CRASHES; i++) {
        struct crash crash = {crashes[i], IN_OPERATION, 1};
        assert_int_equal(end_of_crash(crash), HANDLED + crashes[i]);
    }
}

TEST(handler_is_called_for_a_crash_in_every_callback)
{
    for (int place = 0; place < PLACES; place++) {
        for (uint32_t sessions = 0; sessions < 2; sessions++) {
            struct crash crash = {0, place, sessions};
            assert_int_equal(end_of_crash(crash), HANDLED + SIGSEGV);
        }
    }
}

static void look_at_mask(struct job *job)
{
    MUST(pthread_sigmask(SIG_BLOCK, NULL, job->arg) == 0);
}

static bool is_crash(int number)
{
    for (size_t i = 0; i < CRASHES; i++) {
        if (crashes[i] == number)
            return true;
    }
    return false;
}

static bool can_be_blocked(int number)
{
    sigset_t set, before;
    sigemptyset(&set);
    if (sigaddset(&set, number) != 0)
        return false; /* the C library's own */
    pthread_sigmask(SIG_BLOCK, &set, &before);
    pthread_sigmask(SIG_SETMASK, &before, &set);
    return sigismember(&set, number) == 1;
}

TEST(all_other_signals_are_blocked_and_the_starter_keeps_its_own)
{
    sigset_t before, after, inside;
    sigemptyset(&before);
    sigaddset(&before, SIGUSR2);
    sigaddset(&before, SIGFPE); /* left alone: as the starter has it */
    pthread_sigmask(SIG_SETMASK, &before, &after);
    struct harness harness;
    harness_begin(&harness, HARNESS_FUNCTIONS);
    pthread_sigmask(SIG_SETMASK, &after, &before);
    struct job job;
    job_init(&job, &harness, "k", 1);
    job.on_run = look_at_mask;
    job.arg = &inside;
    assert_int_equal(job_run(&job), BATCH_OK);
    harness_end(&harness);
    for (int number = 1; number <= SIGRTMAX; number++) {
        if (can_be_blocked(number)) {
            assert_int_equal(sigismember(&before, number), number == SIGUSR2 || number == SIGFPE);
            assert_int_equal(sigismember(&inside, number), !is_crash(number) || number == SIGFPE);
        }
    }
}

/* ---- pthread_cancel -------------------------------------------------------------------------- */

/* A thread that has been canceled already when it calls something: the first point at which that
 * takes effect is found, wherever it is. */
struct canceled {
    void (*call)(struct canceled *canceled);
    struct harness *harness;
    batch_subscription *subscription;
    bool has_returned; /* from `call` */
    int64_t value;
    struct job job;
};

static void *canceled_main(void *arg)
{
    struct canceled *canceled = arg;
    pthread_cancel(pthread_self());
    canceled->call(canceled);
    canceled->has_returned = true;
    pthread_testcancel();
    return NULL;
}

static void *end_of(pthread_t thread)
{
    void *end;
    MUST(pthread_join(thread, &end) == 0);
    return end;
}

static void call_run(struct canceled *canceled)
{
    canceled->value = job_run(&canceled->job);
}

HARNESS_TEST(thread_that_is_canceled_in_run_has_its_result_first, HARNESS_FUNCTIONS)
{
    gate_close(&harness->save_gate); /* so that it must wait */
    struct canceled canceled = {.call = call_run};
    job_init(&canceled.job, harness, "k", 1);
    pthread_t thread = thread_start(canceled_main, &canceled);
    gate_await(&harness->save_gate, 1);
    gate_open(&harness->save_gate);
    assert_ptr_equal(end_of(thread), PTHREAD_CANCELED);
    assert_true(canceled.has_returned);
    assert_int_equal(canceled.value, BATCH_OK);
    assert_int_equal(canceled.job.result.status, BATCH_OK);
    harness_add(harness, "k", 1);
    assert_int_equal(harness_stored(harness, "k"), 2);
    harness_end(harness);
}

HARNESS_TEST(thread_that_is_canceled_while_it_waits_in_run_has_its_result_first, HARNESS_FUNCTIONS)
{
    gate_close(&harness->save_gate);
    struct job job;
    struct runner runner;
    job_init(&job, harness, "k", 1);
    runner_start(&runner, &job);
    gate_await(&harness->save_gate, 1);
    assert_int_equal(pthread_cancel(runner.thread), 0);
    gate_open(&harness->save_gate);
    end_of(runner.thread);
    assert_int_equal(job.result.status, BATCH_OK);
    harness_end(harness);
}

static void call_stop(struct canceled *canceled)
{
    canceled->value = batch_processor_stop(canceled->harness->processor, BATCH_FOREVER);
}

HARNESS_TEST(thread_that_is_canceled_in_stop_stops_first, HARNESS_STORE)
{
    gate_close(&harness->save_gate);
    struct job job;
    job_send(&job, harness, "k", 1);
    gate_await(&harness->save_gate, 1);
    struct canceled canceled = {.call = call_stop, .harness = harness, .value = -1};
    pthread_t thread = thread_start(canceled_main, &canceled);
    while (batch_submit_many(harness->processor, NULL, 0) == BATCH_OK)
        continue; /* until it is stopping */
    gate_open(&harness->save_gate);
    assert_ptr_equal(end_of(thread), PTHREAD_CANCELED);
    assert_true(canceled.has_returned);
    assert_int_equal(canceled.value, 0);
    assert_int_equal(job_wait(&job), BATCH_OK);
    harness_end(harness);
}

static void call_next(struct canceled *canceled)
{
    batch_metric metric;
    canceled->value = batch_metrics_next(canceled->subscription, BATCH_FOREVER, &metric);
}

HARNESS_TEST(reader_that_is_canceled_ends_at_once_and_leaves_the_subscription_usable,
             HARNESS_FUNCTIONS)
{
    for (int block = 0; block < 2; block++) {
        batch_subscription_options options = BATCH_SUBSCRIPTION_OPTIONS_INIT;
        options.block = block != 0;
        struct canceled canceled = {.call = call_next};
        assert_int_equal(
            batch_metrics_subscribe(harness->processor, &options, &canceled.subscription),
            BATCH_OK);
        assert_ptr_equal(end_of(thread_start(canceled_main, &canceled)), PTHREAD_CANCELED);
        assert_false(canceled.has_returned); /* nothing was there, and nothing will be */
        harness_add(harness, "k", 1);
        batch_metric metric;
        assert_int_equal(batch_metrics_next(canceled.subscription, BATCH_FOREVER, &metric),
                         BATCH_OK);
        assert_int_equal(batch_metrics_next(canceled.subscription, 1, &metric), BATCH_TIMED_OUT);
        batch_metrics_unsubscribe(canceled.subscription);
    }
}

/* What a store does on the thread of whoever opens and closes it: all points of cancellation. */
static int session_open_at_length(batch_store *store, void **ret_session, batch_result *reterr)
{
    batch_store *inner = store_wrapper_of(store)->inner;
    pthread_testcancel();
    return inner->session_open(inner, ret_session, reterr);
}

static void session_close_at_length(batch_store *store, void *session)
{
    batch_store *inner = store_wrapper_of(store)->inner;
    pthread_testcancel();
    inner->session_close(inner, session);
}

static void close_at_length(batch_store *store)
{
    (void)store;
    pthread_testcancel();
}

static void release_at_length(void *resource, void *arg)
{
    (void)resource;
    (void)arg;
    pthread_testcancel();
}

static void stats_at_length(batch_store *store, batch_store_stats *ret_stats)
{
    (void)store;
    (void)ret_stats;
    pthread_testcancel();
}

static void *allocate_at_length(size_t size, void *arg)
{
    (void)arg;
    pthread_testcancel();
    return malloc(size);
}

static void free_at_length(void *memory, void *arg)
{
    (void)arg;
    pthread_testcancel();
    free(memory);
}

static const batch_allocator at_length = {allocate_at_length, free_at_length, NULL};

/* With a key that is allocated. */
static void call_all_of_metrics(batch_processor *processor, batch_op *op)
{
    static const char key[100];
    op->key = key;
    op->key_size = sizeof key;
    batch_subscription *subscription;
    batch_metric metric;
    MUST(batch_metrics_subscribe(processor, NULL, &subscription) == BATCH_OK);
    MUST(batch_run(processor, op, NULL) == BATCH_OK);
    while (batch_metrics_next(subscription, 0, &metric) == BATCH_TIMED_OUT)
        continue;
    MUST(batch_metrics_next(subscription, 0, &metric) == BATCH_TIMED_OUT);
    batch_metrics_unsubscribe(subscription);
    batch_stats stats = BATCH_STATS_INIT;
    MUST(batch_processor_stats(processor, &stats) == BATCH_OK);
    char text[100];
    MUST(batch_metrics_text(&processor, NULL, 1, BATCH_TEXT_PROMETHEUS, text, sizeof text) > 0);
}

static void call_all_of_completions(void)
{
    batch_completions_options options = BATCH_COMPLETIONS_OPTIONS_INIT;
    options.allocator = at_length;
    batch_completions *completions;
    MUST(batch_completions_open(&completions, &options) == BATCH_OK);
    MUST(batch_completions_dispatch(completions, 0, 0) == 0);
    MUST(batch_completions_close(completions) == BATCH_OK);
}

static void call_all_of_a_life(struct canceled *canceled)
{
    batch_store *memory;
    MUST(batch_memory_open(&memory) == BATCH_OK);
    struct store_wrapper wrapper;
    store_wrapper_init(&wrapper, "at length", memory);
    wrapper.store.session_open = session_open_at_length;
    wrapper.store.session_close = session_close_at_length;
    wrapper.store.close = close_at_length;
    wrapper.store.stats = stats_at_length;
    batch_codec codec = {.size = sizeof codec,
                         .decode = harness_decode,
                         .encode = harness_encode,
                         .release = release_at_length};
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = &wrapper.store;
    options.codec = &codec;
    options.resource_size = sizeof(int64_t);
    options.resource_cache_max = 10;
    options.window_ns = BATCH_WINDOW_NONE;
    options.allocator = at_length;
    batch_processor *processor;
    MUST(batch_processor_start(&processor, &options, NULL) == BATCH_OK);
    MUST(batch_run(processor, &canceled->job.op, NULL) == BATCH_OK);
    call_all_of_metrics(processor, &canceled->job.op);
    call_all_of_completions();
    MUST(batch_processor_stop(processor, BATCH_FOREVER) == 0);
    MUST(batch_processor_free(processor) == BATCH_OK);
    MUST(batch_store_close(&wrapper.store) == BATCH_OK);
    MUST(batch_store_close(memory) == BATCH_OK);
}

HARNESS_TEST(no_other_function_ends_a_canceled_thread, HARNESS_BARE)
{
    struct canceled canceled = {.call = call_all_of_a_life};
    job_init(&canceled.job, harness, "k", 1);
    assert_ptr_equal(end_of(thread_start(canceled_main, &canceled)), PTHREAD_CANCELED);
    assert_true(canceled.has_returned);
}

/* Whoever submits to a driven processor sets its event, and nobody else does; the same for an event
 * loop, whose function to be woken may be a point of cancellation itself. */
static void wake_at_length(void *arg)
{
    pthread_testcancel();
    ++*(int *)arg;
}

static void note_stopped(batch_processor *processor, void *arg)
{
    (void)processor;
    ++*(int *)arg;
}

static void call_what_wakes(struct canceled *canceled)
{
    batch_processor *processor = canceled->harness->processor;
    int woken = 0, stopped = 0;
    MUST(batch_processor_fd(processor) >= 0);
    while (batch_processor_drive(processor, 0) == 0)
        continue;
    MUST(batch_submit(processor, &canceled->job.op) == BATCH_OK);
    while (batch_processor_drive(processor, 0) == 0)
        continue;
    MUST(batch_cancel(processor, &canceled->job.op) == BATCH_OK);
    batch_completions_options options = BATCH_COMPLETIONS_OPTIONS_INIT;
    options.wake = wake_at_length;
    options.arg = &woken;
    batch_completions *completions;
    MUST(batch_completions_open(&completions, &options) == BATCH_OK);
    MUST(batch_processor_stop(processor, BATCH_FOREVER) == 0);
    MUST(batch_processor_stop_to(processor, completions, note_stopped, &stopped) == BATCH_OK);
    MUST(woken == 1);
    MUST(batch_completions_dispatch(completions, 0, 0) == 1);
    MUST(stopped == 1);
    MUST(batch_completions_close(completions) == BATCH_OK);
}

HARNESS_TEST_WITH(canceled_thread_wakes_whoever_waits_for_what_it_submits, HARNESS_BARE,
                  .driven = true, .sessions = 0)
{
    struct canceled canceled = {.call = call_what_wakes, .harness = harness};
    job_init(&canceled.job, harness, "k", 1);
    assert_ptr_equal(end_of(thread_start(canceled_main, &canceled)), PTHREAD_CANCELED);
    assert_true(canceled.has_returned);
    assert_int_equal(canceled.job.completions, 1);
    harness_end(harness);
}

/* ---- fork ------------------------------------------------------------------------------------ */

HARNESS_TEST(child_has_processors_of_its_own_and_the_parent_keeps_its, HARNESS_FUNCTIONS)
{
    harness_add(harness, "k", 1);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct harness own;
        harness_begin(&own, HARNESS_FUNCTIONS);
        harness_add(&own, "k", 1);
        harness_end(&own);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    harness_add(harness, "k", 1);
    assert_int_equal(harness_stored(harness, "k"), 2);
}
