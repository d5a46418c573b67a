/* loop.c: a server with a single event loop: what it costs to get completions on its thread.
 *
 * The loop waits with epoll and has a number of requests in flight: as soon as one is complete it
 * submits the next one, as a server does for clients that wait. Three modes:
 *
 *   completions  batch_submit_to, and batch_completions_dispatch when its file descriptor is
 *                readable
 *   list         batch_submit, with a `done` that puts the request on a list under a lock and wakes
 *                the loop through an eventfd if the list was empty: what programs did themselves
 *
 *   driven       batch_submit, and batch_processor_drive when the processor's file descriptor is
 *                readable: there is no worker
 *
 * Prints one line of JSON: operations a second, latencies from submit to completion on the loop,
 * the time of all processors for one operation, and operations for each time that the loop was
 * woken. Exits 1 if an operation failed, or a completion did not come on the loop's thread.
 */
#include <batch/completions.h>
#include <batch/driven.h>
#include <batch/store.h>

#include "common/arguments.h"
#include "common/say.h"
#include "common/tally.h"

#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

enum mode { COMPLETIONS, LIST, DRIVEN };
static const char *const mode_names[] = {"completions", "list", "driven", NULL};

struct settings {
    enum mode mode;
    uint64_t keys, outstanding, time_ns;
};

struct request {
    batch_op op; /* first */
    struct bench *bench;
    struct request *next; /* in the list */
    uint32_t key;
    uint64_t begin_ns;
};

struct bench {
    struct settings settings;
    batch_processor *processor;
    batch_completions *completions; /* NULL in other modes */
    int wake;                       /* the descriptor to wait for; of the list: an eventfd */
    pthread_mutex_t lock;
    struct request *newest; /* under lock */
    pthread_t thread;       /* the loop's */
    struct request *requests;
    uint64_t in_flight;
    uint64_t wakes;
    bool is_over;
    struct tally tally;
};

static batch_verdict increment(void *resource, void *arg)
{
    (void)arg;
    ++*(int64_t *)resource;
    return BATCH_CHANGED;
}

static void submit(struct request *request)
{
    struct bench *bench = request->bench;
    request->begin_ns = batch_now_ns();
    int status = bench->completions != NULL
                     ? batch_submit_to(bench->processor, &request->op, bench->completions)
                     : batch_submit(bench->processor, &request->op);
    if (status != BATCH_OK)
        die("an operation was refused: %s", batch_status_name(status));
}

/* On the loop's thread. */
static void complete(struct request *request)
{
    struct bench *bench = request->bench;
    if (!pthread_equal(bench->thread, pthread_self()))
        die("a completion came on another thread");
    tally_completed(&bench->tally, BATCH_OK);
    tally_latency(&bench->tally, batch_now_ns() - request->begin_ns);
    if (bench->is_over)
        bench->in_flight--;
    else
        submit(request);
}

static void done_on_loop(batch_op *op, const batch_result *result)
{
    if (result->status != BATCH_OK)
        die("%s", result->message);
    complete((struct request *)(void *)op);
}

/* ---- The list -------------------------------------------------------------------------------- */

static void done_on_worker(batch_op *op, const batch_result *result)
{
    struct request *request = (struct request *)(void *)op;
    struct bench *bench = request->bench;
    const uint64_t one = 1;
    if (result->status != BATCH_OK)
        die("%s", result->message);
    pthread_mutex_lock(&bench->lock);
    bool was_empty = bench->newest == NULL;
    request->next = bench->newest;
    bench->newest = request;
    pthread_mutex_unlock(&bench->lock);
    if (was_empty && write(bench->wake, &one, sizeof one) < 0)
        die("eventfd");
}

static void complete_list(struct bench *bench)
{
    uint64_t times;
    if (read(bench->wake, &times, sizeof times) < 0)
        return;
    pthread_mutex_lock(&bench->lock);
    struct request *newest = bench->newest;
    bench->newest = NULL;
    pthread_mutex_unlock(&bench->lock);
    struct request *oldest = NULL, *next;
    for (; newest != NULL; newest = next) {
        next = newest->next;
        newest->next = oldest;
        oldest = newest;
    }
    for (; oldest != NULL; oldest = next) {
        next = oldest->next;
        complete(oldest);
    }
}

/* ---- The loop -------------------------------------------------------------------------------- */

static void start(struct bench *bench)
{
    batch_options options = BATCH_OPTIONS_INIT;
    batch_result error;
    options.store = NULL;
    options.sessions = 0; /* nothing waits: what is measured is the way to the loop and back */
    options.resource_size = sizeof(int64_t);
    options.window_ns = BATCH_WINDOW_NONE;
    options.driven = bench->settings.mode == DRIVEN;
    if (batch_processor_start(&bench->processor, &options, &error) != BATCH_OK)
        die("%s", error.message);
    if (bench->settings.mode == COMPLETIONS &&
        batch_completions_open(&bench->completions, NULL) != BATCH_OK)
        die("no completions");
    if (bench->settings.mode == LIST)
        bench->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    else if (bench->settings.mode == COMPLETIONS)
        bench->wake = batch_completions_fd(bench->completions);
    else
        bench->wake = batch_processor_fd(bench->processor);
    bench->thread = pthread_self();
    pthread_mutex_init(&bench->lock, NULL);
}

static void submit_first(struct bench *bench)
{
    uint64_t count = bench->settings.outstanding;
    bench->requests = calloc(count, sizeof *bench->requests);
    if (bench->requests == NULL)
        die("out of memory");
    bench->in_flight = count;
    for (uint64_t i = 0; i < count; i++) {
        struct request *request = &bench->requests[i];
        request->bench = bench;
        request->key = (uint32_t)(i % bench->settings.keys);
        request->op.key = &request->key;
        request->op.key_size = sizeof request->key;
        request->op.run = increment;
        request->op.done = bench->settings.mode == LIST ? done_on_worker : done_on_loop;
        submit(request);
    }
}

static void run_loop(struct bench *bench, uint64_t end_ns)
{
    struct epoll_event event = {.events = EPOLLIN};
    int loop = epoll_create1(EPOLL_CLOEXEC);
    if (loop < 0 || epoll_ctl(loop, EPOLL_CTL_ADD, bench->wake, &event) != 0)
        die("epoll");
    while (bench->in_flight > 0) {
        if (epoll_wait(loop, &event, 1, -1) <= 0)
            continue;
        bench->wakes++;
        bench->is_over = bench->is_over || batch_now_ns() >= end_ns;
        if (bench->settings.mode == LIST)
            complete_list(bench);
        else if (bench->settings.mode == COMPLETIONS)
            batch_completions_dispatch(bench->completions, 0, 0);
        else
            batch_processor_drive(bench->processor, 0);
    }
    close(loop);
}

static void finish(struct bench *bench)
{
    if (batch_processor_stop(bench->processor, BATCH_FOREVER) != 0 ||
        batch_processor_free(bench->processor) != BATCH_OK ||
        batch_completions_close(bench->completions) != BATCH_OK)
        die("could not stop");
    if (bench->settings.mode == LIST)
        close(bench->wake);
    free(bench->requests);
}

/* ---- The program ----------------------------------------------------------------------------- */

static const char help[] =
    "loop: a server with a single event loop, and operations that complete on its thread\n"
    "\n"
    "usage: loop --mode completions|list|driven [--keys K] [--outstanding N] [--seconds S]\n"
    "  --mode           batch/completions.h; a list with a lock and an eventfd; batch/driven.h\n"
    "  --keys K         that the requests are spread over (1000)\n"
    "  --outstanding N  requests in flight (1000)\n"
    "  --seconds S      how long (2)\n"
    "  --help           this text\n";

static struct settings settings_of(int argc, char **argv)
{
    static const struct option options[] = {{"mode", required_argument, NULL, 'm'},
                                            {"keys", required_argument, NULL, 'k'},
                                            {"outstanding", required_argument, NULL, 'o'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    struct settings settings = {
        .keys = 1000, .outstanding = 1000, .time_ns = 2 * UINT64_C(1000000000)};
    bool has_mode = false;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'm') {
            settings.mode = (enum mode)argument_choice("--mode", optarg, mode_names);
            has_mode = true;
        } else if (option == 'k') {
            settings.keys = argument_number("--keys", optarg, 1, 1000000);
        } else if (option == 'o') {
            settings.outstanding = argument_number("--outstanding", optarg, 1, 500000);
        } else if (option == 's') {
            settings.time_ns = argument_seconds("--seconds", optarg, 0.01);
        } else {
            argument_help(option, help);
        }
    }
    if (!has_mode || optind < argc) {
        fputs(help, stderr);
        exit(2);
    }
    return settings;
}

static double cpu_ns(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) * 1e9 +
           (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) * 1e3;
}

int main(int argc, char **argv)
{
    static struct bench bench;
    bench.settings = settings_of(argc, argv);
    start(&bench);
    double cpu_before_ns = cpu_ns();
    uint64_t begin_ns = batch_now_ns();
    submit_first(&bench);
    run_loop(&bench, begin_ns + bench.settings.time_ns);
    double time_ns = (double)(batch_now_ns() - begin_ns);
    double used_ns = cpu_ns() - cpu_before_ns;
    finish(&bench);
    double completed = (double)bench.tally.xcompleted[0];
    printf(
        "{\"mode\":\"%s\",\"keys\":%" PRIu64 ",\"outstanding\":%" PRIu64
        ",\"operations_per_s\":%.0f,\"p50_us\":%.1f,\"p99_us\":%.1f,\"cpu_ns_per_operation\":%.0f,"
        "\"operations_per_wake\":%.1f}\n",
        mode_names[bench.settings.mode], bench.settings.keys, bench.settings.outstanding,
        completed / time_ns * 1e9, (double)tally_quantile_ns(&bench.tally, 0.5) / 1e3,
        (double)tally_quantile_ns(&bench.tally, 0.99) / 1e3, used_ns / completed,
        completed / (double)bench.wakes);
    return 0;
}
