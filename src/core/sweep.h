/* sweep.h: operations that wait and should not begin any more are found by looking through all
 * that wait.
 *
 * No timer or index for each operation: cancel sets a flag, and one sweep completes all that are
 * canceled or expired by then. A sweep over n operations is followed by none for n microseconds,
 * so sweeping takes a few percent of the time at the worst, and a completion comes at most that
 * much late.
 */
#ifndef BATCH_CORE_SWEEP_H
#define BATCH_CORE_SWEEP_H

#include "state.h"

/* Operations of `batch` wait that did not before. */
void batch__sweep_note(struct batch__core *core, const struct batch__batch *batch);
void batch__sweep_if_due(struct batch__core *core);
/* When the next sweep is due; UINT64_MAX: not before another event. */
uint64_t batch__sweep_due_ns(const struct batch__core *core);

#endif
