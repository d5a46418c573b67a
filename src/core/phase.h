/* phase.h: the phases of a batch, and the questions that the core asks of a phase.
 *
 * They follow each other in this order; those in brackets may be skipped:
 *
 *   [BEGUN]     to be loaded: LOAD has not been taken yet
 *   [LOADING]   the store is loading it; operations wait
 *   OPEN        loaded: operations run as they come
 *   [CLOSED]    something changed: SAVE has not been taken yet
 *   [SAVING]    the store is saving it; operations wait for the next batch
 *   [COMPLETE]  the outcome is known: DONE has not been taken yet
 *   [REPORT]    METRIC has not been taken yet
 *   [RELEASE]   the resource is not cached, or is to be loaded again: FREE_RESOURCE has not been
 *               taken yet
 *   ENDED       begin the next batch if operations wait; else cache the resource or drop the key
 *   [CACHED]    no batch: the resource stays in memory for the next one, which skips its load
 *
 * A batch is replayed on what is stored now in two cases: its save met a conflict and a replay is
 * left; or nothing changed a cached resource, so that neither a load nor a save has shown that it
 * is what is stored. Its operations go back to the head of those that wait, and it goes from SAVING
 * or OPEN to RELEASE, and through the phases once more.
 *
 * The order of the enumerators has no meaning: phases are compared by the predicates below, never
 * by < and >.
 */
#ifndef BATCH_CORE_PHASE_H
#define BATCH_CORE_PHASE_H

#include <stdbool.h>

enum batch__phase {
    BATCH__POOLED = 0, /* no batch: the object is free */
    BATCH__BEGUN,
    BATCH__LOADING,
    BATCH__OPEN,
    BATCH__CLOSED,
    BATCH__SAVING,
    BATCH__COMPLETE,
    BATCH__REPORT,
    BATCH__RELEASE,
    BATCH__ENDED,
    BATCH__CACHED
};

/* Its first load has not ended. */
static inline bool batch__phase_is_opening(enum batch__phase phase)
{
    return phase == BATCH__BEGUN || phase == BATCH__LOADING;
}

/* Something changed, and the outcome of the save is not known yet. */
static inline bool batch__phase_has_changed(enum batch__phase phase)
{
    return phase == BATCH__CLOSED || phase == BATCH__SAVING;
}

/* The core owns the operations in `ran`; after DONE only their number is left, for the record. */
static inline bool batch__phase_owns_ran(enum batch__phase phase)
{
    return phase == BATCH__OPEN || batch__phase_has_changed(phase) || phase == BATCH__COMPLETE;
}

/* The store owns the resource; the batch continues when its call ends. */
static inline bool batch__phase_is_at_store(enum batch__phase phase)
{
    return phase == BATCH__LOADING || phase == BATCH__SAVING;
}

#endif
