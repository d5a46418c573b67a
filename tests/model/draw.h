/* draw.h: the source of everything random: a seed, or a fuzzer's bytes as long as they last. */
#ifndef BATCH_TESTS_MODEL_DRAW_H
#define BATCH_TESTS_MODEL_DRAW_H

#include "random.h"

#include <stdbool.h>
#include <stddef.h>

struct draw {
    struct random random;
    const uint8_t *bytes; /* NULL: none were given */
    size_t bytes_size;    /* left */
};

static inline struct draw draw_from(uint64_t seed)
{
    return (struct draw){.random = {random_mix(seed + UINT64_C(0x632BE59BD9B4E019))}};
}

static inline uint64_t draw_next(struct draw *draw)
{
    if (draw->bytes_size > 0) {
        draw->bytes_size--;
        return *draw->bytes++ * UINT64_C(0x0101010101010101); /* from 0 to UINT64_MAX */
    }
    return random_next(&draw->random);
}

/* A number below `limit`, from the lower 32 bits of a draw; the rest is still good. */
static inline uint32_t draw_scale(uint64_t drawn, uint32_t limit)
{
    return (uint32_t)(((drawn & 0xFFFFFFFF) * limit) >> 32);
}

static inline uint32_t draw_below(struct draw *draw, uint32_t limit)
{
    return draw_scale(draw_next(draw) >> 32, limit);
}

static inline bool draw_percent(struct draw *draw, uint32_t percents)
{
    return percents > 0 && draw_below(draw, 100) < percents;
}

/* Were there bytes, and are all used up? */
static inline bool draw_is_over(const struct draw *draw)
{
    return draw->bytes != NULL && draw->bytes_size == 0;
}

#endif
