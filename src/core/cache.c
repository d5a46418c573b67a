#include "cache.h"

#include "../base/check.h"
#include "lists.h"

bool batch__may_keep(const struct batch__core *core, const struct batch__batch *batch)
{
    batch__check(batch->is_loaded);
    return core->config.kept_max > 0 && batch->status == BATCH_OK && !core->is_stopping;
}

void batch__keep(struct batch__core *core, struct batch__batch *batch)
{
    batch__check(batch->phase == BATCH__ENDED);
    batch__check(core->config.kept_max > 0);
    batch__keep_at_most(core, core->config.kept_max - 1);
    batch->phase = BATCH__KEPT;
    batch__kept_push(&core->kept, batch);
    core->kept_size++;
}

void batch__keep_end(struct batch__core *core, struct batch__batch *batch)
{
    batch__check(core->kept_size > 0);
    batch__kept_remove(&core->kept, batch);
    core->kept_size--;
}

void batch__keep_at_most(struct batch__core *core, uint64_t kept_max)
{
    while (core->kept_size > kept_max) {
        struct batch__batch *batch = core->kept.first;
        batch__keep_end(core, batch);
        batch->phase = BATCH__RELEASE;
        batch__todo_push(core, batch);
    }
}
