/* histogram_test.c: what metrics.h promises of a distribution, against sorted arrays. */
#include "metrics_fixture.h"

#include "metrics/histogram.h"
#include "base/atomics.h"
#include "platform/platform.h"

#include <math.h>

static batch_distribution describe(const struct batch__histogram *histograms, size_t count)
{
    static batch_histogram sum; /* one thread at a time */
    memset(&sum, 0, sizeof sum);
    for (size_t i = 0; i < count; i++)
        batch__histogram_collect(&sum, &histograms[i]);
    batch_distribution distribution;
    batch__histogram_describe(&sum, &distribution);
    return distribution;
}

/* ---- Buckets -------------------------------------------------------------------------------- */

TEST(test_buckets_cover_every_value_once)
{
    assert_int_equal(batch__histogram_bucket(0), 0);
    for (size_t bucket = 0; bucket < BATCH__HISTOGRAM_BUCKETS - 1; bucket++) {
        uint64_t max = batch_histogram_bucket_max(bucket);
        assert_int_equal(batch__histogram_bucket(max), bucket);
        assert_int_equal(batch__histogram_bucket(max + 1), bucket + 1);
    }
    assert_true(batch_histogram_bucket_max(BATCH__HISTOGRAM_BUCKETS - 1) == UINT64_MAX);
    assert_int_equal(batch__histogram_bucket(UINT64_MAX), BATCH__HISTOGRAM_BUCKETS - 1);
}

TEST(test_a_bucket_is_at_most_a_sixteenth_wide)
{
    for (size_t bucket = 1; bucket < BATCH__HISTOGRAM_BUCKETS; bucket++) {
        uint64_t min = batch_histogram_bucket_max(bucket - 1) + 1;
        uint64_t above = batch_histogram_bucket_max(bucket) - min;
        assert_true(above <= min / 16);
        if (min < 32)
            assert_true(above == 0);
    }
}

TEST(test_the_last_bucket_has_no_end)
{
    assert_true(batch_histogram_bucket_max(BATCH_HISTOGRAM_BUCKETS) == UINT64_MAX);
    assert_true(batch_histogram_bucket_max(SIZE_MAX) == UINT64_MAX);
}

/* ---- Snapshots ------------------------------------------------------------------------------ */

static batch_histogram snapshot_of(const uint64_t *values, size_t count)
{
    static struct batch__histogram histogram;
    memset(&histogram, 0, sizeof histogram);
    for (size_t i = 0; i < count; i++)
        batch__histogram_record(&histogram, values[i]);
    batch_histogram snapshot;
    memset(&snapshot, 0, sizeof snapshot);
    batch__histogram_collect(&snapshot, &histogram);
    return snapshot;
}

TEST(test_snapshots_add_up_to_that_of_all_values)
{
    static const uint64_t values[] = {3, 3, 1000, 70, UINT64_MAX, 0, 12345678};
    batch_histogram all = snapshot_of(values, 7);
    for (size_t split = 0; split <= 7; split++) {
        batch_histogram sum = snapshot_of(values, split);
        batch_histogram more = snapshot_of(values + split, 7 - split);
        batch_histogram_add(&sum, &more);
        assert_memory_equal(&sum, &all, sizeof all);
    }
}

TEST(test_what_is_left_after_subtracting_was_counted_since)
{
    static const uint64_t values[] = {5, 900000, 7, 40, 41};
    batch_histogram later = snapshot_of(values, 5);
    batch_histogram earlier = snapshot_of(values, 2);
    batch_histogram expected = snapshot_of(values + 2, 3);
    batch_histogram_subtract(&later, &earlier);
    assert_memory_equal(later.counts, expected.counts, sizeof later.counts);
    assert_int_equal(later.count, 3);
    assert_int_equal(later.sum, 88);
    assert_int_equal(later.max, batch_histogram_bucket_max(batch__histogram_bucket(41)));
    earlier = later;
    batch_histogram_subtract(&later, &earlier);
    assert_int_equal(later.count, 0);
    assert_int_equal(later.max, 0);
}

TEST(test_a_quantile_of_a_snapshot_is_by_nearest_rank)
{
    static const uint64_t values[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    batch_histogram histogram = snapshot_of(values, 10);
    static const struct {
        double quantile;
        uint64_t value;
    } cases[] = {{0, 1},   {-1, 1},  {NAN, 1},   {0.05, 1},  {0.1, 1}, {0.11, 2},
                 {0.5, 5}, {0.9, 9}, {0.91, 10}, {0.99, 10}, {1, 10},  {INFINITY, 10}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_int_equal(batch_histogram_quantile(&histogram, cases[i].quantile), cases[i].value);
    histogram = snapshot_of(values, 0);
    assert_int_equal(batch_histogram_quantile(&histogram, 0.5), 0);
}

/* ---- Distributions -------------------------------------------------------------------------- */

TEST(test_nothing_recorded_is_all_zero)
{
    static const struct batch__histogram empty;
    batch_distribution got = describe(&empty, 1);
    static const batch_distribution zero;
    assert_memory_equal(&got, &zero, sizeof got);
    got = describe(NULL, 0);
    assert_memory_equal(&got, &zero, sizeof got);
}

TEST(test_one_value_is_given_back_as_it_is)
{
    static const uint64_t values[] = {0, 1, 15, 16, 31, 33, 1000003, UINT64_MAX - 1, UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct batch__histogram histogram;
        memset(&histogram, 0, sizeof histogram);
        batch__histogram_record(&histogram, values[i]);
        batch_distribution got = describe(&histogram, 1);
        assert_true(got.count == 1);
        assert_true(got.sum == values[i]);
        assert_true(got.p50 == values[i]); /* the maximum caps the bucket */
        assert_true(got.p99 == values[i]);
        assert_true(got.max == values[i]);
    }
}

TEST(test_quantiles_are_by_nearest_rank)
{
    struct batch__histogram histogram;
    memset(&histogram, 0, sizeof histogram);
    batch__histogram_record_many(&histogram, 3, 50);
    batch__histogram_record_many(&histogram, 7, 49);
    batch__histogram_record(&histogram, 9);
    batch_distribution got = describe(&histogram, 1);
    assert_true(got.p50 == 3); /* the 50th of 100 */
    assert_true(got.p99 == 7); /* the 99th of 100 */
    batch__histogram_record(&histogram, 9);
    got = describe(&histogram, 1);
    assert_true(got.p50 == 7); /* the 51st of 101 */
    assert_true(got.p99 == 9); /* the 100th of 101 */
}

TEST(test_counts_near_2_to_64_do_not_overflow)
{
    struct batch__histogram histogram;
    memset(&histogram, 0, sizeof histogram);
    batch__histogram_record_many(&histogram, 1, UINT64_MAX - 1);
    batch__histogram_record_many(&histogram, 2, 0);
    batch__histogram_record(&histogram, 5);
    batch_distribution got = describe(&histogram, 1);
    assert_true(got.count == UINT64_MAX);
    assert_true(got.p50 == 1);
    assert_true(got.p99 == 1);
    assert_true(got.max == 5);
}

static int compare(const void *left, const void *right)
{
    uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;
    return (a > b) - (a < b);
}

static void check_quantile(uint64_t exact, uint64_t got)
{
    assert_true(got >= exact);
    assert_true(got - exact <= exact / 16);
    if (exact < 16)
        assert_true(got == exact);
}

enum { SHARDS = 3, VALUES_MAX = 2000 };

/* A sample of values below 2^bits, spread over some shards and compared with its sorted array. */
static void check_sample(struct random *random, size_t count, unsigned bits)
{
    static struct batch__histogram shards[SHARDS];
    static uint64_t values[VALUES_MAX];
    memset(shards, 0, sizeof shards);
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++) {
        unsigned shift = 64u - 1u - (unsigned)(random_next(random) % bits);
        values[i] = random_next(random) >> shift;
        batch__histogram_record(&shards[random_next(random) % SHARDS], values[i]);
        sum += values[i];
    }
    qsort(values, count, sizeof values[0], compare);

    batch_distribution got = describe(shards, SHARDS);
    assert_true(got.count == count);
    assert_true(got.sum == sum);
    assert_true(got.max == values[count - 1]);
    check_quantile(values[(count + 1) / 2 - 1], got.p50);
    check_quantile(values[(count * 99 + 99) / 100 - 1], got.p99);
}

TEST(test_any_sample_agrees_with_its_sorted_array)
{
    struct random random = {random_seed()};
    for (unsigned round = 0; round < 3000; round++) {
        size_t count = 1 + (size_t)(random_next(&random) % (round % 10 == 0 ? VALUES_MAX : 50));
        unsigned bits = 1 + (unsigned)(random_next(&random) % 64);
        check_sample(&random, count, bits);
    }
}

TEST(test_many_at_once_is_as_many_one_by_one)
{
    static struct batch__histogram once, one_by_one;
    struct random random = {random_seed()};
    for (unsigned round = 0; round < 1000; round++) {
        uint64_t value = random_next(&random) >> (random_next(&random) % 64);
        uint64_t count = random_next(&random) % 5;
        batch__histogram_record_many(&once, value, count);
        for (uint64_t i = 0; i < count; i++)
            batch__histogram_record(&one_by_one, value);
    }
    assert_memory_equal(&once, &one_by_one, sizeof once);
}

/* ---- Threads -------------------------------------------------------------------------------- */

enum { WRITERS = 3, RECORDS = 20000 };

struct writing {
    struct batch__thread thread;
    struct batch__histogram *histogram;
    bool is_shared;
    uint32_t *xrunning;
};

static void write_values(void *arg)
{
    struct writing *writing = arg;
    for (uint64_t i = 1; i <= RECORDS; i++) {
        if (writing->is_shared)
            batch__histogram_record_mp(writing->histogram, i * 1000);
        else
            batch__histogram_record(writing->histogram, i * 1000);
    }
    batch__sub_release(writing->xrunning, 1u);
}

/* Values only grow here, so the largest one counted lies between p99 and max at all times. */
static void read_while_written(size_t writers, bool is_shared)
{
    static struct batch__histogram histograms[WRITERS];
    memset(histograms, 0, sizeof histograms);
    struct writing writings[WRITERS];
    uint32_t xrunning = (uint32_t)writers;
    for (size_t i = 0; i < writers; i++) {
        writings[i] =
            (struct writing){.histogram = &histograms[is_shared ? 0 : i], .is_shared = is_shared};
        writings[i].xrunning = &xrunning;
        assert_true(
            batch__thread_start(&writings[i].thread, "writer", NULL, write_values, &writings[i]));
    }

    uint64_t count = 0;
    bool is_running = true;
    while (is_running) {
        is_running = batch__load_acquire(&xrunning) != 0;
        batch_distribution got = describe(histograms, WRITERS);
        assert_true(got.count >= count);
        assert_true(got.p50 <= got.p99);
        assert_true(got.p99 <= got.max);
        assert_true(got.sum >= got.count * 1000);
        if (got.count > 0) /* what was counted is in the maximum */
            assert_true(got.max >= (got.count / writers) * 1000);
        count = got.count;
    }
    for (size_t i = 0; i < writers; i++)
        batch__thread_join(&writings[i].thread);

    batch_distribution got = describe(histograms, WRITERS);
    assert_true(got.count == writers * RECORDS);
    assert_true(got.sum == writers * 1000 * ((uint64_t)RECORDS * (RECORDS + 1) / 2));
    assert_true(got.max == (uint64_t)RECORDS * 1000);
    check_quantile((uint64_t)RECORDS / 2 * 1000, got.p50);
    check_quantile((uint64_t)RECORDS * 99 / 100 * 1000, got.p99);
}

TEST(test_reading_while_one_thread_writes_each)
{
    read_while_written(1, false);
    read_while_written(WRITERS, false);
}

TEST(test_several_writers_lose_nothing)
{
    read_while_written(WRITERS, true);
}
