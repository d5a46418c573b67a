/* actions.c: batch__core_next of core.h. A batch on `todo` is stepped through its phases until it
 * has nothing to do for now; the batch whose action was given out last stays first on `todo`, so
 * that its actions come in one run. When `todo` is empty, the first of `turns` runs an operation.
 */
#include "core.h"

#include "../base/check.h"
#include "cache.h"
#include "lists.h"
#include "replay.h"
#include "transaction.h"
#include "turns.h"
#include "unit.h"
#include "window.h"

#include <batch/metrics.h>

enum step { STEP_ACTION, STEP_AGAIN, STEP_REST, STEP_GONE };

static enum step act(struct batch__action *action, enum batch__action_kind kind,
                     struct batch__batch *batch)
{
    *action = (struct batch__action){kind, batch, NULL, 0};
    return STEP_ACTION;
}

static enum step step_begun(struct batch__core *core, struct batch__batch *batch,
                            struct batch__action *action)
{
    batch__check(!batch->is_loaded);
    batch->phase = BATCH__LOADING;
    batch->load_ns = core->now_ns;
    return act(action, BATCH__LOAD, batch);
}

/* All have run: save what they changed, or complete if it is known that they saw what is stored.
 * The save of a unit shows it of those that changed nothing, too. */
static void run_ended(struct batch__core *core, struct batch__batch *batch)
{
    batch__check(batch->ran.count > 0);
    if (batch->changed > 0 || batch->unit != NULL)
        batch->phase = BATCH__CLOSED;
    else if (batch__must_recheck(core, batch))
        batch__replay_begin(core, batch);
    else
        batch->phase = BATCH__COMPLETE;
}

static void close_batch(struct batch__core *core, struct batch__batch *batch, int reason)
{
    batch__check(batch->phase == BATCH__OPEN);
    batch__check(batch->ran.count > 0);
    batch__leg_is_not_ready(batch);
    bool is_next_open = batch->is_replay; /* the window is that of the next batch already */
    if (!is_next_open)
        batch__window_end(core, batch);
    batch->close_reason = (unsigned)reason & 0xFU;
    batch->joining = 0;
    bool is_next = batch->waiting.count > 0;
    if (batch->in_turns)
        batch__turns_leave(core, batch);
    run_ended(core, batch);
    if (is_next && !is_next_open)
        batch__window_restart(core, batch);
    batch__todo_push(core, batch);
}

static enum step close_unit(struct batch__core *core, struct batch__batch *batch, int reason)
{
    struct batch__batch *each = batch;
    do {
        close_batch(core, each, reason);
        each = batch__unit_next(each);
    } while (each != batch);
    return STEP_AGAIN;
}

/* Why an open batch has to close (enum batch_close_reason), when all that join have run; -1: it has
 * not. */
static inline int reason_to_close(const struct batch__core *core, const struct batch__batch *batch)
{
    if (batch->is_replay) /* as it was closed before */
        return batch->close_reason;
    if (!batch->in_due)
        return batch__has_window(core) ? BATCH_CLOSED_BY_WINDOW : BATCH_CLOSED_BY_STORE;
    if (core->is_stopping)
        return BATCH_CLOSED_BY_STOP;
    return batch__is_too_old(core, batch) ? BATCH_CLOSED_BY_AGE : -1;
}

/* Why an open batch, and its unit, is closed now; -1: it is not. */
static inline int closes(const struct batch__core *core, struct batch__batch *batch)
{
    if (batch->ran.count == 0)
        return -1;
    if (batch->ran.count >= core->config.ops_max)
        return BATCH_CLOSED_BY_SIZE;
    if (batch__is_joining(batch))
        return -1;
    int reason = reason_to_close(core, batch);
    return batch->unit == NULL ? reason : batch__unit_closes(batch, reason);
}

static enum step step_open(struct batch__core *core, struct batch__batch *batch)
{
    int reason = closes(core, batch);
    if (reason >= 0)
        return close_unit(core, batch, reason);
    if (batch->in_waiting)
        batch__unblock(core, batch); /* who is first may have changed */
    if (batch->waiting.count > 0 || batch->ran.count > 0)
        return STEP_REST;
    batch__check(!batch->in_turns);
    batch__window_end(core, batch); /* all have left before they began */
    batch->phase = BATCH__RELEASE;
    return STEP_AGAIN;
}

/* There is nothing more to run in it for now. */
static enum step leave_turns(struct batch__core *core, struct batch__batch *batch, bool is_closing)
{
    batch__turns_leave(core, batch);
    if (is_closing || batch->ran.count == 0)
        batch__todo_push(core, batch);
    return STEP_AGAIN;
}

/* The first that waits cannot run now, so nobody does, and the batch closes without them, unless
 * others of its unit have something to run first. */
static enum step block(struct batch__core *core, struct batch__batch *batch)
{
    batch__block(core, batch);
    if (closes(core, batch) >= 0)
        batch__todo_push(core, batch);
    return STEP_AGAIN;
}

static enum step run(struct batch__core *core, struct batch__batch *batch,
                     enum batch__action_kind kind, batch_op *op, struct batch__action *action)
{
    batch__turns_run(core);
    core->running = op;
    *action = (struct batch__action){kind, batch, op, 1};
    return STEP_ACTION;
}

/* A leg is the first that waits: its transaction runs if the others are too. */
static enum step step_leg(struct batch__core *core, struct batch__batch *batch, batch_op *leg,
                          struct batch__action *action)
{
    batch_transaction *transaction = batch__leg_transaction(leg);
    batch__leg_is_ready(leg);
    if (transaction->private_ready < transaction->parts_size)
        return block(core, batch);
    struct batch__batch *too_large = batch__unit_too_large(core, transaction);
    if (too_large != NULL) /* it waits for the next batch of these */
        return close_unit(core, too_large, BATCH_CLOSED_BY_SIZE);
    return run(core, batch, BATCH__RUN_TRANSACTION, leg, action);
}

/* The batch has the turn. */
static enum step step_turn(struct batch__core *core, struct batch__batch *batch,
                           struct batch__action *action)
{
    batch__check(batch->phase == BATCH__OPEN);
    batch__check(batch->is_loaded);
    bool is_closing = closes(core, batch) >= 0;
    if (is_closing || batch->waiting.count == 0)
        return leave_turns(core, batch, is_closing);
    if (core->is_turn_over) {
        batch__turns_rotate(core);
        return STEP_AGAIN;
    }
    if (batch->is_replay && batch->replaying == 0 && batch->ran.count == 0)
        batch__replay_left(core, batch);
    if (batch->is_replay && batch->joining == 0)
        return block(core, batch); /* its unit is about to close */
    batch_op *op = batch->waiting.head;
    int status = batch__op_refusal(op, batch->replaying > 0 ? 0 : core->now_ns);
    if (status == BATCH_OK && batch__op_is_leg(op))
        return step_leg(core, batch, op, action);
    bool has_begun = batch__take_first(batch); /* in time */
    if (status != BATCH_OK) {
        batch__refuse(core, op, status);
        if (batch->waiting.count == 0)
            return leave_turns(core, batch, closes(core, batch) >= 0);
        if (batch->ran.count == 0 && !has_begun)
            batch__window_restart(core, batch);
        return STEP_AGAIN;
    }
    if (batch->ran.count == 0 && !has_begun)
        batch->first_wait_ns = core->now_ns - op->private_accepted_ns;
    return run(core, batch, BATCH__RUN, op, action);
}

static enum step step_closed(struct batch__core *core, struct batch__batch *batch,
                             struct batch__action *action)
{
    batch__check(batch->changed > 0 || batch->unit != NULL);
    batch__unit_begin_save(batch, core->now_ns);
    return act(action, BATCH__SAVE, batch);
}

/* Prefetch what the next batch on `todo` will touch when it ends. */
static void prefetch_next(const struct batch__core *core, const struct batch__batch *batch)
{
    const struct batch__batch *next = batch->todo_next;
    if (next == NULL)
        return;
    batch__table_prefetch_slot(&core->table, next->hash);
    __builtin_prefetch(next->ran.head);
    __builtin_prefetch(next->todo_next);
}

static enum step step_complete(struct batch__core *core, struct batch__batch *batch,
                               struct batch__action *action)
{
    prefetch_next(core, batch);
    batch__check(batch->ran.count > 0);
    batch__check(core->ops >= batch->ran.count);
    batch->phase = BATCH__REPORT;
    batch->is_rechecked = false; /* what is left of a replay is another batch */
    core->ops -= batch->ran.count;
    *action = (struct batch__action){BATCH__DONE, batch, batch->ran.head, batch->ran.count};
    batch->ran.head = batch->ran.tail = NULL; /* the callers'; the count stays, for the record */
    return STEP_ACTION;
}

static enum step step_report(const struct batch__core *core, struct batch__batch *batch,
                             struct batch__action *action)
{
    bool is_released = batch->is_loaded && !batch__may_cache(core, batch);
    batch->phase = is_released ? BATCH__RELEASE : BATCH__ENDED;
    return act(action, BATCH__METRIC, batch);
}

static enum step step_release(struct batch__batch *batch, struct batch__action *action)
{
    batch__check(batch->is_loaded);
    batch->is_loaded = false;
    batch->phase = BATCH__ENDED;
    return act(action, BATCH__FREE_RESOURCE, batch);
}

static enum step step_ended(struct batch__core *core, struct batch__batch *batch)
{
    if (batch->is_loaded && core->is_stopping) { /* to be cached, but stop has come since */
        batch->phase = BATCH__RELEASE;
        return STEP_AGAIN;
    }
    batch__todo_pop(core);
    if (batch->waiting.count > 0) {
        if (batch->is_loaded)
            batch__begin_cached(core, batch);
        else
            batch__begin(core, batch);
    } else if (batch->is_loaded) {
        batch__cache_put(core, batch);
    } else {
        batch__table_remove(&core->table, batch);
        batch__pool_give(&core->pool, batch);
    }
    return STEP_GONE;
}

static enum step step(struct batch__core *core, struct batch__batch *batch,
                      struct batch__action *action)
{
    switch ((enum batch__phase)batch->phase) {
    case BATCH__BEGUN:
        return step_begun(core, batch, action);
    case BATCH__OPEN:
        return step_open(core, batch);
    case BATCH__CLOSED:
        return step_closed(core, batch, action);
    case BATCH__COMPLETE:
        return step_complete(core, batch, action);
    case BATCH__REPORT:
        return step_report(core, batch, action);
    case BATCH__RELEASE:
        return step_release(batch, action);
    case BATCH__ENDED:
        return step_ended(core, batch);
    case BATCH__LOADING:
    case BATCH__SAVING:
    case BATCH__CACHED:
        return STEP_REST;
    case BATCH__POOLED:
        break;
    }
    batch__panic(__FILE__, __LINE__, "a pooled batch has something to do");
}

static bool next_but_run(struct batch__core *core, struct batch__action *ret_action)
{
    while (core->todo_first != NULL) {
        enum step next = step(core, core->todo_first, ret_action);
        if (next == STEP_ACTION)
            return true;
        if (next == STEP_REST)
            batch__todo_pop(core);
    }
    if (core->refused.count == 0)
        return false;
    struct batch__ops refused = batch__ops_take(&core->refused);
    batch__check(core->ops >= refused.count);
    core->ops -= refused.count;
    *ret_action = (struct batch__action){BATCH__DONE, NULL, refused.head, refused.count};
    return true;
}

bool batch__core_next_but_run(struct batch__core *core, struct batch__action *ret_action)
{
    batch__check(core->running == NULL);
    return next_but_run(core, ret_action);
}

bool batch__core_next(struct batch__core *core, struct batch__action *ret_action)
{
    batch__check(core->running == NULL);
    do {
        bool has_others = core->todo_first != NULL || core->refused.count > 0;
        if (has_others && next_but_run(core, ret_action))
            return true;
        if (core->turns.first == NULL)
            return false;
    } while (step_turn(core, core->turns.first, ret_action) != STEP_ACTION);
    return true;
}
