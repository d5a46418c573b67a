/* counters.c: see counters.h. */
#include "counters.h"

#include "../base/atomics.h"
#include "../base/check.h"
#include "../platform/probes.h"

#include <string.h>

/* What every caller's batch_stats has had since the first release. */
#define STATS_SIZE_MIN (offsetof(batch_stats, operations_waiting) + sizeof(uint64_t))

_Static_assert(STATS_SIZE_MIN == 3 * sizeof(uint64_t) || sizeof(size_t) != 8,
               "the beginning of batch_stats is frozen");

enum {
    BUSY_OPERATIONS = 256,
    TIMED_EACH = 7 /* odd, as sixteen batches are completed side by side: all have their turn */
};

void batch__counters_accepted(struct batch__counters *counters, uint64_t count, uint64_t at_ns)
{
    batch__count(&counters->xaccepted, count);
    batch__ages_add(&counters->ages, at_ns, count);
}

void batch__counters_iteration(struct batch__counters *counters, uint64_t operations, uint64_t open,
                               uint64_t cached)
{
    batch__histogram_record_many(&counters->operation_ns, counters->took_ns, counters->untimed);
    counters->untimed = 0;
    counters->timed_each = operations < BUSY_OPERATIONS ? 1 : TIMED_EACH;
    batch__store_relaxed(&counters->xopen, open);
    batch__store_relaxed(&counters->xcached, cached);
}

int batch__refusals_add(struct batch__refusals *refusals, int status, uint64_t count)
{
    batch__check(status < 0);
    batch__check(status > -BATCH_STATUS_COUNT);
    batch__add_relaxed(&refusals->xcounts[-status], count);
    batch__probe_refused(status, count);
    return status;
}

void batch__counters_completed(struct batch__counters *counters, int status, uint64_t count)
{
    batch__check(status <= 0);
    batch__check(status > -BATCH_STATUS_COUNT);
    uint64_t *place = &counters->xcompleted[-status];
    /* Release: who sees the completions sees that the operations were accepted. */
    batch__store_release(place, batch__load_relaxed(place) + count);
}

void batch__counters_batch(struct batch__counters *counters, const batch_metric *metric, bool saved)
{
    int reason = metric->close_reason;
    batch__check(reason >= 0);
    batch__check(reason < BATCH_CLOSE_REASON_COUNT);
    batch__check(metric->operations > 0);
    batch__check(metric->operations_changed <= metric->operations);
    batch__count(&counters->xclosed[reason], 1);
    if (saved) /* release: who sees the save sees the batch */
        batch__store_release(&counters->xsaved, batch__load_relaxed(&counters->xsaved) + 1);

    batch__count(&counters->xreplays, metric->replays);
    batch__count(&counters->xloads_skipped, metric->load_skipped);

    if (metric->load_ns != 0)
        batch__histogram_record(&counters->load_ns, metric->load_ns);
    if (metric->save_ns != 0)
        batch__histogram_record(&counters->save_ns, metric->save_ns);
    if (reason != BATCH_CLOSED_BY_ERROR)
        batch__histogram_record(&counters->first_wait_ns, metric->first_wait_ns);
    batch__histogram_record(&counters->total_ns, metric->total_ns);
    batch__histogram_record(&counters->batch_operations, metric->operations);
}

void batch__group_counters_load(struct batch__group_counters *groups, size_t calls)
{
    batch__histogram_record_mp(&groups->load_group, calls);
}

void batch__group_counters_save(struct batch__group_counters *groups, size_t calls)
{
    batch__histogram_record_mp(&groups->save_group, calls);
}

void batch__counters_unit(struct batch__counters *counters, uint64_t keys)
{
    batch__histogram_record(&counters->unit_keys, keys);
}

void batch__counters_units(struct batch__counters *counters, const uint64_t units[3])
{
    batch__store_relaxed(&counters->xunit_keys_max, units[0]);
    batch__store_relaxed(&counters->xunits_conflicted, units[1]);
    batch__store_relaxed(&counters->xunits_dissolved, units[2]);
}

uint64_t batch__counters_waiting(const struct batch__counters *counters)
{
    uint64_t completed = 0; /* first, with acquire: `accepted` then includes them */
    for (size_t i = 0; i < BATCH_STATUS_COUNT; i++)
        completed += batch__load_acquire(&counters->xcompleted[i]);
    return batch__load_relaxed(&counters->xaccepted) - completed;
}

static void collect_numbers(batch_stats *stats, const struct batch__counters *counters)
{
    /* Completions first, with acquire: `accepted` then includes them. Below, saves likewise. */
    uint64_t completed = 0;
    for (size_t i = 0; i < BATCH_STATUS_COUNT; i++) {
        uint64_t count = batch__load_acquire(&counters->xcompleted[i]);
        stats->operations_completed[i] += count;
        completed += count;
    }
    uint64_t accepted = batch__load_relaxed(&counters->xaccepted);
    stats->operations_accepted += accepted;
    stats->operations_waiting += accepted - completed;

    stats->replays += batch__load_relaxed(&counters->xreplays);
    uint64_t unit_keys_max = batch__load_relaxed(&counters->xunit_keys_max);
    if (unit_keys_max > stats->unit_keys_max)
        stats->unit_keys_max = unit_keys_max;
    stats->units_conflicted += batch__load_relaxed(&counters->xunits_conflicted);
    stats->units_dissolved += batch__load_relaxed(&counters->xunits_dissolved);
    stats->loads_skipped += batch__load_relaxed(&counters->xloads_skipped);
    stats->batches_saved += batch__load_acquire(&counters->xsaved);
    for (size_t i = 0; i < BATCH_CLOSE_REASON_COUNT; i++) {
        uint64_t count = batch__load_relaxed(&counters->xclosed[i]);
        stats->batches_closed[i] += count;
        stats->batches += count;
    }
}

static void collect_gauges(batch_stats *stats, const struct batch__counters *counters,
                           uint64_t now_ns)
{
    stats->batches_open += batch__load_relaxed(&counters->xopen);
    stats->resources_cached += batch__load_relaxed(&counters->xcached);
    uint64_t age_ns = batch__ages_oldest_ns(&counters->ages, now_ns);
    if (age_ns > stats->oldest_waiting_ns)
        stats->oldest_waiting_ns = age_ns;
}

/* Where in the counters of a shard a histogram is; those of groups are elsewhere. */
static const size_t histogram_offsets[] = {
    [BATCH_HISTOGRAM_OPERATION_NS] = offsetof(struct batch__counters, operation_ns),
    [BATCH_HISTOGRAM_LOAD_NS] = offsetof(struct batch__counters, load_ns),
    [BATCH_HISTOGRAM_SAVE_NS] = offsetof(struct batch__counters, save_ns),
    [BATCH_HISTOGRAM_TOTAL_NS] = offsetof(struct batch__counters, total_ns),
    [BATCH_HISTOGRAM_FIRST_WAIT_NS] = offsetof(struct batch__counters, first_wait_ns),
    [BATCH_HISTOGRAM_BATCH_OPERATIONS] = offsetof(struct batch__counters, batch_operations),
    [BATCH_HISTOGRAM_UNIT_KEYS] = offsetof(struct batch__counters, unit_keys),
};

bool batch__histograms_collect(batch_histogram *sum, int kind,
                               const struct batch__counters *const *shards, size_t shards_size,
                               const struct batch__group_counters *groups)
{
    if (kind < 0 || kind >= BATCH_HISTOGRAM_KIND_COUNT)
        return false;
    if (kind == BATCH_HISTOGRAM_LOAD_GROUP) {
        batch__histogram_collect(sum, &groups->load_group);
        return true;
    }
    if (kind == BATCH_HISTOGRAM_SAVE_GROUP) {
        batch__histogram_collect(sum, &groups->save_group);
        return true;
    }
    for (size_t i = 0; i < shards_size; i++) {
        const char *counters = (const char *)shards[i];
        const void *histogram = counters + histogram_offsets[kind];
        batch__histogram_collect(sum, histogram);
    }
    return true;
}

int batch__stats_collect(batch_stats *stats, const struct batch__counters *const *shards,
                         size_t shards_size, const struct batch__group_counters *groups,
                         const struct batch__shared_counts *shared)
{
    if (stats == NULL || stats->size < STATS_SIZE_MIN)
        return BATCH_INVALID;

    batch_stats all = BATCH_STATS_INIT;
    all.size = stats->size;
    for (size_t i = 0; i < shards_size; i++) {
        collect_numbers(&all, shards[i]);
        collect_gauges(&all, shards[i], shared->now_ns);
    }
    all.metrics_dropped = shared->metrics_dropped;
    all.loads_queued = shared->loads_queued;
    all.saves_queued = shared->saves_queued;
    all.store_wal_bytes = shared->store_wal_bytes;
    all.store_reconnects = shared->store_reconnects;
    all.sessions = shared->sessions;
    all.sessions_busy = shared->sessions_busy;
    for (size_t i = 0; i < BATCH_STATUS_COUNT; i++)
        all.operations_refused[i] = batch__load_relaxed(&shared->refusals->xcounts[i]);
    for (size_t i = 0; i < BATCH_EVENT_COUNT; i++)
        all.events[i] = batch__load_relaxed(&shared->events->xcounts[i]);

    batch_distribution *const distributions[BATCH_HISTOGRAM_KIND_COUNT] = {
        [BATCH_HISTOGRAM_OPERATION_NS] = &all.operation_ns,
        [BATCH_HISTOGRAM_LOAD_NS] = &all.load_ns,
        [BATCH_HISTOGRAM_SAVE_NS] = &all.save_ns,
        [BATCH_HISTOGRAM_TOTAL_NS] = &all.total_ns,
        [BATCH_HISTOGRAM_FIRST_WAIT_NS] = &all.first_wait_ns,
        [BATCH_HISTOGRAM_BATCH_OPERATIONS] = &all.batch_operations,
        [BATCH_HISTOGRAM_LOAD_GROUP] = &all.load_group,
        [BATCH_HISTOGRAM_SAVE_GROUP] = &all.save_group,
        [BATCH_HISTOGRAM_UNIT_KEYS] = &all.unit_keys,
    };
    for (int kind = 0; kind < BATCH_HISTOGRAM_KIND_COUNT; kind++) {
        batch_histogram sum;
        memset(&sum, 0, sizeof sum);
        batch__histograms_collect(&sum, kind, shards, shards_size, groups);
        batch__histogram_describe(&sum, distributions[kind]);
    }

    memcpy(stats, &all, stats->size < sizeof all ? stats->size : sizeof all);
    return BATCH_OK;
}
