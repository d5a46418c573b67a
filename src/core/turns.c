#include "turns.h"

#include "lists.h"
#include "unit.h"

void batch__turns_enter(struct batch__core *core, struct batch__batch *batch)
{
    batch__check(batch->phase == BATCH__OPEN);
    batch__waiting_remove(&core->waiting, batch);
    batch__turns_push(&core->turns, batch);
    batch__joining_changed(batch, false);
}

void batch__turns_leave(struct batch__core *core, struct batch__batch *batch)
{
    bool was_joining = batch__is_joining(batch);
    if (core->turns.first == batch)
        batch__turn_end(core);
    if (core->lap_batch == batch)
        core->lap_batch = NULL;
    batch__turns_remove(&core->turns, batch);
    batch__joining_changed(batch, was_joining);
    if (batch->waiting.count > 0)
        batch__waiting_push(&core->waiting, batch);
}

void batch__turns_rotate(struct batch__core *core)
{
    struct batch__batch *batch = core->turns.first;
    batch__check(core->is_turn_over);
    batch__turn_end(core);
    batch__turns_remove(&core->turns, batch);
    batch__turns_push(&core->turns, batch);
    if (core->lap_batch != NULL)
        return;
    core->lap_batch = batch;
    core->lap_began_ns = core->now_ns;
}
