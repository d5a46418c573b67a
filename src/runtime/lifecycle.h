/* lifecycle.h: how far a processor is between its start and its end, and which of its threads have
 * not ended.
 *
 *   RUNNING    until the first stop
 *   STOPPING   workers complete what was accepted; each ends when its core is idle; the last one
 *              closes the I/O queue, and so ends the sessions
 *   JOINING    all threads have ended but for returning; one of those who stop joins them
 *   STOPPED    all threads are joined
 *
 * Invariant: workers_left <= threads_left; from JOINING on both are 0. Who waits for any of this to
 * change waits on the lock.
 */
#ifndef BATCH_RUNTIME_LIFECYCLE_H
#define BATCH_RUNTIME_LIFECYCLE_H

#include "../platform/platform.h"

struct batch__io_queue;

enum batch__state { BATCH__RUNNING, BATCH__STOPPING, BATCH__JOINING, BATCH__STOPPED };

struct batch__lifecycle {
    struct batch__lock lock;

    /* Under lock. */
    enum batch__state state;
    uint32_t workers_left; /* that have not ended */
    uint32_t threads_left; /* workers and sessions */
};

/* False if the system has no lock. */
bool batch__lifecycle_init(struct batch__lifecycle *lifecycle, uint32_t workers, uint32_t sessions);
void batch__lifecycle_destroy(struct batch__lifecycle *lifecycle);

/* The last thing that a worker does, when its core is idle and none of its calls is in flight. */
void batch__lifecycle_worker_ended(struct batch__lifecycle *lifecycle,
                                   struct batch__io_queue *io_queue);
/* The last thing that a session does. */
void batch__lifecycle_session_ended(struct batch__lifecycle *lifecycle);

/* Locks: held. Every thread has ended and nobody joins them yet: then the caller is to do it, and
 * to call _joined when it has. */
bool batch__lifecycle_begin_join(struct batch__lifecycle *lifecycle);
void batch__lifecycle_joined(struct batch__lifecycle *lifecycle);

#endif
