/* admission.h: refusing at once what would only expire, with config.refuses_early.
 *
 * An operation whose key is being saved waits for the rest of that save, and for a load. How long
 * these take is known from those before: moving means of the shard, in which each new time counts
 * for an eighth. Only a key that is being saved is looked at, so the next save is always measured
 * and the means follow what the store does; an operation on an idle key is never refused.
 */
#ifndef BATCH_CORE_ADMISSION_H
#define BATCH_CORE_ADMISSION_H

#include "state.h"

void batch__mean_add(uint64_t *mean_ns, uint64_t time_ns);
bool batch__is_hopeless(const struct batch__core *core, const struct batch__batch *batch,
                        const batch_op *op);

#endif
