#include "shrink.h"

#include "simulation.h"

struct shrinking {
    struct model *model;
    struct schedule *schedule; /* fails */
    const char *format;        /* there */
    uint64_t schedules;
};

static bool fails(struct shrinking *s)
{
    struct tally tally = {0};
    s->schedules++;
    return !simulation_run(s->model, s->schedule, &tally) && s->model->format == s->format;
}

static bool leave_out(struct shrinking *s, uint32_t first, uint32_t size)
{
    struct schedule_item *items = s->schedule->items;
    bool was_left_out[MODEL_ITEMS];
    bool is_any = false;
    for (uint32_t i = first; i < first + size && i < s->schedule->items_size; i++) {
        was_left_out[i] = items[i].is_left_out;
        is_any = is_any || !was_left_out[i];
        items[i].is_left_out = true;
    }
    if (!is_any || fails(s))
        return is_any;
    for (uint32_t i = first; i < first + size && i < s->schedule->items_size; i++)
        items[i].is_left_out = was_left_out[i];
    return false;
}

static bool leave_out_all(struct shrinking *s)
{
    bool is_better = false;
    for (uint32_t size = MODEL_ITEMS / 2; size > 0; size /= 2) {
        for (uint32_t first = s->schedule->items_size / size * size + size; first > 0;) {
            first -= size;
            is_better = leave_out(s, first, size) || is_better;
        }
    }
    return is_better;
}

/* Try a schedule in which one thing is simpler; true if it was not already, and still fails. */
#define TRY(s, field, value)                                                                       \
    do {                                                                                           \
        __typeof__(field) before = (field);                                                        \
        if (before != (value)) {                                                                   \
            (field) = (value);                                                                     \
            if (fails(s))                                                                          \
                is_better = true;                                                                  \
            else                                                                                   \
                (field) = before;                                                                  \
        }                                                                                          \
    } while (0)

static bool simplify_world(struct shrinking *s)
{
    bool is_better = false;
    struct model_config *config = &s->schedule->config;
    struct batch__core_config *core = &config->core;
    TRY(s, config->is_shuffled, false);
    TRY(s, config->late_percent, 0);
    TRY(s, config->at_once_percent, 0);
    TRY(s, config->fault_percent, 0);
    TRY(s, config->is_calm, false);
    TRY(s, core->ops_max, UINT32_MAX);
    TRY(s, core->ops_waiting_max, UINT32_MAX);
    TRY(s, core->key_ops_waiting_max, UINT32_MAX);
    TRY(s, core->expire_max, 0);
    TRY(s, core->cache_max, 0);
    TRY(s, core->replays_max, 0);
    TRY(s, core->op_first_max_ns, MODEL_US);
    TRY(s, core->window_ns, 100 * MODEL_US);
    TRY(s, core->deadline_ns, 400 * MODEL_US);
    TRY(s, core->age_max_ns, UINT64_MAX);
    TRY(s, config->load_max_ns, 20 * MODEL_US);
    TRY(s, config->save_max_ns, 40 * MODEL_US);
    for (uint32_t i = 0; i < MODEL_NODES; i++)
        TRY(s, config->offset_ns[i], 0);
    for (uint32_t nodes = 1; nodes < config->nodes_size; nodes++)
        TRY(s, config->nodes_size, nodes);
    return is_better;
}

static bool simplify_items(struct shrinking *s)
{
    bool is_better = false;
    for (uint32_t i = 0; i < s->schedule->items_size; i++) {
        struct schedule_item *item = &s->schedule->items[i];
        if (item->is_left_out)
            continue;
        TRY(s, item->draw, 0);
        TRY(s, item->start_by_ns, 0);
        TRY(s, item->takes_ns, 0);
        TRY(s, item->is_canceled, false);
        TRY(s, item->fails_memory, 0);
        TRY(s, item->effect, CHANGES);
        TRY(s, item->after, 0);
        TRY(s, item->key, 0);
        TRY(s, item->node, 0);
        uint64_t rounded_ns = item->at_ns / (100 * MODEL_US) * (100 * MODEL_US);
        bool is_in_order = i == 0 || rounded_ns >= s->schedule->items[i - 1].at_ns;
        if (is_in_order)
            TRY(s, item->at_ns, rounded_ns);
        if (item->length_ns > 1000 * MODEL_US)
            TRY(s, item->length_ns, 1000 * MODEL_US);
    }
    return is_better;
}

/* Out of the list for good, or a time could not be rounded for one that is not there. */
static void close_up(struct schedule *schedule)
{
    uint32_t size = 0;
    for (uint32_t i = 0; i < schedule->items_size; i++) {
        if (!schedule->items[i].is_left_out)
            schedule->items[size++] = schedule->items[i];
    }
    schedule->items_size = size;
}

uint64_t shrink(struct model *model, struct schedule *schedule)
{
    struct shrinking s = {model, schedule, model->format, 0};
    bool is_better = true;
    while (is_better) {
        is_better = leave_out_all(&s);
        close_up(schedule);
        is_better = simplify_world(&s) || is_better;
        is_better = simplify_items(&s) || is_better;
    }
    return s.schedules;
}
