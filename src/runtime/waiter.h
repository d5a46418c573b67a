/* waiter.h: a caller that waits for its operation to complete; it lives on the caller's stack.
 *
 * The worker writes the result and wakes the caller under the lock, so it touches nothing of the
 * waiter once the caller can have seen that it is complete. A leaf: it knows no processor.
 */
#ifndef BATCH_RUNTIME_WAITER_H
#define BATCH_RUNTIME_WAITER_H

#include <batch/batch.h>

#include "../platform/platform.h"

struct batch__waiter {
    struct batch__lock lock;
    bool is_complete;     /* under lock */
    batch_result *result; /* the caller's; may be NULL */
    int status;           /* under lock */
};

/* False if the system has no lock. */
bool batch__waiter_init(struct batch__waiter *waiter, batch_result *result);
void batch__waiter_destroy(struct batch__waiter *waiter);

/* The worker, once: the waiter may be gone when this returns. */
void batch__waiter_complete(struct batch__waiter *waiter, const batch_result *result);

/* The caller. */
bool batch__waiter_is_complete(struct batch__waiter *waiter);
/* The caller. The status. */
int batch__waiter_wait(struct batch__waiter *waiter);

#endif
