#include "lists.h"

#include "../base/check.h"

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
    struct batch__batch **from =
        at->previous != NULL ? &link_of(at->previous, offset)->next : &list->first;
    struct batch__batch **back =
        at->next != NULL ? &link_of(at->next, offset)->previous : &list->last;
    batch__check(*from == batch);
    batch__check(*back == batch);
    *from = at->next;
    *back = at->previous;
    *at = (struct batch__link){NULL, NULL};
}

void batch__due_push(struct batch__list *due, struct batch__batch *batch)
{
    batch__check(!batch->in_due);
    batch__check(due->last == NULL || due->last->closes_ns <= batch->closes_ns);
    push(due, batch, offsetof(struct batch__batch, due));
    batch->in_due = true;
}

void batch__due_push_first(struct batch__list *due, struct batch__batch *batch)
{
    batch__check(!batch->in_due);
    batch__check(batch->closes_ns == UINT64_MAX);
    batch->due = (struct batch__link){NULL, due->first};
    if (due->first != NULL)
        due->first->due.previous = batch;
    else
        due->last = batch;
    due->first = batch;
    batch->in_due = true;
}

void batch__due_remove(struct batch__list *due, struct batch__batch *batch)
{
    batch__check(batch->in_due);
    take_out(due, batch, offsetof(struct batch__batch, due));
    batch->in_due = false;
}

void batch__cached_push(struct batch__list *cached, struct batch__batch *batch)
{
    batch__check(batch->phase == BATCH__CACHED);
    batch__check(!batch->in_due);
    batch__check(!batch->in_waiting);
    batch__check(!batch->in_todo);
    push(cached, batch, offsetof(struct batch__batch, due));
}

void batch__cached_remove(struct batch__list *cached, struct batch__batch *batch)
{
    batch__check(batch->phase == BATCH__CACHED);
    take_out(cached, batch, offsetof(struct batch__batch, due));
}

void batch__waiting_push(struct batch__list *waiting, struct batch__batch *batch)
{
    batch__check(!batch->in_waiting);
    batch__check(!batch->in_turns);
    batch__check(batch->waiting.count > 0);
    push(waiting, batch, offsetof(struct batch__batch, waiters));
    batch->in_waiting = true;
}

void batch__waiting_remove(struct batch__list *waiting, struct batch__batch *batch)
{
    batch__check(batch->in_waiting);
    take_out(waiting, batch, offsetof(struct batch__batch, waiters));
    batch->in_waiting = false;
}

void batch__todo_push(struct batch__core *core, struct batch__batch *batch)
{
    if (batch->in_todo)
        return;
    batch->in_todo = true;
    batch->todo_next = NULL;
    if (core->todo_first == NULL)
        core->todo_first = batch;
    else
        core->todo_last->todo_next = batch;
    core->todo_last = batch;
}

void batch__todo_pop(struct batch__core *core)
{
    struct batch__batch *batch = core->todo_first;
    batch__check(batch != NULL);
    core->todo_first = batch->todo_next;
    batch->todo_next = NULL;
    batch->in_todo = false;
}
