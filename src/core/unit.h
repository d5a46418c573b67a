/* unit.h: keys that transactions have tied together: they close together, are given to the store
 * together, and have one outcome.
 *
 * Each batch of a unit keeps its own operations, times and window. The first, which is any of them,
 * has what they share. A unit closes when the first of its windows has ended, as soon as no batch
 * has operations left that were to join and can run.
 *
 * The larger a unit, the more likely a conflict of one of its keys, which is a conflict of all.
 * Then it is dissolved: each batch is replayed on its own, and units may have half as many keys;
 * one that is saved doubles that again. One that the store refuses, for some row, is dissolved
 * too, once: then no transaction ties its keys to others.
 */
#ifndef BATCH_CORE_UNIT_H
#define BATCH_CORE_UNIT_H

#include "state.h"

/* The next of its unit, a ring; itself if it is alone. */
static inline struct batch__batch *batch__unit_next(struct batch__batch *batch)
{
    return batch->unit_next != NULL ? batch->unit_next : batch;
}

/* Operations join, and the first that waits is not blocked: they run before its unit closes. */
static inline bool batch__is_joining(const struct batch__batch *batch)
{
    return batch->joining > 0 && batch->in_turns;
}

/* It is joining now, or not, after it was or was not. */
static inline void batch__joining_changed(struct batch__batch *batch, bool was_joining)
{
    if (batch->unit != NULL)
        batch->unit->unit_count += (uint16_t)(batch__is_joining(batch) - was_joining);
}

/* How many operations join, now that this is known, or one less. */
static inline void batch__joining_set(struct batch__batch *batch, uint64_t joining)
{
    bool was_joining = batch__is_joining(batch);
    batch->joining = joining;
    batch__joining_changed(batch, was_joining);
}

/* Of a batch in a unit: must that close, now that this one has a reason to (-1: none)? The reason
 * that it closes for, or -1. */
int batch__unit_closes(struct batch__batch *batch, int reason);

/* If the transaction ran now, the keys it ties together would be too many: then the largest of
 * their units, which has to close first. NULL: they would not. */
struct batch__batch *batch__unit_too_large(const struct batch__core *core,
                                           const batch_transaction *transaction);
/* The transaction has run: its batches are a unit. */
void batch__unit_tie(batch_transaction *transaction);

/* All its calls begin, and one has ended: with the last, what all have ended with, else 1. */
void batch__unit_begin_save(struct batch__batch *batch, uint64_t now_ns);
int batch__unit_end_save(struct batch__batch *batch, int status);

/* How large may units be, now that one has ended with this status? */
void batch__unit_limit(struct batch__core *core, const struct batch__batch *batch, int status);
/* Its batches are alone again. `batch` is taken out; the next, NULL: it was the last. */
struct batch__batch *batch__unit_untie(struct batch__batch *batch);

#endif
