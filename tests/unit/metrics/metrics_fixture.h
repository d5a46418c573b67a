/* metrics_fixture.h: what the tests of the metrics share. */
#ifndef TESTS_UNIT_METRICS_SUPPORT_H
#define TESTS_UNIT_METRICS_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <batch/metrics.h>

/* For threads, where cmocka's assertions cannot be used: ends the process. */
#define must(condition) ((condition) ? (void)0 : must_failed(__FILE__, __LINE__, #condition))
void must_failed(const char *file, int line, const char *broken);

/* An allocator that counts, and refuses on request. Any thread. */
struct memory {
    uint64_t xlive;      /* blocks */
    uint64_t xallocated; /* blocks, ever */
    uint32_t xrefuses;   /* 1: gives none */
};
batch_allocator memory_allocator(struct memory *memory);
uint64_t memory_live(const struct memory *memory);
uint64_t memory_allocated(const struct memory *memory);
void memory_refuse(struct memory *memory, bool refuses);

/* A seed from BATCH_TEST_SEED, else a new one; printed. And the numbers that come of it. */
uint64_t random_seed(void);
uint64_t random_next(uint64_t *state);

#endif
