#include "lists.h"
#include "check.h"

#include <stddef.h>

static struct batch__link *link_of(struct batch__batch *batch, size_t offset)
{
    return (struct batch__link *)(void *)((char *)batch + offset);
}

static void push(struct batch__list *list, struct batch__batch *batch, size_t offset)
{
    *link_of(batch, offset) = (struct batch__link){list->last, NULL};
    if (list->last != NULL)
        link_of(list->last, offset)->next = batch;
    else
        list->first = batch;
    list->last = batch;
}

static void take_out(struct batch__list *list, struct batch__batch *batch, size_t offset)
{
    struct batch__link *at = link_of(batch, offset);
    if (at->previous != NULL)
        link_of(at->previous, offset)->next = at->next;
    else
        list->first = at->next;
    if (at->next != NULL)
        link_of(at->next, offset)->previous = at->previous;
    else
        list->last = at->previous;
    *at = (struct batch__link){NULL, NULL};
}

void batch__due_push(struct batch__list *due, struct batch__batch *batch)
{
    batch__check(!batch->in_due);
    batch__check(due->last == NULL || due->last->closes_ns <= batch->closes_ns);
    push(due, batch, offsetof(struct batch__batch, due));
    batch->in_due = true;
}

void batch__due_remove(struct batch__list *due, struct batch__batch *batch)
{
    batch__check(batch->in_due);
    take_out(due, batch, offsetof(struct batch__batch, due));
    batch->in_due = false;
}

void batch__kept_push(struct batch__list *kept, struct batch__batch *batch)
{
    batch__check(batch->phase == BATCH__KEPT);
    batch__check(!batch->in_due);
    push(kept, batch, offsetof(struct batch__batch, due));
}

void batch__kept_remove(struct batch__list *kept, struct batch__batch *batch)
{
    batch__check(batch->phase == BATCH__KEPT);
    take_out(kept, batch, offsetof(struct batch__batch, due));
}

void batch__waiting_push(struct batch__list *waiting, struct batch__batch *batch)
{
    batch__check(!batch->in_waiting);
    push(waiting, batch, offsetof(struct batch__batch, waiters));
    batch->in_waiting = true;
}

void batch__waiting_remove(struct batch__list *waiting, struct batch__batch *batch)
{
    batch__check(batch->in_waiting);
    take_out(waiting, batch, offsetof(struct batch__batch, waiters));
    batch->in_waiting = false;
}
