/* replay.h: running the operations of a batch once more.
 *
 * A replay drops the resource, loads it as it is stored now, and runs the same operations in the
 * same order; what an earlier run returned does not count, and those canceled meanwhile leave. It
 * follows a conflict, as often as replays_max and the deadline allow: no operation has been
 * completed yet, and a conflict has certainly stored nothing. It also follows a batch that changed
 * nothing on a cached resource (cache.h).
 */
#ifndef BATCH_CORE_REPLAY_H
#define BATCH_CORE_REPLAY_H

#include "state.h"

/* After a conflict: is a replay left? */
bool batch__may_replay(const struct batch__core *core, const struct batch__batch *batch);
void batch__replay_begin(struct batch__batch *batch);

#endif
