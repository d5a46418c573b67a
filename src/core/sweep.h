/* sweep.h: a sweep goes through all waiting operations and completes the canceled and the expired.
 *
 * No timer and no index for each operation: cancel sets a flag, and one sweep completes all that
 * are canceled or expired by then. After a sweep over n operations there is none for n
 * microseconds, so sweeping takes a few percent of the time at worst, and a completion is late by
 * at most that long.
 */
#ifndef BATCH_CORE_SWEEP_H
#define BATCH_CORE_SWEEP_H

#include "state.h"

/* Operations of `batch` wait from now on. */
void batch__sweep_note(struct batch__core *core, const struct batch__batch *batch);
void batch__sweep_if_due(struct batch__core *core);
/* When the next sweep is due; UINT64_MAX: not before another event. */
uint64_t batch__sweep_due_ns(const struct batch__core *core);

#endif
