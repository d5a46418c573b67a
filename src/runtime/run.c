/* run.c: batch_run: a submit, and a caller that waits until it is complete. */
#include "../base/atomics.h"
#include "../base/check.h"
#include "processor.h"
#include "result.h"
#include "submit.h"
#include "waiter.h"

static int refused(batch_result *result, int status)
{
    batch__check(status != BATCH_OK);
    return batch__result_set(result, status, "%s", batch_status_text(status));
}

int batch_run(batch_processor *processor, batch_op *op, batch_result *result)
{
    if (processor == NULL || op == NULL)
        return refused(result, BATCH_INVALID);
    if (batch__load_relaxed(&processor->shared.xis_stopping) != 0)
        return refused(result, BATCH_STOPPED);
    if (batch__shared_is_own_thread(&processor->shared))
        return refused(result, BATCH_DEADLOCK);
    struct batch__waiter waiter;
    if (!batch__waiter_init(&waiter, result))
        return refused(result, BATCH_NO_MEMORY);
    int status = batch__submit(processor, op, &waiter);
    status = status == BATCH_OK ? batch__waiter_wait(&waiter) : refused(result, status);
    batch__waiter_destroy(&waiter);
    return status;
}
