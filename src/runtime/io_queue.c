#include "io_queue.h"

#include "../base/atomics.h"
#include "../base/check.h"

bool batch__io_queue_init(struct batch__io_queue *queue, uint32_t sessions)
{
    *queue = (struct batch__io_queue){.sessions = sessions, .last = BATCH__IO_NONE};
    return batch__lock_init(&queue->lock);
}

void batch__io_queue_destroy(struct batch__io_queue *queue)
{
    batch__lock_destroy(&queue->lock);
}

enum batch__io_kind batch__io_kind_of(const batch_call *call)
{
    if (call->batch.group_max != 0)
        return BATCH__IO_SLOW;
    return call->stage == BATCH__STAGE_SAVE ? BATCH__IO_SAVE : BATCH__IO_LOAD;
}

/* ---- Which kind is next. Locks: held -------------------------------------------------------- */

static bool is_waiting(const struct batch__io_queue *queue, enum batch__io_kind kind)
{
    return queue->waiting[kind].first != NULL;
}

/* May one more session do something else than save? */
static bool is_one_left_for_saves(const struct batch__io_queue *queue)
{
    uint32_t others = queue->at_work[BATCH__IO_LOAD] + queue->at_work[BATCH__IO_SLOW];
    batch__check(others <= queue->sessions);
    return queue->sessions == 1 || others + 1 < queue->sessions;
}

static bool may_take_slow(const struct batch__io_queue *queue)
{
    if (!is_waiting(queue, BATCH__IO_SLOW) || !is_one_left_for_saves(queue))
        return false;
    return queue->sessions < 3 || queue->at_work[BATCH__IO_SLOW] == 0;
}

static enum batch__io_kind next_kind(const struct batch__io_queue *queue)
{
    bool may_be_slow = may_take_slow(queue);
    if (may_be_slow && queue->last != BATCH__IO_SLOW)
        return BATCH__IO_SLOW;
    if (is_waiting(queue, BATCH__IO_SAVE))
        return BATCH__IO_SAVE;
    if (is_waiting(queue, BATCH__IO_LOAD) && is_one_left_for_saves(queue))
        return BATCH__IO_LOAD;
    return may_be_slow ? BATCH__IO_SLOW : BATCH__IO_NONE;
}

/* How many slow calls go together: of one stage, and no more than each of them may go with. */
static size_t slow_group(const struct batch__calls *slow, size_t calls_max)
{
    batch__check(calls_max > 0);
    size_t count = 0;
    for (const batch_call *call = slow->first; call != NULL; call = call->next) {
        if (call->batch.group_max < calls_max)
            calls_max = call->batch.group_max;
        if (count >= calls_max || call->stage != slow->first->stage)
            break;
        count++;
    }
    return count < calls_max ? count : calls_max;
}

/* ---- In and out ----------------------------------------------------------------------------- */

static void count(struct batch__io_queue *queue, enum batch__stage stage, uint64_t change)
{
    if (stage == BATCH__STAGE_LOAD)
        batch__count(&queue->xloads, change);
    else
        batch__count(&queue->xsaves, change);
}

void batch__io_queue_push(struct batch__io_queue *queue, struct batch__calls calls[BATCH__IO_KINDS])
{
    batch__lock_take(&queue->lock);
    batch__check(!queue->is_closed);
    batch__store_relaxed(&queue->xis_idle, 0);
    count(queue, BATCH__STAGE_LOAD, calls[BATCH__IO_LOAD].count);
    count(queue, BATCH__STAGE_SAVE, calls[BATCH__IO_SAVE].count);
    for (batch_call *call = calls[BATCH__IO_SLOW].first; call != NULL; call = call->next)
        count(queue, (enum batch__stage)call->stage, 1);
    for (int kind = 0; kind < BATCH__IO_KINDS; kind++)
        batch__calls_append(&queue->waiting[kind], &calls[kind]);
    if (queue->idle > 0)
        batch__lock_wake_one(&queue->lock);
    batch__lock_give(&queue->lock);
}

/* Report, once each time, that a session has nothing to do. Releases the lock meanwhile. */
static void note_idle(struct batch__io_queue *queue, void (*on_idle)(void *arg), void *arg)
{
    bool was_idle = batch__load_relaxed(&queue->xis_idle) != 0;
    bool is_idle = queue->idle > 0 && next_kind(queue) == BATCH__IO_NONE;
    batch__store_relaxed(&queue->xis_idle, is_idle);
    if (!is_idle || was_idle || on_idle == NULL)
        return;
    batch__lock_give(&queue->lock);
    on_idle(arg);
    batch__lock_take(&queue->lock);
}

/* Take a group of `kind`; there is one. */
static size_t take(struct batch__io_queue *queue, enum batch__io_kind kind, batch_call **calls,
                   size_t calls_max)
{
    struct batch__calls *waiting = &queue->waiting[kind];
    batch__check(waiting->first != NULL);
    enum batch__stage stage = (enum batch__stage)waiting->first->stage;
    if (kind == BATCH__IO_SLOW)
        calls_max = slow_group(waiting, calls_max);
    size_t taken = batch__calls_take(waiting, calls, calls_max, batch__clock_now_ns());
    batch__check(taken > 0);
    count(queue, stage, 0 - (uint64_t)taken);
    queue->at_work[kind]++;
    queue->last = kind;
    return taken;
}

size_t batch__io_queue_take(struct batch__io_queue *queue, enum batch__io_kind *kind,
                            batch_call **calls, size_t calls_max, void (*on_idle)(void *arg),
                            void *arg)
{
    batch__lock_take(&queue->lock);
    if (*kind != BATCH__IO_NONE) {
        batch__check(queue->at_work[*kind] > 0);
        queue->at_work[*kind]--;
    }
    while (next_kind(queue) == BATCH__IO_NONE && !queue->is_closed) {
        queue->idle++;
        batch__check(queue->idle <= queue->sessions);
        note_idle(queue, on_idle, arg);
        if (next_kind(queue) == BATCH__IO_NONE && !queue->is_closed)
            batch__lock_wait(&queue->lock, UINT64_MAX);
        batch__check(queue->idle > 0);
        queue->idle--;
    }
    *kind = next_kind(queue);
    size_t taken = *kind != BATCH__IO_NONE ? take(queue, *kind, calls, calls_max) : 0;
    if (next_kind(queue) != BATCH__IO_NONE && queue->idle > 0)
        batch__lock_wake_one(&queue->lock);
    note_idle(queue, on_idle, arg);
    batch__lock_give(&queue->lock);
    return taken;
}

void batch__io_queue_close(struct batch__io_queue *queue)
{
    batch__lock_take(&queue->lock);
    queue->is_closed = true;
    batch__lock_wake_all(&queue->lock);
    batch__lock_give(&queue->lock);
}

bool batch__io_queue_is_idle(const struct batch__io_queue *queue)
{
    return batch__load_relaxed(&queue->xis_idle) != 0;
}
