#include "lifecycle.h"

#include "../base/check.h"
#include "io_queue.h"

bool batch__lifecycle_init(struct batch__lifecycle *lifecycle, uint32_t workers, uint32_t sessions)
{
    batch__check(workers > 0);
    *lifecycle = (struct batch__lifecycle){
        .state = BATCH__RUNNING, .workers_left = workers, .threads_left = workers + sessions};
    return batch__lock_init(&lifecycle->lock);
}

void batch__lifecycle_destroy(struct batch__lifecycle *lifecycle)
{
    batch__lock_destroy(&lifecycle->lock);
}

static void thread_ended(struct batch__lifecycle *lifecycle)
{
    batch__lock_take(&lifecycle->lock);
    batch__check(lifecycle->threads_left > lifecycle->workers_left);
    lifecycle->threads_left--;
    batch__lock_wake_all(&lifecycle->lock);
    batch__lock_give(&lifecycle->lock);
}

void batch__lifecycle_worker_ended(struct batch__lifecycle *lifecycle,
                                   struct batch__io_queue *io_queue)
{
    batch__lock_take(&lifecycle->lock);
    batch__check(lifecycle->workers_left > 0);
    bool is_last = --lifecycle->workers_left == 0;
    batch__lock_give(&lifecycle->lock);
    if (is_last)
        batch__io_queue_close(io_queue); /* every call has come back */
    thread_ended(lifecycle);
}

void batch__lifecycle_session_ended(struct batch__lifecycle *lifecycle)
{
    thread_ended(lifecycle);
}

bool batch__lifecycle_begin_join(struct batch__lifecycle *lifecycle)
{
    if (lifecycle->state != BATCH__STOPPING || lifecycle->threads_left > 0)
        return false;
    batch__check(lifecycle->workers_left == 0);
    lifecycle->state = BATCH__JOINING;
    return true;
}

void batch__lifecycle_joined(struct batch__lifecycle *lifecycle)
{
    batch__check(lifecycle->state == BATCH__JOINING);
    lifecycle->state = BATCH__STOPPED;
    batch__lock_wake_all(&lifecycle->lock);
}
