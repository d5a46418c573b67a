#include "replay.h"

#include "../base/check.h"
#include "lists.h"

bool batch__may_replay(const struct batch__core *core, struct batch__batch *batch)
{
    if (batch->replays == 0)
        batch->replay_by_ns = batch__sum_or_max(core->now_ns, core->config.deadline_ns);
    return batch->replays < core->config.replays_max &&
           (batch->replays == 0 || core->now_ns < batch->replay_by_ns);
}

bool batch__must_recheck(const struct batch__core *core, struct batch__batch *batch)
{
    batch__check(batch->changed == 0);
    if (batch->is_cached)
        return true;
    if (batch->is_rechecked || !batch__is_too_old(core, batch))
        return false;
    batch->is_rechecked = true;
    return true;
}

void batch__replay_begin(struct batch__core *core, struct batch__batch *batch)
{
    batch__check(batch->is_loaded);
    for (batch_op *op = batch->ran.head; op != NULL; op = op->private_next)
        op->private_changed = 0;
    batch->replaying += batch->ran.count; /* some may not have run again yet */
    batch__ops_put_first(&batch->waiting, &batch->ran);
    batch->changed = 0;
    batch->is_replay = true;
    batch->phase = BATCH__RELEASE;
    if (batch->in_waiting)
        return;
    batch->start_by_min_ns = UINT64_MAX;
    batch__waiting_push(&core->waiting, batch);
}
