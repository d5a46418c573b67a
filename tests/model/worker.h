/* worker.h: what the runtime does with a core. A worker has iterations. In one it takes the calls
 * that the store has finished, the operations in its inbox, and its signals, ends what is due, and
 * performs the actions. Usually there is one thing to take; after a pause, or when it was busy,
 * there are many. In a shuffled schedule the parts of an iteration come in any order, and actions
 * are taken late: the core must not care. */
#ifndef BATCH_TESTS_MODEL_WORKER_H
#define BATCH_TESTS_MODEL_WORKER_H

#include "model_node.h"

void worker_iterate(struct model *model, struct model_node *node);
void worker_update(const struct model *model, struct model_node *node); /* when it is next due */

#endif
