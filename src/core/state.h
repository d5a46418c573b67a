/* state.h: the state of one shard's core. Only src/core uses its fields; the owner of a core
 * calls the functions of core.h.
 */
#ifndef BATCH_CORE_STATE_H
#define BATCH_CORE_STATE_H

#include "batch.h"
#include "pool.h"
#include "table.h"

static inline uint64_t batch__sum_or_max(uint64_t a, uint64_t b)
{
    return a <= UINT64_MAX - b ? a + b : UINT64_MAX;
}

struct batch__core_config {
    uint64_t window_ns;   /* or BATCH_WINDOW_NONE */
    uint64_t deadline_ns; /* how long after its first conflict a batch may be replayed, and how long
                             an operation that has no start_by_ns may wait behind others */
    uint64_t age_max_ns;  /* of what was loaded; UINT64_MAX: no limit */
    uint64_t ops_max;     /* operations of one batch, at least 1 */
    uint64_t ops_waiting_max;
    uint64_t key_ops_waiting_max;
    uint64_t expire_max;   /* windows that end in one batch__core_expire; 0: all that have passed */
    uint64_t late_max_ns;  /* how late a window may end, so that what has come joins */
    uint64_t turn_ops_max; /* a turn of a key ends after so many operations, at least 1 … */
    uint64_t turn_ns;      /* … or when they have taken so long (turns.h) */
    uint64_t op_first_max_ns; /* what the first time of an operation counts as at most */
    uint64_t cache_max;       /* resources cached between batches */
    uint32_t replays_max;
    uint32_t unit_max;  /* keys in a unit, at least 1; a single transaction may have more */
    size_t object_size; /* of a batch with what the runtime puts behind it; a multiple of 64 */
    size_t head_size;   /* so much of an object is zero when it is new; 0: all */
    batch_allocator allocator;
    struct batch__pages pages; /* for large objects; no functions: the allocator's memory */
};

struct batch__core_units {
    uint64_t keys_max, conflicted, dissolved;
};

struct batch__core {
    struct batch__core_config config;
    uint64_t now_ns; /* of the latest event */
    bool is_stopping;

    struct batch__pool pool;
    struct batch__table table; /* every key that has work */
    /* By closes_ns: batches whose window runs, or with no window those that are open. An open batch
     * that is not here closes. */
    struct batch__list due;
    struct batch__batch *todo_first; /* with actions other than RUN, FIFO through todo_next */
    struct batch__batch *todo_last;
    struct batch__list turns;   /* with operations that can run now: the first one has its turn */
    struct batch__list waiting; /* all others with operations that wait: none can run now */
    struct batch__ops refused;  /* in no batch, status in each; for the next DONE */

    /* Resources that wait for the next batch of their key, the least recently used first. */
    struct batch__list cached;
    uint64_t cached_size; /* at most config.cache_max */

    /* Operations accepted and not yet given out by DONE: those in `refused`; in each batch
     * those that wait and that ran; and the one running. */
    uint64_t ops;
    batch_op
        *running; /* between RUN and batch__core_ran; its batch is the first of `turns`. A leg that
                          runs still waits, as the others do */

    /* The turn of the first of `turns`. */
    uint64_t turn_ops;      /* that have run; 0: it has not begun */
    uint64_t turn_began_ns; /* when the first of them began */
    bool is_turn_over;

    /* How long a key waits for its next turn: a moving average, and the one that is measured. */
    uint64_t lap_mean_ns;
    uint64_t lap_began_ns;
    const struct batch__batch *lap_batch; /* NULL: none */

    /* Waiting operations are swept for canceled and expired ones: not before sweep_after_ns, so
     * that sweeping takes a small part of the time however many wait. */
    bool is_sweep_wanted;
    uint64_t sweep_after_ns;
    uint64_t start_by_min_ns; /* no waiting operation has an earlier one; UINT64_MAX: none */

    /* Moving averages of load and save times; 0 before the first. */
    uint64_t load_mean_ns;
    uint64_t save_mean_ns;

    /* Units: how large one may become now, and what became of those that were saved. */
    uint64_t unit_max;
    uint64_t units_conflicted;
    uint64_t units_dissolved;

#ifdef BATCH_DEBUG_CHECKS
    uint64_t check_debt; /* events since the last whole check */
#endif
};

#endif
