/* run.c: batch_run: a submit, and a caller that waits until it is complete. */
#include "../base/atomics.h"
#include "../base/check.h"
#include "drive.h"
#include "processor.h"
#include "result.h"
#include "submit.h"
#include "waiter.h"

static int counted(batch_processor *processor, int status)
{
    return batch__refusals_add(&processor->shared.refusals, status, 1);
}

static int refused(batch_result *result, int status, const char *why)
{
    batch__check(status != BATCH_OK);
    return batch__result_set(result, status, "%s", why != NULL ? why : batch_status_text(status));
}

int batch_run(batch_processor *processor, batch_op *op, batch_result *result)
{
    if (processor == NULL)
        return refused(result, BATCH_INVALID, "processor is NULL");
    if (op == NULL)
        return counted(processor, refused(result, BATCH_INVALID, batch__op_fault(op)));
    if (batch__load_relaxed(&processor->shared.xis_stopping) != 0)
        return counted(processor, refused(result, BATCH_STOPPED, NULL));
    if (batch__thread_is_ours())
        return counted(processor,
                       refused(result, BATCH_DEADLOCK,
                               "batch_run in a callback might wait for the thread that it is "
                               "called on, also by way of another processor: use batch_submit"));
    struct batch__waiter waiter;
    if (!batch__waiter_init(&waiter, result))
        return counted(processor, refused(result, BATCH_NO_MEMORY, NULL));
    int status = batch__submit(processor, op, BATCH__OP_ACCEPTED, &waiter);
    if (status == BATCH_OK)
        status = batch__drive_for(&processor->shared, &waiter);
    else
        refused(result, status, status == BATCH_INVALID ? batch__op_fault(op) : NULL);
    batch__waiter_destroy(&waiter);
    return status;
}
