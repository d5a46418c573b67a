/* tally.h: counting completions and latencies. One thread counts; any may read meanwhile. */
#ifndef BENCH_TALLY_H
#define BENCH_TALLY_H

#include <batch/batch.h>

#include <stdio.h>

/* Sixteen buckets for each power of two of nanoseconds: at most 1/16 too high. */
enum { LATENCY_BUCKETS = 61 * 16 };

/* What one thread counts. Others may read it meanwhile (the x is for atomic). */
struct tally {
    uint64_t xcompleted[BATCH_STATUS_COUNT]; /* index is -status */
    uint64_t xlatency[LATENCY_BUCKETS];
    uint64_t xretries;
    /* Of sums only: a thread does not count these. */
    uint64_t commits;
    uint64_t rows;
    uint64_t cpu_ns; /* of this program, all its threads */
};

/* By the one thread that writes. */
static inline void tally_add(uint64_t *xcount, uint64_t count)
{
    __atomic_store_n(xcount, *xcount + count, __ATOMIC_RELAXED);
}

static inline void tally_completed(struct tally *tally, int status)
{
    tally_add(&tally->xcompleted[-status], 1);
}

void tally_latency(struct tally *tally, uint64_t latency_ns);

/* sum += tally, which another thread may be writing; end -= begin. */
void tally_sum(struct tally *sum, const struct tally *tally);
void tally_subtract(struct tally *end, const struct tally *begin);

/* The latency that `share` (0.5, 0.99) of the operations did not exceed; 0 if there were none. */
uint64_t tally_quantile_ns(const struct tally *tally, double share);

/* Completions by status, as an object of JSON, but those with BATCH_OK: {"CONFLICT":3}. */
void tally_print_errors(FILE *out, const struct tally *tally);

#endif
