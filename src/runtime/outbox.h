/* outbox.h: what a worker has completed for event loops, until it hands it over: one chain for each
 * loop, whatever the number of operations and batches. So a loop is pushed to, and woken, once.
 *
 * The worker's alone. With more loops than there is room for, all chains are handed over early.
 */
#ifndef BATCH_RUNTIME_OUTBOX_H
#define BATCH_RUNTIME_OUTBOX_H

#include <batch/batch.h>

#include <stdint.h>

enum { BATCH__OUTBOX_LOOPS = 16 };

struct batch__outbox_chain {
    batch_completions *loop;
    batch_op *first;
    batch_op *last;
};

struct batch__outbox {
    struct batch__outbox_chain chains[BATCH__OUTBOX_LOOPS]; /* of different loops */
    uint32_t size;
};

/* `op` is for the loop in its private_waiter, and has its outcome (outcome.h). */
void batch__outbox_add(struct batch__outbox *outbox, batch_op *op);

/* Hand over all of it: it may be dispatched at once. */
void batch__outbox_flush(struct batch__outbox *outbox);

#endif
