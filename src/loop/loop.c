/* loop.c: see loop.h. */
#include "loop.h"

#include "../base/atomics.h"
#include "../base/check.h"
#include "../core/op.h"

bool batch__loop_init(batch_completions *loop)
{
    return loop->wake != NULL || batch__event_init(&loop->event);
}

void batch__loop_destroy(batch_completions *loop)
{
    batch__check(!batch__loop_is_used(loop));
    batch__check(batch__loop_is_empty_sc(loop));
    /* acquire: what they did to the queue is over */
    while (batch__load_acquire(&loop->xpushers) != 0)
        batch__thread_yield();
    batch__check(batch__load_relaxed(&loop->xchains) == NULL);
    if (loop->wake == NULL)
        batch__event_destroy(&loop->event);
}

void batch__loop_use(batch_completions *loop, uint64_t count)
{
    batch__add_relaxed(&loop->xusers, count);
}

void batch__loop_leave(batch_completions *loop, uint64_t count)
{
    uint64_t before = batch__sub_release(&loop->xusers, count);
    batch__check(before >= count);
}

bool batch__loop_is_used(const batch_completions *loop)
{
    return batch__load_acquire(&loop->xusers) != 0;
}

/* ---- Those who push ------------------------------------------------------------------------- */

/* The function may be a point of cancellation, and nobody else calls it; and a lock may be held. */
static void wake(const batch_completions *loop)
{
    if (loop->wake == NULL) {
        batch__event_set(&loop->event);
        return;
    }
    int before = batch__cancel_disable();
    loop->wake(loop->arg);
    batch__cancel_restore(before);
}

void batch__loop_push_mp(batch_completions *loop, batch_op *first)
{
    /* seq_cst: whoever sees the chain sees the count, which keeps the queue until we have left. */
    batch__add_seq_cst(&loop->xpushers, 1);
    batch_op *head = batch__load_relaxed(&loop->xchains);
    do
        first->private_waiter = head;
    while (!batch__compare_exchange_seq_cst(&loop->xchains, &head, first));
    if (head == NULL)
        wake(loop);
    uint32_t pushers = batch__sub_release(&loop->xpushers, 1);
    batch__check(pushers > 0);
}

void batch__loop_push_event_mp(batch_completions *loop, batch_op *event)
{
    batch__check(event->private_state == BATCH__OP_IDLE);
    batch__check(batch__loop_is_used(loop));
    event->private_state = BATCH__OP_BOUND;
    event->private_status = BATCH_OK;
    event->private_accepted_ns = 1; /* outcome.h: no record */
    event->private_next = NULL;
    batch__loop_push_mp(loop, event);
}

/* ---- The loop ------------------------------------------------------------------------------- */

static batch_op *next_chain(const batch_op *first)
{
    return first->private_waiter;
}

void batch__loop_take_sc(batch_completions *loop)
{
    if (loop->wake == NULL)
        batch__event_clear(&loop->event); /* before: see loop.h */
    /* acquire: what the workers wrote into the operations */
    batch_op *newest = batch__exchange_acquire(&loop->xchains, NULL);
    if (newest == NULL)
        return;
    batch_op *last = newest;
    batch_op *oldest_first = NULL;
    while (newest != NULL) {
        batch_op *next = next_chain(newest);
        newest->private_waiter = oldest_first;
        oldest_first = newest;
        newest = next;
    }
    if (loop->chains == NULL)
        loop->chains = oldest_first;
    else
        loop->chains_last->private_waiter = oldest_first;
    loop->chains_last = last;
}

batch_op *batch__loop_next_sc(batch_completions *loop)
{
    if (loop->chain == NULL) {
        loop->chain = loop->chains;
        if (loop->chain == NULL)
            return NULL;
        loop->chains = next_chain(loop->chain);
    }
    batch_op *op = loop->chain;
    loop->chain = op->private_next;
    __builtin_prefetch(loop->chain);
    return op;
}

bool batch__loop_is_empty_sc(const batch_completions *loop)
{
    return loop->chain == NULL && loop->chains == NULL;
}

void batch__loop_rewake_sc(const batch_completions *loop)
{
    wake(loop);
}

void batch__loop_wait_sc(const batch_completions *loop, uint64_t until_ns)
{
    batch__check(loop->wake == NULL);
    batch__event_wait(&loop->event, until_ns);
}
