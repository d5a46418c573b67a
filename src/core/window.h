/* window.h: the window of a batch: when it begins, and until when operations may join it.
 *
 * With config.window_ns the window begins when the first operation is accepted, also if that waits
 * because the batch before it is being saved or replayed; until it ends, the batch is in core->due.
 * With BATCH_WINDOW_NONE it is there while it is open, until the store is free to take it: first
 * those that changed nothing, which need no save, then the others in the order in which they
 * changed.
 */
#ifndef BATCH_CORE_WINDOW_H
#define BATCH_CORE_WINDOW_H

#include "state.h"
#include "unit.h"

bool batch__has_window(const struct batch__core *core);

/* A new batch of a key, to be loaded; or if it has operations to replay, the same once more. */
void batch__begin(struct batch__core *core, struct batch__batch *batch);
/* A new one with the resource of the batch before: no load. */
void batch__begin_cached(struct batch__core *core, struct batch__batch *batch);

/* There is a resource: all operations that wait join, and so do later ones; of a replay, only those
 * that ran before. */
void batch__window_open(struct batch__core *core, struct batch__batch *batch);
/* The window begins now, with the first operation; or with the next one, as the first has left. */
void batch__window_restart(struct batch__core *core, struct batch__batch *batch);
/* All operations that wait join this batch, whenever its window ends. */
static inline void batch__window_join(struct batch__batch *batch)
{
    batch__joining_set(batch, batch->waiting.count);
}
/* It is open, and the first that waits cannot run, so nobody does, and its window may end without
 * them; and then that may be so. */
void batch__block(struct batch__core *core, struct batch__batch *batch);
void batch__unblock(struct batch__core *core, struct batch__batch *batch);
/* The first that waits runs, or leaves. True if it had run before. */
static inline bool batch__take_first(struct batch__batch *batch)
{
    batch__ops_pop(&batch->waiting);
    bool has_begun = batch->replaying > 0;
    batch->replaying -= has_begun;
    batch__joining_set(batch, batch->joining - (batch->joining > 0));
    return has_begun;
}
/* All that were to be replayed have left: it is a batch like any other. */
void batch__replay_left(struct batch__core *core, struct batch__batch *batch);
/* The first operation that changed something has run. */
void batch__window_changed(struct batch__core *core, struct batch__batch *batch);
void batch__window_end(struct batch__core *core, struct batch__batch *batch);

#endif
