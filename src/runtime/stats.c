/* stats.c: what a processor shows of itself, and the clock that its times are on. Any thread. */
#include <batch/metrics.h>

#include "../base/atomics.h"
#include "../base/check.h"
#include "options.h"
#include "processor.h"
#include "shard.h"

#include <string.h>

/* The size of the struct in the first release. */
#define SUBSCRIPTION_OPTIONS_FIRST offsetof(batch_subscription_options, completions)

/* Of all shards; their number. */
static uint32_t counters_of(const struct batch__shared *shared,
                            const struct batch__counters *counters[BATCH__SHARDS_MAX])
{
    uint32_t shards = shared->options.shards;
    batch__check(shards <= BATCH__SHARDS_MAX);
    for (uint32_t i = 0; i < shards; i++)
        counters[i] = &shared->shards[i]->counters;
    return shards;
}

int batch_processor_stats(batch_processor *processor, batch_stats *stats)
{
    if (processor == NULL || stats == NULL)
        return BATCH_INVALID;
    struct batch__shared *shared = &processor->shared;
    const struct batch__counters *counters[BATCH__SHARDS_MAX];
    uint32_t shards = counters_of(shared, counters);
    batch_store_stats store = {.size = sizeof store};
    if (shared->store_stats != NULL) {
        int before = batch__cancel_disable();
        shared->store_stats(shared->store, &store);
        batch__cancel_restore(before);
    }
    struct batch__shared_counts counts = {
        .metrics_dropped = batch__hub_dropped(&shared->hub),
        .loads_queued = batch__load_relaxed(&shared->io_queue.xloads),
        .saves_queued = batch__load_relaxed(&shared->io_queue.xsaves),
        .store_wal_bytes = store.wal_bytes,
        .store_reconnects = store.reconnects,
        .now_ns = batch__clock_now_ns(),
        .sessions = shared->options.sessions,
        .sessions_busy = batch__load_relaxed(&shared->io_queue.xbusy),
        .refusals = &shared->refusals,
        .events = &shared->events,
    };
    return batch__stats_collect(stats, counters, shards, &shared->group_counters, &counts);
}

int batch_processor_histogram(batch_processor *processor, int kind, batch_histogram *ret_histogram)
{
    if (processor == NULL || ret_histogram == NULL)
        return BATCH_INVALID;
    const struct batch__counters *counters[BATCH__SHARDS_MAX];
    uint32_t shards = counters_of(&processor->shared, counters);
    batch_histogram sum;
    memset(&sum, 0, sizeof sum);
    if (!batch__histograms_collect(&sum, kind, counters, shards, &processor->shared.group_counters))
        return BATCH_INVALID;
    *ret_histogram = sum;
    return BATCH_OK;
}

size_t batch_processor_hot_keys(batch_processor *processor, batch_hot_key *ret_keys,
                                size_t keys_max)
{
    if (processor == NULL || ret_keys == NULL)
        return 0;
    const struct batch__hot *shards[BATCH__SHARDS_MAX];
    uint32_t shards_size = processor->shared.options.shards;
    batch__check(shards_size <= BATCH__SHARDS_MAX);
    for (uint32_t i = 0; i < shards_size; i++)
        shards[i] = &processor->shared.shards[i]->hot;
    return batch__hot_collect(ret_keys, keys_max, shards, shards_size);
}

int batch_metrics_subscribe(batch_processor *processor, const batch_subscription_options *options,
                            batch_subscription **ret_subscription)
{
    if (processor == NULL || ret_subscription == NULL)
        return BATCH_INVALID;
    batch_subscription_options known = BATCH_SUBSCRIPTION_OPTIONS_INIT;
    int status = batch_struct_read(&known, options, SUBSCRIPTION_OPTIONS_FIRST, "options", NULL);
    if (status != BATCH_OK)
        return status;
    if (known.block && processor->shared.options.driven)
        return BATCH_INVALID;             /* the thread that drives would wait for itself */
    int before = batch__cancel_disable(); /* the allocator is the user's, and a loop may be woken */
    status = batch__hub_subscribe(&processor->shared.hub, &known, ret_subscription);
    batch__cancel_restore(before);
    return status;
}

uint64_t batch_now_ns(void)
{
    return batch__clock_now_ns();
}
