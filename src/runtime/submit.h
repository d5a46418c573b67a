/* submit.h: the way in for operations, shared by batch_submit and batch_run. */
#ifndef BATCH_RUNTIME_SUBMIT_H
#define BATCH_RUNTIME_SUBMIT_H

#include <batch/batch.h>

#include "../core/op.h"

struct batch__shared;

/* Any thread. What makes an operation invalid, for people; NULL: nothing, or no longer. */
const char *batch__op_fault(const batch_op *op);

/* Any thread. The hash of its key. */
uint32_t batch__hash_of(const struct batch__shared *shared, const batch_op *op);

/* Any thread. Accept `op`, as ACCEPTED, whose owner waits at `receiver`, a struct batch__waiter, or
 * NULL: is called back; or as BOUND to the loop `receiver`. */
int batch__submit(batch_processor *processor, batch_op *op, enum batch__op_state state,
                  void *receiver);

#endif
