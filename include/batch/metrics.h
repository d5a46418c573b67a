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
    uint32_t operations_changed; /* returned BATCH_CHANGED, when they last ran */
    uint32_t replays;  /* after a conflict; load_ns and save_ns are those of the last time */
    bool load_skipped; /* the resource was cached (resource_cache_max) */
    int close_reason;  /* enum batch_close_reason */
    int status;        /* the status of the batch's operations */
    int store_code;    /* the store's own error code, or 0 */
    char error[BATCH_MESSAGE_SIZE]; /* the message of the result; empty if status is BATCH_OK */
} batch_metric;

typedef struct batch_subscription batch_subscription;

/* Zero means the default. */
typedef struct batch_subscription_options {
    size_t size;        /* sizeof(batch_subscription_options) */
    uint32_t queue_max; /* records queued for the reader; default 1,024, at most 1,048,576 */

    /* When the queue is full: false, drop the new record and count it; true, block the worker
     * until there is room, also while stopping. Then some thread must keep reading, or unsubscribe;
     * a thread that waits for one such subscription must not leave another one full. A subscription
     * that is read in callbacks (of any processor) drops records even so: the worker might wait for
     * itself. */
    bool block;
} batch_subscription_options;

#define BATCH_SUBSCRIPTION_OPTIONS_INIT                                                            \
    {                                                                                              \
        sizeof(batch_subscription_options), 0, false                                               \
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
 * BATCH_INVALID    an argument is NULL, or an option is out of range
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
    uint64_t replays;                                  /* of conflicts, in all (replays_max) */
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
} batch_stats;

#define BATCH_STATS_INIT                                                                           \
    {                                                                                              \
        sizeof(batch_stats), 0, 0, {0}, 0, {0}, 0, 0, 0, 0, 0, 0, {0, 0, 0, 0, 0},                 \
            {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0},   \
            {0, 0, 0, 0, 0}, 0, 0                                                                  \
    }

/* BATCH_STATS_INIT as a function, for other languages; see batch_options_init().
 * Returns BATCH_OK, or BATCH_INVALID if `ret_stats` is NULL or `size` is not that of a struct.
 * Threads: any. Does not block. */
BATCH_API int batch_stats_init(batch_stats *ret_stats, size_t size);

/* Take a snapshot of the counters. Fills as much as stats->size allows.
 * Returns BATCH_OK, or BATCH_INVALID if an argument is NULL or the size is not set.
 * Threads: any, all callbacks included. Does not block, nor delay the workers. */
BATCH_API int batch_processor_stats(batch_processor *processor, batch_stats *stats);

#ifdef __cplusplus
}
#endif

#endif
