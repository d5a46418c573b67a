#include "lists.h"

#include "../base/check.h"

void batch__due_push(struct batch__list *due, struct batch__batch *batch)
{
    batch__check(!batch->in_due);
    batch__check(due->last == NULL || due->last->closes_ns <= batch->closes_ns);
    batch__list_push(due, batch, offsetof(struct batch__batch, due));
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
    batch__list_remove(due, batch, offsetof(struct batch__batch, due));
    batch->in_due = false;
}

void batch__cached_push(struct batch__list *cached, struct batch__batch *batch)
{
    batch__check(batch->phase == BATCH__CACHED);
    batch__check(!batch->in_due);
    batch__check(!batch->in_waiting);
    batch__check(!batch->in_todo);
    batch__list_push(cached, batch, offsetof(struct batch__batch, due));
}

void batch__cached_remove(struct batch__list *cached, struct batch__batch *batch)
{
    batch__check(batch->phase == BATCH__CACHED);
    batch__list_remove(cached, batch, offsetof(struct batch__batch, due));
}

void batch__waiting_push(struct batch__list *waiting, struct batch__batch *batch)
{
    batch__check(!batch->in_waiting);
    batch__check(!batch->in_turns);
    batch__check(batch->waiting.count > 0);
    batch__list_push(waiting, batch, offsetof(struct batch__batch, waiters));
    batch->in_waiting = true;
}

void batch__waiting_remove(struct batch__list *waiting, struct batch__batch *batch)
{
    batch__check(batch->in_waiting);
    batch__list_remove(waiting, batch, offsetof(struct batch__batch, waiters));
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
