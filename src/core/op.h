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
    BATCH__OP_BOUND = 2     /* the same; it completes on the loop that private_waiter is */
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
    if (op->start_by_ns != 0 && now_ns > op->start_by_ns)
        return BATCH_EXPIRED;
    return BATCH_OK;
}

#endif
