/* histogram.h: how often which value was seen, in fixed memory and for three plain stores.
 *
 * Log-linear: the values 0 to 15 have a bucket each, and every power of two from 16 up to 2^64 is
 * divided into 16 buckets of equal width. These are never wider than 1/16 of the smallest value in
 * them, so the upper bound of a bucket is less than 1/16 above any value it counted, and exact
 * below 32.
 *
 * A quantile is by nearest rank: pN is the smallest recorded value that at least N % of all
 * recorded values do not exceed. What is given for it is the upper bound of its bucket, but never
 * more than the largest value recorded: so exact <= given <= exact + exact / 16.
 *
 * Threads. A histogram has one writer (batch__histogram_record, _record_many) or several
 * (batch__histogram_record_mp), never both kinds. Any thread may read at any time. A reader sees a
 * value in its bucket only after it is in the sum and in the maximum, so that a maximum read with a
 * quantile is never below it, nor cuts it off.
 */
#ifndef BATCH_METRICS_HISTOGRAM_H
#define BATCH_METRICS_HISTOGRAM_H

#include <batch/metrics.h>

enum {
    BATCH__HISTOGRAM_STEP_BITS = 4,
    BATCH__HISTOGRAM_STEPS = 1 << BATCH__HISTOGRAM_STEP_BITS, /* buckets in a power of two */
    BATCH__HISTOGRAM_BUCKETS = (64 - BATCH__HISTOGRAM_STEP_BITS + 1) * BATCH__HISTOGRAM_STEPS
};

_Static_assert(BATCH__HISTOGRAM_BUCKETS == BATCH_HISTOGRAM_BUCKETS, "as metrics.h has it");

/* All zero is empty. Sums are modulo 2^64: for nanoseconds, 584 years. */
struct batch__histogram {
    uint64_t xcounts[BATCH__HISTOGRAM_BUCKETS];
    uint64_t xsum;
    uint64_t xmax;
};

/* Thread: the one writer. */
void batch__histogram_record(struct batch__histogram *histogram, uint64_t value);
void batch__histogram_record_many(struct batch__histogram *histogram, uint64_t value,
                                  uint64_t count);

/* Thread: any of several writers. Read-modify-writes: not for hot paths. */
void batch__histogram_record_mp(struct batch__histogram *histogram, uint64_t value);

/* Add it to a snapshot, which is plain numbers of one thread. */
void batch__histogram_collect(batch_histogram *sum, const struct batch__histogram *histogram);
void batch__histogram_describe(const batch_histogram *histogram,
                               batch_distribution *ret_distribution);

/* The bucket of a value. */
size_t batch__histogram_bucket(uint64_t value);

#endif
