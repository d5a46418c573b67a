/* metrics_fixture.h: what the tests of the metrics share. */
#ifndef TESTS_UNIT_METRICS_SUPPORT_H
#define TESTS_UNIT_METRICS_SUPPORT_H

#include <batch/metrics.h>

#include "counting_allocator.h"
#include "must.h"
#include "random.h"
#include "test.h"

/* A seed from BATCH_TEST_SEED, else a new one; printed. */
uint64_t random_seed(void);

#endif
