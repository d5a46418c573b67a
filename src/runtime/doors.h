/* doors.h: keys that take no more operations for now, where submitters see it: an operation that
 * would be refused then costs its submitter one relaxed load, and the worker nothing.
 *
 * When the worker has refused an operation, it shuts the door of its key: it publishes how long an
 * operation would wait behind those of that key, and keeps that up to date, at the end of each
 * iteration and before it completes any of them, until it has fallen to a half. Submitters refuse
 * what would wait longer than fifteen sixteenths of its time, so that the worker has few to refuse
 * while the door is shut.
 *
 * There are a few doors, by hash: of two keys with the same one, the last to be refused has it, and
 * the worker itself refuses operations on the other. A key is known by its 32 bits of keyed hash:
 * one that has the same as a shut one is refused with it, which nobody can bring about.
 */
#ifndef BATCH_RUNTIME_DOORS_H
#define BATCH_RUNTIME_DOORS_H

#include "../base/atomics.h"
#include "../core/core.h"

enum { BATCH__DOORS = 64 };

struct batch__doors {
    /* Read by submitters: the hash, and in the low half how many microseconds an operation waits;
     * 0: it is open. */
    uint64_t xdoors[BATCH__DOORS];
    char apart[64];

    /* The worker's. */
    uint32_t open_us[BATCH__DOORS]; /* it opens when they wait no longer than this */
    uint32_t shut;                  /* how many are */
};

/* The worker. An operation on a key with this hash was refused. */
void batch__doors_shut(struct batch__doors *doors, const struct batch__core *core, uint32_t hash);
/* The worker. What is published is what is true now; for all keys, or for those with this hash. */
void batch__doors_update(struct batch__doors *doors, const struct batch__core *core);
void batch__doors_update_one(struct batch__doors *doors, const struct batch__core *core,
                             uint32_t hash);

/* Any thread. Would `op`, which has no start_by_ns or one that has not passed, wait too long? */
bool batch__doors_refuse(uint64_t door, const batch_op *op, uint64_t deadline_ns);

/* Any thread. The door of a key with this hash, or 0: it is open. */
static inline uint64_t batch__door_of(const struct batch__doors *doors, uint32_t hash)
{
    uint64_t door = batch__load_relaxed(&doors->xdoors[hash % BATCH__DOORS]);
    return door >> 32 == hash ? door : 0;
}

#endif
