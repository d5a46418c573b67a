#include "transaction.h"

#include "../base/check.h"
#include "lists.h"

void batch__transaction_decide(struct batch__core *core, batch_transaction *transaction, int status)
{
    batch__check(status != BATCH_OK);
    if (transaction->private_status != BATCH_OK)
        return;
    transaction->private_status = (int8_t)status;
    for (size_t i = 0; i < transaction->parts_size; i++) {
        struct batch__batch *batch = transaction->parts[i].private_batch;
        if (transaction->parts[i].private_is_ready)
            batch__todo_push(core, batch);
    }
    core->is_sweep_wanted = true; /* for the others */
}

void batch__transactions_decide(struct batch__core *core, const struct batch__ops *ops, int status)
{
    for (const batch_op *op = ops->head; op != NULL; op = op->private_next) {
        if (batch__op_is_leg(op))
            batch__transaction_decide(core, batch__leg_transaction(op), status);
    }
}

void batch__refuse(struct batch__core *core, batch_op *op, int status)
{
    batch__check(status != BATCH_OK);
    if (batch__op_is_leg(op))
        batch__transaction_decide(core, batch__leg_transaction(op), status);
    op->private_status = (int8_t)status;
    batch__ops_push(&core->refused, op);
}

void batch__leg_is_ready(batch_op *leg)
{
    batch_part *part = batch__leg_part(leg);
    batch_transaction *transaction = batch__leg_transaction(leg);
    if (part->private_is_ready)
        return;
    part->private_is_ready = true;
    transaction->private_ready++;
    batch__check(transaction->private_ready <= transaction->parts_size);
}

void batch__leg_is_not_ready(const struct batch__batch *batch)
{
    batch_op *leg = batch->waiting.head;
    if (leg == NULL || !batch__op_is_leg(leg) || !batch__leg_part(leg)->private_is_ready)
        return;
    batch__leg_part(leg)->private_is_ready = false;
    batch_transaction *transaction = batch__leg_transaction(leg);
    batch__check(transaction->private_ready > 0);
    transaction->private_ready--;
}
