#include "cache.h"

#include "../base/check.h"
#include "lists.h"

bool batch__may_cache(const struct batch__core *core, const struct batch__batch *batch)
{
    batch__check(batch->is_loaded);
    return core->config.cache_max > 0 && batch->status == BATCH_OK && !core->is_stopping;
}

void batch__cache_put(struct batch__core *core, struct batch__batch *batch)
{
    batch__check(batch->phase == BATCH__ENDED);
    batch__check(core->config.cache_max > 0);
    batch__cache_trim(core, core->config.cache_max - 1);
    batch->phase = BATCH__CACHED;
    batch__cached_push(&core->cached, batch);
    core->cached_size++;
}

void batch__cache_take(struct batch__core *core, struct batch__batch *batch)
{
    batch__check(core->cached_size > 0);
    batch__cached_remove(&core->cached, batch);
    core->cached_size--;
}

void batch__cache_trim(struct batch__core *core, uint64_t cache_max)
{
    while (core->cached_size > cache_max) {
        struct batch__batch *batch = core->cached.first;
        batch__cache_take(core, batch);
        batch->phase = BATCH__RELEASE;
        batch__todo_push(core, batch);
    }
}
