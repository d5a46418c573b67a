/* transaction.c: transactions, from submit to completion. */
#include <batch/batch.h>

#include "result.h"

static int refusal(void)
{
    return BATCH_INVALID;
}

int batch_transaction_run(batch_processor *processor, batch_transaction *transaction,
                          batch_result *result)
{
    (void)processor;
    (void)transaction;
    return batch__result_set(result, refusal(), "this build runs no transactions yet");
}

int batch_transaction_submit(batch_processor *processor, batch_transaction *transaction)
{
    (void)processor;
    (void)transaction;
    return refusal();
}

int batch_transaction_cancel(batch_processor *processor, batch_transaction *transaction)
{
    if (processor == NULL || transaction == NULL)
        return BATCH_INVALID;
    return BATCH_OK;
}
