/* Users who set nothing: no operation fails that the store did not fail, on a quiet machine and on
 * a loaded one. What is checked are counts; no time decides anything.
 *
 * DEFAULTS_KEYS in the environment is the largest number of keys (10,000), DEFAULTS_ROUNDS how
 * often everything is done (1). */
#include <batch/metrics.h>
#include <batch/sqlite.h>
#include <batch/store.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "process.h"
#include "temporary_folder.h"
#include "test.h"

enum { BURST = 2000, LOOPS_MAX = 64, SIDE_BY_SIDE = 60 };

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);
    return value != NULL ? strtoull(value, NULL, 10) : otherwise;
}

/* ---- A loaded machine ------------------------------------------------------------------------ */

/* Three programs that do nothing but run, for each processor. */
struct load {
    pid_t loops[LOOPS_MAX];
    int size;
};

static void load_begin(struct load *load)
{
    static const char *const loop[] = {"/bin/sh", "-c", "while :; do :; done", NULL};
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    for (load->size = 0; load->size < 3 * processors && load->size < LOOPS_MAX; load->size++)
        load->loops[load->size] = process_start(loop, -1);
}

static void load_end(struct load *load)
{
    for (int i = 0; i < load->size; i++) {
        kill(load->loops[i], SIGKILL);
        process_end(load->loops[i]);
    }
}

/* ---- Counters on SQLite ---------------------------------------------------------------------- */

struct click {
    batch_op op; /* first */
    char key[16];
    uint64_t count;
    int status;
};

static batch_verdict click(void *resource, void *arg)
{
    ((struct click *)arg)->count = ++*(uint64_t *)resource;
    return BATCH_CHANGED;
}

static void clicked(batch_op *op, const batch_result *result)
{
    ((struct click *)(void *)op)->status = result->status;
    if (result->status != BATCH_OK)
        print_message("%s: %s\n", batch_status_name(result->status), result->message);
}

static void click_submit(batch_processor *processor, struct click *one, uint64_t series,
                         uint64_t number)
{
    snprintf(one->key, sizeof one->key, "%u-%u", (unsigned)series, (unsigned)number);
    one->op =
        (batch_op){.key = one->key, .key_size = strlen(one->key), .run = click, .done = clicked};
    one->op.arg = one;
    one->status = -1;
    assert_int_equal(batch_submit(processor, &one->op), BATCH_OK);
}

/* A burst on `keys` new keys; each click counts on from the one before it. */
static void count_clicks(batch_store *store, uint64_t window_ns, uint64_t keys, uint64_t series)
{
    uint64_t size = keys > BURST ? keys : BURST;
    struct click *clicks = calloc(size, sizeof *clicks);
    assert_non_null(clicks);
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = store;
    options.resource_size = sizeof(uint64_t);
    options.window_ns = window_ns;
    batch_processor *processor = NULL;
    batch_result error;
    if (batch_processor_start(&processor, &options, &error) != BATCH_OK)
        fail_msg("%s", error.message);
    for (uint64_t i = 0; i < size; i++)
        click_submit(processor, &clicks[i], series, i % keys);
    assert_int_equal(batch_processor_stop(processor, BATCH_FOREVER), 0);
    batch_processor_free(processor);
    uint64_t failed = 0;
    for (uint64_t i = 0; i < size; i++) {
        failed += clicks[i].status != BATCH_OK;
        assert_true(clicks[i].status != BATCH_OK || failed > 0 || clicks[i].count == i / keys + 1);
    }
    free(clicks);
    if (failed > 0)
        fail_msg("%u of %u operations on %u keys failed, window %u ms", (unsigned)failed,
                 (unsigned)size, (unsigned)keys, (unsigned)(window_ns / 1000000));
}

static void count_with_every_window(void)
{
    static const uint64_t ms = 1000000;
    const uint64_t windows[] = {0, BATCH_WINDOW_NONE, ms, 5 * ms, 20 * ms, 100 * ms};
    char folder[128], path[160];
    temporary_folder_make(folder, sizeof folder, NULL);
    snprintf(path, sizeof path, "%s/counters.db", folder);
    batch_store *store = NULL;
    batch_result error;
    if (batch_sqlite_open(&store, path, NULL, &error) != BATCH_OK)
        fail_msg("%s", error.message);
    uint64_t series = 0;
    for (uint64_t round = from_environment("DEFAULTS_ROUNDS", 1); round > 0; round--) {
        for (size_t i = 0; i < sizeof windows / sizeof windows[0]; i++) {
            uint64_t keys_max = from_environment("DEFAULTS_KEYS", 10000);
            for (uint64_t keys = 1; keys <= keys_max; keys *= 10)
                count_clicks(store, windows[i], keys, series++);
        }
    }
    assert_int_equal(batch_store_close(store), BATCH_OK);
    temporary_folder_remove(folder);
}

TEST(no_counter_fails_on_a_quiet_machine)
{
    count_with_every_window();
}

TEST(no_counter_fails_on_a_loaded_machine)
{
    struct load load;
    load_begin(&load);
    count_with_every_window();
    load_end(&load);
}

/* ---- Examples -------------------------------------------------------------------------------- */

/* The programs as they are, in the same folder again and again. */
TEST(no_example_fails_on_a_loaded_machine)
{
    static const char in_folder[] = "cd \"$1\" && exec \"$2\" >>output 2>&1";
    static const char *const programs[] = {HELLO, ASYNC};
    struct load load;
    char folder[128];
    temporary_folder_make(folder, sizeof folder, NULL);
    load_begin(&load);
    for (uint64_t round = 5 * from_environment("DEFAULTS_ROUNDS", 1); round > 0; round--) {
        for (size_t i = 0; i < 2; i++) {
            const char *arguments[] = {"/bin/sh", "-c", in_folder, "sh", folder, programs[i], NULL};
            if (process_end(process_start(arguments, -1)) != 0)
                fail_msg("%s failed", programs[i]);
        }
    }
    load_end(&load);
    temporary_folder_remove(folder);
}

/* ---- Large resources ------------------------------------------------------------------------- */

enum { LARGE = 65536, LARGE_KEYS = 400, LARGE_MS = 5 };

/* A store that needs some time for each save, and begins none after the deadline. */
static int large_open(batch_store *store, void **ret_session, batch_result *reterr)
{
    (void)reterr;
    *ret_session = store;
    return BATCH_OK;
}

static void large_load(batch_store *store, void *session, batch_call *const *calls, size_t size)
{
    (void)store, (void)session;
    for (size_t i = 0; i < size; i++)
        batch_call_finish(calls[i], BATCH_OK);
}

static void large_save(batch_store *store, void *session, batch_call *const *calls, size_t size)
{
    const struct timespec time = {0, LARGE_MS * 1000000L};
    (void)store, (void)session;
    for (size_t i = 0; i < size; i++) {
        bool is_late = batch_call_is_canceled(calls[i]);
        if (!is_late)
            nanosleep(&time, NULL);
        batch_call_finish(calls[i], is_late ? BATCH_SAVE_FAILED : BATCH_OK);
    }
}

static void large_end(batch_store *store, void *session)
{
    (void)store, (void)session;
}

static void large_close(batch_store *store)
{
    (void)store;
}

/* Together they need twice the time limit of a save. */
TEST(large_resources_are_saved_in_time)
{
    static struct click clicks[LARGE_KEYS];
    batch_store store = BATCH_STORE_INIT;
    store.name = "large";
    store.session_open = large_open;
    store.load = large_load;
    store.save = large_save;
    store.session_close = large_end;
    store.close = large_close;
    store.saves_max = 1;
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = &store;
    options.resource_size = LARGE;
    batch_processor *processor = NULL;
    assert_int_equal(batch_processor_start(&processor, &options, NULL), BATCH_OK);
    for (int i = 0; i < LARGE_KEYS; i++)
        click_submit(processor, &clicks[i], 0, (uint64_t)i);
    assert_int_equal(batch_processor_stop(processor, BATCH_FOREVER), 0);
    batch_processor_free(processor);
    int failed = 0;
    for (int i = 0; i < LARGE_KEYS; i++)
        failed += clicks[i].status != BATCH_OK;
    assert_int_equal(failed, 0);
}

/* ---- Load functions -------------------------------------------------------------------------- */

/* Where loads meet: each waits until enough are there. */
struct meeting {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int present;
    bool is_over; /* too few have come */
};

/* Fails if too few come, after a time that no machine needs. */
static int load_together(batch_call *call, void *resource, void *arg)
{
    struct meeting *meeting = arg;
    struct timespec until;
    (void)call, (void)resource;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += 10;
    pthread_mutex_lock(&meeting->lock);
    if (++meeting->present == SIDE_BY_SIDE)
        pthread_cond_broadcast(&meeting->changed);
    while (meeting->present < SIDE_BY_SIDE && !meeting->is_over)
        meeting->is_over =
            pthread_cond_timedwait(&meeting->changed, &meeting->lock, &until) == ETIMEDOUT;
    bool is_over = meeting->is_over;
    pthread_mutex_unlock(&meeting->lock);
    return is_over ? BATCH_LOAD_FAILED : BATCH_OK;
}

TEST(load_functions_run_side_by_side)
{
    struct meeting meeting = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, false};
    static struct click clicks[SIDE_BY_SIDE];
    batch_options options = BATCH_OPTIONS_INIT;
    options.load = load_together;
    options.arg = &meeting;
    options.resource_size = sizeof(uint64_t);
    batch_processor *processor = NULL;
    assert_int_equal(batch_processor_start(&processor, &options, NULL), BATCH_OK);
    for (int i = 0; i < SIDE_BY_SIDE; i++)
        click_submit(processor, &clicks[i], 0, (uint64_t)i);
    assert_int_equal(batch_processor_stop(processor, BATCH_FOREVER), 0);
    batch_processor_free(processor);
    for (int i = 0; i < SIDE_BY_SIDE; i++)
        assert_int_equal(clicks[i].status, BATCH_OK);
}

static uint64_t sessions_of(batch_options options)
{
    batch_stats stats = BATCH_STATS_INIT;
    batch_processor *processor = NULL;
    assert_int_equal(batch_processor_start(&processor, &options, NULL), BATCH_OK);
    assert_int_equal(batch_processor_stats(processor, &stats), BATCH_OK);
    assert_int_equal(batch_processor_stop(processor, BATCH_FOREVER), 0);
    batch_processor_free(processor);
    return stats.sessions;
}

TEST(sessions_are_few_with_a_store_and_many_with_functions)
{
    batch_options options = BATCH_OPTIONS_INIT;
    assert_int_equal(sessions_of(options), 3);
    assert_int_equal(batch_memory_open(&options.store), BATCH_OK);
    assert_int_equal(sessions_of(options), 3);
    assert_int_equal(batch_store_close(options.store), BATCH_OK);
    options.store = NULL;
    options.load = load_together;
    assert_int_equal(sessions_of(options), 64);
    options.load = NULL;
    options.save = load_together;
    assert_int_equal(sessions_of(options), 64);
    options.sessions = 5;
    assert_int_equal(sessions_of(options), 5);
}
