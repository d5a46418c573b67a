/* overload.c: what becomes of operations when more of them arrive than can run.
 *
 * One hot key, and many cold ones that get a tenth of the capacity together, whatever the load.
 * Operations arrive by the clock, whether or not earlier ones have completed, and a latency counts
 * from the time at which the operation was due to arrive. So a queue is seen in full, and a slow
 * generator is too. Everything but the window is at its default.
 *
 * The capacity is measured first, for each kind of operation and window: the same mixture, as many
 * outstanding as two windows hold, with a deadline that nothing reaches.
 *
 * Goodput is what completed with BATCH_OK within the measured time. All that was accepted is
 * completed at the end, and the counters in the store must be the number of those operations.
 */
#include <batch/store.h>

#include "common/arguments.h"
#include "common/say.h"
#include "common/sleep.h"
#include "common/tally.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { COLD_KEYS = 10000, KEY_SIZE = 8, CHUNK = 4096, LOADS_MAX = 8 };

#define COLD_SHARE 0.1
#define SECOND_NS  UINT64_C(1000000000)
#define PAUSE_NS   UINT64_C(50000) /* of the generator, when nothing is due */

struct settings {
    uint64_t op_us[LOADS_MAX], window_ms[LOADS_MAX];
    double load[LOADS_MAX];
    size_t ops_size, windows_size, loads_size;
    uint64_t warm_up_ns, time_ns;
    bool is_json;
};

struct request {
    batch_op op; /* first */
    struct run *run;
    struct request *next; /* in the list of those that are free */
    uint64_t due_ns;
    bool is_hot;
};

/* What is counted of one kind of key: by the generator what is refused at once, by the worker the
 * rest. */
struct counts {
    struct tally refused;
    struct tally completed;
};

/* One processor under one load. */
struct run {
    batch_store *store;
    batch_processor *processor;
    uint64_t iterations; /* of an operation */
    uint64_t begin_ns, end_ns;
    uint64_t random;
    struct request *free;   /* the generator's */
    struct request *xfreed; /* pushed by the worker, all taken by the generator */
    uint64_t xoutstanding;
    uint64_t xok;      /* operations with BATCH_OK, ever */
    uint64_t xunknown; /* with BATCH_UNKNOWN */
    uint64_t xgood;    /* with BATCH_OK, between begin_ns and end_ns */
    uint64_t sent;     /* that were due between them */
    uint64_t late_ns;  /* the longest delay of the generator itself */
    struct counts hot, cold;
    struct chunk *chunks; /* of memory for requests */
};

struct chunk {
    struct chunk *next;
    struct request requests[CHUNK];
};

static char cold_names[COLD_KEYS][KEY_SIZE];
static const char hot_name[] = "hot";

/* ---- Operations ------------------------------------------------------------------------------ */

/* Keep a processor busy. */
static void spin(uint64_t iterations)
{
    volatile uint64_t result;
    uint64_t x = iterations;
    for (uint64_t i = 0; i < iterations; i++)
        x = x * 6364136223846793005u + 1;
    result = x;
    (void)result;
}

/* How many take a microsecond, on a processor of one's own: the fastest of many trials. */
static double iterations_per_us(void)
{
    enum { ITERATIONS = 100000 };
    uint64_t least_ns = UINT64_MAX;
    for (int i = 0; i < 200; i++) {
        uint64_t begin_ns = batch_now_ns();
        spin(ITERATIONS);
        uint64_t took_ns = batch_now_ns() - begin_ns;
        if (took_ns < least_ns)
            least_ns = took_ns;
    }
    return ITERATIONS * 1000.0 / (double)least_ns;
}

static batch_verdict increment(void *resource, void *arg)
{
    spin(((const struct request *)arg)->run->iterations);
    ++*(uint64_t *)resource;
    return BATCH_CHANGED;
}

static void count(struct request *request, struct tally *tally, int status)
{
    const struct run *run = request->run;
    if (request->due_ns < run->begin_ns || request->due_ns >= run->end_ns)
        return;
    tally_completed(tally, status);
    if (status == BATCH_OK)
        tally_latency(tally, batch_now_ns() - request->due_ns);
}

static struct counts *counts_of(struct request *request)
{
    return request->is_hot ? &request->run->hot : &request->run->cold;
}

static void done(batch_op *op, const batch_result *result)
{
    struct request *request = (struct request *)(void *)op;
    struct run *run = request->run;
    uint64_t now_ns = batch_now_ns();
    count(request, &counts_of(request)->completed, result->status);
    if (result->status == BATCH_OK) {
        tally_add(&run->xok, 1);
        if (now_ns >= run->begin_ns && now_ns < run->end_ns)
            tally_add(&run->xgood, 1);
    }
    tally_add(&run->xunknown, result->status == BATCH_UNKNOWN);
    request->next = __atomic_load_n(&run->xfreed, __ATOMIC_RELAXED);
    while (!__atomic_compare_exchange_n(&run->xfreed, &request->next, request, true,
                                        __ATOMIC_RELEASE, __ATOMIC_RELAXED))
        continue;
    __atomic_sub_fetch(&run->xoutstanding, 1, __ATOMIC_RELEASE);
}

/* ---- The generator --------------------------------------------------------------------------- */

static void add_chunk(struct run *run)
{
    struct chunk *chunk = calloc(1, sizeof *chunk);
    if (chunk == NULL)
        die("no memory");
    chunk->next = run->chunks;
    run->chunks = chunk;
    for (size_t i = 0; i < CHUNK; i++) {
        struct request *request = &chunk->requests[i];
        *request = (struct request){
            .op = {.run = increment, .done = done, .arg = request}, .run = run, .next = run->free};
        run->free = request;
    }
}

static struct request *take_request(struct run *run)
{
    if (run->free == NULL)
        run->free = __atomic_exchange_n(&run->xfreed, NULL, __ATOMIC_ACQUIRE);
    if (run->free == NULL)
        add_chunk(run);
    struct request *request = run->free;
    run->free = request->next;
    return request;
}

static void send_one(struct run *run, bool is_hot, uint64_t due_ns)
{
    struct request *request = take_request(run);
    request->is_hot = is_hot;
    request->due_ns = due_ns;
    request->op.key = hot_name;
    if (!is_hot) {
        run->random = run->random * 6364136223846793005u + 1442695040888963407u;
        request->op.key = cold_names[(run->random >> 33) % COLD_KEYS];
    }
    request->op.key_size = strlen(request->op.key);
    run->sent += due_ns >= run->begin_ns && due_ns < run->end_ns;
    __atomic_add_fetch(&run->xoutstanding, 1, __ATOMIC_RELAXED);
    int status = batch_submit(run->processor, &request->op);
    if (status == BATCH_OK)
        return;
    __atomic_sub_fetch(&run->xoutstanding, 1, __ATOMIC_RELAXED);
    count(request, &counts_of(request)->refused, status);
    request->next = run->free;
    run->free = request;
}

/* When the operations of one kind of key are due: evenly. */
struct schedule {
    uint64_t start_ns;
    double interval_ns;
    uint64_t sent;
};

static uint64_t next_due_ns(const struct schedule *schedule)
{
    return schedule->start_ns + (uint64_t)((double)schedule->sent * schedule->interval_ns);
}

/* Send what is due. True: there was something. */
static bool send_due(struct run *run, struct schedule *schedule, bool is_hot, uint64_t now_ns)
{
    uint64_t first = schedule->sent;
    uint64_t due_ns = next_due_ns(schedule);
    if (due_ns + run->late_ns < now_ns && due_ns >= run->begin_ns)
        run->late_ns = now_ns - due_ns;
    for (; due_ns <= now_ns && schedule->sent < first + CHUNK; due_ns = next_due_ns(schedule)) {
        send_one(run, is_hot, due_ns);
        schedule->sent++;
    }
    return schedule->sent > first;
}

/* Operations by the clock, until end_ns. */
static void send_by_clock(struct run *run, double hot_per_s, double cold_per_s)
{
    uint64_t start_ns = batch_now_ns();
    struct schedule hot = {start_ns, 1e9 / hot_per_s, 0};
    struct schedule cold = {start_ns, 1e9 / cold_per_s, 0};
    for (uint64_t now_ns; (now_ns = batch_now_ns()) < run->end_ns;) {
        bool is_busy = send_due(run, &cold, false, now_ns);
        is_busy = send_due(run, &hot, true, now_ns) || is_busy;
        if (!is_busy)
            sleep_ns(PAUSE_NS);
    }
}

/* `outstanding` at any time, until end_ns; one in ten is on a cold key. */
static void send_by_completions(struct run *run, uint64_t outstanding)
{
    uint64_t sent = 0;
    for (uint64_t now_ns; (now_ns = batch_now_ns()) < run->end_ns;) {
        uint64_t left = __atomic_load_n(&run->xoutstanding, __ATOMIC_ACQUIRE);
        for (; left < outstanding; left++, sent++)
            send_one(run, sent % 10 != 0, now_ns);
        sleep_ns(PAUSE_NS);
    }
}

/* ---- One run --------------------------------------------------------------------------------- */

static struct run *run_start(const struct settings *settings, double iterations, uint64_t window_ms,
                             uint64_t deadline_ns)
{
    struct run *run = calloc(1, sizeof *run);
    if (run == NULL || batch_memory_open(&run->store) != BATCH_OK)
        die("no memory");
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = run->store;
    options.resource_size = sizeof(uint64_t);
    options.window_ns = window_ms * 1000000;
    options.deadline_ns = deadline_ns; /* 0: the default */
    batch_result error;
    if (batch_processor_start(&run->processor, &options, &error) != BATCH_OK)
        die("%s", error.message);
    run->iterations = (uint64_t)iterations;
    run->begin_ns = batch_now_ns() + settings->warm_up_ns;
    run->end_ns = run->begin_ns + settings->time_ns;
    return run;
}

struct reader {
    batch_op op; /* first */
    uint64_t counter;
    int status;
};

static batch_verdict read_counter(void *resource, void *arg)
{
    ((struct reader *)arg)->counter = *(const uint64_t *)resource;
    return BATCH_UNCHANGED;
}

static void read_done(batch_op *op, const batch_result *result)
{
    ((struct reader *)(void *)op)->status = result->status;
}

/* What is stored, read by a processor of its own. */
static uint64_t sum_of_counters(struct run *run)
{
    struct reader *readers = calloc(COLD_KEYS + 1, sizeof *readers);
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = run->store;
    options.resource_size = sizeof(uint64_t);
    options.window_ns = BATCH_WINDOW_NONE;
    batch_result error;
    batch_processor *processor;
    if (readers == NULL || batch_processor_start(&processor, &options, &error) != BATCH_OK)
        die("the counters cannot be read");
    for (size_t i = 0; i <= COLD_KEYS; i++) {
        readers[i].op = (batch_op){.key = i < COLD_KEYS ? cold_names[i] : hot_name,
                                   .run = read_counter,
                                   .done = read_done,
                                   .arg = &readers[i]};
        readers[i].op.key_size = strlen(readers[i].op.key);
        readers[i].status = batch_submit(processor, &readers[i].op);
    }
    batch_processor_stop(processor, BATCH_FOREVER); /* completes them all */
    batch_processor_free(processor);
    uint64_t sum = 0;
    for (size_t i = 0; i <= COLD_KEYS; i++) {
        if (readers[i].status != BATCH_OK)
            die("a counter cannot be read: %s", batch_status_name(readers[i].status));
        sum += readers[i].counter;
    }
    free(readers);
    return sum;
}

/* Complete what was accepted, and compare. */
static bool run_end(struct run *run)
{
    batch_processor_stop(run->processor, BATCH_FOREVER);
    batch_processor_free(run->processor);
    uint64_t sum = sum_of_counters(run);
    bool is_verified = sum >= run->xok && sum <= run->xok + run->xunknown &&
                       __atomic_load_n(&run->xoutstanding, __ATOMIC_ACQUIRE) == 0;
    if (!is_verified)
        say("%" PRIu64 " operations are in the store, but %" PRIu64
            " completed with BATCH_OK and %" PRIu64 " with BATCH_UNKNOWN",
            sum, run->xok, run->xunknown);
    batch_store_close(run->store);
    while (run->chunks != NULL) {
        struct chunk *chunk = run->chunks;
        run->chunks = chunk->next;
        free(chunk);
    }
    return is_verified;
}

/* Operations per second. */
static double measure_capacity(const struct settings *settings, double iterations, uint64_t op_us,
                               uint64_t window_ms)
{
    struct run *run = run_start(settings, iterations, window_ms, 600 * SECOND_NS);
    double hoped_per_ms = 1000 / ((double)op_us + 0.2);
    uint64_t outstanding = (uint64_t)(2 * hoped_per_ms * (double)window_ms);
    send_by_completions(run, outstanding > 1000 ? outstanding : 1000);
    double capacity = (double)run->xgood * 1e9 / (double)settings->time_ns;
    if (!run_end(run))
        die("the capacity could not be measured");
    free(run);
    return capacity;
}

/* ---- Results --------------------------------------------------------------------------------- */

struct point {
    uint64_t op_us, window_ms;
    double load, capacity;
};

static uint64_t failures(const struct tally *tally)
{
    uint64_t failed = 0;
    for (int i = 1; i < BATCH_STATUS_COUNT; i++)
        failed += i == -BATCH_BUSY ? 0 : tally->xcompleted[i];
    return failed;
}

static double quantile_ms(const struct tally *tally, double share)
{
    return (double)tally_quantile_ns(tally, share) / 1e6;
}

static void print_kind(const char *name, const struct tally *tally)
{
    printf(",\"%s\":{\"ok\":%" PRIu64 ",\"errors\":", name, tally->xcompleted[-BATCH_OK]);
    tally_print_errors(stdout, tally);
    printf(",\"p50_ms\":%.3f,\"p99_ms\":%.3f}", quantile_ms(tally, 0.5), quantile_ms(tally, 0.99));
}

/* True: nothing failed but for BATCH_BUSY. */
static bool report(const struct settings *settings, const struct point *point, struct run *run,
                   bool is_verified)
{
    struct tally *hot = &run->hot.completed, *cold = &run->cold.completed;
    tally_sum(hot, &run->hot.refused);
    tally_sum(cold, &run->cold.refused);
    double seconds = (double)settings->time_ns / 1e9;
    double goodput = (double)run->xgood / seconds;
    uint64_t failed = failures(hot) + failures(cold);
    if (settings->is_json) {
        printf("{\"bench\":\"overload\",\"op_us\":%" PRIu64 ",\"window_ms\":%" PRIu64
               ",\"load\":%g,\"capacity_per_second\":%.0f,\"sent_per_second\":%.0f,"
               "\"goodput_per_second\":%.0f,\"generator_late_ms\":%.1f",
               point->op_us, point->window_ms, point->load, point->capacity,
               (double)run->sent / seconds, goodput, (double)run->late_ns / 1e6);
        print_kind("hot", hot);
        print_kind("cold", cold);
        printf(",\"verified\":%s}\n", is_verified ? "true" : "false");
    } else {
        printf("%5" PRIu64 " %6" PRIu64 " %5g %10.0f %10.0f %10.0f %6.2f %10" PRIu64 " %10" PRIu64
               " %9.1f %9.1f %9" PRIu64 "%s\n",
               point->op_us, point->window_ms, point->load, point->capacity,
               (double)run->sent / seconds, goodput, goodput / point->capacity,
               hot->xcompleted[-BATCH_BUSY] + cold->xcompleted[-BATCH_BUSY], failed,
               quantile_ms(cold, 0.5), quantile_ms(cold, 0.99), cold->xcompleted[-BATCH_BUSY],
               is_verified ? "" : "  NOT VERIFIED");
    }
    fflush(stdout);
    return is_verified && failed == 0;
}

static bool measure(const struct settings *settings, double iterations, const struct point *point)
{
    struct run *run = run_start(settings, iterations, point->window_ms, 0);
    double hot_share = point->load > COLD_SHARE ? point->load - COLD_SHARE : COLD_SHARE;
    send_by_clock(run, hot_share * point->capacity, COLD_SHARE * point->capacity);
    bool is_verified = run_end(run);
    bool is_right = report(settings, point, run, is_verified);
    free(run);
    return is_right;
}

static bool measure_all(const struct settings *settings)
{
    bool is_right = true;
    double per_us = iterations_per_us();
    if (!settings->is_json)
        printf("%5s %6s %5s %10s %10s %10s %6s %10s %10s %9s %9s %9s\n", "op us", "window", "load",
               "capacity/s", "sent/s", "goodput/s", "ratio", "BUSY", "failed", "cold p50", "p99 ms",
               "cold BUSY");
    for (size_t i = 0; i < settings->ops_size; i++) {
        for (size_t j = 0; j < settings->windows_size; j++) {
            double iterations = per_us * (double)settings->op_us[i];
            struct point point = {.op_us = settings->op_us[i], .window_ms = settings->window_ms[j]};
            point.capacity = measure_capacity(settings, iterations, point.op_us, point.window_ms);
            for (size_t k = 0; k < settings->loads_size; k++) {
                point.load = settings->load[k];
                is_right = measure(settings, iterations, &point) && is_right;
            }
        }
    }
    return is_right;
}

/* ---- The program ----------------------------------------------------------------------------- */

static const char help[] =
    "overload: what becomes of operations when more of them arrive than can run\n"
    "\n"
    "usage: overload [--op-us N]... [--window-ms W]... [--load X]... [--seconds T] [--json]\n"
    "  --op-us N      time of an operation (1 and 20)\n"
    "  --window-ms W  window of a batch (10 and 100)\n"
    "  --load X       what arrives, as a multiple of the capacity (0.5, 1, 2 and 10)\n"
    "  --seconds T    duration of each measurement (3), and --warm-up T before it (1)\n"
    "  --json         a line of JSON for each instead of the table\n"
    "  --help         this text\n"
    "\n"
    "One hot key; 10,000 cold ones get a tenth of the capacity together. Operations arrive by the\n"
    "clock; latencies count from when they were due. Store: memory. Exits 1 if an operation was\n"
    "lost, or failed with a status other than BATCH_BUSY.\n";

static void read_option(struct settings *settings, int option, const char *value)
{
    switch (option) {
    case 'o':
        if (settings->ops_size == LOADS_MAX)
            argument_is_wrong("--op-us", value, "too many");
        settings->op_us[settings->ops_size++] = argument_number("--op-us", value, 0, 1000000);
        break;
    case 'w':
        if (settings->windows_size == LOADS_MAX)
            argument_is_wrong("--window-ms", value, "too many");
        settings->window_ms[settings->windows_size++] =
            argument_number("--window-ms", value, 1, 60000);
        break;
    case 'l':
        if (settings->loads_size == LOADS_MAX)
            argument_is_wrong("--load", value, "too many");
        settings->load[settings->loads_size++] = argument_decimal("--load", value, 0.2, 1000);
        break;
    case 't':
        settings->time_ns = argument_seconds("--seconds", value, 0.01);
        break;
    case 'u':
        settings->warm_up_ns = argument_seconds("--warm-up", value, 0);
        break;
    case 'j':
        settings->is_json = true;
        break;
    default:
        argument_help(option, help);
    }
}

static void fill_in(struct settings *settings)
{
    static const struct settings defaults = {
        .op_us = {1, 20}, .window_ms = {10, 100}, .load = {0.5, 1, 2, 10}};
    if (settings->ops_size == 0) {
        memcpy(settings->op_us, defaults.op_us, sizeof defaults.op_us);
        settings->ops_size = 2;
    }
    if (settings->windows_size == 0) {
        memcpy(settings->window_ms, defaults.window_ms, sizeof defaults.window_ms);
        settings->windows_size = 2;
    }
    if (settings->loads_size == 0) {
        memcpy(settings->load, defaults.load, sizeof defaults.load);
        settings->loads_size = 4;
    }
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"op-us", required_argument, NULL, 'o'},   {"window-ms", required_argument, NULL, 'w'},
        {"load", required_argument, NULL, 'l'},    {"seconds", required_argument, NULL, 't'},
        {"warm-up", required_argument, NULL, 'u'}, {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},          {NULL, 0, NULL, 0}};
    struct settings settings = {.warm_up_ns = SECOND_NS, .time_ns = 3 * SECOND_NS};
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;)
        read_option(&settings, option, optarg);
    if (optind < argc)
        argument_is_wrong("argument", argv[optind], "not understood");
    fill_in(&settings);
    for (int i = 0; i < COLD_KEYS; i++)
        snprintf(cold_names[i], KEY_SIZE, "c%d", i);
    return measure_all(&settings) ? 0 : 1;
}
