#include "orderings.h"

#include "oracle_outcome.h"
#include "simulation.h"
#include "transcript.h"

#include <string.h>

struct ordering {
    struct model *model;
    struct model_node *node; /* the only one */
    struct draw *draw;
    struct schedule schedule; /* without items: they are made as they happen */
    struct schedule_weights weights;
    uint32_t ops_max;
    uint32_t late_percent; /* of events after which not all actions are taken */
};

static struct ordering ordering;

/* ---- Actions -------------------------------------------------------------------------------- */

static void end_if_over(struct model *model, uint32_t at)
{
    const struct model_call *call = &model->calls[at];
    if (call->finish_ns == MODEL_NEVER && call->apply_ns == MODEL_NEVER)
        model_store_end(model, at);
}

static void finish(struct ordering *o, uint32_t at)
{
    struct model *model = o->model;
    struct model_call *call = &model->calls[at];
    if (call->finish_ns == MODEL_NEVER) { /* a save that was reported as UNKNOWN */
        uint32_t unit = call->unit;
        model_store_apply(model, call);
        for (uint32_t i = model->calls_size; i-- > 0;) {
            if (unit != 0 ? model->calls[i].unit == unit : i == at)
                end_if_over(model, i);
        }
        return;
    }
    if (draw_percent(o->draw, model->config->fault_percent))
        model_store_fault(model, call, draw_next(o->draw));
    model_node_finish_call(model, at);
}

static void take_actions(struct ordering *o, uint32_t max)
{
    struct model *model = o->model;
    uint32_t calls = model->calls_size;
    for (; max > 0 && model_node_act(model, o->node); max--) {
        batch__core_check(&o->node->core);
        bool is_new = model->calls_size > calls;
        if (is_new && draw_percent(o->draw, 10)) { /* a store that is asked on the worker */
            saw(model, EVENT_call_at_once);
            finish(o, model->calls_size - 1);
            batch__core_check(&o->node->core);
        }
        calls = model->calls_size;
    }
    if (max > 0 && batch__core_has_turns(&o->node->core))
        oracle_paused(model, o->node);
    else if (max > 0)
        oracle_idle(model, o->node);
    model->now_ns += o->node->elapsed_ns;
    o->node->elapsed_ns = 0;
}

/* ---- Events --------------------------------------------------------------------------------- */

static struct schedule_item submit_item(struct ordering *o)
{
    struct schedule_item item = {.at_ns = o->model->now_ns};
    schedule_submit(&item, o->model->config, &o->weights, o->draw);
    if (o->model->is_transcribed)
        transcribe_item(o->model, &item);
    return item;
}

static void submit(struct ordering *o)
{
    struct schedule_item item = submit_item(o);
    model_submit(o->model, &item);
    if (item.start_by_ns != 0)
        o->model->now_ns +=
            draw_below(o->draw, 10) * MODEL_US; /* it may expire before it is accepted */
    model_node_accept(o->model, o->node, o->node->inbox[0]);
    o->node->inbox_size = 0;
}

static void cancel(struct ordering *o)
{
    for (uint32_t tries = 1 + draw_below(o->draw, 3); tries > 0 && o->model->ops_size > 0; tries--)
        model_node_flag_canceled(o->model, o->node, draw_below(o->draw, o->model->ops_size));
    if (draw_percent(o->draw, 70)) /* else the event comes later, or with another cancel */
        model_node_cancel(o->model, o->node);
}

static void others_write(struct ordering *o)
{
    uint32_t key = draw_below(o->draw, o->model->config->keys_size);
    if (draw_percent(o->draw, o->weights.kinds[ITEM_DELETE]))
        model_store_delete(o->model, key);
    else
        model_store_write(o->model, key);
}

static void happen(struct ordering *o)
{
    struct model *model = o->model;
    uint32_t what = draw_below(o->draw, 100);
    uint32_t cancels = o->weights.kinds[ITEM_CANCEL] / 2;
    o->node->draw = draw_next(o->draw); /* of the clock */
    if (what < 35 && model->ops_size < o->ops_max) {
        submit(o);
    } else if (what < 35 + cancels) {
        cancel(o);
    } else if (what < 75 && draw_percent(o->draw, o->weights.kinds[ITEM_WRITE])) {
        others_write(o);
    } else if (what < 75 && model->calls_size > 0) {
        finish(o, draw_below(o->draw, model->calls_size));
    } else if (what < 85) {
        model->now_ns += draw_below(o->draw, 80) * MODEL_US + draw_below(o->draw, 2);
    } else if (what < 93) {
        model_node_expire(model, o->node);
    } else if (what < 99) {
        model_node_flush(model, o->node, draw_below(o->draw, 3));
    } else if (draw_percent(o->draw, 30)) {
        saw(model, EVENT_stop);
        model_node_stop(model, o->node);
    }
    model_step(model, 0x2000 + what);
    batch__core_check(&o->node->core);
}

static void drive_wild(struct ordering *o)
{
    for (uint32_t steps = o->ops_max * 4; steps > 0 && !draw_is_over(o->draw); steps--) {
        happen(o);
        bool is_late = draw_percent(o->draw, o->late_percent);
        uint32_t max = is_late ? draw_below(o->draw, 4) : UINT32_MAX;
        o->node->runs_left = max == 3 ? 0 : UINT32_MAX;
        take_actions(o, max == 3 ? UINT32_MAX : max);
        o->node->runs_left = UINT32_MAX;
    }
    take_actions(o, UINT32_MAX);
}

static void drive_calm(struct ordering *o)
{
    struct model *model = o->model;
    while (model->ops_size < o->ops_max && !draw_is_over(o->draw)) {
        uint64_t until_ns = model->now_ns;
        if (draw_percent(o->draw, 50))
            until_ns += draw_below(o->draw, 60) * MODEL_US;
        while (simulation_step(model, until_ns))
            ;
        model->now_ns = until_ns;
        struct schedule_item item = submit_item(o);
        model_submit(model, &item);
    }
}

static void drive(struct model *model, void *arg)
{
    struct ordering *o = arg;
    model->now_ns = 1000 * MODEL_US;
    memset(o->node->arena, 0xA5, sizeof o->node->arena); /* nothing may count on zeroes */
    if (model->config->is_calm)
        drive_calm(o);
    else
        drive_wild(o);
    o->schedule.config.is_untimed = false;
    model->nodes[0].due_ns = model->now_ns; /* a worker takes over */
    simulation_finish(model);
}

bool orderings_run(struct model *model, struct draw *draw, struct tally *tally)
{
    struct ordering *o = &ordering;
    struct model_config *config = &o->schedule.config;
    o->model = model;
    o->node = &model->nodes[0];
    o->draw = draw;
    schedule_configure(config, &o->weights, draw);
    config->nodes_size = 1;
    config->is_untimed = !config->is_calm;
    o->schedule.items_size = 0;
    o->ops_max = 1 + draw_below(draw, MODEL_OPS);
    o->late_percent = config->is_shuffled ? 40 : 0;
    return model_run(model, &o->schedule, tally, drive, o);
}
