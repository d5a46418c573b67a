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

static uint64_t rest_of(uint64_t all_ns, uint64_t since_ns)
{
    return all_ns > since_ns ? all_ns - since_ns : 0;
}

/* How long until the next batch of this key can run operations, at the least. */
static uint64_t store_ns(const struct batch__core *core, const struct batch__batch *batch)
{
    uint64_t save_ns = core->save_mean_ns;
    uint64_t load_ns = core->config.cache_max > 0 ? 0 : core->load_mean_ns;
    uint64_t reload_ns = core->load_mean_ns; /* of a replay */
    if (batch->phase == BATCH__SAVING)
        return rest_of(save_ns, core->now_ns - batch->save_ns) + load_ns;
    if (batch->replaying == 0) /* it joins the batch, or the next one begins at once */
        return 0;
    if (batch->phase == BATCH__OPEN)
        reload_ns = 0;
    else if (batch->phase == BATCH__LOADING)
        reload_ns = rest_of(reload_ns, core->now_ns - batch->load_ns);
    return reload_ns + save_ns + load_ns;
}

/* How long the operations before it on this key take. One that took long refuses nobody. */
static uint64_t backlog_ns(const struct batch__core *core, const struct batch__batch *batch)
{
    uint64_t mean_ns = core->op_mean_ns;
    uint64_t op_ns = core->op_last_ns < mean_ns ? core->op_last_ns : mean_ns;
    uint64_t count = batch->waiting.count;
    uint64_t all_ns;
    return __builtin_mul_overflow(op_ns, count, &all_ns) ? UINT64_MAX : all_ns;
}

void batch__op_took(struct batch__core *core, uint64_t time_ns)
{
    batch__mean_add(&core->op_mean_ns, time_ns);
    core->op_last_ns = time_ns;
}

bool batch__would_expire(const struct batch__core *core, const struct batch__batch *batch,
                         const batch_op *op)
{
    if (op->start_by_ns == 0)
        return false;
    batch__check(op->start_by_ns >= core->now_ns); /* else it has expired */
    uint64_t wait_ns = core->save_mean_ns > 0 ? store_ns(core, batch) : 0;
    wait_ns = batch__sum_or_max(wait_ns, backlog_ns(core, batch));
    return wait_ns > op->start_by_ns - core->now_ns;
}
