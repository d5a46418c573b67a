/* prefetch.h: the owner of a core brings near what the core will touch. For a group of operations,
 * one step for all of them, then the next, so that the waits for memory overlap: the operations,
 * then the slots of their keys, then the batches. None of this changes anything.
 */
#ifndef BATCH_CORE_PREFETCH_H
#define BATCH_CORE_PREFETCH_H

#include "state.h"

/* An operation lies in two lines of the cache, wherever it begins. */
static inline void batch__op_prefetch(const batch_op *op)
{
    __builtin_prefetch(op);
    __builtin_prefetch(&op->private_status);
}

/* What a submit of this hash will touch. */
static inline void batch__core_prefetch_slot(const struct batch__core *core, uint32_t hash)
{
    batch__table_prefetch_slot(&core->table, hash);
}
/* With the resource, which lies behind the head. */
static inline void batch__core_prefetch_batch(const struct batch__core *core, uint32_t hash)
{
    batch__table_prefetch_batch(&core->table, hash, core->config.head_size);
}

/* For batches that come back from the store, before the first of them is put in: the slot that each
 * leaves. A load: processors drop a prefetch of what is so far away that they have to look up where
 * it lies. */
static inline void batch__core_touch_slot(const struct batch__core *core,
                                          const struct batch__batch *batch)
{
    batch__table_touch_slot(&core->table, batch->hash);
}

#endif
