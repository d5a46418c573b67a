/* counters_test.c: what is counted, and what a snapshot says of it. */
#include "metrics_fixture.h"

#include "metrics/counters.h"
#include "base/atomics.h"
#include "platform/platform.h"

enum { SHARDS = 2 };

struct totals {
    struct batch__counters shards[SHARDS];
    struct batch__group_counters groups;
};

static struct totals totals; /* large; each test begins with set_up */

static int set_up(void **state)
{
    (void)state;
    memset(&totals, 0, sizeof totals);
    return 0;
}

static int collect(batch_stats *stats)
{
    const struct batch__counters *shards[SHARDS] = {&totals.shards[0], &totals.shards[1]};
    static const struct batch__events events = {.xcounts = {31, 32}};
    static const struct batch__refusals refusals = {{0, 21, 22}};
    static const struct batch__shared_counts shared = {77,   78, 79, 80,        81,
                                                       1000, 83, 84, &refusals, &events};
    return batch__stats_collect(stats, shards, SHARDS, &totals.groups, &shared);
}

static batch_stats snapshot(void)
{
    batch_stats stats = BATCH_STATS_INIT;
    assert_int_equal(collect(&stats), BATCH_OK);
    return stats;
}

static batch_metric some_batch(void)
{
    batch_metric metric;
    memset(&metric, 0, sizeof metric);
    metric.load_ns = 10;
    metric.save_ns = 11;
    metric.total_ns = 12;
    metric.first_wait_ns = 13;
    metric.operations = 14;
    metric.close_reason = BATCH_CLOSED_BY_WINDOW;
    return metric;
}

/* ---- Counting ------------------------------------------------------------------------------- */

TEST_WITH(test_operations_are_counted_by_outcome_over_all_shards, set_up, NULL)
{
    batch__counters_accepted(&totals.shards[0], 200, 1);
    batch__counters_accepted(&totals.shards[1], 300, 1);
    for (int i = 0; i < BATCH_STATUS_COUNT; i++)
        batch__counters_completed(&totals.shards[i % SHARDS], -i, (uint64_t)i + 1);
    batch__counters_completed(&totals.shards[1], BATCH_OK, 1000 - 700);

    batch_stats stats = snapshot();
    assert_int_equal(stats.operations_accepted, 500);
    uint64_t completed = 0;
    for (size_t i = 0; i < BATCH_STATUS_COUNT; i++) {
        assert_int_equal(stats.operations_completed[i], i + 1 + (i == 0 ? 300 : 0));
        completed += stats.operations_completed[i];
    }
    assert_int_equal(stats.operations_waiting, 500 - completed);
    assert_int_equal(stats.metrics_dropped, 77);
    assert_int_equal(stats.loads_queued, 78);
    assert_int_equal(stats.saves_queued, 79);
    assert_int_equal(stats.store_wal_bytes, 80);
    assert_int_equal(stats.store_reconnects, 81);
    assert_int_equal(stats.events[BATCH_EVENT_SLOW_BATCH], 31);
    assert_int_equal(stats.events[BATCH_EVENT_RECONNECTED], 32);
    assert_int_equal(stats.sessions, 83);
    assert_int_equal(stats.sessions_busy, 84);
    assert_int_equal(stats.operations_refused[0], 0);
    assert_int_equal(stats.operations_refused[-BATCH_INVALID], 21);
    assert_int_equal(stats.operations_refused[-BATCH_CANCELED], 22);
}

TEST_WITH(test_gauges_are_sums_and_the_oldest_age_is_the_largest, set_up, NULL)
{
    batch__counters_iteration(&totals.shards[0], 0, 3, 30);
    batch__counters_iteration(&totals.shards[1], 0, 4, 40);
    batch_stats stats = snapshot();
    assert_int_equal(stats.batches_open, 7);
    assert_int_equal(stats.resources_cached, 70);
    assert_int_equal(stats.oldest_waiting_ns, 0);
    batch__counters_accepted(&totals.shards[0], 1, 900);
    batch__counters_accepted(&totals.shards[1], 1, 400);
    assert_int_equal(snapshot().oldest_waiting_ns, 600);
    batch__counters_left(&totals.shards[1], 400);
    assert_int_equal(snapshot().oldest_waiting_ns, 100);
}

TEST_WITH(test_how_long_operations_took_is_recorded_for_each, set_up, NULL)
{
    static const uint64_t took_ns[] = {0, 0, 7, 7, 7, 1000, 7, 0, 1000, 1000};
    uint64_t sum = 0;
    for (size_t i = 0; i < sizeof took_ns / sizeof took_ns[0]; i++) {
        batch__counters_accepted(&totals.shards[0], 1, 5000);
        batch__counters_took(&totals.shards[0], 5000, 5000 + took_ns[i]);
        sum += took_ns[i];
    }
    batch__counters_accepted(&totals.shards[0], 1, 5000);
    batch__counters_took(&totals.shards[0], 5000, 4999); /* the clocks of threads differ */
    batch_stats stats = snapshot();
    assert_int_equal(stats.operation_ns.count, 11);
    assert_int_equal(stats.operation_ns.sum, sum);
    assert_int_equal(stats.operation_ns.p50, 7);
    assert_int_equal(stats.operation_ns.max, 1000);
    batch_histogram histogram;
    memset(&histogram, 0, sizeof histogram);
    const struct batch__counters *shards[SHARDS] = {&totals.shards[0], &totals.shards[1]};
    assert_true(batch__histograms_collect(&histogram, BATCH_HISTOGRAM_OPERATION_NS, shards, SHARDS,
                                          &totals.groups));
    assert_int_equal(histogram.counts[0], 4);
    assert_int_equal(histogram.counts[7], 4);
    assert_int_equal(histogram.counts[batch__histogram_bucket(1000)], 3);
}

/* All are in the count, and each of sixteen that take turns is timed as often as the others. */
TEST_WITH(test_under_load_one_operation_is_timed_for_several, set_up, NULL)
{
    enum { OPERATIONS = 16 * 700 + 5 };
    struct batch__counters *shard = &totals.shards[0];
    batch__counters_iteration(shard, 10000, 0, 0);
    batch__counters_accepted(shard, OPERATIONS, 100);
    for (uint64_t i = 0; i < OPERATIONS; i++)
        batch__counters_took(shard, 100, 100 + i % 16);
    batch__counters_iteration(shard, 1, 0, 0);
    batch_stats stats = snapshot();
    assert_int_equal(stats.operation_ns.count, OPERATIONS);
    assert_int_equal(stats.operation_ns.max, 15);
    batch_histogram histogram;
    memset(&histogram, 0, sizeof histogram);
    const struct batch__counters *shards[SHARDS] = {&totals.shards[0], &totals.shards[1]};
    batch__histograms_collect(&histogram, BATCH_HISTOGRAM_OPERATION_NS, shards, SHARDS,
                              &totals.groups);
    for (int i = 0; i < 16; i++)
        assert_in_range(histogram.counts[i], 680, 720);
    batch__counters_accepted(shard, 1, 100);
    batch__counters_took(shard, 100, 100); /* no load: timed at once */
    assert_int_equal(snapshot().operation_ns.count, OPERATIONS + 1);
}

TEST_WITH(test_batches_are_counted_by_close_reason, set_up, NULL)
{
    batch_metric metric = some_batch();
    for (int reason = 0; reason < BATCH_CLOSE_REASON_COUNT; reason++) {
        metric.close_reason = reason;
        for (int i = 0; i <= reason; i++)
            batch__counters_batch(&totals.shards[i % SHARDS], &metric, i == 0);
    }
    batch_stats stats = snapshot();
    for (size_t i = 0; i < BATCH_CLOSE_REASON_COUNT; i++)
        assert_int_equal(stats.batches_closed[i], i + 1);
    assert_int_equal(stats.batches, 1 + 2 + 3 + 4 + 5 + 6);
    assert_int_equal(stats.batches_saved, BATCH_CLOSE_REASON_COUNT);
}

TEST_WITH(test_each_number_of_a_batch_goes_to_its_own_distribution, set_up, NULL)
{
    batch_metric metric = some_batch();
    metric.replays = 3;
    batch__counters_batch(&totals.shards[1], &metric, true);
    batch__group_counters_load(&totals.groups, 3);
    batch__group_counters_load(&totals.groups, 5);
    batch__group_counters_save(&totals.groups, 4);

    batch_stats stats = snapshot();
    assert_int_equal(stats.replays, 3);
    assert_int_equal(stats.loads_skipped, 0);
    assert_int_equal(stats.load_ns.sum, 10);
    assert_int_equal(stats.save_ns.sum, 11);
    assert_int_equal(stats.total_ns.sum, 12);
    assert_int_equal(stats.first_wait_ns.sum, 13);
    assert_int_equal(stats.batch_operations.sum, 14);
    assert_int_equal(stats.load_group.count, 2);
    assert_int_equal(stats.load_group.p50, 3);
    assert_int_equal(stats.load_group.max, 5);
    assert_int_equal(stats.save_group.count, 1);
    assert_int_equal(stats.save_group.max, 4);
}

TEST_WITH(test_what_did_not_happen_is_not_in_the_distributions, set_up, NULL)
{
    batch_metric unsaved = some_batch();
    unsaved.save_ns = 0;
    unsaved.first_wait_ns = 0; /* its operation ran at once */
    batch__counters_batch(&totals.shards[0], &unsaved, false);
    batch_metric failed = some_batch();
    failed.save_ns = 0;
    failed.first_wait_ns = 0; /* none ran */
    failed.close_reason = BATCH_CLOSED_BY_ERROR;
    batch__counters_batch(&totals.shards[0], &failed, false);
    batch_metric without_load = some_batch();
    without_load.load_ns = 0;
    without_load.load_skipped = true;
    batch__counters_batch(&totals.shards[0], &without_load, true);

    batch_stats stats = snapshot();
    assert_int_equal(stats.loads_skipped, 1);
    assert_int_equal(stats.load_ns.count, 2);
    assert_int_equal(stats.save_ns.count, 1);
    assert_int_equal(stats.first_wait_ns.count, 2);
    assert_int_equal(stats.total_ns.count, 3);
    assert_int_equal(stats.batch_operations.count, 3);
}

/* ---- The size of the caller's struct -------------------------------------------------------- */

TEST_WITH(test_a_size_that_is_not_set_is_refused, set_up, NULL)
{
    batch_stats stats = BATCH_STATS_INIT;
    static const size_t too_small[] = {0, 1, 8, 16,
                                       offsetof(batch_stats, operations_completed) - 1};
    for (size_t i = 0; i < sizeof too_small / sizeof too_small[0]; i++) {
        stats.size = too_small[i];
        assert_int_equal(collect(&stats), BATCH_INVALID);
    }
    assert_int_equal(batch__stats_collect(NULL, NULL, 0, &totals.groups, 0), BATCH_INVALID);
}

TEST_WITH(test_an_older_callers_struct_is_not_overrun, set_up, NULL)
{
    batch__counters_accepted(&totals.shards[0], 9, 1);
    batch_metric metric = some_batch();
    batch__counters_batch(&totals.shards[0], &metric, true);
    batch_stats whole = snapshot();

    size_t size_min = offsetof(batch_stats, operations_waiting) + sizeof(uint64_t);
    for (size_t size = size_min; size <= sizeof(batch_stats); size += 8) {
        batch_stats stats;
        memset(&stats, 0xee, sizeof stats);
        stats.size = size;
        assert_int_equal(collect(&stats), BATCH_OK);
        assert_int_equal(stats.size, size);
        assert_memory_equal((char *)&stats + sizeof(size_t), (char *)&whole + sizeof(size_t),
                            size - sizeof(size_t));
        for (size_t i = size; i < sizeof stats; i++)
            assert_int_equal(((unsigned char *)&stats)[i], 0xee);
    }
}

TEST_WITH(test_a_newer_callers_struct_is_filled_as_far_as_known, set_up, NULL)
{
    batch__counters_accepted(&totals.shards[0], 9, 1);
    struct {
        batch_stats known;
        uint64_t unknown[4];
    } newer = {BATCH_STATS_INIT, {1, 2, 3, 4}};
    newer.known.size = sizeof newer;
    assert_int_equal(collect(&newer.known), BATCH_OK);
    assert_int_equal(newer.known.size, sizeof newer);
    assert_int_equal(newer.known.operations_accepted, 9);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(newer.unknown[i], i + 1);
}

/* ---- Threads -------------------------------------------------------------------------------- */

enum { ROUNDS = 20000 };

struct working {
    struct batch__thread thread;
    struct batch__counters *counters;
    uint32_t *xrunning;
};

static void work(void *arg)
{
    struct working *working = arg;
    batch_metric metric = some_batch();
    for (uint32_t i = 0; i < ROUNDS; i++) {
        batch__counters_accepted(working->counters, 3, 1);
        metric.close_reason = (int)(i % BATCH_CLOSE_REASON_COUNT);
        batch__counters_batch(working->counters, &metric, true);
        batch__group_counters_save(&totals.groups, 2);
        batch__counters_completed(working->counters, BATCH_OK, 2);
        batch__counters_completed(working->counters, BATCH_EXPIRED, 1);
    }
    batch__sub_release(working->xrunning, 1u);
}

TEST_WITH(test_a_snapshot_adds_up_while_workers_count, set_up, NULL)
{
    struct working workings[SHARDS];
    uint32_t xrunning = SHARDS;
    for (size_t i = 0; i < SHARDS; i++) {
        workings[i] = (struct working){.counters = &totals.shards[i], .xrunning = &xrunning};
        assert_true(batch__thread_start(&workings[i].thread, "worker", NULL, work, &workings[i]));
    }
    bool is_running = true;
    while (is_running) {
        is_running = batch__load_acquire(&xrunning) != 0;
        batch_stats stats = snapshot();
        uint64_t completed =
            stats.operations_completed[-BATCH_OK] + stats.operations_completed[-BATCH_EXPIRED];
        assert_true(stats.operations_accepted >= completed);
        assert_true(stats.operations_accepted - completed == stats.operations_waiting);
        assert_true(stats.batches_saved <= stats.batches);
        assert_true(stats.save_ns.p99 <= stats.save_ns.max);
    }
    for (size_t i = 0; i < SHARDS; i++)
        batch__thread_join(&workings[i].thread);

    batch_stats stats = snapshot();
    assert_int_equal(stats.operations_accepted, SHARDS * ROUNDS * 3);
    assert_int_equal(stats.operations_waiting, 0);
    assert_int_equal(stats.batches, SHARDS * ROUNDS);
    assert_int_equal(stats.batches_saved, SHARDS * ROUNDS);
    assert_int_equal(stats.save_group.count, SHARDS * ROUNDS);
    assert_int_equal(stats.save_group.sum, SHARDS * ROUNDS * 2);
}
