/* histogram.c: see histogram.h. */
#include "histogram.h"

#include "../base/atomics.h"
#include "../base/check.h"

enum { STEP_BITS = BATCH__HISTOGRAM_STEP_BITS, STEPS = BATCH__HISTOGRAM_STEPS };

size_t batch__histogram_bucket(uint64_t value)
{
    if (value < STEPS)
        return (size_t)value;
    unsigned power = 63u - (unsigned)__builtin_clzll(value); /* 4 to 63 */
    unsigned shift = power - STEP_BITS;
    size_t step = (size_t)(value >> shift) - STEPS; /* the bits below the highest one */
    return (shift + 1u) * STEPS + step;
}

uint64_t batch_histogram_bucket_max(size_t bucket)
{
    if (bucket >= BATCH_HISTOGRAM_BUCKETS)
        return UINT64_MAX;
    if (bucket < STEPS)
        return bucket;
    unsigned shift = (unsigned)(bucket / STEPS) - 1u;
    uint64_t first = (uint64_t)(STEPS + bucket % STEPS) << shift;
    return first + (((uint64_t)1 << shift) - 1u); /* in this order: the last one ends at 2^64 - 1 */
}

void batch__histogram_record_many(struct batch__histogram *histogram, uint64_t value,
                                  uint64_t count)
{
    if (count == 0)
        return;
    if (value > batch__load_relaxed(&histogram->xmax))
        batch__store_relaxed(&histogram->xmax, value);
    batch__count(&histogram->xsum, value * count);
    uint64_t *place = &histogram->xcounts[batch__histogram_bucket(value)];
    /* Release: who sees this count sees the sum and the maximum above. */
    batch__store_release(place, batch__load_relaxed(place) + count);
}

void batch__histogram_record(struct batch__histogram *histogram, uint64_t value)
{
    batch__histogram_record_many(histogram, value, 1);
}

void batch__histogram_record_mp(struct batch__histogram *histogram, uint64_t value)
{
    uint64_t max = batch__load_relaxed(&histogram->xmax);
    while (value > max && !batch__compare_exchange_seq_cst(&histogram->xmax, &max, value))
        continue; /* `max` is now what was there */
    batch__add_relaxed(&histogram->xsum, value);
    /* As in record_many; seq_cst is a release too. */
    batch__add_seq_cst(&histogram->xcounts[batch__histogram_bucket(value)], (uint64_t)1);
}

void batch__histogram_collect(batch_histogram *sum, const struct batch__histogram *histogram)
{
    for (size_t bucket = 0; bucket < BATCH_HISTOGRAM_BUCKETS; bucket++) {
        uint64_t count = batch__load_acquire(&histogram->xcounts[bucket]);
        sum->counts[bucket] += count;
        sum->count += count;
    }
    /* After the counts, so that they include everything counted. */
    sum->sum += batch__load_relaxed(&histogram->xsum);
    uint64_t max = batch__load_relaxed(&histogram->xmax);
    if (max > sum->max)
        sum->max = max;
}

/* The value of the `rank`-th smallest, from 1; 1 <= rank <= histogram->count. */
static uint64_t value_of_rank(const batch_histogram *histogram, uint64_t rank)
{
    uint64_t seen = 0;
    size_t bucket = 0;
    while (bucket < BATCH_HISTOGRAM_BUCKETS - 1) {
        seen += histogram->counts[bucket];
        if (seen >= rank)
            break;
        bucket++;
    }
    uint64_t value = batch_histogram_bucket_max(bucket);
    return value < histogram->max ? value : histogram->max;
}

void batch__histogram_describe(const batch_histogram *histogram,
                               batch_distribution *ret_distribution)
{
    uint64_t count = histogram->count;
    *ret_distribution = (batch_distribution){count, histogram->sum, 0, 0, histogram->max};
    if (count == 0)
        return;
    /* The rank is the share of the count, rounded up; written so that nothing overflows. */
    ret_distribution->p50 = value_of_rank(histogram, count - count / 2);
    ret_distribution->p99 = value_of_rank(histogram, count - count / 100);
}

void batch_histogram_add(batch_histogram *sum, const batch_histogram *more)
{
    for (size_t bucket = 0; bucket < BATCH_HISTOGRAM_BUCKETS; bucket++)
        sum->counts[bucket] += more->counts[bucket];
    sum->count += more->count;
    sum->sum += more->sum;
    if (more->max > sum->max)
        sum->max = more->max;
}

void batch_histogram_subtract(batch_histogram *later, const batch_histogram *earlier)
{
    uint64_t highest = 0;
    for (size_t bucket = 0; bucket < BATCH_HISTOGRAM_BUCKETS; bucket++) {
        later->counts[bucket] -= earlier->counts[bucket];
        if (later->counts[bucket] > 0)
            highest = batch_histogram_bucket_max(bucket);
    }
    later->count -= earlier->count;
    later->sum -= earlier->sum;
    if (later->max > highest)
        later->max = highest;
}

uint64_t batch_histogram_quantile(const batch_histogram *histogram, double quantile)
{
    uint64_t count = histogram->count;
    if (count == 0)
        return 0;
    if (!(quantile > 0)) /* nor a NaN */
        return value_of_rank(histogram, 1);
    double exact = quantile * (double)count;
    uint64_t rank = exact < (double)count ? (uint64_t)exact : count;
    if (rank < count && (double)rank < exact)
        rank++;
    return value_of_rank(histogram, rank);
}
