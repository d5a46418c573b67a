#include "admission.h"

#include "../base/check.h"

enum { WEIGHT = 8 };

void batch__mean_add(uint64_t *mean_ns, uint64_t time_ns)
{
    if (*mean_ns == 0)
        *mean_ns = time_ns;
    else
        *mean_ns = *mean_ns - *mean_ns / WEIGHT + time_ns / WEIGHT;
}

/* How long until the next batch of this key can run operations, at the least. */
static uint64_t wait_ns(const struct batch__core *core, const struct batch__batch *batch)
{
    uint64_t save_ns = core->save_mean_ns;
    uint64_t load_ns = core->config.cache_max > 0 ? 0 : core->load_mean_ns;
    uint64_t since_ns;
    switch ((enum batch__phase)batch->phase) {
    case BATCH__SAVING:
        since_ns = core->now_ns - batch->save_ns;
        return (save_ns > since_ns ? save_ns - since_ns : 0) + load_ns;
    case BATCH__CLOSED:
    case BATCH__REPLAY:
        return save_ns + load_ns;
    case BATCH__DROP:
    case BATCH__RELOAD:
        return core->load_mean_ns + save_ns + load_ns;
    case BATCH__RELOADING: /* load_ns of the batch is when that began */
        since_ns = core->now_ns - batch->load_ns;
        return (core->load_mean_ns > since_ns ? core->load_mean_ns - since_ns : 0) + save_ns +
               load_ns;
    default: /* it joins the batch, or the next one begins at once */
        return 0;
    }
}

bool batch__would_expire(const struct batch__core *core, const struct batch__batch *batch,
                         const batch_op *op)
{
    if (op->start_by_ns == 0 || core->save_mean_ns == 0)
        return false;
    batch__check(op->start_by_ns >= core->now_ns); /* else it has expired */
    uint64_t left_ns = op->start_by_ns - core->now_ns;
    return wait_ns(core, batch) > left_ns;
}
