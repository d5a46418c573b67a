/* lifecycle.h: how far a processor is between its start and its end, and which of its threads have
 * not ended.
 *
 *   RUNNING    until the first stop
 *   STOPPING   workers complete what was accepted; each ends when its core is idle; the last one
 *              closes the I/O queue, and so ends the sessions; the last thread of all closes what
 *              the processor has open
 *   JOINING    all threads have ended but for returning; one of those who stop joins them
 *   STOPPED    all threads are joined
 *
 * Invariant: workers_left <= threads_left; threads_busy <= threads_left; from JOINING on all are 0.
 * Who waits for any of this to change waits on the lock; or is a loop, for which the last thread
 * pushes an event.
 */
#ifndef BATCH_RUNTIME_LIFECYCLE_H
#define BATCH_RUNTIME_LIFECYCLE_H

#include <batch/completions.h>

#include "../platform/platform.h"

struct batch__io_queue;

enum batch__state { BATCH__RUNNING, BATCH__STOPPING, BATCH__JOINING, BATCH__STOPPED };

struct batch__lifecycle {
    void (*close_all)(void *arg); /* called by the last thread */
    void *arg;
    struct batch__lock lock;

    /* Under lock. */
    enum batch__state state;
    uint32_t workers_left; /* that have not ended */
    uint32_t threads_left; /* workers and sessions */
    uint32_t threads_busy; /* of these, those that have not come to their end */

    batch_op *event; /* to be pushed when all have ended; NULL: none */
    batch_completions *event_to;
    bool is_event_wanted; /* or was */
    bool is_event_out;    /* wanted and not dispatched: the processor must not be freed */
};

/* False if the system has no lock. `close_all` may take its time. */
bool batch__lifecycle_init(struct batch__lifecycle *lifecycle, uint32_t workers, uint32_t sessions,
                           void (*close_all)(void *arg), void *arg);
void batch__lifecycle_destroy(struct batch__lifecycle *lifecycle);

/* The last thing that a worker does, when its core is idle and none of its calls is in flight. */
void batch__lifecycle_worker_ended(struct batch__lifecycle *lifecycle,
                                   struct batch__io_queue *io_queue);
/* The last thing that a session does. */
void batch__lifecycle_session_ended(struct batch__lifecycle *lifecycle);

/* Locks: held, and given. Push `event` to `to` when every thread has ended, which may be now. Once.
 * From then on the processor may be freed. */
void batch__lifecycle_report_to(struct batch__lifecycle *lifecycle, batch_completions *to,
                                batch_op *event);
/* On the loop: the event is dispatched. */
void batch__lifecycle_reported(struct batch__lifecycle *lifecycle);

/* Locks: held. Every thread has ended and nobody joins them yet: then the caller is to do it, and
 * to call _joined when it has. */
bool batch__lifecycle_begin_join(struct batch__lifecycle *lifecycle);
void batch__lifecycle_joined(struct batch__lifecycle *lifecycle);

#endif
