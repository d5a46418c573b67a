/* answers.h: telling the owners of operations how they ended.
 *
 * The operations of a batch are chained, and at the end of a window most of them have long left
 * the cache: walking one chain means waiting for memory at every step. So the chains of several
 * batches are walked side by side, and what the next steps need is fetched meanwhile. The
 * operations of one key are still answered in their order.
 */
#ifndef BATCH_RUNTIME_ANSWERS_H
#define BATCH_RUNTIME_ANSWERS_H

#include "call.h"

enum { BATCH__CHAINS = 16 };

/* The rest of a batch's operations, to be told BATCH_OK. */
struct batch__chain {
    batch_op *op;
    uint32_t batch_operations;
};

struct batch__answers {
    struct batch__chain chains[BATCH__CHAINS];
    uint32_t chains_size;
    batch_result result; /* what an owner is shown */
};

/* The worker. `count` operations chained from `op` have ended as their batch did: now, or at the
 * next flush. */
void batch__answers_batch(struct batch__shard *shard, const batch_call *call, batch_op *op,
                          uint64_t count);

/* The worker. Operations that were in no batch, each with its own private_status: now. */
void batch__answers_refused(struct batch__shard *shard, batch_op *op);

/* The worker. Answer all that has been put off. */
void batch__answers_flush(struct batch__shard *shard);

#endif
