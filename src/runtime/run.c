/* run.c: batch_run: a submit, and a caller that waits for the answer.
 *
 * The waiter lives on the caller's stack. The worker writes the result and wakes the caller under
 * the lock, so it touches nothing of the waiter once the caller can have seen that it is told.
 */
#include "../base/atomics.h"
#include "processor.h"

struct batch__waiter {
    struct batch__lock lock;
    bool is_told;         /* under lock */
    batch_result *result; /* the caller's; may be NULL */
    int status;           /* under lock */
};

void batch__waiter_tell(struct batch__waiter *waiter, const batch_result *result)
{
    batch__lock_take(&waiter->lock);
    waiter->status = result->status;
    if (waiter->result != NULL)
        *waiter->result = *result;
    waiter->is_told = true;
    batch__lock_wake_one(&waiter->lock);
    batch__lock_give(&waiter->lock);
}

static int wait(struct batch__waiter *waiter)
{
    batch__lock_take(&waiter->lock);
    while (!waiter->is_told)
        batch__lock_wait(&waiter->lock, UINT64_MAX);
    int status = waiter->status;
    batch__lock_give(&waiter->lock);
    return status;
}

static int refused(batch_result *result, int status)
{
    return batch__result_set(result, status, "%s", batch_status_text(status));
}

int batch_run(batch_processor *processor, batch_op *op, batch_result *result)
{
    if (processor == NULL || op == NULL)
        return refused(result, BATCH_INVALID);
    if (batch__load_relaxed(&processor->xis_stopping) != 0)
        return refused(result, BATCH_STOPPED);
    if (batch__processor_is_own_thread(processor))
        return refused(result, BATCH_DEADLOCK);
    struct batch__waiter waiter = {.result = result};
    if (!batch__lock_init(&waiter.lock))
        return refused(result, BATCH_NO_MEMORY);
    int status = batch__submit(processor, op, &waiter);
    status = status == BATCH_OK ? wait(&waiter) : refused(result, status);
    batch__lock_destroy(&waiter.lock);
    return status;
}
