/* oracle_outcome.h: the oracle's other half: how operations are completed, and how a batch, a
 * worker's iteration and a schedule end. */
#ifndef BATCH_TESTS_MODEL_ORACLE_OUTCOME_H
#define BATCH_TESTS_MODEL_ORACLE_OUTCOME_H

#include "oracle.h"
#include "tally.h"

/* So many more were completed so: those of a set, or 1. */
void oracle_count(struct model *model, enum outcome outcome, uint64_t set);
void oracle_completed(struct model *model, struct model_node *node,
                      const struct batch__action *action);
void oracle_recorded(struct model *model, struct model_node *node, struct batch__batch *batch);
void oracle_released(struct model *model, struct model_node *node, struct batch__batch *batch);
void oracle_idle(struct model *model, struct model_node *node); /* no action is left */
/* Only operations are left that wait for their turn. */
void oracle_paused(struct model *model, const struct model_node *node);
/* The worker ends an iteration that began at `now_ns`. */
void oracle_iterated(struct model *model, const struct model_node *node, uint64_t now_ns);
void oracle_rest(struct model *model); /* nothing is left to happen, and nobody has stopped */
void oracle_end(struct model *model);

#endif
