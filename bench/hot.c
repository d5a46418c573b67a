/* hot.c: one key that always has work: how often it is saved, and what that means for latency.
 *
 * Each client waits for its operation on the key, thinks for a random time, and submits the next
 * one. Loading and saving take the time given. The next window begins with the first operation that
 * waits for it, also while the batch before is being saved: so if some always come meanwhile, the
 * key is saved once in the longer of the window and load + save. Clients that do not think all wait
 * for the same save, and none comes meanwhile.
 *
 * Prints one line of JSON. Exits 1 if an operation failed or is missing from what was saved.
 */
#include <batch/store.h>

#include "common/arguments.h"
#include "common/say.h"
#include "common/sleep.h"
#include "common/tally.h"

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { CLIENTS_MAX = 1000 };

static uint64_t clients = 200, window_ns = 10000000, load_ns, save_ns = 4000000, think_ns;
static uint64_t time_ns = 3000000000;

struct client {
    pthread_t thread;
    uint32_t number;
    struct tally tally;
};

static batch_processor *processor;
static struct client *all;
static int is_stopping;

/* A session's. */
static uint64_t stored, saves;

static int load(batch_call *call, void *resource, void *arg)
{
    (void)call;
    (void)arg;
    if (load_ns > 0)
        sleep_ns(load_ns);
    *(uint64_t *)resource = stored;
    return BATCH_OK;
}

static int save(batch_call *call, void *resource, void *arg)
{
    (void)call;
    (void)arg;
    sleep_ns(save_ns);
    stored = *(uint64_t *)resource;
    __atomic_store_n(&saves, saves + 1, __ATOMIC_RELAXED);
    return BATCH_OK;
}

static batch_verdict increment(void *resource, void *arg)
{
    (void)arg;
    ++*(uint64_t *)resource;
    return BATCH_CHANGED;
}

/* Between 0 and twice the mean. */
static uint64_t random_time(uint64_t *random, uint64_t mean_ns)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return mean_ns > 0 ? (*random >> 16) % (2 * mean_ns) : 0;
}

static void *live(void *arg)
{
    struct client *client = arg;
    uint64_t random = client->number;
    batch_op op = {.key = "hot", .key_size = 3, .run = increment};
    while (!__atomic_load_n(&is_stopping, __ATOMIC_RELAXED)) {
        batch_result result;
        uint64_t begin_ns = batch_now_ns();
        tally_completed(&client->tally, batch_run(processor, &op, &result));
        tally_latency(&client->tally, batch_now_ns() - begin_ns);
        uint64_t pause_ns = random_time(&random, think_ns);
        if (pause_ns > 0)
            sleep_ns(pause_ns);
    }
    return NULL;
}

static void read_all(struct tally *sum)
{
    *sum = (struct tally){0};
    for (uint64_t i = 0; i < clients; i++)
        tally_sum(sum, &all[i].tally);
}

static const char help[] =
    "hot: one key that always has work: how often it is saved, and how long its clients wait\n"
    "\n"
    "usage: hot [--clients N] [--window-ms W] [--load-ms L] [--save-ms S] [--think-ms T]\n"
    "           [--seconds S]\n"
    "  --clients N    each waits for its operation, thinks, and submits the next one (200)\n"
    "  --window-ms W  window of a batch (10)\n"
    "  --load-ms L    how long a load takes (0)\n"
    "  --save-ms S    how long a save takes (4)\n"
    "  --think-ms T   how long a client thinks, on average (0)\n"
    "  --seconds S    duration of the measurement (3)\n"
    "  --help         this text\n"
    "\n"
    "Prints one line of JSON. Exits 1 if an operation failed or is missing from what was saved.\n";

static void read_options(int argc, char **argv)
{
    static const struct option known[] = {
        {"clients", required_argument, NULL, 'c'},  {"window-ms", required_argument, NULL, 'w'},
        {"load-ms", required_argument, NULL, 'l'},  {"save-ms", required_argument, NULL, 's'},
        {"think-ms", required_argument, NULL, 'i'}, {"seconds", required_argument, NULL, 't'},
        {"help", no_argument, NULL, 'h'},           {NULL, 0, NULL, 0}};
    for (int option; (option = getopt_long(argc, argv, "", known, NULL)) != -1;) {
        switch (option) {
        case 'c':
            clients = argument_number("--clients", optarg, 1, CLIENTS_MAX);
            break;
        case 'w':
            window_ns = argument_number("--window-ms", optarg, 1, 60000) * 1000000;
            break;
        case 'l':
            load_ns = argument_number("--load-ms", optarg, 0, 60000) * 1000000;
            break;
        case 's':
            save_ns = argument_number("--save-ms", optarg, 0, 60000) * 1000000;
            break;
        case 'i':
            think_ns = argument_number("--think-ms", optarg, 0, 60000) * 1000000;
            break;
        case 't':
            time_ns = argument_seconds("--seconds", optarg, 0.01);
            break;
        default:
            argument_help(option, help);
        }
    }
}

static void start(void)
{
    batch_options options = BATCH_OPTIONS_INIT;
    batch_result error;
    options.load = load;
    options.save = save;
    options.resource_size = sizeof(uint64_t);
    options.window_ns = window_ns;
    all = calloc(clients, sizeof *all);
    if (all == NULL || batch_processor_start(&processor, &options, &error) != BATCH_OK)
        die("%s", all == NULL ? "no memory" : error.message);
    for (uint64_t i = 0; i < clients; i++) {
        all[i].number = (uint32_t)i;
        if (pthread_create(&all[i].thread, NULL, live, &all[i]) != 0)
            die("the system refused a thread");
    }
}

static void stop(void)
{
    __atomic_store_n(&is_stopping, 1, __ATOMIC_RELAXED);
    for (uint64_t i = 0; i < clients; i++)
        pthread_join(all[i].thread, NULL);
    batch_processor_stop(processor, BATCH_FOREVER);
    batch_processor_free(processor);
}

int main(int argc, char **argv)
{
    struct tally begin, end;
    read_options(argc, argv);
    start();
    sleep_ns(time_ns / 4);
    read_all(&begin);
    uint64_t saves_begin = __atomic_load_n(&saves, __ATOMIC_RELAXED), begin_ns = batch_now_ns();
    sleep_ns(time_ns);
    read_all(&end);
    uint64_t saved = __atomic_load_n(&saves, __ATOMIC_RELAXED) - saves_begin;
    double seconds = (double)(batch_now_ns() - begin_ns) / 1e9;
    tally_subtract(&end, &begin);
    stop();
    printf("{\"bench\":\"hot\",\"clients\":%" PRIu64 ",\"think_ms\":%.0f,\"window_ms\":%.0f,"
           "\"load_ms\":%.0f,\"save_ms\":%.0f,\"operations_per_second\":%.0f,"
           "\"saves_per_second\":%.1f,\"latency_p50_ms\":%.3f,\"latency_p99_ms\":%.3f}\n",
           clients, (double)think_ns / 1e6, (double)window_ns / 1e6, (double)load_ns / 1e6,
           (double)save_ns / 1e6, (double)end.xcompleted[-BATCH_OK] / seconds,
           (double)saved / seconds, (double)tally_quantile_ns(&end, 0.5) / 1e6,
           (double)tally_quantile_ns(&end, 0.99) / 1e6);
    read_all(&end);
    free(all);
    uint64_t failed = 0, ok = end.xcompleted[-BATCH_OK];
    for (int i = 1; i < BATCH_STATUS_COUNT; i++)
        failed += end.xcompleted[i];
    if (failed > 0 || stored != ok)
        die("%" PRIu64 " operations failed; %" PRIu64 " of %" PRIu64 " are stored", failed, stored,
            ok);
    return 0;
}
