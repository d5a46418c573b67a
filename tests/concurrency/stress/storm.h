/* storm.h: 8 threads that do everything to processors that are started and stopped under them.
 *
 * A cycle: a processor is started, with options drawn from the seed; the threads submit one and
 * many, cancel, run, subscribe and read stats, as fast as they can; it is stopped meanwhile, by
 * one thread or two, at once or after a stop with no time; every thread goes on until it gets
 * BATCH_STOPPED; then it is freed, and the totals are compared:
 *
 *   - every accepted operation was completed exactly once, before stop returned; those that were
 *     submitted to an event loop, of which each thread has one, on its thread, in the same cycle;
 *   - stats: accepted = the sum of completed[] = what the threads counted;
 *   - operations that one thread submits on one key ran, and were completed, in that order;
 *   - nothing but the library protects the numbers in resources, in the store, and beside the keys:
 *     they add up, and ThreadSanitizer sees no race on them;
 *   - no memory is left.
 *
 * Seeded bugs, each the same program with one injected: STORM_BUG_TWICE completes an
 * operation twice, STORM_BUG_LOST loses an update, STORM_BUG_ORDER submits out of order,
 * STORM_BUG_RACE reads a resource's number unprotected (for ThreadSanitizer).
 */
#ifndef BATCH_TEST_STRESS_STORM_H
#define BATCH_TEST_STRESS_STORM_H

#include <batch/completions.h>
#include <batch/metrics.h>
#include <batch/store.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "counting_allocator.h"
#include "late_store.h"
#include "random.h"

enum { THREADS = 8, KEYS = 24, OPS_EACH = 96, MANY_MAX = 24, KEY_TEXT_MAX = 48 };

/* One key: nothing here is atomic or under a lock. */
struct key {
    char text[KEY_TEXT_MAX];
    size_t size;
    int64_t stored;              /* by load and save */
    uint64_t ran[THREADS];       /* the latest number of each thread; by operations */
    uint64_t completed[THREADS]; /* likewise, of those that ran; by `done` */
    int64_t expected;            /* changes completed with OK; by `done` and by operations of run */
};

struct storm;

/* An operation, in use from submit to completion. */
struct request {
    batch_op op; /* first */
    struct storm *storm;
    struct key *key;
    unsigned thread;
    uint64_t number; /* of those its thread submitted on the key; 0: in no order */
    bool has_run;
    bool changes;
    bool is_bound; /* it completes on the loop of its thread */
    atomic_bool is_free;
    atomic_uint completions;  /* in this cycle */
    unsigned completed_bound; /* of these, on the loop; by its thread */
    unsigned accepted;        /* in this cycle, by the thread; and by its own `done` */
    atomic_uint accepted_again;
};

struct worker {
    struct storm *storm;
    unsigned index;
    pthread_t thread;
    struct random random;
    struct request requests[OPS_EACH];
    uint64_t numbers[KEYS]; /* given out so far */

    /* Its loop: nothing here is atomic or under a lock. */
    batch_completions *completions;
    batch_subscription *subscription; /* read on the loop; NULL: none now */
    uint64_t completed_bound[KEYS];   /* the latest number of those that ran */
    int64_t expected_bound[KEYS];     /* changes completed with OK */
    uint64_t dispatched;
    /* This cycle. */
    uint64_t runs_completed; /* runs that were accepted for sure */
    uint64_t runs_uncertain; /* refused, at submit or later */
    uint64_t refused[BATCH_STATUS_COUNT];
    uint64_t records;
};

struct storm {
    struct key keys[KEYS];
    struct late_store store;
    struct worker workers[THREADS];
    batch_processor *processor;
    batch_options options;
    pthread_barrier_t barrier; /* the threads and the one that starts and stops */
    atomic_bool is_over;
    struct allocator memory;
    bool may_run_again; /* operations, after a conflict or on a cached resource */
    bool must_resubmit; /* some operations are submitted again by their own `done` */
    atomic_uint_fast64_t random_faults;
    struct random random;

    batch_completions *completions; /* for the end of a stop */
    bool has_stopped;

    /* In all. */
    uint64_t cycles;
    uint64_t completed[BATCH_STATUS_COUNT];
    uint64_t batches;
};

/* Print what is wrong, with the seed, and exit 1. */
_Noreturn void storm_fail(const struct storm *storm, const char *what);
#define STORM_MUST(storm, condition) ((condition) ? (void)0 : storm_fail((storm), #condition))

extern uint64_t storm_seed;

/* storm_load.c: callbacks of the library, and what the threads do until they are stopped. */
void storm_init_requests(struct storm *storm);
void storm_choose_options(struct storm *storm);
void storm_run_cycle(struct worker *worker);
void storm_finish(struct late_call late,
                  void *arg); /* of the store: some calls at once, others later */
bool storm_is_at_once(void *arg);

#endif
