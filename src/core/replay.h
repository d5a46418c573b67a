/* replay.h: a batch that runs once more.
 *
 * A replay drops the resource, loads it as it is stored now, and runs the same operations in the
 * same order; what an earlier run returned does not count. Those canceled meanwhile leave. It is
 * done after a conflict, as often as replays_max and the deadline allow: no operation has been
 * completed yet, and a conflict is certain to have stored nothing.
 */
#ifndef BATCH_CORE_REPLAY_H
#define BATCH_CORE_REPLAY_H

#include "state.h"

/* After a conflict. */
bool batch__may_replay(const struct batch__core *core, const struct batch__batch *batch);
void batch__run_again(struct batch__batch *batch);

#endif
