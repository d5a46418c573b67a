/* completions.h: completing operations: their callbacks are called, waiting callers are woken, and
 * event loops are handed theirs.
 *
 * The operations of a batch are chained, and at the end of a window most of them have long left
 * the cache: walking one chain means waiting for memory at every step. So the chains of several
 * batches are walked side by side, and what the next steps need is fetched meanwhile. The
 * operations of one key still complete in their order.
 */
#ifndef BATCH_RUNTIME_COMPLETIONS_H
#define BATCH_RUNTIME_COMPLETIONS_H

#include "call.h"
#include "outbox.h"

struct batch__failure;

enum { BATCH__CHAINS = 16 };

/* The rest of a batch's operations, to be completed with BATCH_OK. */
struct batch__chain {
    batch_op *op;
    uint32_t batch_operations;
};

struct batch__completions {
    struct batch__chain chains[BATCH__CHAINS]; /* none of them empty */
    uint32_t chains_size;
    uint64_t now_ns;     /* when those that are being completed are */
    batch_result result; /* what is passed to an owner */

    struct batch__outbox outbox;
    bool is_record_due;             /* of the failed batch that is being completed, when needed */
    struct batch__failure *failure; /* the record; NULL: none */
};

/* The worker. Complete `count` operations chained from `op` with the outcome of their batch: now,
 * or at the next flush. */
void batch__completions_batch(struct batch__shard *shard, const batch_call *call, batch_op *op,
                              uint64_t count);

/* The worker. Complete operations that were in no batch, each with its own private_status: now. */
void batch__completions_refused(struct batch__shard *shard, batch_op *op);

/* The worker. Complete all that has been put off, and hand over what is for event loops. */
void batch__completions_flush(struct batch__shard *shard);

#endif
