/* script.c: a world and what happens in it, from a seed. One history in four is calm: nothing goes
 * wrong, and everybody is punctual. In the others each kind of trouble is there or not, and more or
 * less of it, so that there are histories of one trouble alone and histories of everything. */
#include "simulation.h"

#include <string.h>

struct chance {
    uint64_t state;
};

static uint64_t next(struct chance *chance)
{
    return sim_mix(chance->state += UINT64_C(0x9E3779B97F4A7C15));
}

static uint32_t below(struct chance *chance, uint32_t limit)
{
    return sim_below(next(chance) >> 32, limit);
}

static bool percent(struct chance *chance, uint32_t percents)
{
    return below(chance, 100) < percents;
}

/* ---- The world ------------------------------------------------------------------------------ */

/* Of a hundred items that are no operations. */
struct weights {
    uint32_t submit;
    uint32_t kinds[SIM_ITEM_KINDS];
    uint32_t misroute, looks, even, start_by, takes, canceled, no_memory;
};

static void configure_core(struct batch__core_config *core, struct chance *chance)
{
    static const uint64_t windows_us[] = {1, 20, 100, 200};
    bool is_natural = percent(chance, 25);
    *core = (struct batch__core_config){
        .window_ns = is_natural ? BATCH_WINDOW_NONE : windows_us[below(chance, 4)] * SIM_US,
        .deadline_ns = (200 + below(chance, 2) * 200) * SIM_US,
        .ops_max = UINT32_MAX,
        .ops_waiting_max = UINT32_MAX,
        .key_ops_waiting_max = UINT32_MAX,
        .expire_max = below(chance, 3),
        .cache_max = percent(chance, 50) ? 1 + below(chance, 3) : 0,
        .object_size = (sizeof(struct sim_batch) + 63) / 64 * 64,
    };
}

static void configure(struct sim_config *config, struct weights *weights, struct chance *chance)
{
    *config = (struct sim_config){.luck = next(chance)};
    *weights = (struct weights){.submit = 100, .looks = below(chance, 3) * 25};
    uint64_t luck = next(chance);
    config->is_calm = (luck & 3) == 0;
    config->nodes_size = 1 + (uint32_t)(luck >> 2 & 0xFFFF) % SIM_NODES;
    config->keys_size = 1 + (uint32_t)(luck >> 18 & 0xFFFF) % SIM_KEYS;
    config->first_name = (uint32_t)(luck >> 34) % SIM_KEYS;
    config->load_max_ns = below(chance, 150) * SIM_US;
    config->save_max_ns = below(chance, 150) * SIM_US;
    configure_core(&config->core, chance);
    for (uint32_t i = 0; i < SIM_NODES; i++) {
        luck = next(chance);
        config->offset_ns[i] = luck % 10 == 0 ? UINT64_MAX / 2 : luck % (1000 * SIM_S);
    }
    luck = next(chance);
    for (uint32_t i = 0; i < SIM_KEYS; i++)
        config->hash[i] = i << 16 | (uint32_t)(luck >> i * 16 & 3);
    if (config->is_calm)
        return;

    struct batch__core_config *core = &config->core;
    core->ops_max = percent(chance, 40) ? 1 + below(chance, 4) : UINT32_MAX;
    core->ops_waiting_max = percent(chance, 20) ? 1 + below(chance, 12) : UINT32_MAX;
    core->key_ops_waiting_max = percent(chance, 20) ? 1 + below(chance, 5) : UINT32_MAX;
    core->replays_max = percent(chance, 60) ? below(chance, 4) : 0;
    core->refuses_early = percent(chance, 30);
    luck = next(chance);
    config->is_jumbled = luck & 1;
    config->fault_percent = (uint32_t)(luck >> 1 & 3) * 10;
    config->at_once_percent = (luck >> 3 & 3) == 0 ? 30 : 0;
    config->late_percent = (uint32_t)(luck >> 5 & 3) * 15;
    weights->even = (uint32_t)(luck >> 7 & 3) * 10;
    weights->start_by = (uint32_t)(luck >> 9 & 3) * 15;
    weights->takes = (luck >> 11 & 3) == 0 ? 10 : 0;
    weights->canceled = (luck >> 13 & 3) == 0 ? 5 : 0;
    weights->no_memory = (luck >> 15 & 3) == 0 ? 20 : 0;
    weights->misroute = (uint32_t)(luck >> 17 & 3) * 10;
    weights->submit = 70;
    weights->kinds[SIM_CANCEL] = (uint32_t)(luck >> 19 & 3) * 10;
    weights->kinds[SIM_WRITE] = (uint32_t)(luck >> 21 & 3) * 8;
    weights->kinds[SIM_CRASH] = (luck >> 23 & 3) == 0 ? 12 : 0;
    weights->kinds[SIM_PAUSE] = (luck >> 25 & 3) == 0 ? 12 : 0;
    weights->kinds[SIM_JUMP] = (luck >> 27 & 3) == 0 ? 8 : 0;
    weights->kinds[SIM_STOP] = (luck >> 29 & 3) == 0 ? 6 : 0;
    weights->kinds[SIM_DELETE] = (luck >> 31 & 3) == 0 ? 8 : 0;
    weights->kinds[SIM_WAKE] = (luck >> 33 & 3) == 0 ? 15 : 0;
}

/* ---- The items ------------------------------------------------------------------------------ */

static void fill_submit(struct sim_item *item, const struct sim_config *config,
                        const struct weights *weights, struct chance *chance)
{
    uint64_t luck = next(chance);
    item->kind = SIM_SUBMIT;
    item->key = (uint8_t)(luck % config->keys_size);
    item->node = (uint8_t)(item->key % config->nodes_size); /* at home there */
    uint32_t verdict = sim_below(luck >> 4, 100);
    item->verdict = verdict < weights->looks                   ? SIM_LOOKS
                    : verdict < weights->looks + weights->even ? SIM_CHANGES_EVEN
                                                               : SIM_CHANGES;
    item->luck = config->is_calm && (luck & 8) != 0 ? 1 : luck | 1;
    if (config->is_calm)
        return;
    luck = next(chance);
    if (sim_below(luck, 100) < weights->misroute)
        item->node = (uint8_t)(luck >> 40 & 0xFF) % (uint8_t)config->nodes_size;
    luck = sim_mix(luck);
    if (sim_below(luck, 100) < weights->start_by)
        item->start_by_ns = (uint32_t)(1 + (luck >> 40 & 0xFF) * SIM_US);
    item->is_canceled = sim_below(luck >> 8, 100) < weights->canceled;
    luck = sim_mix(luck);
    if (sim_below(luck, 100) < weights->takes)
        item->takes_ns = (uint32_t)((luck >> 40 & 0xFF) * SIM_US);
    item->lacks_memory = sim_below(luck >> 8, 100) < weights->no_memory;
}

static void fill_other(struct sim_item *item, const struct sim_config *config,
                       const struct weights *weights, uint32_t sum, struct chance *chance)
{
    uint64_t luck = next(chance);
    uint32_t roll = sim_below(luck, sum);
    uint32_t kind = 0;
    while (roll >= weights->kinds[kind])
        roll -= weights->kinds[kind++];
    luck = sim_mix(luck);
    item->kind = (uint8_t)kind;
    item->node = (uint8_t)((luck & 0xFF) % config->nodes_size);
    item->key = (uint8_t)((luck >> 8 & 0xFF) % config->keys_size);
    item->target = (uint8_t)((luck >> 16 & 0xFF) % 4);
    item->after = (luck >> 60 & 1) != 0 ? (uint8_t)(luck >> 61) : 0;
    item->luck = luck | 1;
    bool is_long = kind == SIM_CRASH ? (luck >> 24 & 0xFF) < 12 : (luck >> 24 & 0xFF) < 64;
    item->length_ns = is_long ? 10 * SIM_S : sim_below(luck >> 32, 300) * SIM_US;
    if (kind == SIM_CRASH && is_long)
        item->length_ns = SIM_NEVER; /* it does not come back */
}

void sim_script_make(struct sim_script *script, uint64_t seed)
{
    struct chance chance = {sim_mix(seed + UINT64_C(0x632BE59BD9B4E019))};
    struct weights weights;
    configure(&script->config, &weights, &chance);
    uint32_t sum = 0;
    for (uint32_t kind = 0; kind < SIM_ITEM_KINDS; kind++)
        sum += weights.kinds[kind];
    if (sum == 0)
        weights.submit = 100;
    uint32_t ops_left = 1 + below(&chance, SIM_OPS);
    uint32_t dense = below(&chance, 4) * 25;
    uint64_t at_ns = 1000 * SIM_US;
    uint32_t i = 0;
    for (; i < SIM_ITEMS && ops_left > 0; i++) {
        struct sim_item *item = &script->items[i];
        uint64_t luck = next(&chance);
        if (sim_below(luck, 100) >= dense)
            at_ns += (luck >> 32) % (60 * SIM_US);
        *item = (struct sim_item){.at_ns = at_ns};
        if (sim_below(luck >> 16, 100) < weights.submit) {
            fill_submit(item, &script->config, &weights, &chance);
            ops_left--;
        } else {
            fill_other(item, &script->config, &weights, sum, &chance);
        }
    }
    script->items_size = i;
}
