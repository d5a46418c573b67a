/* outcome.h: what an operation takes along to its loop: how it ended.
 *
 * batch_op has room for a status and for whether it changed anything. The rest goes where its time
 * of acceptance was, which nobody needs any more: for a batch that succeeded, the number of its
 * operations; for one that failed, a record that all its operations share, whose last user frees
 * it. If there is no memory for the record, numbers alone, and the message is that of the status.
 */
#ifndef BATCH_LOOP_OUTCOME_H
#define BATCH_LOOP_OUTCOME_H

#include <batch/batch.h>

/* The result of a failed batch. */
struct batch__failure;

/* The worker. It is the first user. NULL if there is no memory. */
struct batch__failure *batch__failure_new(const batch_allocator *allocator,
                                          const batch_result *result);
void batch__failure_leave(struct batch__failure *failure); /* NULL: nothing */

/* The worker, before the operation is pushed; with `failure`, which may be NULL, it becomes a user
 * of that. */
void batch__outcome_put(batch_op *op, const batch_result *result, struct batch__failure *failure);

/* The loop, once. All of *ret_result; or false: all but the message, for that of the status. */
bool batch__outcome_take(const batch_op *op, batch_result *ret_result);

#endif
