/* engine.c: the throughput of the engine alone, through the public API.
 *
 * Each operation increments a counter in memory; load sets it to zero and save adds it to a total,
 * which is checked at the end, so no lost operation goes unnoticed. Prints one line of JSON, with
 * the fields of floor.c, so that the two can be compared. The operations are allocated and touched
 * before the clock starts; everything from the first submit to the last completion counts.
 */
#include <batch/metrics.h>
#include <batch/store.h>

#include "common/arguments.h"
#include "common/say.h"

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct settings {
    uint64_t ops;
    uint64_t keys;
    uint64_t window_ms;
    uint32_t producers;
    uint32_t sessions;
    uint32_t shards;
};

enum { NAME_SIZE = 24 };

struct bench {
    struct settings settings;
    batch_processor *processor;
    char (*names)[NAME_SIZE];
    batch_op *ops;
    uint64_t failed; /* operations whose status was not BATCH_OK; atomic */
    int64_t saved;   /* increments that were saved; atomic */
};

struct producer {
    struct bench *bench;
    uint64_t first;
    uint64_t end;
    pthread_t thread;
};

static int load(batch_call *call, void *resource, void *arg)
{
    (void)arg;
    batch_call_set_version(call, 1);
    *(int64_t *)resource = 0;
    return BATCH_OK;
}

static int save(batch_call *call, void *resource, void *arg)
{
    struct bench *bench = arg;
    (void)call;
    __atomic_fetch_add(&bench->saved, *(int64_t *)resource, __ATOMIC_RELAXED);
    return BATCH_OK;
}

static batch_verdict increment(void *resource, void *arg)
{
    (void)arg;
    ++*(int64_t *)resource;
    return BATCH_CHANGED;
}

static void done(batch_op *op, const batch_result *result)
{
    if (result->status != BATCH_OK)
        __atomic_fetch_add(&((struct bench *)op->arg)->failed, 1, __ATOMIC_RELAXED);
}

static void *produce(void *arg)
{
    const struct producer *producer = arg;
    struct bench *bench = producer->bench;
    for (uint64_t i = producer->first; i < producer->end; i++) {
        batch_op *op = &bench->ops[i];
        op->key = bench->names[i % bench->settings.keys];
        op->key_size = strlen(op->key);
        op->run = increment;
        op->done = done;
        op->arg = bench;
        while (batch_submit(bench->processor, op) == BATCH_BUSY)
            ; /* impossible: ops_waiting_max allows all of them */
    }
    return NULL;
}

static void *zeroed(uint64_t count, size_t size)
{
    void *memory = malloc(count * size);
    if (memory == NULL)
        die("no memory for %" PRIu64 " x %zu bytes", count, size);
    memset(memory, 0, count * size);
    for (size_t at = 0; at < count * size; at += 4096) /* the compiler may have made calloc of it */
        ((volatile char *)memory)[at] = 0;
    return memory;
}

static void start(struct bench *bench)
{
    const struct settings *settings = &bench->settings;
    batch_options options = BATCH_OPTIONS_INIT;
    options.sessions = settings->sessions;
    options.shards = settings->shards;
    options.load = load;
    options.save = save;
    options.arg = bench;
    options.resource_size = sizeof(int64_t);
    options.window_ns =
        settings->window_ms == 0 ? BATCH_WINDOW_NONE : settings->window_ms * 1000000;
    options.ops_max = UINT32_MAX;
    options.ops_waiting_max = settings->ops * settings->shards;
    options.key_ops_waiting_max = settings->ops;
    batch_result error;
    if (batch_processor_start(&bench->processor, &options, &error) != BATCH_OK)
        die("%s", error.message);
}

/* Submit all operations from the producers' threads. */
static void run(struct bench *bench)
{
    struct settings settings = bench->settings;
    struct producer *producers = zeroed(settings.producers, sizeof *producers);
    for (uint32_t i = 0; i < settings.producers; i++) {
        producers[i] = (struct producer){.bench = bench,
                                         .first = settings.ops * i / settings.producers,
                                         .end = settings.ops * (i + 1) / settings.producers};
        if (pthread_create(&producers[i].thread, NULL, produce, &producers[i]) != 0)
            die("the system refused a thread");
    }
    for (uint32_t i = 0; i < settings.producers; i++)
        pthread_join(producers[i].thread, NULL);
    free(producers);
}

static void report(const struct bench *bench, double seconds, uint64_t batches)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    double cpu = (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
                 (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6;
    printf("{\"bench\":\"engine\",\"ops\":%" PRIu64 ",\"keys\":%" PRIu64
           ",\"ops_per_s\":%.0f,\"cpu_ns_per_op\":%.1f,\"batches\":%" PRIu64
           ",\"batches_per_s\":%.0f,\"peak_rss_bytes\":%ld}\n",
           bench->settings.ops, bench->settings.keys, (double)bench->settings.ops / seconds,
           cpu * 1e9 / (double)bench->settings.ops, batches, (double)batches / seconds,
           use.ru_maxrss * 1024L);
}

static uint64_t wait_for_completions(const struct bench *bench)
{
    batch_stats stats = BATCH_STATS_INIT;
    struct timespec pause = {0, 5000000};
    do {
        nanosleep(&pause, NULL);
        batch_processor_stats(bench->processor, &stats);
    } while (stats.operations_completed[0] + __atomic_load_n(&bench->failed, __ATOMIC_RELAXED) <
             bench->settings.ops);
    return stats.batches;
}

static const char help[] =
    "engine: operations per second of the engine alone\n"
    "\n"
    "usage: engine --ops N --keys K --window-ms W [--producers P] [--sessions S] [--shards S]\n"
    "  --ops N        total number of operations\n"
    "  --keys K       keys, used in rotation\n"
    "  --window-ms W  window of a batch; 0: BATCH_WINDOW_NONE\n"
    "  --producers P  submitting threads (1)\n"
    "  --sessions S   session threads; 0: the worker loads and saves itself (0)\n"
    "  --shards S     shards, each with a worker thread (1)\n"
    "  --help         this text\n";

static void read_option(struct settings *settings, int option, const char *value)
{
    switch (option) {
    case 'o':
        settings->ops = argument_number("--ops", value, 1, UINT32_MAX);
        break;
    case 'k':
        settings->keys = argument_number("--keys", value, 1, UINT32_MAX);
        break;
    case 'w':
        settings->window_ms = argument_number("--window-ms", value, 0, 60000);
        break;
    case 'p':
        settings->producers = argument_u32("--producers", value, 1, 1024);
        break;
    case 's':
        settings->sessions = argument_u32("--sessions", value, 0, 1024);
        break;
    case 'r':
        settings->shards = argument_u32("--shards", value, 1, 256);
        break;
    default:
        argument_help(option, help);
    }
}

static struct settings settings_of(int argc, char **argv)
{
    static const struct option options[] = {{"ops", required_argument, NULL, 'o'},
                                            {"keys", required_argument, NULL, 'k'},
                                            {"window-ms", required_argument, NULL, 'w'},
                                            {"producers", required_argument, NULL, 'p'},
                                            {"sessions", required_argument, NULL, 's'},
                                            {"shards", required_argument, NULL, 'r'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct settings settings = {.window_ms = UINT64_MAX, .producers = 1, .shards = 1};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        read_option(&settings, option, optarg);
    if (optind < argc)
        argument_is_wrong("argument", argv[optind], "not understood");
    if (settings.ops == 0 || settings.keys == 0 || settings.window_ms == UINT64_MAX) {
        fputs(help, stderr);
        exit(2);
    }
    return settings;
}

int main(int argc, char **argv)
{
    struct bench bench = {.settings = settings_of(argc, argv)};
    bench.names = zeroed(bench.settings.keys, sizeof *bench.names);
    bench.ops = zeroed(bench.settings.ops, sizeof *bench.ops);
    for (uint64_t i = 0; i < bench.settings.keys; i++)
        snprintf(bench.names[i], NAME_SIZE, "%" PRIu64, i);
    start(&bench);

    uint64_t start_ns = batch_now_ns();
    run(&bench);
    uint64_t batches = wait_for_completions(&bench);
    double seconds = (double)(batch_now_ns() - start_ns) / 1e9;
    report(&bench, seconds, batches);

    batch_processor_stop(bench.processor, BATCH_FOREVER);
    batch_processor_free(bench.processor);
    bool is_right = bench.failed == 0 && (uint64_t)bench.saved == bench.settings.ops;
    if (!is_right)
        say("%" PRIu64 " failed, %" PRId64 " saved", bench.failed, bench.saved);
    free(bench.ops);
    free(bench.names);
    return is_right ? 0 : 1;
}
