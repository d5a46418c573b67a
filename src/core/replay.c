#include "replay.h"

#include "../base/check.h"

bool batch__may_replay(const struct batch__core *core, struct batch__batch *batch)
{
    if (batch->replays == 0)
        batch->replay_by_ns = batch__sum_or_max(core->now_ns, core->config.deadline_ns);
    return batch->replays < core->config.replays_max &&
           (batch->replays == 0 || core->now_ns < batch->replay_by_ns);
}

bool batch__is_too_old(const struct batch__core *core, const struct batch__batch *batch)
{
    return !batch->is_cached && core->now_ns - batch->loaded_ns > core->config.age_max_ns;
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

void batch__replay_begin(struct batch__batch *batch)
{
    batch__check(batch->to_replay.count == 0);
    batch__check(batch->ran.count > 0);
    batch__check(batch->is_loaded);
    batch__check(!batch->in_due);
    batch->to_replay = batch__ops_take(&batch->ran);
    for (batch_op *op = batch->to_replay.head; op != NULL; op = op->private_next)
        op->private_changed = 0;
    batch->changed = 0;
    batch->save_ns = batch->saved_ns = 0;
    batch->is_cached = false;
    batch->phase = BATCH__DROP;
}
