#include "window.h"

#include "../base/check.h"
#include "lists.h"
#include "turns.h"

bool batch__has_window(const struct batch__core *core)
{
    return core->config.window_ns != BATCH_WINDOW_NONE;
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
    if (batch__takes_new(batch)) {
        batch__check(batch->ran.count == 0);
        batch->begun_ns = core->now_ns;
    }
    batch->closes_ns = UINT64_MAX;
    if (!batch__has_window(core))
        return;
    batch__window_end(core, batch);
    batch->closes_ns = batch__sum_or_max(core->now_ns, core->config.window_ns);
    batch__due_push(&core->due, batch);
}

/* It is not a replay. */
static void begin_first(struct batch__core *core, struct batch__batch *batch)
{
    batch->is_replay = false;
    batch->is_rechecked = false;
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

void batch__window_open(struct batch__core *core, struct batch__batch *batch)
{
    batch__check(batch->is_loaded);
    batch__check(batch__phase_is_opening(batch->phase));
    batch->joining = batch->is_replay ? batch->replaying : batch->waiting.count;
    if (!batch__has_window(core) && !batch->is_replay)
        batch__due_push_first(&core->due, batch);
    batch->phase = BATCH__OPEN;
    if (batch->waiting.count > 0)
        batch__turns_enter(core, batch);
}

void batch__replay_left(struct batch__core *core, struct batch__batch *batch)
{
    batch__check(batch->replaying == 0);
    batch__check(batch->is_replay);
    begin_first(core, batch);
    if (batch->phase != BATCH__OPEN)
        return;
    batch__window_join(batch);
    if (!batch__has_window(core))
        batch__due_push_first(&core->due, batch);
}
