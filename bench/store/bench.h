/* bench.h: what the files of the benchmark of stores share.
 *
 *   main.c             prepare, run, measure, verify
 *   options.c          the command line
 *   tally.c            counting answers and times
 *   report.c           the line of JSON, the live line
 *   grouped.c          modes grouped and single: through libbatch
 *   direct.c           mode direct: a pool of connections, a transaction for each operation
 *   target.c           which store; and the one in memory
 *   target_sqlite.c, target_postgres.c
 *                      rows made before and added up after, and direct's transaction
 *
 * Every operation adds 1 to the counter of a key. At the end the counters are added up and must
 * give the number of operations that were answered BATCH_OK.
 */
#ifndef BENCH_STORE_BENCH_H
#define BENCH_STORE_BENCH_H

#include <batch/metrics.h>
#include <batch/store.h>

#include <string.h>

/* ---- options.c ------------------------------------------------------------------------------ */

enum mode { MODE_NONE, MODE_DIRECT, MODE_SINGLE, MODE_GROUPED };
extern const char *const mode_names[]; /* by enum mode */

enum direct_by { BY_DEFAULT, BY_LOCK, BY_VERSION };

struct settings {
    const char *store; /* as given: may hold a password, never print it */
    enum mode mode;
    enum direct_by direct_by;
    uint32_t keys;
    uint32_t outstanding;
    uint32_t size; /* bytes of a state */
    uint32_t sessions;
    uint32_t group_max;
    uint64_t window_ns;
    uint64_t warm_up_ns;
    uint64_t time_ns;
};

enum options_result { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_WRONG };
enum options_result options_read(struct settings *settings, int argc, char **argv);

/* ---- Keys, states, random numbers ----------------------------------------------------------- */

enum { KEY_SIZE = 8, KEYS_MAX = 10000000 }; /* a key is its number in 8 digits */

struct key {
    char digits[KEY_SIZE];
};

/* All keys; NULL: no memory. To be freed. */
struct key *keys_new(uint32_t keys);

enum { STATE_SIZE_MIN = sizeof(uint64_t), STATE_SIZE_MAX = 1 << 20 };

/* A state begins with its counter. */
static inline uint64_t state_counter(const void *state)
{
    uint64_t counter;
    memcpy(&counter, state, sizeof counter);
    return counter;
}

/* BENCH_STORE_LOSES is the mistake that the verification must find: no counter goes beyond 3. */
static inline void state_increment(void *state)
{
    uint64_t counter = state_counter(state) + 1;
#ifdef BENCH_STORE_LOSES
    if (counter > 3)
        return;
#endif
    memcpy(state, &counter, sizeof counter);
}

/* The state that every key begins with: 0, then filler. NULL: no memory. To be freed. */
void *state_new(uint32_t size);

/* xorshift64*; the state must not be 0. */
static inline uint32_t random_below(uint64_t *random, uint32_t bound)
{
    uint64_t x = *random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *random = x;
    return (uint32_t)((((x * 0x2545F4914F6CDD1DULL) >> 32) * bound) >> 32);
}

/* ---- tally.c -------------------------------------------------------------------------------- */

/* Sixteen buckets for each power of two of nanoseconds: at most 1/16 too high. */
enum { LATENCY_BUCKETS = 61 * 16 };

/* What one thread counts. Others may read it meanwhile (the x is for atomic). */
struct tally {
    uint64_t xanswered[BATCH_STATUS_COUNT]; /* index is -status */
    uint64_t xlatency[LATENCY_BUCKETS];
    uint64_t xretries;
    /* Of sums only: a thread does not count these. */
    uint64_t commits;
    uint64_t rows;
    uint64_t cpu_ns; /* of this program, all its threads */
};

/* By the one thread that writes. */
static inline void tally_add(uint64_t *xcount, uint64_t count)
{
    __atomic_store_n(xcount, *xcount + count, __ATOMIC_RELAXED);
}

static inline void tally_answer(struct tally *tally, int status)
{
    tally_add(&tally->xanswered[-status], 1);
}

void tally_latency(struct tally *tally, uint64_t latency_ns);

/* sum += tally, which another thread may be writing; end -= begin. */
void tally_sum(struct tally *sum, const struct tally *tally);
void tally_subtract(struct tally *end, const struct tally *begin);

/* The time that `share` (0.5, 0.99) of the operations did not exceed; 0 if there were none. */
uint64_t tally_quantile_ns(const struct tally *tally, double share);

/* ---- target.c, target_….c: a store ---------------------------------------------------------- */

struct target {
    const char *name;
    const char *direct_name;    /* what direct does, for the report */
    const char *direct_refusal; /* or why it cannot be */
    const struct settings *settings;
    uint32_t sessions[MODE_GROUPED + 1]; /* what is best, by mode */

    /* Make the rows, anew. Says what went wrong. */
    bool (*prepare)(struct target *target);
    /* The store, for libbatch; the target's to close. NULL, having said why. */
    batch_store *(*store_open)(struct target *target);
    /* Add up the counters of all rows. Says what went wrong. */
    bool (*sum)(struct target *target, uint64_t *ret_sum);
    /* For direct: a connection; NULL, having said why. One operation: a status, as of batch_run,
     * and the number of times it had to begin again. */
    void *(*session_open)(struct target *target);
    int (*session_run)(void *session, const struct key *key, uint64_t *ret_retries);
    void (*session_close)(void *session);
    /* Drop the rows and free the target. */
    void (*close)(struct target *target);
};

/* The target that settings->store names. NULL, having said why. */
struct target *target_open(const struct settings *settings);

#define BENCH_TABLE "batch_bench"

struct target *target_sqlite_open(const struct settings *settings, const char *path);
struct target *target_postgres_open(const struct settings *settings, const char *conninfo);

/* ---- grouped.c, direct.c: a way to run ------------------------------------------------------ */

struct runner;

struct runner *grouped_start(const struct settings *settings, struct target *target);
struct runner *direct_start(const struct settings *settings, struct target *target);

/* Start: NULL, having said why. */
static inline struct runner *runner_start(const struct settings *settings, struct target *target)
{
    return settings->mode == MODE_DIRECT ? direct_start(settings, target)
                                         : grouped_start(settings, target);
}

/* What every runner begins with. */
struct runner {
    void (*read)(struct runner *runner, struct tally *sum); /* all since the start, but cpu_ns */
    void (*stop)(struct runner *runner); /* begin nothing more, wait for what has begun */
    void (*free)(struct runner *runner);
};

/* ---- report.c ------------------------------------------------------------------------------- */

/* Sleep for `time_ns`, with a live line on standard error if that is a terminal. */
void report_wait(struct runner *runner, const char *what, uint64_t time_ns);

/* The line of JSON, of what was counted in `time_ns`. */
void report_print(const struct settings *settings, const struct target *target,
                  const struct tally *counted, uint64_t time_ns, bool is_verified);

/* "bench/store: what", with the first error of a run only once. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
