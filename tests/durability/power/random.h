/* random.h: random numbers that depend on the seed alone (splitmix64). */
#ifndef BATCH_TEST_POWER_RANDOM_H
#define BATCH_TEST_POWER_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random)
{
    uint64_t mixed = random->state += UINT64_C(0x9E3779B97F4A7C15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94D049BB133111EB);
    return mixed ^ (mixed >> 31);
}

/* From 0 to bound - 1. */
static inline uint64_t random_below(struct random *random, uint64_t bound)
{
    return (random_next(random) >> 32) % bound;
}

#endif
