/* lists.h: the lists a batch or an operation can be in.
 *
 * `due` is in order of closes_ns. Every window has the same length and starts when it is put in,
 * so the order of arrival is the order of deadlines: no heap, no timer for each batch.
 */
#ifndef BATCH_CORE_LISTS_H
#define BATCH_CORE_LISTS_H

#include "state.h"

void batch__due_push(struct batch__list *due, struct batch__batch *batch);
void batch__due_remove(struct batch__list *due, struct batch__batch *batch);

/* A kept batch is in no other list. */
void batch__kept_push(struct batch__list *kept, struct batch__batch *batch);
void batch__kept_remove(struct batch__list *kept, struct batch__batch *batch);

void batch__waiting_push(struct batch__list *waiting, struct batch__batch *batch);
void batch__waiting_remove(struct batch__list *waiting, struct batch__batch *batch);

/* Batches with actions to take, FIFO; a batch that is there already stays where it is. */
void batch__todo_push(struct batch__core *core, struct batch__batch *batch);
void batch__todo_pop(struct batch__core *core);

/* An operation that is in no batch is to be given out by the next DONE, with this status. */
void batch__answer(struct batch__core *core, batch_op *op, int status);

#endif
