#include "schedule.h"

#include "model_store.h"

/* One of the first few multiples of `step`, zero among them. */
static uint32_t multiple(struct draw *draw, uint32_t count, uint32_t step)
{
    return draw_below(draw, count) * step;
}

/* One time in four. */
static uint32_t rarely(struct draw *draw, uint32_t weight)
{
    return draw_below(draw, 4) == 0 ? weight : 0;
}

static uint64_t up_to(struct draw *draw, uint32_t percents, uint32_t max)
{
    return draw_percent(draw, percents) ? 1 + draw_below(draw, max) : UINT32_MAX;
}

/* What may be so in a calm schedule too. `aside` decides what a fuzzer need not. */
static void configure_calm(struct model_config *config, struct draw *draw, struct draw *aside)
{
    static const uint64_t windows_us[] = {1, 20, 100, 200};
    uint64_t window_us = windows_us[draw_below(draw, 4)];
    config->core = (struct batch__core_config){
        .window_ns = draw_percent(draw, 25) ? BATCH_WINDOW_NONE : window_us * MODEL_US,
        .deadline_ns = (200 + multiple(draw, 2, 200)) * MODEL_US,
        .age_max_ns = UINT64_MAX,
        .ops_max = UINT32_MAX,
        .ops_waiting_max = UINT32_MAX,
        .key_ops_waiting_max = UINT32_MAX,
        .expire_max = draw_below(draw, 3),
        .turn_ops_max = 1024,
        .turn_ns = 100 * MODEL_US,
        .op_first_max_ns = MODEL_US,
        .unit_max = 1000,
        .cache_max = draw_percent(draw, 50) ? 1 + draw_below(draw, 3) : 0,
        .object_size = (sizeof(struct model_batch) + 63) / 64 * 64,
    };
    config->nodes_size = 1 + draw_below(aside, MODEL_NODES);
    config->keys_size = 1 + draw_below(draw, MODEL_KEYS);
    config->load_max_ns = multiple(draw, 150, MODEL_US);
    config->save_max_ns = multiple(draw, 150, MODEL_US);
    for (uint32_t i = 0; i < MODEL_NODES; i++)
        config->offset_ns[i] =
            draw_percent(aside, 10) ? UINT64_MAX / 2 : draw_below(aside, 1000) * MODEL_S;
    for (uint32_t i = 0; i < MODEL_KEYS; i++)
        config->hash[i] = draw_below(aside, 4); /* many have the same */
}

void schedule_configure(struct model_config *config, struct schedule_weights *weights,
                        struct draw *draw)
{
    *config = (struct model_config){.is_calm = draw_percent(draw, 25), .draw = draw_next(draw)};
    *weights = (struct schedule_weights){.submit = 100, .unchanged = multiple(draw, 3, 25)};
    struct draw aside = draw_from(config->draw);
    configure_calm(config, draw, &aside);
    weights->transaction = draw_percent(draw, 50) ? multiple(draw, 4, 30) : 0;
    config->has_transactions = weights->transaction > 0;
    if (config->has_transactions && config->is_calm) /* keys of several homes would conflict */
        config->nodes_size = 1;
    if (config->is_calm)
        return;

    struct batch__core_config *core = &config->core;
    core->unit_max = draw_percent(&aside, 30) ? 1 + draw_below(&aside, MODEL_KEYS) : 1000;
    core->ops_max = up_to(draw, 40, 4);
    core->ops_waiting_max = up_to(draw, 20, 12);
    core->key_ops_waiting_max = up_to(draw, 20, 5);
    core->replays_max = draw_percent(draw, 60) ? draw_below(draw, 4) : 0;
    core->op_first_max_ns = draw_percent(draw, 50) ? MODEL_S : MODEL_US;
    core->age_max_ns = draw_percent(draw, 60) ? multiple(draw, 5, 60 * MODEL_US) : UINT64_MAX;
    config->is_shuffled = draw_percent(draw, 50);
    config->fault_percent = multiple(draw, 4, 10);
    config->at_once_percent = rarely(draw, 30);
    config->late_percent = multiple(&aside, 4, 15);
    weights->even = multiple(draw, 4, 10);
    weights->start_by = multiple(draw, 4, 15);
    weights->takes = rarely(draw, 10);
    weights->canceled = rarely(draw, 5);
    weights->no_memory = rarely(draw, 20);
    weights->misroute = multiple(&aside, 4, 10);
    weights->submit = 70;
    weights->kinds[ITEM_CANCEL] = multiple(draw, 4, 10);
    weights->kinds[ITEM_WRITE] = multiple(draw, 4, 8);
    weights->kinds[ITEM_CRASH] = rarely(&aside, 12);
    weights->kinds[ITEM_PAUSE] = rarely(&aside, 12);
    weights->kinds[ITEM_JUMP] = rarely(&aside, 8);
    weights->kinds[ITEM_STOP] = rarely(&aside, 6);
    weights->kinds[ITEM_DELETE] = rarely(draw, 8);
    weights->kinds[ITEM_WAKE] = rarely(&aside, 15);
    config->is_busy = draw_percent(&aside, 50);
    core->turn_ops_max = 1 + multiple(&aside, 4, 1);
    core->turn_ns = 1 + multiple(&aside, 4, 30 * MODEL_US);
    core->late_max_ns = multiple(&aside, 4, 50 * MODEL_US);
}

/* ---- The items ------------------------------------------------------------------------------ */

void schedule_submit(struct schedule_item *item, const struct model_config *config,
                     const struct schedule_weights *weights, struct draw *draw)
{
    item->kind = ITEM_SUBMIT;
    item->key = (uint8_t)draw_below(draw, config->keys_size);
    item->node = (uint8_t)(item->key % config->nodes_size); /* at home there */
    uint32_t effect = draw_below(draw, 100);
    item->effect = effect < weights->unchanged                   ? CHANGES_NOTHING
                   : effect < weights->unchanged + weights->even ? CHANGES_EVEN
                                                                 : CHANGES;
    item->draw = draw_next(draw) | 1;
    item->is_transaction = draw_percent(draw, weights->transaction);
    if (item->is_transaction)
        item->keys = (uint8_t)draw_below(draw, 1U << MODEL_KEYS);
    if (config->is_calm)
        return;
    if (draw_percent(draw, weights->misroute))
        item->node = (uint8_t)draw_below(draw, config->nodes_size);
    if (draw_percent(draw, weights->start_by))
        item->start_by_ns = (uint32_t)(1 + multiple(draw, 256, MODEL_US));
    item->is_canceled = draw_percent(draw, weights->canceled);
    if (draw_percent(draw, weights->takes))
        item->takes_ns = multiple(draw, 256, MODEL_US);
    if (draw_percent(draw, weights->no_memory))
        item->fails_memory = (uint8_t)(1 + draw_below(draw, 2));
}

static void fill_other(struct schedule_item *item, const struct model_config *config,
                       const struct schedule_weights *weights, uint32_t sum, struct draw *draw)
{
    uint32_t roll = draw_below(draw, sum);
    while (roll >= weights->kinds[item->kind])
        roll -= weights->kinds[item->kind++];
    item->node = (uint8_t)draw_below(draw, config->nodes_size);
    item->key = (uint8_t)draw_below(draw, config->keys_size);
    item->target = (uint8_t)draw_below(draw, 4);
    item->after = draw_percent(draw, 50) ? (uint8_t)draw_below(draw, 8) : 0;
    item->length_ns = multiple(draw, 300, MODEL_US);
    if (item->kind == ITEM_CRASH && draw_percent(draw, 5))
        item->length_ns = MODEL_NEVER; /* it does not come back */
    else if (item->kind != ITEM_CRASH && draw_percent(draw, 25))
        item->length_ns = 10 * MODEL_S;
}

void schedule_make(struct schedule *schedule, uint64_t seed)
{
    struct draw draw = draw_from(seed);
    struct schedule_weights weights;
    schedule_configure(&schedule->config, &weights, &draw);
    uint32_t sum = 0;
    for (uint32_t kind = 0; kind < ITEM_KINDS; kind++)
        sum += weights.kinds[kind];
    if (sum == 0)
        weights.submit = 100;
    uint32_t ops_left = 1 + draw_below(&draw, MODEL_OPS);
    uint32_t dense = multiple(&draw, 4, 25);
    uint64_t at_ns = 1000 * MODEL_US;
    uint32_t i = 0;
    for (; i < MODEL_ITEMS && ops_left > 0; i++) {
        struct schedule_item *item = &schedule->items[i];
        if (!draw_percent(&draw, dense))
            at_ns += draw_below(&draw, 60 * MODEL_US);
        *item = (struct schedule_item){.at_ns = at_ns};
        if (draw_percent(&draw, weights.submit)) {
            schedule_submit(item, &schedule->config, &weights, &draw);
            uint32_t size = (uint32_t)__builtin_popcount(item->keys | 1U << item->key);
            ops_left -= ops_left < size ? ops_left : size;
        } else {
            fill_other(item, &schedule->config, &weights, sum, &draw);
        }
    }
    schedule->items_size = i;
}
