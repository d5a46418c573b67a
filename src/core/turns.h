/* turns.h: keys take turns.
 *
 * Batches with operations that can run are in core->turns. The first one runs its operations until
 * its turn is over, and then goes behind the others. A turn is over after config.turn_ops_max
 * operations, or when they have taken config.turn_ns, or when no more of them wait.
 *
 * So an operation that finds n - 1 other keys in the queue, and none of its own key before it,
 * waits at most (n - 1) x (turn_ns + one operation) for its turn, however many operations these
 * keys have, if the time is given to batch__core_ran after each operation. Where the owner does not
 * read a clock for each, since they take hardly any time, a turn is turn_ops_max of them.
 *
 * Every other action comes before RUN: nobody's load, save or completion waits for a turn.
 */
#ifndef BATCH_CORE_TURNS_H
#define BATCH_CORE_TURNS_H

#include "../base/check.h"
#include "admission.h"
#include "lists.h"
#include "state.h"

/* Inline, as most of this: it is done for almost every operation. */
static inline void batch__turns_push(struct batch__list *turns, struct batch__batch *batch)
{
    batch__check(!batch->in_turns);
    batch->in_turns = true;
    batch__list_push(turns, batch, offsetof(struct batch__batch, waiters));
}

static inline void batch__turns_remove(struct batch__list *turns, struct batch__batch *batch)
{
    batch__check(batch->in_turns);
    batch->in_turns = false;
    batch__list_remove(turns, batch, offsetof(struct batch__batch, waiters));
}

static inline void batch__turn_end(struct batch__core *core)
{
    core->turn_ops = 0;
    core->is_turn_over = false;
}

/* It has operations that can run now. */
void batch__turns_enter(struct batch__core *core, struct batch__batch *batch);
/* It has none any more, or none of those that wait may join. */
void batch__turns_leave(struct batch__core *core, struct batch__batch *batch);
/* The first one's turn is over. */
void batch__turns_rotate(struct batch__core *core);

/* An operation of the first one is about to run. */
static inline void batch__turns_run(struct batch__core *core)
{
    batch__check(!core->is_turn_over);
    if (core->turn_ops > 0)
        return;
    core->turn_began_ns = core->now_ns;
    if (core->lap_batch == core->turns.first)
        batch__lap_ended(core);
}

/* It has run, until core->now_ns if a clock was read. */
static inline void batch__turns_ran(struct batch__core *core)
{
    core->turn_ops++;
    core->is_turn_over = core->turn_ops >= core->config.turn_ops_max ||
                         core->now_ns - core->turn_began_ns >= core->config.turn_ns;
}

#endif
