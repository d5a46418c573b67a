/* lists.h: the doubly linked lists a batch can be in, and the FIFO of deadlines.
 *
 * `due` is in order of closes_ns. Every window has the same length and starts when it is put in,
 * so the order of arrival is the order of deadlines: no heap, no timer for each batch.
 */
#ifndef BATCH_CORE_LISTS_H
#define BATCH_CORE_LISTS_H

#include "batch.h"

void batch__due_push(struct batch__list *due, struct batch__batch *batch);
void batch__due_remove(struct batch__list *due, struct batch__batch *batch);

/* A kept batch is in no other list. */
void batch__kept_push(struct batch__list *kept, struct batch__batch *batch);
void batch__kept_remove(struct batch__list *kept, struct batch__batch *batch);

void batch__waiting_push(struct batch__list *waiting, struct batch__batch *batch);
void batch__waiting_remove(struct batch__list *waiting, struct batch__batch *batch);

#endif
