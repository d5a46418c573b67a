#include "lifecycle.h"

#include "../base/check.h"
#include "../loop/loop.h"
#include "io_queue.h"

bool batch__lifecycle_init(struct batch__lifecycle *lifecycle, uint32_t workers, uint32_t sessions,
                           void (*close_all)(void *arg), void *arg)
{
    batch__check(workers > 0);
    *lifecycle = (struct batch__lifecycle){.close_all = close_all,
                                           .arg = arg,
                                           .state = BATCH__RUNNING,
                                           .workers_left = workers,
                                           .threads_left = workers + sessions,
                                           .threads_busy = workers + sessions};
    return batch__lock_init(&lifecycle->lock);
}

void batch__lifecycle_destroy(struct batch__lifecycle *lifecycle)
{
    batch__lock_destroy(&lifecycle->lock);
}

/* Locks: held, and given. */
static void give_and_report(struct batch__lifecycle *lifecycle)
{
    batch_op *event = lifecycle->threads_left == 0 ? lifecycle->event : NULL;
    batch_completions *to = lifecycle->event_to;
    if (event != NULL)
        lifecycle->event = NULL;
    batch__lock_give(&lifecycle->lock);
    if (event != NULL)
        batch__loop_push_event_mp(to, event);
}

static void thread_ended(struct batch__lifecycle *lifecycle)
{
    batch__lock_take(&lifecycle->lock);
    batch__check(lifecycle->threads_busy > 0);
    bool is_last = --lifecycle->threads_busy == 0;
    if (is_last) { /* nobody joins yet */
        batch__lock_give(&lifecycle->lock);
        lifecycle->close_all(lifecycle->arg);
        batch__lock_take(&lifecycle->lock);
    }
    batch__check(lifecycle->threads_left > lifecycle->workers_left);
    lifecycle->threads_left--;
    batch__lock_wake_all(&lifecycle->lock);
    give_and_report(lifecycle);
}

void batch__lifecycle_report_to(struct batch__lifecycle *lifecycle, batch_completions *to,
                                batch_op *event)
{
    batch__check(!lifecycle->is_event_wanted);
    lifecycle->event = event;
    lifecycle->event_to = to;
    lifecycle->is_event_wanted = lifecycle->is_event_out = true;
    give_and_report(lifecycle);
}

void batch__lifecycle_reported(struct batch__lifecycle *lifecycle)
{
    batch__lock_take(&lifecycle->lock);
    batch__check(lifecycle->is_event_out);
    lifecycle->is_event_out = false;
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
