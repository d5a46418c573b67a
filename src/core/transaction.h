/* transaction.h: transactions: operations on several keys.
 *
 * A transaction has a leg in the queue of each of its keys. All are queued by one event, so two
 * transactions are in the same order wherever they meet. It runs when every leg is first of those
 * that wait, on batches that are all open. That always comes: the oldest transaction is first
 * everywhere; and a batch in which nothing ran never closes, so a key that comes to the head while
 * others do not saves at most once more, then it waits, open and loaded.
 *
 * What keeps a transaction from running is decided once, for all its legs: one that was canceled,
 * that expired, or whose load failed. The other legs are refused when they are met.
 */
#ifndef BATCH_CORE_TRANSACTION_H
#define BATCH_CORE_TRANSACTION_H

#include "state.h"

/* Its outcome is `status`, which is not BATCH_OK, unless it has one already. */
void batch__transaction_decide(struct batch__core *core, batch_transaction *transaction,
                               int status);
/* The same for those that legs of these operations belong to. */
void batch__transactions_decide(struct batch__core *core, const struct batch__ops *ops, int status);

/* An operation, or a leg, that is in no batch: a DONE completes it with this status. */
void batch__refuse(struct batch__core *core, batch_op *op, int status);

/* The batch is open, and this leg first of those that wait in it. */
void batch__leg_is_ready(batch_op *leg);
/* The batch closes: whoever is first waits for the next one. */
void batch__leg_is_not_ready(const struct batch__batch *batch);
#endif
