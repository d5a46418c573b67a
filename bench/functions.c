/* functions.c: how long a round of keys takes with load and save functions that wait.
 *
 * One operation on each of K keys, submitted at once; load and save take T ms each, as if they
 * waited for a network. Three modes:
 *
 *   functions  load and save functions, called by the sessions of the processor
 *   late       a store with `sessions = 0`, which starts a thread for each call and returns: the
 *              thread finishes it
 *   threads    no libbatch: a thread for each key, which loads, waits for the window, runs
 *              the operation and saves. It represents the Go package, which has a goroutine for
 *              each batch; a goroutine is cheaper than a thread, so this is an upper bound.
 *
 * Prints one line of JSON: the median and the longest time from submit to completion, and that of
 * the whole round. Exits 1 if an operation failed or was lost.
 */
#include <batch/metrics.h>
#include <batch/store.h>

#include "common/arguments.h"
#include "common/say.h"
#include "common/sleep.h"

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_SIZE = 24, STACK_SIZE = 64 * 1024 };

struct settings {
    const char *mode;
    uint64_t keys, call_ms, window_ms, sessions;
    bool saves;
};

struct request {
    batch_op op; /* first */
    struct bench *bench;
    char name[NAME_SIZE];
    uint64_t begin_ns, end_ns;
    int status;
};

struct bench {
    struct settings settings;
    struct request *requests;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t left;   /* under lock */
    uint64_t stored; /* atomic: the sum of what was saved */
};

static void wait_ms(uint64_t ms)
{
    sleep_ns(ms * 1000000);
}

static void start_thread(void *(*body)(void *), void *arg)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0 ||
        pthread_attr_setstacksize(&attributes, STACK_SIZE) != 0 ||
        pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED) != 0 ||
        pthread_create(&thread, &attributes, body, arg) != 0)
        die("the system refused a thread");
    pthread_attr_destroy(&attributes);
}

static void complete(struct request *request, int status)
{
    struct bench *bench = request->bench;
    request->end_ns = batch_now_ns();
    request->status = status;
    pthread_mutex_lock(&bench->lock);
    if (--bench->left == 0)
        pthread_cond_signal(&bench->changed);
    pthread_mutex_unlock(&bench->lock);
}

/* ---- With libbatch --------------------------------------------------------------------------- */

static batch_verdict increment(void *resource, void *arg)
{
    const struct request *request = arg;
    ++*(int64_t *)resource;
    return request->bench->settings.saves ? BATCH_CHANGED : BATCH_UNCHANGED;
}

static void done(batch_op *op, const batch_result *result)
{
    complete((struct request *)(void *)op, result->status);
}

static int load(batch_call *call, void *resource, void *arg)
{
    const struct bench *bench = arg;
    wait_ms(bench->settings.call_ms);
    *(int64_t *)resource = 0;
    batch_call_set_version(call, 1);
    return BATCH_OK;
}

static int save(batch_call *call, void *resource, void *arg)
{
    struct bench *bench = arg;
    (void)call;
    wait_ms(bench->settings.call_ms);
    __atomic_fetch_add(&bench->stored, (uint64_t) * (int64_t *)resource, __ATOMIC_RELAXED);
    return BATCH_OK;
}

/* A store that only starts threads. */
static struct bench *late_bench; /* of the only one */

static void *load_late(void *call)
{
    batch_call_finish(call, load(call, batch_call_resource(call), late_bench));
    return NULL;
}

static void *save_late(void *call)
{
    batch_call_finish(call, save(call, batch_call_resource(call), late_bench));
    return NULL;
}

static void late_load(batch_store *store, void *session, batch_call *const *calls, size_t size)
{
    (void)store;
    (void)session;
    for (size_t i = 0; i < size; i++)
        start_thread(load_late, calls[i]);
}

static void late_save(batch_store *store, void *session, batch_call *const *calls, size_t size)
{
    (void)store;
    (void)session;
    for (size_t i = 0; i < size; i++)
        start_thread(save_late, calls[i]);
}

static int late_session_open(batch_store *store, void **ret_session, batch_result *reterr)
{
    (void)reterr;
    *ret_session = store;
    return BATCH_OK;
}

static void late_session_close(batch_store *store, void *session)
{
    (void)store;
    (void)session;
}

static void late_close(batch_store *store)
{
    (void)store;
}

static batch_processor *start(struct bench *bench, batch_store *store)
{
    const struct settings *settings = &bench->settings;
    batch_options options = BATCH_OPTIONS_INIT;
    if (settings->sessions != UINT64_MAX)
        options.sessions = (uint32_t)settings->sessions;
    options.resource_size = sizeof(int64_t);
    options.deadline_ns = 600 * UINT64_C(1000000000);
    options.window_ns =
        settings->window_ms == 0 ? BATCH_WINDOW_NONE : settings->window_ms * 1000000;
    if (strcmp(settings->mode, "late") == 0) {
        late_bench = bench;
        *store = (batch_store)BATCH_STORE_INIT;
        store->name = "late";
        store->session_open = late_session_open;
        store->session_close = late_session_close;
        store->load = late_load;
        store->save = late_save;
        store->close = late_close;
        options.store = store;
        options.sessions = 0;
    } else {
        options.load = load;
        options.save = save;
        options.arg = bench;
    }
    batch_processor *processor;
    batch_result error;
    if (batch_processor_start(&processor, &options, &error) != BATCH_OK)
        die("%s", error.message);
    return processor;
}

static void submit(struct bench *bench, batch_processor *processor)
{
    for (uint64_t i = 0; i < bench->settings.keys; i++) {
        struct request *request = &bench->requests[i];
        request->op.key = request->name;
        request->op.key_size = strlen(request->name);
        request->op.run = increment;
        request->op.done = done;
        request->op.arg = request;
        request->begin_ns = batch_now_ns();
        if (batch_submit(processor, &request->op) != BATCH_OK)
            die("an operation was refused");
    }
}

/* ---- Without --------------------------------------------------------------------------------- */

static void *round_of_one_key(void *arg)
{
    struct request *request = arg;
    const struct settings *settings = &request->bench->settings;
    wait_ms(settings->call_ms);
    uint64_t took_ms = (batch_now_ns() - request->begin_ns) / 1000000;
    if (took_ms < settings->window_ms)
        wait_ms(settings->window_ms - took_ms);
    if (settings->saves) {
        wait_ms(settings->call_ms);
        __atomic_fetch_add(&request->bench->stored, 1, __ATOMIC_RELAXED);
    }
    complete(request, BATCH_OK);
    return NULL;
}

static void start_threads(struct bench *bench)
{
    for (uint64_t i = 0; i < bench->settings.keys; i++) {
        bench->requests[i].begin_ns = batch_now_ns();
        start_thread(round_of_one_key, &bench->requests[i]);
    }
}

/* ---- The program ----------------------------------------------------------------------------- */

static const char help[] =
    "functions: how long a round of keys takes with load and save functions that wait\n"
    "\n"
    "usage: functions --mode functions|late|threads --keys K --call-ms T [--sessions S]\n"
    "                 [--window-ms W] [--no-save]\n"
    "  --mode         functions that sessions call; a store that finishes calls late, from "
    "threads\n"
    "                 of its own; or no libbatch, but a thread for each key\n"
    "  --keys K       one operation on each, all submitted at once\n"
    "  --call-ms T    how long a load and a save wait\n"
    "  --sessions S   for functions (libbatch's default)\n"
    "  --window-ms W  window of a batch; 0: BATCH_WINDOW_NONE (0)\n"
    "  --no-save      the operations change nothing\n"
    "  --help         this text\n";

static const char *const modes[] = {"functions", "late", "threads", NULL};

static void read_option(struct settings *settings, int option, const char *value)
{
    switch (option) {
    case 'm':
        settings->mode = modes[argument_choice("--mode", value, modes)];
        break;
    case 'k':
        settings->keys = argument_number("--keys", value, 1, 1000000);
        break;
    case 'c':
        settings->call_ms = argument_number("--call-ms", value, 0, 60000);
        break;
    case 's':
        settings->sessions = argument_number("--sessions", value, 0, 1024);
        break;
    case 'w':
        settings->window_ms = argument_number("--window-ms", value, 0, 60000);
        break;
    case 'n':
        settings->saves = false;
        break;
    default:
        argument_help(option, help);
    }
}

static struct settings settings_of(int argc, char **argv)
{
    static const struct option options[] = {{"mode", required_argument, NULL, 'm'},
                                            {"keys", required_argument, NULL, 'k'},
                                            {"call-ms", required_argument, NULL, 'c'},
                                            {"sessions", required_argument, NULL, 's'},
                                            {"window-ms", required_argument, NULL, 'w'},
                                            {"no-save", no_argument, NULL, 'n'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct settings settings = {.call_ms = UINT64_MAX, .sessions = UINT64_MAX, .saves = true};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        read_option(&settings, option, optarg);
    if (optind < argc)
        argument_is_wrong("argument", argv[optind], "not understood");
    if (settings.mode == NULL || settings.keys == 0 || settings.call_ms == UINT64_MAX) {
        fputs(help, stderr);
        exit(2);
    }
    return settings;
}

static int compare(const void *a, const void *b)
{
    uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

/* True if every operation went well and is stored. */
static bool report(const struct bench *bench)
{
    const struct settings *settings = &bench->settings;
    uint64_t *times = malloc(settings->keys * sizeof *times);
    if (times == NULL)
        die("out of memory");
    uint64_t failed = 0, last_ns = 0;
    for (uint64_t i = 0; i < settings->keys; i++) {
        const struct request *request = &bench->requests[i];
        times[i] = request->end_ns - request->begin_ns;
        failed += request->status != BATCH_OK;
        if (request->end_ns > last_ns)
            last_ns = request->end_ns;
    }
    qsort(times, settings->keys, sizeof *times, compare);
    printf("{\"bench\":\"functions\",\"mode\":\"%s\",\"keys\":%" PRIu64 ",\"call_ms\":%" PRIu64
           ",\"sessions\":%" PRIu64 ",\"p50_ms\":%.1f,\"max_ms\":%.1f,\"round_ms\":%.1f,"
           "\"failed\":%" PRIu64 "}\n",
           settings->mode, settings->keys, settings->call_ms, settings->sessions,
           (double)times[settings->keys / 2] / 1e6, (double)times[settings->keys - 1] / 1e6,
           (double)(last_ns - bench->requests[0].begin_ns) / 1e6, failed);
    free(times);
    return failed == 0 && bench->stored == (settings->saves ? settings->keys : 0);
}

int main(int argc, char **argv)
{
    struct bench bench = {.settings = settings_of(argc, argv)};
    bench.left = bench.settings.keys;
    bench.requests = calloc(bench.settings.keys, sizeof *bench.requests);
    if (bench.requests == NULL || pthread_mutex_init(&bench.lock, NULL) != 0 ||
        pthread_cond_init(&bench.changed, NULL) != 0)
        die("out of memory");
    for (uint64_t i = 0; i < bench.settings.keys; i++) {
        bench.requests[i].bench = &bench;
        snprintf(bench.requests[i].name, NAME_SIZE, "%" PRIu64, i);
    }
    bool is_without = strcmp(bench.settings.mode, "threads") == 0;
    batch_store store;
    batch_processor *processor = is_without ? NULL : start(&bench, &store);
    if (is_without)
        start_threads(&bench);
    else
        submit(&bench, processor);
    pthread_mutex_lock(&bench.lock);
    while (bench.left > 0)
        pthread_cond_wait(&bench.changed, &bench.lock);
    pthread_mutex_unlock(&bench.lock);
    bench.settings.sessions = 0;
    if (processor != NULL) {
        batch_stats stats = BATCH_STATS_INIT;
        batch_processor_stats(processor, &stats);
        bench.settings.sessions = stats.sessions;
        batch_processor_stop(processor, BATCH_FOREVER);
        batch_processor_free(processor);
    }
    bool is_right = report(&bench);
    free(bench.requests);
    return is_right ? 0 : 1;
}
