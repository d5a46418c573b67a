/* key.h: keys, their states, and the choice of a key at random. */
#ifndef BENCH_STORE_KEY_H
#define BENCH_STORE_KEY_H

#include <stdint.h>
#include <string.h>

enum { KEY_SIZE = 8, KEYS_MAX = 10000000 }; /* a key is its number in 8 digits */

struct key {
    char digits[KEY_SIZE];
};

#define BENCH_TABLE "batch_bench" /* a row for each key, in a database */

/* All keys; NULL: no memory. To be freed. */
struct key *keys_new(uint32_t keys);

/* xorshift64*; the state must not be 0. */
static inline uint32_t random_below(uint64_t *random, uint32_t bound)
{
    uint64_t x = *random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *random = x;
    return (uint32_t)((((x * 0x2545F4914F6CDD1DULL) >> 32) * bound) >> 32);
}

enum { STATE_SIZE_MIN = sizeof(uint64_t), STATE_SIZE_MAX = 1 << 20 };

/* The state that every key begins with: 0, then filler. NULL: no memory. To be freed. */
void *state_new(uint32_t size);

/* A state begins with its counter. */
static inline uint64_t state_counter(const void *state)
{
    uint64_t counter;
    memcpy(&counter, state, sizeof counter);
    return counter;
}

void state_increment(void *state);

#endif
