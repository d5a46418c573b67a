/* outcome.c: see outcome.h.
 *
 * private_accepted_ns is the address of the record; or odd: 1 bit, 31 bits operations of the batch,
 * 32 bits store code. */
#include "outcome.h"

#include "../base/atomics.h"
#include "../base/check.h"

struct batch__failure {
    batch_result result;
    batch_allocator allocator;
    uint32_t xusers;
};

_Static_assert(_Alignof(struct batch__failure) > 1, "an address is even");

#define OPERATIONS_MAX (UINT32_MAX >> 1)

struct batch__failure *batch__failure_new(const batch_allocator *allocator,
                                          const batch_result *result)
{
    struct batch__failure *failure = allocator->allocate(sizeof *failure, allocator->arg);
    if (failure == NULL)
        return NULL;
    *failure = (struct batch__failure){*result, *allocator, 1};
    return failure;
}

void batch__failure_leave(struct batch__failure *failure)
{
    if (failure == NULL)
        return;
    /* Both ways: the last one frees what the others have read. */
    uint32_t users = batch__sub_acq_rel(&failure->xusers, 1);
    batch__check(users > 0);
    if (users > 1)
        return;
    batch_allocator allocator = failure->allocator;
    allocator.release(failure, allocator.arg);
}

void batch__outcome_put(batch_op *op, const batch_result *result, struct batch__failure *failure)
{
    op->private_status = (int8_t)result->status;
    if (failure != NULL) {
        batch__add_relaxed(&failure->xusers, 1);
        op->private_accepted_ns = (uintptr_t)failure;
        return;
    }
    uint64_t operations = result->batch_operations;
    if (operations > OPERATIONS_MAX)
        operations = OPERATIONS_MAX;
    op->private_accepted_ns = (uint64_t)(uint32_t)result->store_code << 32 | operations << 1 | 1;
}

bool batch__outcome_take(const batch_op *op, batch_result *ret_result)
{
    uint64_t kept = op->private_accepted_ns;
    bool has_record = (kept & 1) == 0;
    if (has_record) {
        struct batch__failure *failure = (struct batch__failure *)(uintptr_t)kept;
        batch__check(failure->result.status == op->private_status);
        *ret_result = failure->result;
        batch__failure_leave(failure);
    } else {
        ret_result->status = op->private_status;
        ret_result->store_code = (int)(uint32_t)(kept >> 32);
        ret_result->batch_operations = (uint32_t)kept >> 1;
    }
    ret_result->changed = op->private_changed != 0;
    return has_record;
}
