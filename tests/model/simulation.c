#include "simulation.h"

#include "oracle_outcome.h"
#include "transcript.h"
#include "worker.h"

enum { STEPS_MAX = 20000 };

/* ---- Items ---------------------------------------------------------------------------------- */

static void cancel(struct model *model, const struct schedule_item *item)
{
    if (item->target >= model->ops_size)
        return;
    uint32_t number = model->ops_size - 1U - item->target;
    struct model_node *node = &model->nodes[model->ops[number].node];
    if (item->after == 0) {
        model_node_flag_canceled(model, node, number);
        return;
    }
    node->cancel_op = (uint8_t)number;
    node->cancel_after = item->after;
}

static void happen_to_node(struct model *model, struct model_node *node,
                           const struct schedule_item *item)
{
    if (node->state == NODE_DOWN)
        return;
    switch ((enum schedule_kind)item->kind) {
    case ITEM_CRASH:
        model_node_crash(model, node, item->length_ns);
        return;
    case ITEM_PAUSE:
        if (node->awake_ns < model->now_ns + item->length_ns)
            node->awake_ns = model->now_ns + item->length_ns;
        saw(model, EVENT_pause);
        return;
    case ITEM_JUMP:
        node->offset_ns += item->length_ns;
        saw(model, EVENT_clock_jump);
        node->elapsed_ns = 0;
        worker_update(model, node);
        return;
    case ITEM_STOP:
        saw(model, EVENT_stop);
        node->stop_after = item->after;
        if (item->after != 0)
            return;
        node->is_stop_wanted = true;
        break;
    default:
        node->is_cancel_wanted = true; /* for nothing */
        break;
    }
    if (node->due_ns > model->now_ns)
        node->due_ns = model->now_ns;
}

static void happen(struct model *model, const struct schedule_item *item)
{
    if (model->is_transcribed)
        transcribe_item(model, item);
    model_step(model, 0x1000 + item->kind);
    switch ((enum schedule_kind)item->kind) {
    case ITEM_SUBMIT:
        model_submit(model, item);
        break;
    case ITEM_CANCEL:
        cancel(model, item);
        break;
    case ITEM_WRITE:
        model_store_write(model, item->key);
        break;
    case ITEM_DELETE:
        model_store_delete(model, item->key);
        break;
    default:
        happen_to_node(model, &model->nodes[item->node], item);
        break;
    }
}

/* ---- What is next --------------------------------------------------------------------------- */

/* When this node has an iteration, or starts again, if its calls and signals are due then. */
static inline uint64_t node_due_ns(const struct model *model, const struct model_node *node,
                                   uint64_t due_ns)
{
    if (node->state == NODE_DOWN)
        return model->item < model->schedule->items_size ? node->restart_ns : MODEL_NEVER;
    return due_ns != MODEL_NEVER && due_ns < node->awake_ns ? node->awake_ns : due_ns;
}

static void iterate(struct model *model, struct model_node *node)
{
    if (node->state != NODE_DOWN) {
        worker_iterate(model, node);
        return;
    }
    model_node_start(model, node);
    saw(model, EVENT_restart);
    transcribe(model, node, "start");
}

bool simulation_step(struct model *model, uint64_t until_ns)
{
    const struct schedule *schedule = model->schedule;
    while (model->item < schedule->items_size && schedule->items[model->item].is_left_out)
        model->item++;
    const struct schedule_item *item = &schedule->items[model->item];
    uint64_t first_ns = model->item < schedule->items_size ? item->at_ns : MODEL_NEVER;
    struct model_call *call = NULL;
    struct model_node *node = NULL;
    uint64_t due_ns[MODEL_NODES];
    for (uint32_t i = 0; i < model->config->nodes_size; i++)
        due_ns[i] = model->nodes[i].due_ns;
    for (uint32_t i = 0; i < model->calls_size; i++) {
        struct model_call *one = &model->calls[i];
        if (one->apply_ns < first_ns) {
            first_ns = one->apply_ns;
            call = one;
        }
        if (one->finish_ns < due_ns[one->node])
            due_ns[one->node] = one->finish_ns;
    }
    for (uint32_t i = 0; i < model->config->nodes_size; i++) {
        uint64_t one_ns = node_due_ns(model, &model->nodes[i], due_ns[i]);
        if (one_ns < first_ns) {
            first_ns = one_ns;
            node = &model->nodes[i];
        }
    }
    if (first_ns == MODEL_NEVER || first_ns > until_ns)
        return false;
    must(model, model->steps < STEPS_MAX, "it never comes to rest");
    if (first_ns > model->now_ns)
        model->now_ns = first_ns;
    if (node != NULL) {
        iterate(model, node);
    } else if (call != NULL) {
        uint32_t unit = call->unit;
        model_store_apply(model, call);
        for (uint32_t i = model->calls_size; i-- > 0;) {
            const struct model_call *one = &model->calls[i];
            bool is_meant = unit != 0 ? one->unit == unit : one == call;
            if (is_meant && one->finish_ns == MODEL_NEVER && one->apply_ns == MODEL_NEVER)
                model_store_end(model, i);
        }
    } else {
        model->item++;
        happen(model, item);
    }
    return true;
}

void simulation_finish(struct model *model)
{
    while (simulation_step(model, MODEL_NEVER))
        ;
    oracle_rest(model);
    for (uint32_t i = 0; i < model->config->nodes_size; i++) {
        struct model_node *node = &model->nodes[i];
        if (node->state == NODE_DOWN)
            continue;
        node->is_stop_wanted = true;
        node->due_ns = model->now_ns;
    }
    while (simulation_step(model, MODEL_NEVER))
        ;
    oracle_end(model);
}

static void drive(struct model *model, void *arg)
{
    (void)arg;
    simulation_finish(model);
}

bool simulation_run(struct model *model, const struct schedule *schedule, struct tally *tally)
{
    return model_run(model, schedule, tally, drive, NULL);
}
