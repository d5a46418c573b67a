#include "window.h"

#include "../base/check.h"
#include "lists.h"
#include "turns.h"
#include "unit.h"

bool batch__has_window(const struct batch__core *core)
{
    return core->config.window_ns != BATCH_WINDOW_NONE;
}

static uint64_t joining_of(const struct batch__batch *batch)
{
    return batch->is_replay ? batch->replaying : batch->waiting.count;
}

void batch__window_changed(struct batch__core *core, struct batch__batch *batch)
{
    batch__check(batch->changed == 1);
    if (batch__has_window(core) || !batch->in_due)
        return;
    batch__due_remove(&core->due, batch);
    batch__due_push(&core->due, batch);
}

void batch__window_end(struct batch__core *core, struct batch__batch *batch)
{
    if (batch->in_due)
        batch__due_remove(&core->due, batch);
}

void batch__window_restart(struct batch__core *core, struct batch__batch *batch)
{
    bool is_own = batch__takes_new(batch);
    if (is_own) {
        batch__check(batch->ran.count == 0);
        batch->begun_ns = core->now_ns;
    }
    batch->closes_ns = UINT64_MAX;
    if (!batch__has_window(core)) {
        if (is_own && batch->phase == BATCH__OPEN && !batch->in_due)
            batch__due_push_first(&core->due, batch);
        return;
    }
    batch__window_end(core, batch);
    batch->closes_ns = batch__sum_or_max(core->now_ns, core->config.window_ns);
    batch__due_push(&core->due, batch);
}

/* It is not a replay. */
static void begin_first(struct batch__core *core, struct batch__batch *batch)
{
    batch->is_replay = false;
    batch->is_rechecked = false;
    batch->is_isolated = false;
    batch->replays = 0;
    batch->first_wait_ns = 0;
    batch->begun_ns = core->now_ns;
}

static void begin(struct batch__core *core, struct batch__batch *batch)
{
    if (batch->replaying == 0)
        begin_first(core, batch);
    batch->phase = BATCH__BEGUN;
    batch->status = BATCH_OK;
    batch->ran = (struct batch__ops){NULL, NULL, 0};
    batch->joining = 0;
    batch->changed = 0;
    batch->is_cached = false;
    batch->load_ns = batch->loaded_ns = 0;
    batch->save_ns = batch->saved_ns = 0;
    batch->unit_size = batch->unit_count = 0;
}

void batch__begin(struct batch__core *core, struct batch__batch *batch)
{
    begin(core, batch);
    batch__todo_push(core, batch);
}

void batch__begin_cached(struct batch__core *core, struct batch__batch *batch)
{
    begin(core, batch);
    batch->is_cached = true;
    batch__window_open(core, batch);
}

static void open_window(struct batch__core *core, struct batch__batch *batch)
{
    batch->joining = joining_of(batch);
    if (!batch__has_window(core) && !batch->is_replay && !batch->in_due)
        batch__due_push_first(&core->due, batch);
}

void batch__window_open(struct batch__core *core, struct batch__batch *batch)
{
    batch__check(batch->is_loaded);
    batch__check(batch__phase_is_opening(batch->phase));
    open_window(core, batch);
    batch->phase = BATCH__OPEN;
    if (batch->waiting.count > 0)
        batch__turns_enter(core, batch);
}

void batch__block(struct batch__core *core, struct batch__batch *batch)
{
    batch__turns_leave(core, batch);
    if (batch->ran.count == 0 && !batch__has_window(core))
        batch__window_end(core, batch); /* there is nothing to close */
}

void batch__unblock(struct batch__core *core, struct batch__batch *batch)
{
    if (batch->ran.count == 0) /* as if it were loaded now */
        open_window(core, batch);
    batch__turns_enter(core, batch);
}

void batch__replay_left(struct batch__core *core, struct batch__batch *batch)
{
    batch__check(batch->replaying == 0);
    batch__check(batch->is_replay);
    begin_first(core, batch);
    if (batch->phase != BATCH__OPEN)
        return;
    open_window(core, batch);
}
