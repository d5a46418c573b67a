/* admission.h: admission control: an operation that could not begin in time is refused at once.
 *
 * It waits for those before it on its key: as many as wait, times what an operation of this key
 * takes. For each turn that they need, its key also waits for those of the other keys, as long as a
 * key has waited from one turn to the next. Both are moving averages of what is measured where a
 * clock is read: a new time has a weight of one eighth, and counts as at most four times the
 * average and config.op_first_max_ns (of a wait for a turn: and a turn). So a single operation that
 * takes long, however long, adds less than half to the estimate; and when all take a thousand times
 * as long, two dozen of them are enough to notice.
 *
 * In time is by its start_by_ns; or if it has none, within config.deadline_ns. For one that has,
 * the store counts too: if its key is being saved, the rest of that save, and a load, estimated
 * from the shard's moving averages of those before.
 *
 * Only operations behind others, or behind a save, can be refused. So the next operation and the
 * next save are always measured, and the averages follow; an operation on an idle key is never
 * refused. What waits in the inbox is not counted: it is not known yet whose it is.
 */
#ifndef BATCH_CORE_ADMISSION_H
#define BATCH_CORE_ADMISSION_H

#include "state.h"

/* Add a time to a moving average. */
void batch__mean_add(uint64_t *mean_ns, uint64_t time_ns);
/* An operation of `batch` took so long. */
void batch__op_took(const struct batch__core *core, struct batch__batch *batch, uint64_t time_ns);
/* The key whose wait for its next turn is measured has it now. */
void batch__lap_ended(struct batch__core *core);
/* How long an operation that comes now waits behind others of its key. */
uint64_t batch__backlog_ns(const struct batch__core *core, const struct batch__batch *batch);
/* Would `op`, which has not expired yet, wait too long behind others, or behind the save of its
 * key? */
bool batch__waits_too_long(const struct batch__core *core, const struct batch__batch *batch,
                           const batch_op *op);

/* The same. Inline: most operations wait behind nobody. */
static inline bool batch__is_too_late(const struct batch__core *core,
                                      const struct batch__batch *batch, const batch_op *op)
{
    if (batch->waiting.count == 0 && op->start_by_ns == 0)
        return false;
    return batch__waits_too_long(core, batch, op);
}

#endif
