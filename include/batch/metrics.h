/* metrics.h: what a processor did, per batch and in total.
 *
 * A subscription is a queue with one batch_metric for each batch that has ended.
 * batch_processor_stats takes a snapshot of counters and time histograms.
 */
#ifndef BATCH_METRICS_H
#define BATCH_METRICS_H

#include <batch/batch.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Why a batch accepted no more operations. */
typedef enum batch_close_reason {
    BATCH_CLOSED_BY_WINDOW = 0, /* its window had passed */
    BATCH_CLOSED_BY_STORE = 1,  /* BATCH_WINDOW_NONE: the store was free to take it */
    BATCH_CLOSED_BY_SIZE = 2,   /* ops_max was reached */
    BATCH_CLOSED_BY_STOP = 3,   /* the processor is stopping */
    BATCH_CLOSED_BY_ERROR = 4,  /* its load failed */
    BATCH_CLOSED_BY_AGE = 5     /* it had been loaded more than deadline_ns ago */
} batch_close_reason;
#define BATCH_CLOSE_REASON_COUNT 6

/* BATCH_CLOSE_REASON_COUNT of the library that is running, for other languages.
 * Returns 6, or more in later versions.
 * Threads: any. Does not block. */
BATCH_API int batch_close_reason_count(void);

/* The name of a close reason: "window", "store", "size", "stop", "error", "age".
 * Returns a static string, never NULL.
 * Threads: any. Does not block. */
BATCH_API const char *batch_close_reason_name(int reason);

/* One batch that has ended. Frozen. Times of what did not happen (no save) are 0. */
typedef struct batch_metric {
    uint64_t start_unix_ns; /* when the batch began, wall clock, since 1970 */
    uint64_t start_ns;      /* the same on the clock of batch_now_ns() */
    const void *key;        /* valid until the next call on the subscription */
    size_t key_size;
    uint64_t load_ns;       /* time to load, including the wait for a session */
    uint64_t save_ns;       /* time to save, likewise */
    uint64_t total_ns;      /* from the beginning until the last completion */
    uint64_t first_wait_ns; /* from the acceptance of the first operation until it ran */
    uint32_t group_size;    /* calls in the group of this save (of the load, if no save) */
    uint32_t operations;    /* operations completed with this batch: the sum of the next three */
    uint32_t operations_ok;
    uint32_t operations_not_applied;
    uint32_t operations_unknown;
    uint32_t operations_changed; /* returned BATCH_CHANGED, when they last ran; in all of these, a
                                    transaction counts as one operation on each of its keys */
    uint32_t replays;  /* after a conflict; load_ns and save_ns are those of the last time */
    bool load_skipped; /* the resource was cached (resource_cache_max) */
    int close_reason;  /* enum batch_close_reason */
    int status;        /* the status of the batch's operations */
    int store_code;    /* the store's own error code, or 0 */
    char error[BATCH_MESSAGE_SIZE]; /* the message of the result; empty if status is BATCH_OK */
    uint32_t unit_keys; /* keys that transactions tied to this one, itself included; 1: alone */
} batch_metric;

typedef struct batch_subscription batch_subscription;

/* Called by batch_completions_dispatch when a subscription has records, or has ended: call
 * batch_metrics_next with a timeout of 0. As long as records are left it is called again, each time
 * in another dispatch. It may unsubscribe. */
typedef void (*batch_ready_fn)(batch_subscription *subscription, void *arg);

/* Zero means the default. */
typedef struct batch_subscription_options {
    size_t size;        /* sizeof(batch_subscription_options) */
    uint32_t queue_max; /* records queued for the reader; default 1,024, at most 1,048,576 */

    /* When the queue is full: false, drop the new record and count it; true, block the worker
     * until there is room, also while stopping. Then some thread must keep reading, or unsubscribe;
     * a thread that waits for one such subscription must not leave another one full. A subscription
     * that is read in callbacks (of any processor) drops records even so: the worker might wait for
     * itself. Not with options.driven. */
    bool block;

    /* `ready` is called in an event loop (completions.h) when there is something to read: both or
     * none; not with `block`, since the loop itself might wait for the worker. The queue of the
     * loop can be closed only after batch_metrics_unsubscribe, and once a call of `ready` that was
     * on its way has been dispatched. */
    batch_completions *completions;
    batch_ready_fn ready;
    void *ready_arg;
} batch_subscription_options;

#define BATCH_SUBSCRIPTION_OPTIONS_INIT                                                            \
    {                                                                                              \
        sizeof(batch_subscription_options), 0, false, NULL, NULL, NULL                             \
    }

/* BATCH_SUBSCRIPTION_OPTIONS_INIT as a function, for other languages; see batch_options_init().
 * Returns BATCH_OK, or BATCH_INVALID if `ret_options` is NULL or `size` is not that of a struct.
 * Threads: any. Does not block. */
BATCH_API int batch_subscription_options_init(batch_subscription_options *ret_options, size_t size);

/* Subscribe to every batch that ends from now on. On a stopped processor the subscription has ended
 * from the start. `options` may be NULL.
 *
 * Returns
 * BATCH_OK         *ret_subscription is yours: unsubscribe it
 * BATCH_INVALID    an argument is NULL, or an option is out of range or contradicts another
 * BATCH_NO_MEMORY  out of memory
 *
 * Threads: any, all callbacks included. Does not block. */
BATCH_API int batch_metrics_subscribe(batch_processor *processor,
                                      const batch_subscription_options *options,
                                      batch_subscription **ret_subscription);

/* Get the next record, oldest first.
 *
 * Waits for one for at most `timeout_ns` (0: do not wait; BATCH_FOREVER). Every record queued
 * before the end of the subscription is still delivered.
 *
 * Returns
 * BATCH_OK         *ret_metric is filled
 * BATCH_TIMED_OUT  no record in that time
 * BATCH_ENDED      no record any more: the processor has stopped
 * BATCH_DEADLOCK   would wait, in a callback of this processor or another
 * BATCH_INVALID    an argument is NULL
 *
 * Threads: any, one at a time per subscription. Blocks for at most `timeout_ns`; a reader that
 * waits may be ended with pthread_cancel(), and the subscription stays usable. */
BATCH_API int batch_metrics_next(batch_subscription *subscription, uint64_t timeout_ns,
                                 batch_metric *ret_metric);

/* Count the records dropped so far, because the queue was full or memory for a long key was short.
 * Returns their number.
 * Threads: any, all callbacks included. Does not block. */
BATCH_API uint64_t batch_metrics_dropped(const batch_subscription *subscription);

/* End and free a subscription, before or after its processor is freed. No other call may be using
 * it. NULL is allowed. A worker that waits for room in it continues.
 * Threads: any, all callbacks included. Blocks only until such workers have left it. */
BATCH_API void batch_metrics_unsubscribe(batch_subscription *subscription);

/* ---- Events --------------------------------------------------------------------------------- */

/* What is logged (options.log) and counted. */
typedef enum batch_event_kind {
    BATCH_EVENT_SLOW_BATCH = 0,   /* a batch took longer than slow_batch_ns */
    BATCH_EVENT_RECONNECTED = 1,  /* a lost connection is back (PostgreSQL) */
    BATCH_EVENT_STANDBY_GONE = 2, /* a commit was not confirmed by a standby (PostgreSQL) */
    BATCH_EVENT_LOCK_WAIT = 3     /* others hold a lock that a load or save waits for */
} batch_event_kind;
#define BATCH_EVENT_COUNT 4

/* The name of a kind of events: "slow_batch", "reconnected", "standby_gone", "lock_wait".
 * Returns a static string, never NULL.
 * Threads: any. Does not block. */
BATCH_API const char *batch_event_name(int kind);

/* BATCH_EVENT_COUNT of the library that is running, for other languages.
 * Returns 4, or more in later versions.
 * Threads: any. Does not block. */
BATCH_API int batch_event_count(void);

/* What options.log is called with. May grow at its end. */
struct batch_event {
    int kind;            /* enum batch_event_kind */
    uint64_t count;      /* events of this kind since the last call, this one included */
    const char *message; /* of this one, for people; valid during the call */
};

/* ---- Stats ---------------------------------------------------------------------------------- */

/* A distribution of times or sizes. p50 and p99 are exact below 16, and at most 1/16 (6.25 %) too
 * high above; max and sum are exact. */
typedef struct batch_distribution {
    uint64_t count;
    uint64_t sum;
    uint64_t p50;
    uint64_t p99;
    uint64_t max;
} batch_distribution;

/* Totals since the start. Each number is exact; taken while the processor works, they may be a few
 * operations apart from each other. Once all have completed, accepted is the sum of completed[]. */
typedef struct batch_stats {
    size_t size;                  /* set it to sizeof(batch_stats) before the call */
    uint64_t operations_accepted; /* and received by a worker */
    uint64_t operations_waiting;  /* accepted and not completed yet */
    uint64_t operations_completed[BATCH_STATUS_COUNT]; /* by outcome: index is -status */
    uint64_t batches;                                  /* batches that have ended */
    uint64_t batches_closed[BATCH_CLOSE_REASON_COUNT]; /* by enum batch_close_reason */
    uint64_t batches_saved;                            /* batches with a successful save */
    uint64_t metrics_dropped;                          /* records dropped, over all subscriptions */
    uint64_t replays;                                  /* of batches, for conflicts (replays_max) */
    uint64_t loads_skipped;     /* batches that began with a cached resource (resource_cache_max) */
    uint64_t loads_queued;      /* calls that wait for a session, now */
    uint64_t saves_queued;      /* likewise */
    batch_distribution load_ns; /* as in batch_metric; what did not happen is not counted */
    batch_distribution save_ns;
    batch_distribution total_ns;
    batch_distribution first_wait_ns;
    batch_distribution batch_operations; /* operations per batch */
    batch_distribution load_group;       /* calls per group passed to the store's load */
    batch_distribution save_group;       /* calls per group passed to the store's save */

    /* What the store reports; 0 if it does not. All processors that share it see the same. */
    uint64_t store_wal_bytes;  /* size of its write-ahead log, now (SQLite) */
    uint64_t store_reconnects; /* connections that were lost and opened again (PostgreSQL) */

    /* Operations that were not accepted, by what the call returned: index is -status. */
    uint64_t operations_refused[BATCH_STATUS_COUNT];
    batch_distribution operation_ns; /* from acceptance to completion, of those in a batch; under
                                        load one in 7 is timed, for all of them */
    uint64_t oldest_waiting_ns;      /* for how long the oldest operation has waited, now; at most
                                        5 ms and a quarter too high; 0: none waits */
    uint64_t batches_open;           /* keys that have work, now */
    uint64_t resources_cached;       /* between batches, now (resource_cache_max) */
    uint64_t sessions;               /* session threads */
    uint64_t sessions_busy;          /* that are in a call of the store, now */
    uint64_t events[BATCH_EVENT_COUNT]; /* by enum batch_event_kind */

    /* Units: keys that transactions tied together, two or more, to be stored together. */
    uint64_t units_conflicted;    /* handed to the store, and met a conflict */
    uint64_t units_dissolved;     /* taken apart, to be replayed in smaller ones */
    uint64_t unit_keys_max;       /* how large one may become now; halved when one is dissolved,
                                     doubled when one is stored; of several shards, the largest */
    batch_distribution unit_keys; /* keys per unit that was stored */
} batch_stats;

#define BATCH_STATS_INIT                                                                           \
    {                                                                                              \
        sizeof(batch_stats), 0, 0, {0}, 0, {0}, 0, 0, 0, 0, 0, 0, {0, 0, 0, 0, 0},                 \
            {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0},   \
            {0, 0, 0, 0, 0}, 0, 0, {0}, {0, 0, 0, 0, 0}, 0, 0, 0, 0, 0, {0}, 0, 0, 0,              \
        {                                                                                          \
            0, 0, 0, 0, 0                                                                          \
        }                                                                                          \
    }

/* BATCH_STATS_INIT as a function, for other languages; see batch_options_init().
 * Returns BATCH_OK, or BATCH_INVALID if `ret_stats` is NULL or `size` is not that of a struct.
 * Threads: any. Does not block. */
BATCH_API int batch_stats_init(batch_stats *ret_stats, size_t size);

/* Take a snapshot of the counters. Fills as much as stats->size allows.
 * Returns BATCH_OK, or BATCH_INVALID if an argument is NULL or the size is not set.
 * Threads: any, all callbacks included. Does not block, nor delay the workers. */
BATCH_API int batch_processor_stats(batch_processor *processor, batch_stats *stats);

/* ---- Histograms ----------------------------------------------------------------------------- */

/* What there is a histogram of: the distributions of batch_stats. */
typedef enum batch_histogram_kind {
    BATCH_HISTOGRAM_OPERATION_NS = 0,
    BATCH_HISTOGRAM_LOAD_NS = 1,
    BATCH_HISTOGRAM_SAVE_NS = 2,
    BATCH_HISTOGRAM_TOTAL_NS = 3,
    BATCH_HISTOGRAM_FIRST_WAIT_NS = 4,
    BATCH_HISTOGRAM_BATCH_OPERATIONS = 5,
    BATCH_HISTOGRAM_LOAD_GROUP = 6,
    BATCH_HISTOGRAM_SAVE_GROUP = 7,
    BATCH_HISTOGRAM_UNIT_KEYS = 8
} batch_histogram_kind;
#define BATCH_HISTOGRAM_KIND_COUNT 9

/* BATCH_HISTOGRAM_KIND_COUNT of the library that is running, for other languages.
 * Returns 9, or more in later versions.
 * Threads: any. Does not block. */
BATCH_API int batch_histogram_kind_count(void);

/* How often which value was counted, all zero for none. Buckets are the same everywhere: those of
 * several processors, processes or machines can be added, and those of two moments subtracted.
 * The values 0 to 15 have a bucket each; every power of two from 16 up has 16 of equal width, so
 * that no bucket is wider than 1/16 of its values. Frozen. */
#define BATCH_HISTOGRAM_BUCKETS 976
typedef struct batch_histogram {
    uint64_t counts[BATCH_HISTOGRAM_BUCKETS];
    uint64_t count; /* the sum of counts[] */
    uint64_t sum;   /* of the values, modulo 2^64 */
    uint64_t max;
} batch_histogram;

/* Get a histogram of a processor, since its start.
 * Returns BATCH_OK, or BATCH_INVALID if an argument is NULL or there is no such kind.
 * Threads: any, all callbacks included. Does not block, nor delay the workers. */
BATCH_API int batch_processor_histogram(batch_processor *processor, int kind,
                                        batch_histogram *ret_histogram);

/* Add what another histogram has counted.
 * Threads: any, one at a time for `sum`. Does not block. */
BATCH_API void batch_histogram_add(batch_histogram *sum, const batch_histogram *more);

/* Subtract an earlier snapshot of the same histogram: what is left was counted since. `max` stays
 * that of both, but not above the highest bucket that is left.
 * Threads: any, one at a time for `later`. Does not block. */
BATCH_API void batch_histogram_subtract(batch_histogram *later, const batch_histogram *earlier);

/* A quantile, by nearest rank: 0.99 is the smallest value that at least 99 % of all do not exceed.
 * Returns the upper bound of its bucket, but never more than `max`; 0 if nothing was counted. A
 * `quantile` outside of 0 to 1 is taken as the nearer of these.
 * Threads: any. Does not block. */
BATCH_API uint64_t batch_histogram_quantile(const batch_histogram *histogram, double quantile);

/* The largest value of a bucket.
 * Returns it; UINT64_MAX for the last bucket and beyond.
 * Threads: any. Does not block. */
BATCH_API uint64_t batch_histogram_bucket_max(size_t bucket);

/* ---- Hot keys ------------------------------------------------------------------------------- */

/* A key that has many operations. */
#define BATCH_HOT_KEY_SIZE 64
typedef struct batch_hot_key {
    unsigned char key[BATCH_HOT_KEY_SIZE]; /* its first bytes */
    size_t key_size;                       /* of all of it */
    double share;                          /* of all operations: 0 to 1, an estimate */
} batch_hot_key;

/* Get the keys with the most operations recently, the hottest first. An estimate: one operation in
 * about 64 is looked at, and what is older than about a minute, or 250,000 operations, counts half.
 * Returns how many keys were filled in, at most `keys_max`; 0 if an argument is NULL.
 * Threads: any, all callbacks included. Does not block, nor delay the workers. */
BATCH_API size_t batch_processor_hot_keys(batch_processor *processor, batch_hot_key *ret_keys,
                                          size_t keys_max);

/* ---- Text ----------------------------------------------------------------------------------- */

typedef enum batch_text_form {
    BATCH_TEXT_OPENMETRICS = 0, /* application/openmetrics-text; version=1.0.0; charset=utf-8 */
    BATCH_TEXT_PROMETHEUS = 1   /* text/plain; version=0.0.4; charset=utf-8 */
} batch_text_form;
#define BATCH_TEXT_PROCESSORS_MAX 64

/* Write the metrics of one or several processors as text that Prometheus and others scrape.
 *
 * docs/metrics.md lists them. With `names`, all have the label processor="name"; without (NULL)
 * they have none, and there is one processor. At most `buffer_size` bytes are written, the last one
 * a NUL; `buffer` may be NULL if that is 0. A processor takes about 30 KiB.
 *
 * Returns the length of the whole text, without the NUL: below buffer_size, if it has fitted. 0 if
 * an argument is NULL, the form or the number of processors out of range, or names are missing.
 *
 * Threads: any, all callbacks included. Does not block, nor delay the workers. */
BATCH_API size_t batch_metrics_text(batch_processor *const *processors, const char *const *names,
                                    size_t processors_size, int form, char *buffer,
                                    size_t buffer_size);

#ifdef __cplusplus
}
#endif

#endif
