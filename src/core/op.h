/* op.h: what the core does with the private part of a batch_op, and FIFO lists of them.
 *
 * Operations belong to the caller: they are chained through private_next and never copied. The core
 * is the only writer of the private fields from submit to completion, but for private_canceled,
 * which any thread may set.
 */
#ifndef BATCH_CORE_OP_H
#define BATCH_CORE_OP_H

#include <batch/batch.h>

#include "../base/atomics.h"
#include "../base/check.h"

_Static_assert(sizeof(void *) != 8 || sizeof(struct batch_op) == 80, "batch_op is frozen");

enum batch__op_state {
    BATCH__OP_IDLE = 0,     /* the caller's */
    BATCH__OP_ACCEPTED = 1, /* ours, until it is completed */
    BATCH__OP_BOUND = 2,    /* the same; it completes on the loop that private_waiter is */
    BATCH__OP_LEG = 3       /* the same; of the transaction that `arg` points to */
};

/* Invariant: head == NULL if and only if count == 0; tail is the last one; its private_next is
 * NULL. */
struct batch__ops {
    batch_op *head;
    batch_op *tail;
    uint64_t count;
};

static inline void batch__ops_push(struct batch__ops *ops, batch_op *op)
{
    op->private_next = NULL;
    if (ops->head == NULL)
        ops->head = op;
    else
        ops->tail->private_next = op;
    ops->tail = op;
    ops->count++;
}

static inline batch_op *batch__ops_pop(struct batch__ops *ops)
{
    batch_op *op = ops->head;
    batch__check(op != NULL);
    ops->head = op->private_next;
    op->private_next = NULL;
    ops->count--;
    return op;
}

/* Take the first `count`. */
static inline struct batch__ops batch__ops_take_first(struct batch__ops *ops, uint64_t count)
{
    struct batch__ops taken = {NULL, NULL, 0};
    while (taken.count < count)
        batch__ops_push(&taken, batch__ops_pop(ops));
    return taken;
}

/* Put all of `first` before the others, leaving it empty. */
static inline void batch__ops_put_first(struct batch__ops *ops, struct batch__ops *first)
{
    batch__check(first->count > 0);
    first->tail->private_next = ops->head;
    if (ops->head != NULL)
        first->tail = ops->tail;
    first->count += ops->count;
    *ops = *first;
    *first = (struct batch__ops){NULL, NULL, 0};
}

/* Take all, leaving the list empty. */
static inline struct batch__ops batch__ops_take(struct batch__ops *ops)
{
    struct batch__ops taken = *ops;
    *ops = (struct batch__ops){NULL, NULL, 0};
    return taken;
}

/* A transaction has a leg for each key, which waits and runs among the operations of its key; when
 * all are first of those that wait, the transaction runs. */
static inline bool batch__op_is_leg(const batch_op *op)
{
    return op->private_state == BATCH__OP_LEG;
}

static inline batch_transaction *batch__leg_transaction(const batch_op *leg)
{
    batch__check(batch__op_is_leg(leg));
    return leg->arg;
}

static inline batch_part *batch__leg_part(batch_op *leg)
{
    batch__check(batch__op_is_leg(leg));
    return (batch_part *)(void *)((char *)leg - offsetof(batch_part, private_leg));
}

/* What a leg must be completed with without having run, as that of another key is or will be. */
static inline int batch__leg_refusal(const batch_op *leg)
{
    const batch_transaction *transaction = batch__leg_transaction(leg);
    if (transaction->private_status != BATCH_OK)
        return transaction->private_status;
    return batch__load_relaxed(&transaction->private_canceled) != 0 ? BATCH_CANCELED : BATCH_OK;
}

/* Relaxed: the flag hands over nothing but itself. */
static inline bool batch__op_is_canceled(const batch_op *op)
{
    return batch__load_relaxed(&op->private_canceled) != 0;
}

/* Why an operation must not begin at `now_ns`, or BATCH_OK; one that has begun in time passes 0. */
static inline int batch__op_refusal(const batch_op *op, uint64_t now_ns)
{
    if (batch__op_is_canceled(op))
        return BATCH_CANCELED;
    if (batch__op_is_leg(op) && batch__leg_refusal(op) != BATCH_OK)
        return batch__leg_refusal(op);
    if (op->start_by_ns != 0 && now_ns > op->start_by_ns)
        return BATCH_EXPIRED;
    return BATCH_OK;
}

#endif
