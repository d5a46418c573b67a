#include "model_node.h"

#include "model.h"
#include "oracle_outcome.h"
#include "transcript.h"

#include <string.h>

/* ---- Memory --------------------------------------------------------------------------------- */

static void *take(size_t size, void *arg)
{
    struct model_node *node = arg;
    if (node->arena_fails > 0 && --node->arena_fails == 0) {
        node->arena_failed++;
        return NULL;
    }
    size = (size + 63) / 64 * 64;
    if (size > MODEL_ARENA - node->arena_size)
        return NULL; /* a leak: nobody gets so much */
    void *memory = &node->arena[node->arena_size];
#ifdef BATCH_DEBUG_CHECKS
    memset(memory, 0xA5, size); /* nobody may count on zeroes */
#endif
    node->arena_size += (uint32_t)size;
    node->arena_live++;
    return memory;
}

static void give(void *memory, void *arg)
{
    struct model_node *node = arg;
    if (memory != NULL)
        node->arena_live--;
}

/* ---- An incarnation ------------------------------------------------------------------------- */

void model_node_start(struct model *model, struct model_node *node)
{
    uint64_t offset_ns = node->offset_ns;
    uint64_t iterations = node->iterations;
    memset(node, 0, offsetof(struct model_node, arena));
    node->offset_ns = offset_ns;
    node->iterations = iterations;
    node->state = NODE_UP;
    node->oracle.is_clean = true;
    node->oracle.is_turn_left = true;
    node->runs_left = UINT32_MAX;
    node->due_ns = MODEL_NEVER;
    node->restart_ns = MODEL_NEVER;
    node->oracle.unit_max = model->config->core.unit_max;
    struct batch__core_config config = model->config->core;
    config.allocator = (batch_allocator){take, give, node};
    batch__core_init(&node->core, &config);
    node->core.pool.slab_bytes = 1024; /* it grows from here: small, and often */
}

static void go_down(struct model *model, struct model_node *node, uint64_t down_ns)
{
    node->state = NODE_DOWN;
    node->due_ns = MODEL_NEVER;
    node->restart_ns = down_ns == MODEL_NEVER ? MODEL_NEVER : model->now_ns + down_ns;
}

void model_node_crash(struct model *model, struct model_node *node, uint64_t down_ns)
{
    transcribe(model, node, "crash");
    saw(model, EVENT_crash);
    model_step(model, 0x200 + node_number(model, node));
    model->oracle.crashed |= node->oracle.pending;
    for (uint32_t i = 0; i < model->transactions_size; i++) {
        const struct model_transaction *transaction = &model->transactions[i];
        uint64_t legs = 0;
        for (uint32_t k = 0; k < transaction->legs_size; k++)
            legs |= op_bit(transaction->legs[k]->number);
        if (!transaction->is_complete && (legs & node->oracle.pending) != 0)
            model->oracle.crashed |= legs;
    }
    model_store_crashed(model, node);
    go_down(model, node, down_ns);
}

void model_node_end(struct model *model, struct model_node *node)
{
    batch__core_destroy(&node->core);
    must(model, node->arena_live == 0, "%u blocks of memory are left", node->arena_live);
    transcribe(model, node, "has stopped");
    bool is_for_good = (node->draw & 7) < 2;
    go_down(model, node, is_for_good ? MODEL_NEVER : (node->draw >> 8 & 0xFF) * MODEL_US);
}

/* ---- Actions -------------------------------------------------------------------------------- */

/* On its resource: what it changes, and what it sees. */
static void run_op(struct model *model, struct model_node *node, struct batch__batch *batch,
                   struct model_op *op)
{
    struct model_log *log = resource_of(batch);
    bool is_forgotten = BUG(replay_forgets) && op->has_run;
    op->is_changed = op->effect == CHANGES || (op->effect == CHANGES_EVEN && log->size % 2 == 0);
    oracle_run(model, node, batch, op);
    must(model, log->size <= MODEL_LOG - 2, "%c runs on a resource that is not there",
         letter_of(op));
    if (op->is_changed && !is_forgotten)
        log_append(log, op->number);
    if (op->is_changed && BUG(run_twice) && op->number % 4 == 1)
        log_append(log, op->number);
    op->seen_base = log->base;
    op->seen_size = log->size;
    op->seen_hash = log->hash;
    transcribe(model, node, "%s: run %c%s", key_name(op->key), letter_of(op),
               op->is_changed ? "" : ", unchanged");
}

static void run(struct model *model, struct model_node *node, const struct batch__action *action)
{
    struct model_op *op = op_of(action->op);
    run_op(model, node, action->batch, op);
    node->elapsed_ns += op->takes_ns;
    node->runs_left -= node->runs_left != UINT32_MAX;
    uint32_t turn_key = key_number(action->batch);
    uint64_t before_ns = node->core.now_ns;
    batch__core_ran(&node->core, op->is_changed ? BATCH_CHANGED : BATCH_UNCHANGED,
                    op->takes_ns == 0 ? 0 : model_node_now(model, node));
    oracle_ran(node, turn_key, before_ns);
}

static void run_transaction(struct model *model, struct model_node *node,
                            const struct batch__action *action)
{
    struct model_op *op = op_of(action->op);
    struct model_transaction *transaction = op->transaction;
    oracle_transaction_runs(model, node, transaction);
    for (uint32_t i = 0; i < transaction->size; i++) {
        batch_part *part = &transaction->parts[i];
        run_op(model, node, part->private_batch, transaction->legs[i]);
        part->changed = transaction->legs[i]->is_changed;
    }
    node->elapsed_ns += op->takes_ns;
    node->runs_left -= node->runs_left != UINT32_MAX;
    uint32_t turn_key = key_number(action->batch);
    uint64_t before_ns = node->core.now_ns;
    batch__core_ran_transaction(&node->core, op->takes_ns == 0 ? 0 : model_node_now(model, node));
    oracle_ran(node, turn_key, before_ns);
}

/* What is its owner's again may be anything. */
static void spoil_completed(struct model *model)
{
    for (uint32_t i = 0; i < model->transactions_size; i++) {
        struct model_transaction *transaction = &model->transactions[i];
        if (!transaction->is_complete || transaction->size == 0)
            continue;
        memset(&transaction->transaction, 0xDD, sizeof transaction->transaction);
        memset(transaction->parts, 0xDD, sizeof transaction->parts);
        transaction->size = 0;
    }
}

static void done(struct model *model, struct model_node *node, const struct batch__action *action)
{
    batch_op *op = action->op;
    if (action->batch == NULL ? BUG(completion_lost) : BUG(batch_completion_lost))
        return;
    oracle_completed(model, node, action);
    if (BUG(completed_twice) || (BUG(leg_completed_twice) && batch__op_is_leg(op)))
        oracle_completed(model, node, action);
    for (batch_op *next; op != NULL; op = next) { /* theirs again */
        next = op->private_next;
        if (!batch__op_is_leg(op))
            memset(&op->private_next, 0xDD, sizeof op->private_next);
    }
    spoil_completed(model);
}

static void call_store(struct model *model, struct model_node *node, struct batch__batch *batch,
                       bool is_save)
{
    if (model_store_call(model, node, batch, is_save))
        model_node_finish_call(model, model->calls_size - 1);
}

static void save(struct model *model, struct model_node *node, struct batch__batch *batch)
{
    oracle_save(model, node, batch);
    uint32_t first = model->calls_size;
    bool is_unit = batch__unit_next(batch) != batch;
    struct batch__batch *each = batch;
    do {
        transcribe(model, node, "%s: %s of version %u: %s", key_name(key_number(each)),
                   each->changed > 0 ? "save" : "check", resource_of(each)->version,
                   log_text(resource_of(each)));
        if (is_unit)
            model_store_call(model, node, each, true);
        else
            call_store(model, node, each, true);
        each = batch__unit_next(each);
    } while (each != batch && is_unit);
    if (is_unit && model->calls_size > first)
        model_store_unit(model, first);
}

static void perform(struct model *model, struct model_node *node,
                    const struct batch__action *action)
{
    struct batch__batch *batch = action->batch;
    uint32_t number = action->op != NULL ? op_of(action->op)->number : 0;
    uint32_t key = batch != NULL ? key_number(batch) : MODEL_KEYS;
    model_step(model, 0x400 + (uint64_t)action->kind * 0x40 + node_number(model, node) * 0x10 +
                          key + ((uint64_t)number << 12) + (action->count << 18));
    switch (action->kind) {
    case BATCH__LOAD:
        oracle_load(model, node, batch);
        transcribe(model, node, "%s: load", key_name(key));
        call_store(model, node, batch, false);
        break;
    case BATCH__RUN:
        run(model, node, action);
        break;
    case BATCH__RUN_TRANSACTION:
        run_transaction(model, node, action);
        break;
    case BATCH__SAVE:
        save(model, node, batch);
        break;
    case BATCH__DONE:
        done(model, node, action);
        break;
    case BATCH__METRIC:
        oracle_recorded(model, node, batch);
        break;
    case BATCH__FREE_RESOURCE:
        oracle_released(model, node, batch);
        transcribe(model, node, "%s: release", key_name(key));
        if (!BUG(old_resource_loaded))
            resource_of(batch)->size = LOG_FREED;
        break;
    }
}

bool model_node_act(struct model *model, struct model_node *node)
{
    struct batch__action action;
    bool may_run = node->runs_left > 0;
    bool is_action = (may_run ? batch__core_next : batch__core_next_but_run)(&node->core, &action);
    oracle_look_at_turn(node);
    if (!is_action) {
        node->oracle.is_clean = !batch__core_has_turns(&node->core);
        return false;
    }
    perform(model, node, &action);
    return true;
}

/* ---- Events --------------------------------------------------------------------------------- */

/* Clocks of several threads may differ a little: time may seem to go back by that much. */
static uint64_t event_ns(const struct model *model, struct model_node *node)
{
    uint64_t now_ns = model_node_now(model, node);
    bool is_back =
        (node->draw & 0xF0) == 0 && node->core.now_ns == now_ns && !model->config->is_calm;
    return is_back ? now_ns - 2 : now_ns;
}

void model_node_accept(struct model *model, struct model_node *node, uint32_t number)
{
    struct model_op *op = &model->ops[number];
    uint64_t now_ns = event_ns(model, node);
    oracle_accepted(model, node, op, now_ns);
    node->arena_fails = op->fails_memory;
    node->arena_failed = 0;
    if (op->transaction != NULL)
        batch__core_submit_transaction(&node->core, &op->transaction->transaction, now_ns);
    else
        batch__core_submit(&node->core, &op->op, now_ns);
    node->arena_fails = 0;
    op->may_lack_memory = node->arena_failed > 0;
    for (uint32_t i = 0; op->transaction != NULL && i < op->transaction->size; i++)
        op->transaction->legs[i]->may_lack_memory = op->may_lack_memory;
    if (op->may_lack_memory)
        saw(model, EVENT_allocation_failed);
    node->oracle.is_clean = false;
}

static void flag_canceled(struct model_node *node, struct model_op *op)
{
    op->is_canceled = true;
    node->oracle.impatient |= op_bit(op->number);
}

void model_node_flag_canceled(struct model *model, struct model_node *node, uint32_t number)
{
    struct model_op *op = &model->ops[number];
    if ((node->oracle.pending & op_bit(number)) == 0 || node->state == NODE_DOWN)
        return;
    saw(model, EVENT_cancel);
    if (op->transaction == NULL) {
        flag_canceled(node, op);
        op->op.private_canceled = !BUG(cancel_flag_late);
    } else {
        for (uint32_t i = 0; i < op->transaction->size; i++)
            flag_canceled(node, op->transaction->legs[i]);
        op->transaction->transaction.private_canceled = !BUG(cancel_flag_late);
    }
    node->is_cancel_wanted = true;
    if (node->due_ns > model->now_ns)
        node->due_ns = model->now_ns;
}

void model_node_cancel(struct model *model, struct model_node *node)
{
    node->is_cancel_wanted = false;
    batch__core_cancel(&node->core, event_ns(model, node));
    oracle_look_at_turn(node);
    node->oracle.is_clean = false;
}

static void finish_save(struct model *model, struct model_node *node, const struct model_call *call,
                        uint64_t now_ns)
{
    int status = call->status;
    resource_of(call->batch)->version = call->log.version;
    if (status == BATCH_CONFLICT && call->plan == PLAN_APPLY)
        saw(model, EVENT_conflict_reported);
    oracle_saved(model, node, call->key, status, now_ns);
    if ((BUG(save_unknown_reported_as_failed) && status == BATCH_UNKNOWN) ||
        (BUG(save_conflict_reported_as_failed) && status == BATCH_CONFLICT))
        status = BATCH_SAVE_FAILED;
    batch__core_saved(&node->core, call->batch, status, now_ns);
    if (BUG(saved_twice))
        batch__core_saved(&node->core, call->batch, status, now_ns);
}

static void learn(struct model *model, struct model_node *node, const struct model_call *call)
{
    struct model_log *resource = resource_of(call->batch);
    transcribe(model, node, "%s: %s %s", key_name(call->key),
               call->is_save ? "the save ends" : "the load ends", status_name(call->status));
    uint64_t now_ns = event_ns(model, node);
    if (call->is_save) {
        finish_save(model, node, call, now_ns);
    } else {
        bool is_stale =
            BUG(old_resource_loaded) && resource->size <= MODEL_LOG / 2 && resource->hash != 0;
        if (call->status == BATCH_OK && !is_stale)
            *resource = call->log;
        uint64_t finished_ns =
            model->config->is_untimed ? now_ns : call->finish_ns + node->offset_ns;
        oracle_loaded(model, node, call->key, call->status, finished_ns, now_ns);
        batch__core_loaded(&node->core, call->batch, call->status, finished_ns, now_ns);
    }
    node->oracle.is_clean = false;
}

bool model_node_finish_call(struct model *model, uint32_t at)
{
    struct model_call finished;
    bool is_over = model_store_finish(model, at, &finished);
    learn(model, &model->nodes[finished.node], &finished);
    return is_over;
}

void model_node_expire(struct model *model, struct model_node *node)
{
    if (BUG(wake_lost))
        return;
    uint64_t now_ns = event_ns(model, node);
    oracle_expired(model, node, now_ns > node->core.now_ns ? now_ns : node->core.now_ns);
    batch__core_expire(&node->core, now_ns);
    oracle_look_at_turn(node);
    node->oracle.is_clean = false;
}

void model_node_flush(struct model *model, struct model_node *node, uint64_t calls_max)
{
    uint64_t now_ns = event_ns(model, node);
    oracle_flushed(node, calls_max);
    oracle_may_close(model, node, now_ns > node->core.now_ns ? now_ns : node->core.now_ns);
    batch__core_flush(&node->core, calls_max, now_ns);
    node->oracle.is_clean = false;
}

void model_node_stop(struct model *model, struct model_node *node)
{
    if (node->state == NODE_UP && node->oracle.taken != 0)
        saw(model, EVENT_stop_with_work);
    node->is_stop_wanted = false;
    node->state = NODE_STOPPING;
    transcribe(model, node, "stop");
    oracle_may_close(model, node, model_node_now(model, node));
    batch__core_stop(&node->core, model_node_now(model, node));
    node->oracle.is_clean = false;
}
