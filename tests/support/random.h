/* random.h: random numbers that depend on the seed alone (SplitMix64): every state is a good one,
 * and the numbers of two neighbouring seeds have nothing in common. */
#ifndef BATCH_TEST_SUPPORT_RANDOM_H
#define BATCH_TEST_SUPPORT_RANDOM_H

#include <stdint.h>

struct random {
    uint64_t state; /* at first: the seed */
};

/* The bits of a number, mixed: a different number for each. */
static inline uint64_t random_mix(uint64_t number)
{
    number = (number ^ (number >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    number = (number ^ (number >> 27)) * UINT64_C(0x94D049BB133111EB);
    return number ^ (number >> 31);
}

static inline uint64_t random_next(struct random *random)
{
    return random_mix(random->state += UINT64_C(0x9E3779B97F4A7C15));
}

/* From 0 to bound - 1; bound is less than 2^32. */
static inline uint64_t random_below(struct random *random, uint64_t bound)
{
    return (random_next(random) >> 32) % bound;
}

#endif
