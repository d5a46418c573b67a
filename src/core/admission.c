#include "admission.h"

#include "../base/check.h"

enum {
    WEIGHT = 8,
    GROWTH = 4 /* a time counts as the average times this, and a little, at most */
};

void batch__mean_add(uint64_t *mean_ns, uint64_t time_ns)
{
    if (*mean_ns == 0)
        *mean_ns = time_ns;
    else
        *mean_ns = *mean_ns - *mean_ns / WEIGHT + time_ns / WEIGHT;
}

static uint64_t product_or_max(uint64_t a, uint64_t b)
{
    uint64_t product;
    return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
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

/* One that took far longer than those before counts for little; if the next ones do too, they count
 * for more and more. */
static void mean_add_limited(uint64_t *mean_ns, uint64_t time_ns, uint64_t first_max_ns)
{
    uint64_t most_ns = batch__sum_or_max(product_or_max(*mean_ns, GROWTH), first_max_ns);
    batch__mean_add(mean_ns, time_ns < most_ns ? time_ns : most_ns);
}

void batch__op_took(const struct batch__core *core, struct batch__batch *batch, uint64_t time_ns)
{
    uint64_t mean_ns = batch->op_mean_ns;
    mean_add_limited(&mean_ns, time_ns < UINT32_MAX ? time_ns : UINT32_MAX,
                     core->config.op_first_max_ns);
    batch->op_mean_ns = (uint32_t)mean_ns;
}

void batch__lap_ended(struct batch__core *core)
{
    batch__check(core->lap_batch != NULL);
    uint64_t time_ns = core->now_ns - core->lap_began_ns;
    mean_add_limited(&core->lap_mean_ns, time_ns, core->config.turn_ns);
    core->lap_batch = NULL;
}

uint64_t batch__backlog_ns(const struct batch__core *core, const struct batch__batch *batch)
{
    uint64_t count = batch->waiting.count;
    uint64_t own_ns = product_or_max(batch->op_mean_ns, count);
    if (own_ns < core->config.turn_ns)
        return own_ns;
    uint64_t others_ns = product_or_max(own_ns / core->config.turn_ns, core->lap_mean_ns);
    return batch__sum_or_max(own_ns, others_ns);
}

bool batch__waits_too_long(const struct batch__core *core, const struct batch__batch *batch,
                           const batch_op *op)
{
    batch__check(batch->waiting.count > 0 || op->start_by_ns != 0);
    uint64_t wait_ns = batch__backlog_ns(core, batch);
    if (op->start_by_ns == 0)
        return wait_ns > core->config.deadline_ns;
    batch__check(op->start_by_ns >= core->now_ns); /* else it has expired */
    if (core->save_mean_ns > 0)
        wait_ns = batch__sum_or_max(wait_ns, store_ns(core, batch));
    return wait_ns > op->start_by_ns - core->now_ns;
}
