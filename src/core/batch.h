/* batch.h: one key that has work: its current batch, and the operations that wait for the next one.
 *
 * There is at most one of these for a key. It lives as long as the key has work or its resource is
 * cached. Its phases are listed in phase.h.
 *
 * Behind the core's part lies the runtime's (its call) and the memory of the resource: one object
 * from a pool (pool.h), reserved whole before the first operation is accepted.
 */
#ifndef BATCH_CORE_BATCH_H
#define BATCH_CORE_BATCH_H

#include "op.h"
#include "phase.h"

enum { BATCH__KEY_INLINE = 24 };

/* A place in a doubly linked list of batches. */
struct batch__link {
    struct batch__batch *previous;
    struct batch__batch *next;
};

struct batch__list {
    struct batch__batch *first;
    struct batch__batch *last;
};

struct batch__batch {
    /* Touched for every operation, so these share the first cache lines. */
    const void *key;
    uint32_t key_size;
    uint32_t hash;
    uint8_t phase; /* enum batch__phase */
    int8_t status; /* enum batch_status; from COMPLETE on */
    bool in_turns : 1;
    bool in_todo : 1;
    bool in_due : 1;
    bool in_waiting : 1;
    bool is_loaded : 1;       /* there is a resource to release */
    bool is_cached : 1;       /* from an earlier batch, and not loaded for this one */
    bool is_rechecked : 1;    /* it had become too old, and was loaded again for that */
    bool is_replay : 1;       /* its operations ran before, on what has been released */
    bool is_slow : 1;         /* the runtime's: an operation of this key took long the last time */
    bool is_isolated : 1;     /* the store refused a unit that it was in, and it begins once more */
    uint8_t close_reason : 4; /* enum batch_close_reason; from CLOSED on */
    bool is_closing : 1;      /* of the first of a unit: it closes when nobody joins any more */
    bool is_small : 1;        /* likewise: one of them is isolated, so no other key comes in */
    uint16_t unit_size;       /* likewise: keys; after the save, of each; 0: it was alone */
    uint16_t unit_count;      /* likewise: while it is open, those that are joining (unit.h); while
                                it is saved, calls that have not come back */
    char key_inline[BATCH__KEY_INLINE];
    struct batch__ops waiting; /* in the order they came */
    struct batch__ops ran;     /* of the current batch, in the order they ran */
    uint64_t replaying;  /* how many of `waiting`, from its head, ran before; the others have not */
    uint64_t joining;    /* how many of `waiting`, from its head, join this batch at any time */
    uint32_t changed;    /* of `ran`, those that returned BATCH_CHANGED */
    uint32_t op_mean_ns; /* what an operation takes, of those after which a clock was read: a moving
                            average; 0 before the first */
    uint64_t closes_ns;  /* of the batch that takes new operations, this one or the next: from then
                           on expire ends its window; UINT64_MAX: none */
    uint64_t loaded_ns;  /* when its load ended, which is how old it is; 0: it is cached */
    struct batch__batch *todo_next;
    struct batch__link waiters; /* in core->turns, or in core->waiting */
    uint64_t start_by_min_ns;   /* none of `waiting`, if any, has an earlier start_by_ns */

    uint32_t replays;      /* of the current batch, after conflicts */
    uint16_t group_max[2]; /* the runtime's, for loads and for saves: the last one of this key took
                              too long, so the next goes in a group of at most this many; 0: it did
                              not */

    /* The batches that transactions have run on are a unit: a ring, saved all together or not at
     * all. NULL: it is alone. */
    struct batch__batch *unit; /* its first: any of them, which has what all share */
    struct batch__batch *unit_next;

    struct batch__link due; /* in core->due, by closes_ns; or in core->cached */

    /* Times, for the record of the batch; 0 if it did not happen. */
    uint64_t begun_ns;
    uint64_t load_ns;
    uint64_t first_wait_ns;
    uint64_t save_ns;
    uint64_t saved_ns;
    uint64_t replay_by_ns; /* after its first conflict; replays begin before then */
};

/* An operation waits for its load; if none does, the outcome of the load is not reported. */
static inline bool batch__is_awaited(const struct batch__batch *batch)
{
    return batch->waiting.count > 0;
}

/* What is submitted now may run in this batch; else it waits for the next one. */
static inline bool batch__takes_new(const struct batch__batch *batch)
{
    enum batch__phase phase = (enum batch__phase)batch->phase;
    return (batch__phase_is_opening(phase) || phase == BATCH__OPEN) && !batch->is_replay;
}

#endif
