#include "ages.h"

#include "../base/check.h"

#include <string.h>

enum { SLOT_NS = 4 * 1000 * 1000 };

static void publish(struct batch__ages *ages)
{
    uint64_t oldest_ns = ages->size > 0 ? ages->slots[0].from_ns + 1 : 0;
    if (batch__load_relaxed(&ages->xoldest_ns) != oldest_ns)
        batch__store_relaxed(&ages->xoldest_ns, oldest_ns);
}

/* Take out slots that are not counted any more. */
static void drop(struct batch__ages *ages, uint32_t first, uint32_t count)
{
    batch__check(first + count <= ages->size);
    ages->size -= count;
    memmove(&ages->slots[first], &ages->slots[first + count],
            (ages->size - first) * sizeof ages->slots[0]);
    ages->latest_until_ns = 0;
}

/* Make room for one slot: an empty one goes, or two become one. */
static void make_room(struct batch__ages *ages, uint64_t at_ns)
{
    uint32_t best = 0;
    double best_growth = 0;
    for (uint32_t i = 0; i + 2 < ages->size; i++) {
        if (ages->slots[i + 1].count == 0) {
            drop(ages, i + 1, 1);
            return;
        }
        /* By how much what is in the second one looks older than it may be. */
        double growth = (double)(at_ns - ages->slots[i].from_ns) /
                        (double)(at_ns - ages->slots[i + 2].from_ns + SLOT_NS);
        if (i == 0 || growth < best_growth) {
            best = i;
            best_growth = growth;
        }
    }
    ages->slots[best].count += ages->slots[best + 1].count;
    drop(ages, best + 1, 1);
}

void batch__ages_add(struct batch__ages *ages, uint64_t at_ns, uint64_t count)
{
    batch__check(count > 0);
    if (ages->size > 0) {
        struct batch__age *last = &ages->slots[ages->size - 1];
        batch__check(at_ns >= last->from_ns);
        if (at_ns - last->from_ns < SLOT_NS) {
            last->count += count;
            return;
        }
        if (ages->size == BATCH__AGES)
            make_room(ages, at_ns);
    }
    ages->slots[ages->size++] = (struct batch__age){at_ns, count};
    ages->latest_until_ns = 0;
    publish(ages);
}

void batch__ages_remove_at(struct batch__ages *ages, uint64_t at_ns)
{
    batch__check(ages->size > 0);
    uint32_t first = 0; /* the last slot that begins at at_ns or before */
    uint32_t end = ages->size;
    while (end - first > 1) {
        uint32_t middle = first + (end - first) / 2;
        if (ages->slots[middle].from_ns <= at_ns)
            first = middle;
        else
            end = middle;
    }
    batch__check(ages->slots[first].from_ns <= at_ns);
    batch__check(ages->slots[first].count > 0);
    ages->slots[first].count--;
    ages->latest = first;
    ages->latest_until_ns = end < ages->size ? ages->slots[end].from_ns : UINT64_MAX;
    uint32_t empty = 0;
    while (empty < ages->size && ages->slots[empty].count == 0)
        empty++;
    if (empty > 0) {
        drop(ages, 0, empty);
        publish(ages);
    }
}
