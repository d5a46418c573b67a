/* replay.h: running the operations of a batch once more.
 *
 * A replay puts the operations back to the head of those that wait, releases the resource, loads it
 * as it is stored now, and runs the same operations in the same order, and no others; what an
 * earlier run returned does not count, and those canceled meanwhile leave. It
 * follows a conflict, as often as replays_max allows and for config.deadline_ns after the first: no
 * operation has been completed yet, and a conflict has certainly stored nothing. It also follows a
 * batch that changed nothing if nothing shows that what it saw is stored: on a cached resource
 * (cache.h), or on one that was loaded more than config.age_max_ns ago. The latter is done once for
 * a batch, so that it ends however long its operations take. A batch that changed something needs
 * neither: its save compares versions.
 */
#ifndef BATCH_CORE_REPLAY_H
#define BATCH_CORE_REPLAY_H

#include "state.h"

/* After a conflict: is a replay left? The first conflict starts the time limit of all replays. */
bool batch__may_replay(const struct batch__core *core, struct batch__batch *batch);
/* What it loaded is older than config.age_max_ns; a cached resource has no such limit. */
static inline bool batch__is_too_old(const struct batch__core *core,
                                     const struct batch__batch *batch)
{
    return !batch->is_cached && core->now_ns - batch->loaded_ns > core->config.age_max_ns;
}
/* All operations have run and changed nothing: must the batch be replayed before it completes?
 * Asked once after each run of the batch. */
bool batch__must_recheck(const struct batch__core *core, struct batch__batch *batch);
void batch__replay_begin(struct batch__core *core, struct batch__batch *batch);

#endif
