/* metrics_fixture.c: see metrics_fixture.h. */
#include "metrics_fixture.h"

#include "base/atomics.h"
#include "platform/platform.h"

#include <inttypes.h>

uint64_t random_seed(void)
{
    const char *given = getenv("BATCH_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : batch__clock_now_ns();
    print_message("BATCH_TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

bool world_is_ours(void *arg)
{
    struct world *world = arg;
    batch__add_relaxed(&world->xasked, 1u);
    return world->is_ours;
}

void world_begin(struct world *world)
{
    *world = (struct world){.xasked = 0};
    batch_allocator allocator = allocator_functions(&world->memory);
    MUST(batch__hub_init(&world->hub, &allocator, world_is_ours, world) == BATCH_OK);
}

void world_end(struct world *world)
{
    batch__hub_destroy(&world->hub);
    MUST(world->memory.live == 0);
}

batch_subscription *subscribe(struct world *world, uint32_t queue_max, bool block)
{
    batch_subscription_options options = BATCH_SUBSCRIPTION_OPTIONS_INIT;
    options.queue_max = queue_max;
    options.block = block;
    batch_subscription *subscription = NULL;
    MUST(batch__hub_subscribe(&world->hub, &options, &subscription) == BATCH_OK);
    return subscription;
}
