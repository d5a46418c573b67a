/* metrics_fixture.h: what the tests of the metrics share. */
#ifndef TESTS_UNIT_METRICS_SUPPORT_H
#define TESTS_UNIT_METRICS_SUPPORT_H

#include "metrics/subscription.h"

#include "counting_allocator.h"
#include "must.h"
#include "random.h"
#include "test.h"

/* A seed from BATCH_TEST_SEED, else a new one; printed. */
uint64_t random_seed(void);

/* A hub, whose memory must all be back at the end. */
struct world {
    struct allocator memory;
    struct batch__hub hub;
    bool is_ours;    /* what the hub gets when it asks */
    uint32_t xasked; /* how often it has asked: readers that were about to wait */
};

void world_begin(struct world *world);
void world_end(struct world *world);
bool world_is_ours(void *arg);
batch_subscription *subscribe(struct world *world, uint32_t queue_max, bool block);

#define WORLD_TEST(name) TEST_OF(name, struct world, world, world_begin, world_end)

#endif
