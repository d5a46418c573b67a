/* lists.h: the lists a batch or an operation can be in.
 *
 * `due` is in order of closes_ns. Every window has the same length and starts when it is put in,
 * so the order of arrival is the order of deadlines: no heap, no timer for each batch.
 */
#ifndef BATCH_CORE_LISTS_H
#define BATCH_CORE_LISTS_H

#include "../base/check.h"
#include "state.h"

#include <stddef.h>

/* Append to a list, and take out of one, by the link that batches have at `offset`. Inline: the
 * offset is a constant, and turns.h does this for almost every operation. */
static inline struct batch__link *batch__link_of(struct batch__batch *batch, size_t offset)
{
    return (struct batch__link *)(void *)((char *)batch + offset);
}

static inline void batch__list_push(struct batch__list *list, struct batch__batch *batch,
                                    size_t offset)
{
    *batch__link_of(batch, offset) = (struct batch__link){list->last, NULL};
    if (list->last != NULL)
        batch__link_of(list->last, offset)->next = batch;
    else
        list->first = batch;
    list->last = batch;
}

static inline void batch__list_remove(struct batch__list *list, struct batch__batch *batch,
                                      size_t offset)
{
    const struct batch__link *at = batch__link_of(batch, offset);
    struct batch__batch **from =
        at->previous != NULL ? &batch__link_of(at->previous, offset)->next : &list->first;
    struct batch__batch **back =
        at->next != NULL ? &batch__link_of(at->next, offset)->previous : &list->last;
    batch__check(*from == batch);
    batch__check(*back == batch);
    *from = at->next;
    *back = at->previous;
}

void batch__due_push(struct batch__list *due, struct batch__batch *batch);
/* With BATCH_WINDOW_NONE, where none has a deadline: batches that changed nothing come first. */
void batch__due_push_first(struct batch__list *due, struct batch__batch *batch);
void batch__due_remove(struct batch__list *due, struct batch__batch *batch);

/* A cached batch is in no other list. */
void batch__cached_push(struct batch__list *cached, struct batch__batch *batch);
void batch__cached_remove(struct batch__list *cached, struct batch__batch *batch);

/* A batch with operations that wait is in one of these two. */
void batch__waiting_push(struct batch__list *waiting, struct batch__batch *batch);
void batch__waiting_remove(struct batch__list *waiting, struct batch__batch *batch);

/* Batches with actions other than RUN, FIFO; a batch that is there already stays where it is. */
void batch__todo_push(struct batch__core *core, struct batch__batch *batch);
/* Take out the first. */
void batch__todo_pop(struct batch__core *core);

#endif
