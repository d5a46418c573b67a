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

uint64_t batch__histogram_bucket_max(size_t bucket)
{
    batch__check(bucket < BATCH__HISTOGRAM_BUCKETS);
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

void batch__histogram_sum_add(struct batch__histogram_sum *sum,
                              const struct batch__histogram *histogram)
{
    for (size_t bucket = 0; bucket < BATCH__HISTOGRAM_BUCKETS; bucket++) {
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

/* The value of the `rank`-th smallest, from 1; 1 <= rank <= sum->count. */
static uint64_t value_of_rank(const struct batch__histogram_sum *sum, uint64_t rank)
{
    batch__check(rank > 0);
    batch__check(rank <= sum->count);
    uint64_t seen = 0;
    size_t bucket = 0;
    while (bucket < BATCH__HISTOGRAM_BUCKETS - 1) {
        seen += sum->counts[bucket];
        if (seen >= rank)
            break;
        bucket++;
    }
    uint64_t value = batch__histogram_bucket_max(bucket);
    return value < sum->max ? value : sum->max;
}

void batch__histogram_sum_describe(const struct batch__histogram_sum *sum,
                                   batch_distribution *ret_distribution)
{
    *ret_distribution = (batch_distribution){sum->count, sum->sum, 0, 0, sum->max};
    if (sum->count == 0)
        return;
    /* The rank is the share of the count, rounded up; written so that nothing overflows. */
    ret_distribution->p50 = value_of_rank(sum, sum->count - sum->count / 2);
    ret_distribution->p99 = value_of_rank(sum, sum->count - sum->count / 100);
}
