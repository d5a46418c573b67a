/* ages.h: for how long the oldest of many things has been there, when they go in any order.
 *
 * Things that came within one interval share a slot, which counts how many of them are left. Slots
 * are in order of time, and a new one begins when the latest is 4 ms old. When there are too many,
 * the two neighbours are made one that are shortest compared with their age. So adding and removing
 * cost a few instructions and no memory, however many things there are, and the age of the oldest
 * is never too low, and at most 5 ms and a quarter too high.
 *
 * All zero is empty. Thread: one writer; batch__ages_oldest_ns is for any.
 */
#ifndef BATCH_METRICS_AGES_H
#define BATCH_METRICS_AGES_H

#include "../base/atomics.h"

#include <stdint.h>

enum { BATCH__AGES = 128 };

struct batch__age {
    uint64_t from_ns; /* until the next one */
    uint64_t count;
};

struct batch__ages {
    struct batch__age slots[BATCH__AGES]; /* the first one is not empty */
    uint32_t size;
    uint32_t latest;          /* the slot that was looked for last … */
    uint64_t latest_until_ns; /* … and where it ends; 0: it may be another one now */
    uint64_t xoldest_ns;      /* when the first one begins, plus 1; 0: there is none */
};

/* `count` things, above 0, come at `at_ns`, which is not before those that came earlier. */
void batch__ages_add(struct batch__ages *ages, uint64_t at_ns, uint64_t count);

/* Look for the slot of `at_ns` and take one from it; for batch__ages_remove. */
void batch__ages_remove_at(struct batch__ages *ages, uint64_t at_ns);

/* One that came at `at_ns` goes. */
static inline void batch__ages_remove(struct batch__ages *ages, uint64_t at_ns)
{
    struct batch__age *slot = &ages->slots[ages->latest];
    if (at_ns < ages->latest_until_ns && at_ns >= slot->from_ns && slot->count > 1)
        slot->count--;
    else
        batch__ages_remove_at(ages, at_ns);
}

/* The age of the oldest thing, or 0. Thread: any. */
static inline uint64_t batch__ages_oldest_ns(const struct batch__ages *ages, uint64_t now_ns)
{
    uint64_t oldest_ns = batch__load_relaxed(&ages->xoldest_ns);
    return oldest_ns != 0 && now_ns >= oldest_ns ? now_ns - oldest_ns + 1 : 0;
}

#endif
