/* admission.h: admission control, with config.refuses_early: an operation that would expire before
 * it can run is refused at once.
 *
 * An operation waits for those before it on its key: as many as wait, times what an operation
 * takes, by the last one measured or a moving average, whichever is less. If its key is being
 * saved, it also waits for the rest of that save, and for a load, estimated from those before. In
 * the averages, which are the shard's, each new time has a weight of one eighth.
 *
 * Only operations behind others, or behind a save, can be refused, so the next operation and the
 * next save are always measured, and the averages follow; an operation on an idle key is never
 * refused. The turns of other keys are not counted: what is refused could not begin in time even if
 * its key ran alone.
 */
#ifndef BATCH_CORE_ADMISSION_H
#define BATCH_CORE_ADMISSION_H

#include "state.h"

/* Add a time to a moving average. */
void batch__mean_add(uint64_t *mean_ns, uint64_t time_ns);
/* An operation took so long. */
void batch__op_took(struct batch__core *core, uint64_t time_ns);
/* Would `op`, which has not expired yet, expire while it waits behind `batch`? */
bool batch__would_expire(const struct batch__core *core, const struct batch__batch *batch,
                         const batch_op *op);

#endif
