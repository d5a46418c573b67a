/* counters.h: the totals of a processor, and the snapshot that batch_processor_stats gives of them.
 *
 * Each shard counts on its own: one writer, its worker, with plain stores. What session threads
 * count is shared by all of them and rare: once for each group of calls. A snapshot adds them up
 * without a lock and without delaying any thread.
 *
 * What a snapshot guarantees whenever it is taken: an operation is in operations_accepted before it
 * is in operations_completed, so operations_waiting is their difference and never below zero;
 * batches is the sum of batches_closed; batches_saved is at most batches.
 *
 * All structs here: all zero is empty; they hold no memory of their own.
 */
#ifndef BATCH_METRICS_COUNTERS_H
#define BATCH_METRICS_COUNTERS_H

#include "ages.h"
#include "events.h"
#include "histogram.h"

/* What one shard counts. About 49 KiB. */
struct batch__counters {
    uint64_t xaccepted;
    uint64_t xcompleted[BATCH_STATUS_COUNT];    /* by -status */
    uint64_t xclosed[BATCH_CLOSE_REASON_COUNT]; /* batches, by enum batch_close_reason */
    uint64_t xsaved;
    uint64_t xreplays;
    uint64_t xloads_skipped;
    uint64_t xunit_keys_max, xunits_conflicted, xunits_dissolved;
    struct batch__histogram unit_keys;
    struct batch__histogram load_ns;
    struct batch__histogram save_ns;
    struct batch__histogram total_ns;
    struct batch__histogram first_wait_ns;
    struct batch__histogram batch_operations;
    struct batch__histogram operation_ns;
    struct batch__ages ages; /* of the operations that are accepted and not completed */
    uint64_t xopen;          /* keys that have work, now */
    uint64_t xcached;        /* resources, likewise */
    /* Under load one operation of several is timed, and recorded for all of them. */
    uint32_t timed_each; /* 0: 1 */
    uint32_t untimed;    /* since the last one that was, and not recorded */
    uint64_t took_ns;    /* the last one that was timed */
};

/* Thread: the worker of the shard. `accepted` before `completed`, for the same operations. A status
 * or close reason that does not exist is a bug (batch__check). */
void batch__counters_accepted(struct batch__counters *counters, uint64_t count, uint64_t at_ns);
void batch__counters_completed(struct batch__counters *counters, int status, uint64_t count);

/* Thread: the worker. An operation that was accepted at `accepted_ns` is about to be completed: in
 * no batch; or in one, and then how long it took is recorded. Inline: for every operation. */
static inline void batch__counters_left(struct batch__counters *counters, uint64_t accepted_ns)
{
    batch__ages_remove(&counters->ages, accepted_ns);
}

static inline void batch__counters_took(struct batch__counters *counters, uint64_t accepted_ns,
                                        uint64_t now_ns)
{
    batch__ages_remove(&counters->ages, accepted_ns);
    if (++counters->untimed < counters->timed_each)
        return;
    counters->took_ns = now_ns > accepted_ns ? now_ns - accepted_ns : 0;
    batch__histogram_record_many(&counters->operation_ns, counters->took_ns, counters->untimed);
    counters->untimed = 0;
}

/* Thread: the worker, at the end of an iteration that took in `operations`: all of those that were
 * completed are recorded from then on. */
void batch__counters_iteration(struct batch__counters *counters, uint64_t operations, uint64_t open,
                               uint64_t cached);

/* A unit of so many keys has been stored; and of all: keys at most, conflicts, dissolved. */
void batch__counters_unit(struct batch__counters *counters, uint64_t keys);
void batch__counters_units(struct batch__counters *counters, const uint64_t units[3]);

/* Operations that are accepted and not completed. Thread: any. */
uint64_t batch__counters_waiting(const struct batch__counters *counters);

/* A batch has ended; `saved`: a save of it succeeded. Of `metric`, load_ns, save_ns, total_ns,
 * first_wait_ns, operations, replays, load_skipped and close_reason are used; a load or save
 * time of 0, or the first wait of a batch whose load failed, did not happen and is not counted. */
void batch__counters_batch(struct batch__counters *counters, const batch_metric *metric,
                           bool saved);

/* What all session threads count together. */
struct batch__group_counters {
    struct batch__histogram load_group;
    struct batch__histogram save_group;
};

/* A group of `calls` is given to the store. Thread: any. */
void batch__group_counters_load(struct batch__group_counters *groups, size_t calls);
void batch__group_counters_save(struct batch__group_counters *groups, size_t calls);

/* Operations that were refused at the door, by -status. */
struct batch__refusals {
    uint64_t xcounts[BATCH_STATUS_COUNT];
};

/* Returns `status`, which is not BATCH_OK. Thread: any. */
int batch__refusals_add(struct batch__refusals *refusals, int status, uint64_t count);

/* What a snapshot takes from elsewhere. */
struct batch__shared_counts {
    uint64_t metrics_dropped;
    uint64_t loads_queued;
    uint64_t saves_queued;
    uint64_t store_wal_bytes;
    uint64_t store_reconnects;
    uint64_t now_ns;
    uint64_t sessions;
    uint64_t sessions_busy;
    const struct batch__refusals *refusals;
    const struct batch__events *events;
};

/* Fill the first stats->size bytes of `stats`, or all of it if it is larger than this library
 * knows; stats->size stays. Thread: any. BATCH_OK; BATCH_INVALID if `stats` is NULL or its size
 * ends before operations_waiting does. */
int batch__stats_collect(batch_stats *stats, const struct batch__counters *const *shards,
                         size_t shards_size, const struct batch__group_counters *groups,
                         const struct batch__shared_counts *shared);

/* Add one kind of histogram of all shards to `sum`. False: there is no such kind. Thread: any. */
bool batch__histograms_collect(batch_histogram *sum, int kind,
                               const struct batch__counters *const *shards, size_t shards_size,
                               const struct batch__group_counters *groups);

#endif
