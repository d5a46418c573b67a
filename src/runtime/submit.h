/* submit.h: the way in for operations, shared by batch_submit and batch_run. */
#ifndef BATCH_RUNTIME_SUBMIT_H
#define BATCH_RUNTIME_SUBMIT_H

#include <batch/batch.h>

struct batch__waiter;

/* Any thread. What makes an operation invalid, for people; NULL: nothing, or no longer. */
const char *batch__op_fault(const batch_op *op);

/* Any thread. Accept `op`, whose owner waits at `waiter`, or NULL: is called back. */
int batch__submit(batch_processor *processor, batch_op *op, struct batch__waiter *waiter);

#endif
