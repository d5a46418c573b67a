#include "io_queue.h"

#include "../base/atomics.h"
#include "../base/check.h"

bool batch__io_queue_init(struct batch__io_queue *queue, uint32_t sessions, uint32_t saves_max)
{
    *queue = (struct batch__io_queue){.sessions = sessions, .slow_last = BATCH__IO_NONE};
    queue->saves_max = sessions > 1 ? sessions - 1 : sessions;
    if (saves_max > 0 && saves_max < queue->saves_max)
        queue->saves_max = saves_max;
    return batch__lock_init(&queue->lock);
}

void batch__io_queue_destroy(struct batch__io_queue *queue)
{
    batch__lock_destroy(&queue->lock);
}

enum batch__io_kind batch__io_kind_of(const batch_call *call)
{
    bool is_slow = call->batch.group_max[call->stage] != 0;
    if (call->stage == BATCH__STAGE_SAVE)
        return is_slow ? BATCH__IO_SLOW_SAVE : BATCH__IO_SAVE;
    return is_slow ? BATCH__IO_SLOW_LOAD : BATCH__IO_LOAD;
}

/* ---- Which kind is next. Locks: held -------------------------------------------------------- */

static bool is_slow(enum batch__io_kind kind)
{
    return kind == BATCH__IO_SLOW_SAVE || kind == BATCH__IO_SLOW_LOAD;
}

static enum batch__stage stage_of(enum batch__io_kind kind)
{
    return kind == BATCH__IO_SAVE || kind == BATCH__IO_SLOW_SAVE ? BATCH__STAGE_SAVE
                                                                 : BATCH__STAGE_LOAD;
}

/* May one more session be at calls of this kind? */
static bool has_room(const struct batch__io_queue *queue, enum batch__io_kind kind)
{
    uint32_t sessions = queue->sessions;
    uint32_t slow_saves = queue->at_work[BATCH__IO_SLOW_SAVE] + (kind == BATCH__IO_SLOW_SAVE);
    uint32_t slow_loads = queue->at_work[BATCH__IO_SLOW_LOAD] + (kind == BATCH__IO_SLOW_LOAD);
    uint32_t saves = queue->at_work[BATCH__IO_SAVE] + (kind == BATCH__IO_SAVE) + slow_saves;
    uint32_t loads = queue->at_work[BATCH__IO_LOAD] + (kind == BATCH__IO_LOAD) + slow_loads;
    if (saves + loads > sessions || saves > queue->saves_max)
        return false;
    if (sessions <= 2)
        return sessions == 1 || loads < sessions;
    uint32_t slow_max = sessions / 4 > 1 ? sessions / 4 : 1;
    if (slow_saves > slow_max || slow_loads > slow_max)
        return false;
    /* Beside a slow one there is room for another of its stage; not where one save is all. */
    uint32_t slow_beside = queue->saves_max > 1 ? slow_saves : 0;
    if (sessions == 3 && slow_beside + slow_loads > 1)
        return false;
    return saves + slow_loads < sessions && loads + slow_beside < sessions;
}

static bool may_take(const struct batch__io_queue *queue, enum batch__io_kind kind)
{
    return queue->waiting[kind].first != NULL && has_room(queue, kind);
}

/* The next slow kind, the two in turn: at first only where something else was taken since. */
static enum batch__io_kind next_slow(const struct batch__io_queue *queue, bool is_first)
{
    enum batch__io_kind kind =
        queue->slow_last == BATCH__IO_SLOW_SAVE ? BATCH__IO_SLOW_LOAD : BATCH__IO_SLOW_SAVE;
    for (int i = 0; i < 2; i++) {
        if (may_take(queue, kind) && !(is_first && queue->was_slow[stage_of(kind)]))
            return kind;
        kind = kind == BATCH__IO_SLOW_SAVE ? BATCH__IO_SLOW_LOAD : BATCH__IO_SLOW_SAVE;
    }
    return BATCH__IO_NONE;
}

static enum batch__io_kind next_kind(const struct batch__io_queue *queue)
{
    enum batch__io_kind slow = next_slow(queue, true);
    if (slow != BATCH__IO_NONE)
        return slow;
    if (may_take(queue, BATCH__IO_SAVE))
        return BATCH__IO_SAVE;
    if (may_take(queue, BATCH__IO_LOAD))
        return BATCH__IO_LOAD;
    return next_slow(queue, false);
}

/* How many slow calls go together: no more than each of them may go with. */
static size_t slow_group(const struct batch__calls *slow, size_t calls_max)
{
    batch__check(calls_max > 0);
    size_t count = 0;
    for (const batch_call *call = slow->first; call != NULL; call = call->next) {
        if (call->batch.group_max[call->stage] < calls_max)
            calls_max = call->batch.group_max[call->stage];
        if (count >= calls_max)
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
    batch__store_relaxed(&queue->xidle, BATCH__IO_BUSY);
    for (int kind = 0; kind < BATCH__IO_KINDS; kind++) {
        count(queue, stage_of((enum batch__io_kind)kind), calls[kind].count);
        batch__calls_append(&queue->waiting[kind], &calls[kind]);
    }
    if (queue->idle > 0)
        batch__lock_wake_one(&queue->lock);
    batch__lock_give(&queue->lock);
}

/* When a full group is being saved, the next one would serve no more keys if its batches closed
 * later. So it may be prepared, and the store does not wait for the worker. */
static bool is_save_next(const struct batch__io_queue *queue)
{
    return queue->is_save_full && queue->waiting[BATCH__IO_SAVE].first == NULL;
}

static enum batch__io_idle idle_now(const struct batch__io_queue *queue)
{
    if (queue->idle == 0 || next_kind(queue) != BATCH__IO_NONE)
        return BATCH__IO_BUSY;
    bool may_save = has_room(queue, BATCH__IO_SAVE) || is_save_next(queue);
    return may_save ? BATCH__IO_MAY_SAVE : BATCH__IO_MAY_LOAD;
}

/* Report, once each time, that a session has nothing to do. True: the lock was released meanwhile,
 * and calls may have come that this session may not take, so that it is to be reported again. */
static bool note_idle(struct batch__io_queue *queue, void (*on_idle)(void *arg), void *arg)
{
    enum batch__io_idle before = (enum batch__io_idle)batch__load_relaxed(&queue->xidle);
    enum batch__io_idle now = idle_now(queue);
    batch__store_relaxed(&queue->xidle, (uint32_t)now);
    if (now <= before || on_idle == NULL)
        return false;
    batch__lock_give(&queue->lock);
    on_idle(arg);
    batch__lock_take(&queue->lock);
    return true;
}

/* Take a group of `kind`; there is one. */
static size_t take(struct batch__io_queue *queue, enum batch__io_kind kind, batch_call **calls,
                   size_t calls_max)
{
    struct batch__calls *waiting = &queue->waiting[kind];
    batch__check(waiting->first != NULL);
    if (is_slow(kind)) {
        calls_max = slow_group(waiting, calls_max);
        queue->slow_last = kind;
    }
    size_t taken = batch__calls_take(waiting, calls, calls_max, batch__clock_now_ns());
    batch__check(taken > 0);
    count(queue, stage_of(kind), 0 - (uint64_t)taken);
    queue->at_work[kind]++;
    batch__count(&queue->xbusy, 1);
    if (kind == BATCH__IO_SAVE)
        queue->is_save_full = taken == calls_max;
    queue->was_slow[stage_of(kind)] = is_slow(kind);
    if (queue->sessions == 1) /* it is the only one for either stage */
        queue->was_slow[BATCH__STAGE_LOAD] = queue->was_slow[BATCH__STAGE_SAVE] = is_slow(kind);
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
        batch__count(&queue->xbusy, UINT64_MAX); /* one less */
    }
    while (next_kind(queue) == BATCH__IO_NONE && !queue->is_closed) {
        queue->idle++;
        batch__check(queue->idle <= queue->sessions);
        if (!note_idle(queue, on_idle, arg))
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

enum batch__io_idle batch__io_queue_idle(const struct batch__io_queue *queue)
{
    return (enum batch__io_idle)batch__load_relaxed(&queue->xidle);
}
