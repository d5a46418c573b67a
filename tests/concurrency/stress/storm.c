/* storm.c SECONDS [SEED]: see storm.h. */
#include "storm.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { HANG_SECONDS = 60 };

static void on_alarm(int signal_number)
{
    static const char text[] = "storm: a cycle hangs\n";
    (void)signal_number;
    if (write(STDERR_FILENO, text, sizeof text - 1) < 0)
        _exit(2);
    abort(); /* with all threads where they are */
}

static void *worker_main(void *arg)
{
    struct worker *worker = arg;
    struct storm *storm = worker->storm;
    for (;;) {
        pthread_barrier_wait(&storm->barrier); /* started, or over */
        if (atomic_load(&storm->is_over))
            return NULL;
        storm_run_cycle(worker);
        pthread_barrier_wait(&storm->barrier); /* stopped */
    }
}

static void storm_make(struct storm *storm)
{
    storm->random.state = storm_seed;
    atomic_store(&storm->random_faults, storm_seed);
    for (int i = 0; i < KEYS; i++) { /* some longer than a batch has room for */
        struct key *key = &storm->keys[i];
        int size = snprintf(key->text, sizeof key->text, i % 3 == 0 ? "%040d" : "%d", i);
        key->size = (size_t)size;
    }
    storm_init_requests(storm);
    late_store_open(&storm->store, storm_finish, storm);
    storm->store.is_at_once = storm_is_at_once;
    storm->store.calls_max = KEYS; /* a key has one call at a time */
    STORM_MUST(storm, pthread_barrier_init(&storm->barrier, NULL, THREADS + 1) == 0);
    for (unsigned i = 0; i < THREADS; i++) {
        struct worker *worker = &storm->workers[i];
        worker->storm = storm;
        worker->index = i;
        worker->random.state = random_next(&storm->random);
        STORM_MUST(storm, batch_completions_open(&worker->completions, NULL) == BATCH_OK);
        STORM_MUST(storm, pthread_create(&worker->thread, NULL, worker_main, worker) == 0);
    }
    STORM_MUST(storm, batch_completions_open(&storm->completions, NULL) == BATCH_OK);
}

static void storm_unmake(struct storm *storm)
{
    atomic_store(&storm->is_over, true);
    pthread_barrier_wait(&storm->barrier);
    for (int i = 0; i < THREADS; i++)
        pthread_join(storm->workers[i].thread, NULL);
    for (int i = 0; i < THREADS; i++)
        STORM_MUST(storm, batch_completions_close(storm->workers[i].completions) == BATCH_OK);
    STORM_MUST(storm, batch_completions_close(storm->completions) == BATCH_OK);
    pthread_barrier_destroy(&storm->barrier);
    late_store_close(&storm->store);
    STORM_MUST(storm, batch_store_close(&storm->store.wrapper.store) == BATCH_OK);
}

/* ---- Stop ----------------------------------------------------------------------------------- */

static void *stop_too(void *arg)
{
    struct storm *storm = arg;
    STORM_MUST(storm, batch_processor_stop(storm->processor, BATCH_FOREVER) == 0);
    return NULL;
}

static void stopped(batch_processor *processor, void *arg)
{
    struct storm *storm = arg;
    STORM_MUST(storm, processor == storm->processor);
    STORM_MUST(storm, !storm->has_stopped);
    storm->has_stopped = true;
}

/* As an event loop does. */
static void stop_to(struct storm *storm)
{
    batch_completions *loop = storm->completions;
    storm->has_stopped = false;
    STORM_MUST(storm, batch_processor_stop_to(storm->processor, loop, stopped, storm) == BATCH_OK);
    while (!storm->has_stopped)
        STORM_MUST(storm, batch_completions_dispatch(loop, 0, BATCH_FOREVER) >= 0);
}

static void stop(struct storm *storm)
{
    pthread_t other;
    bool has_other = random_below(&storm->random, 4) == 0;
    if (has_other)
        STORM_MUST(storm, pthread_create(&other, NULL, stop_too, storm) == 0);
    if (random_below(&storm->random, 3) == 0)
        STORM_MUST(storm, batch_processor_stop(storm->processor, 0) >= 0);
    if (random_below(&storm->random, 3) == 0)
        STORM_MUST(storm, batch_processor_stop(storm->processor, 100000) >= 0);
    if (random_below(&storm->random, 2) == 0)
        stop_to(storm);
    STORM_MUST(storm, batch_processor_stop(storm->processor, BATCH_FOREVER) == 0);
    if (has_other)
        pthread_join(other, NULL);
}

/* ---- The totals ------------------------------------------------------------------------------ */

/* Just after stop: the completions of what was accepted must all be there already, but for those on
 * loops. The threads may still be finding out, so only what `done` wrote is looked at. */
static uint64_t count_completions(struct storm *storm)
{
    uint64_t completions = 0;
    for (int thread = 0; thread < THREADS; thread++) {
        for (int i = 0; i < OPS_EACH; i++)
            completions += atomic_load(&storm->workers[thread].requests[i].completions);
    }
    return completions;
}

/* *ret_bound: of these, those that completed on loops. */
static uint64_t count_accepted(struct storm *storm, uint64_t *ret_bound)
{
    uint64_t accepted = 0;
    *ret_bound = 0;
    for (int thread = 0; thread < THREADS; thread++) {
        for (int i = 0; i < OPS_EACH; i++) {
            struct request *request = &storm->workers[thread].requests[i];
            unsigned here = request->accepted + atomic_load(&request->accepted_again);
            unsigned bound = request->completed_bound;
            STORM_MUST(storm, here == atomic_load(&request->completions) + bound);
            *ret_bound += bound;
            request->completed_bound = 0;
            STORM_MUST(storm, atomic_load(&request->is_free));
            accepted += here;
            request->accepted = 0;
            atomic_store(&request->accepted_again, 0);
            atomic_store(&request->completions, 0);
        }
    }
    return accepted;
}

static void check_totals(struct storm *storm, uint64_t completions)
{
    uint64_t runs = 0, runs_uncertain = 0, completed = 0;
    for (int i = 0; i < THREADS; i++) {
        runs += storm->workers[i].runs_completed;
        runs_uncertain += storm->workers[i].runs_uncertain;
        storm->workers[i].runs_completed = storm->workers[i].runs_uncertain = 0;
    }
    batch_stats stats = BATCH_STATS_INIT;
    STORM_MUST(storm, batch_processor_stats(storm->processor, &stats) == BATCH_OK);
    for (int i = 0; i < BATCH_STATUS_COUNT; i++) {
        completed += stats.operations_completed[i];
        storm->completed[i] += stats.operations_completed[i];
    }
    storm->batches += stats.batches;
    uint64_t bound;
    uint64_t accepted = count_accepted(storm, &bound);
    STORM_MUST(storm, completions == accepted - bound); /* none came after stop */
    STORM_MUST(storm, stats.operations_waiting == 0);
    STORM_MUST(storm, stats.operations_accepted == completed);
    STORM_MUST(storm, stats.operations_accepted >= accepted + runs);
    STORM_MUST(storm, stats.operations_accepted <= accepted + runs + runs_uncertain);
    for (int i = 0; i < KEYS; i++) {
        int64_t expected = storm->keys[i].expected;
        for (int thread = 0; thread < THREADS; thread++)
            expected += storm->workers[thread].expected_bound[i];
        STORM_MUST(storm, storm->keys[i].stored == expected);
    }
}

/* ---- Cycles --------------------------------------------------------------------------------- */

static void run_cycle(struct storm *storm)
{
    alarm(HANG_SECONDS);
    storm_choose_options(storm);
    STORM_MUST(storm, batch_processor_start(&storm->processor, &storm->options, NULL) == BATCH_OK);
    pthread_barrier_wait(&storm->barrier);
    /* Sleeping decides how much happens, not what is right. */
    struct timespec pause = {0, (long)random_below(&storm->random, 30000000)};
    nanosleep(&pause, NULL);
    stop(storm);
    uint64_t completions = count_completions(storm);
    pthread_barrier_wait(&storm->barrier);
    check_totals(storm, completions);
    STORM_MUST(storm, batch_processor_free(storm->processor) == BATCH_OK);
    STORM_MUST(storm, storm->memory.live == 0);
    storm->cycles++;
}

static void report(const struct storm *storm)
{
    uint64_t completed = 0, records = 0, dispatched = 0;
    for (int i = 0; i < BATCH_STATUS_COUNT; i++)
        completed += storm->completed[i];
    for (int i = 0; i < THREADS; i++)
        records += storm->workers[i].records, dispatched += storm->workers[i].dispatched;
    printf("%llu cycles, %llu operations, %llu batches, %llu records read, %llu dispatched\n",
           (unsigned long long)storm->cycles, (unsigned long long)completed,
           (unsigned long long)storm->batches, (unsigned long long)records,
           (unsigned long long)dispatched);
    for (int i = 0; i < BATCH_STATUS_COUNT; i++) {
        if (storm->completed[i] > 0)
            printf("  %-18s %llu\n", batch_status_name(-i),
                   (unsigned long long)storm->completed[i]);
    }
}

int main(int argc, char **argv)
{
    double seconds = argc > 1 ? atof(argv[1]) : 5;
    storm_seed = argc > 2 ? strtoull(argv[2], NULL, 10) : batch_now_ns();
    printf("storm: %g s, seed %llu\n", seconds, (unsigned long long)storm_seed);
    fflush(stdout);
    signal(SIGALRM, on_alarm);
    struct storm *storm = calloc(1, sizeof *storm);
    storm_make(storm);
    uint64_t end_ns = batch_now_ns() + (uint64_t)(seconds * 1e9);
    while (batch_now_ns() < end_ns)
        run_cycle(storm);
    storm_unmake(storm);
    report(storm);
    /* A storm in which something never happens shows nothing about it. */
    static const int seen[] = {BATCH_OK,          BATCH_CANCELED,    BATCH_EXPIRED,  BATCH_BUSY,
                               BATCH_LOAD_FAILED, BATCH_SAVE_FAILED, BATCH_CONFLICT, BATCH_UNKNOWN};
    for (size_t i = 0; storm->cycles >= 50 && i < sizeof seen / sizeof seen[0]; i++)
        STORM_MUST(storm, storm->completed[-seen[i]] > 0);
    free(storm);
    return 0;
}
