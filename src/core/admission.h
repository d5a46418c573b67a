/* admission.h: admission control, with config.refuses_early: an operation that would expire before
 * it can run is refused at once.
 *
 * An operation whose key is being saved waits for the rest of that save, and for a load. How long
 * these take is estimated from those before: moving averages of the shard, in which each new time
 * has a weight of one eighth. Only operations behind a save can be refused, so the next save is
 * always measured and the averages follow the store; an operation on an idle key is never refused.
 */
#ifndef BATCH_CORE_ADMISSION_H
#define BATCH_CORE_ADMISSION_H

#include "state.h"

/* Add a time to a moving average. */
void batch__mean_add(uint64_t *mean_ns, uint64_t time_ns);
/* Would `op`, which has not expired yet, expire while it waits behind `batch`? */
bool batch__would_expire(const struct batch__core *core, const struct batch__batch *batch,
                         const batch_op *op);

#endif
