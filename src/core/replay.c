#include "replay.h"

#include "../base/check.h"

bool batch__may_replay(const struct batch__core *core, const struct batch__batch *batch)
{
    return batch->replays < core->config.replays_max && core->now_ns < batch->deadline_ns;
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
