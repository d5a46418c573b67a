#include "worker.h"

#include "model.h"
#include "oracle_outcome.h"
#include "transcript.h"

#include <string.h>

static bool is_natural(const struct model_node *node)
{
    return node->core.config.window_ns == BATCH_WINDOW_NONE;
}

void worker_update(const struct model *model, struct model_node *node)
{
    uint64_t due_ns = batch__core_deadline_ns(&node->core);
    uint64_t now_ns = model_node_now(model, node);
    if (due_ns != UINT64_MAX)
        due_ns = due_ns > now_ns ? due_ns - node->offset_ns : model->now_ns + node->elapsed_ns;
    if (BUG(wake_lost))
        due_ns = MODEL_NEVER;
    if (node->inbox_size > 0 || node->is_stop_wanted || node->is_cancel_wanted ||
        batch__core_has_turns(&node->core))
        due_ns = model->now_ns;
    else if (is_natural(node) && node->core.due.first != NULL &&
             due_ns > model->now_ns + 5 * MODEL_US)
        due_ns = model->now_ns + 5 * MODEL_US; /* the store will be free then */
    node->due_ns = due_ns;
}

/* What comes between two actions. A real worker looks at its signals only when there are no more
 * actions; to the core it must not matter. */
static void interrupt(struct model *model, struct model_node *node)
{
    if (node->cancel_after != 0 && --node->cancel_after == 0) {
        transcribe(model, node, "cancel %c between two actions", op_letter(node->cancel_op));
        saw(model, EVENT_cancel_between);
        model_node_flag_canceled(model, node, node->cancel_op);
        if (model->config->is_shuffled)
            model_node_cancel(model, node);
    }
    if (node->stop_after != 0 && --node->stop_after == 0) {
        saw(model, EVENT_stop_between);
        model_node_stop(model, node);
    }
}

static void take_actions(struct model *model, struct model_node *node, uint32_t max)
{
    for (; max > 0 && model_node_act(model, node); max--)
        interrupt(model, node);
#ifdef BATCH_DEBUG_CHECKS
    batch__core_check(&node->core);
#endif
}

/* After an event: all actions or, in a shuffled schedule, as it comes. */
static void after_event(struct model *model, struct model_node *node)
{
    model_step(model, 0x800);
    interrupt(model, node);
    if (!model->config->is_shuffled) {
        take_actions(model, node, UINT32_MAX);
        return;
    }
    uint32_t how = (uint32_t)(node->draw & 7);
    node->draw = node->draw >> 3 | node->draw << 61;
    take_actions(model, node, how < 4 ? how : UINT32_MAX);
}

/* ---- The parts of an iteration -------------------------------------------------------------- */

static void take_finished(struct model *model, struct model_node *node)
{
    uint32_t number = node_number(model, node);
    for (uint32_t i = 0; i < model->calls_size; i++) {
        struct model_call *call = &model->calls[i];
        if (call->node != number || call->finish_ns > model->now_ns)
            continue;
        if (model_node_finish_call(model, i))
            i--;
        after_event(model, node);
    }
}

/* A busy worker takes only some. While operations wait for their turn, more go to their keys before
 * any of them runs. */
static void take_inbox(struct model *model, struct model_node *node)
{
    uint32_t runs_left = node->runs_left;
    uint32_t count = node->inbox_size;
    if (model->config->is_busy && count > 1 + (node->draw >> 52 & 3))
        count = 1 + (node->draw >> 52 & 3);
    if (batch__core_has_turns(&node->core))
        node->runs_left = 0;
    for (uint32_t i = 0; i < count; i++) {
        model_node_accept(model, node, node->inbox[i]);
        after_event(model, node);
    }
    node->runs_left = runs_left;
    node->inbox_size -= count;
    memmove(node->inbox, node->inbox + count, node->inbox_size);
}

static void take_signals(struct model *model, struct model_node *node)
{
    if (node->is_stop_wanted) {
        model_node_stop(model, node);
        after_event(model, node);
    }
    if (node->is_cancel_wanted) {
        model_node_cancel(model, node);
        after_event(model, node);
    }
}

static void end_what_is_due(struct model *model, struct model_node *node)
{
    const struct batch__core *core = &node->core;
    uint64_t due_ns = node->inbox_size > 0 ? batch__core_backlog_deadline_ns(core)
                                           : batch__core_deadline_ns(core);
    if (due_ns <= model_node_now(model, node) && !BUG(wake_lost)) {
        model_node_expire(model, node);
        after_event(model, node);
    }
    if (is_natural(node) && node->core.due.first != NULL) {
        model_node_flush(model, node, model->config->is_calm ? UINT64_MAX : node->draw >> 16 & 3);
        after_event(model, node);
    }
}

void worker_iterate(struct model *model, struct model_node *node)
{
    typedef void part(struct model * model, struct model_node * node);
    static part *const parts[] = {take_finished, take_inbox, take_signals, end_what_is_due};
    const struct model_config *config = model->config;
    node->elapsed_ns = 0;
    node->draw = random_mix(config->draw + ++node->iterations + node_number(model, node) * 1000);
    uint32_t first = config->is_shuffled ? (uint32_t)(node->draw >> 32 & 3) : 0;
    uint64_t now_ns = model_node_now(model, node);
    node->runs_left = config->is_busy ? 1 + (uint32_t)(node->draw >> 56 & 3) : UINT32_MAX;
    for (uint32_t i = 0; i < 4; i++)
        parts[(first + i) % 4](model, node);
    take_actions(model, node, UINT32_MAX);
    if (batch__core_has_turns(&node->core))
        oracle_paused(model, node);
    else
        oracle_idle(model, node);
    oracle_iterated(model, node, now_ns);
    node->awake_ns = model->now_ns + node->elapsed_ns;
    if (draw_scale(node->draw >> 8, 100) < config->late_percent) {
        node->awake_ns += (node->draw >> 40 & 0x3F) * MODEL_US;
        saw(model, EVENT_late_worker);
    }
    if (node->state == NODE_STOPPING && node->inbox_size == 0 && batch__core_is_idle(&node->core))
        model_node_end(model, node);
    else
        worker_update(model, node);
}
