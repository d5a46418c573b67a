/* oracle_idle.c: the part of oracle_outcome.h about rest: what must not wait, and what has come of
 * everything at the end. */
#include "oracle_outcome.h"

#include "model.h"
#include "transcript.h"

/* ---- No action is left ---------------------------------------------------------------------- */

/* What is canceled or late is completed as soon as sweeps may come: a microsecond later for each
 * that waits. So the core must ask to be woken for it. */
static void must_be_woken(struct model *model, const struct model_node *node, uint64_t waiting)
{
    uint64_t now_ns = model_node_now(model, node);
    uint64_t due_ns = MODEL_NEVER;
    for (uint64_t left = waiting & node->oracle.impatient; left != 0; left &= left - 1) {
        const struct model_op *op = &model->ops[__builtin_ctzll(left)];
        if (may_leave(op) && !node->is_cancel_wanted)
            due_ns = now_ns;
        else if (op->op.start_by_ns != 0 && op->op.start_by_ns + 1 < due_ns)
            due_ns = op->op.start_by_ns + 1;
    }
    if (due_ns == MODEL_NEVER)
        return;
    due_ns = due_ns > now_ns ? due_ns : now_ns;
    must(model, batch__core_deadline_ns(&node->core) <= due_ns + MODEL_OPS * MODEL_US,
         "what is canceled or late is not completed in time");
}

/* For certain. */
static bool is_window_open(const struct oracle_key *key)
{
    return key->stage == STAGE_OPEN && key->ran_size > 0 && !key->is_window_over &&
           !key->is_window_unsure;
}

/* However much is in the inbox, the core asks for the end of a window that is late. */
static void windows_must_end(struct model *model, const struct model_node *node)
{
    const struct batch__core_config *config = &node->core.config;
    if (config->window_ns == BATCH_WINDOW_NONE || config->expire_max > 0 ||
        model->config->has_transactions) /* others of a unit may end it */
        return;
    for (uint32_t i = 0; i < model->config->keys_size; i++) {
        const struct oracle_key *key = &node->oracle.keys[i];
        if (!is_window_open(key))
            continue;
        uint64_t ends_ns = batch__sum_or_max(key->begun_ns, config->window_ns);
        must(model,
             batch__core_backlog_deadline_ns(&node->core) <=
                 batch__sum_or_max(ends_ns, config->late_max_ns),
             "the window of %s would not end in a backlog", key_name(i));
    }
}

/* Who runs next, or runs again; NULL: nobody waits. */
static const struct model_op *next_of_key(const struct model *model, const struct oracle_key *key)
{
    for (uint32_t i = key->replay_at; i < key->replay_size; i++) {
        if (!model->ops[key->replay[i]].has_left)
            return &model->ops[key->replay[i]];
    }
    return key->waiting != 0 ? &model->ops[__builtin_ctzll(key->waiting)] : NULL;
}

/* Operations may run: on what is cached, the first of its next batch. */
static bool is_open(const struct oracle_key *key)
{
    return key->stage == STAGE_OPEN || key->stage == STAGE_REPLAYING || key->stage == STAGE_CACHED;
}

static bool is_waited_for(const struct model *model, const struct oracle_key *key)
{
    bool is_waited_for = key->waiting != 0;
    for (uint32_t i = key->replay_at; i < key->replay_size; i++)
        is_waited_for = is_waited_for || !model->ops[key->replay[i]].has_left;
    return is_waited_for;
}

/* Some other leg of its transaction is not the next on a key that is open. */
static bool is_blocked(const struct model *model, const struct model_node *node,
                       const struct model_op *op)
{
    for (uint32_t i = 0; op->transaction != NULL && i < op->transaction->size; i++) {
        const struct model_op *leg = op->transaction->legs[i];
        const struct oracle_key *key = &node->oracle.keys[leg->key];
        if (!is_open(key) || next_of_key(model, key) != leg)
            return true;
    }
    return false;
}

static void keys_must_go_on(struct model *model, const struct model_node *node)
{
    uint64_t waiting = 0;
    windows_must_end(model, node);
    for (uint32_t i = 0; i < model->config->keys_size; i++) {
        const struct oracle_key *key = &node->oracle.keys[i];
        waiting |= key->waiting;
        if (!is_open(key))
            continue;
        const struct model_op *next = next_of_key(model, key);
        if (next != NULL) {
            must(model, may_leave(next) || is_blocked(model, node, next),
                 "%s is open, and %c waits", key_name(i), letter_of(next));
            saw(model, EVENT_blocked);
        }
        if (key->stage == STAGE_CACHED)
            continue;
        must(model, node->state == NODE_UP || key->ran_size == 0, "%s is open after stop",
             key_name(i));
        must(model, key->ran_size < node->core.config.ops_max, "%s is open, and full", key_name(i));
    }
    must_be_woken(model, node, waiting);
}

void oracle_idle(struct model *model, struct model_node *node)
{
    keys_must_go_on(model, node);
    node->oracle.free_calls = 0;
    const struct batch__core *core = &node->core;
    uint32_t taken = (uint32_t)__builtin_popcountll(node->oracle.taken);
    must(model, core->ops == taken, "the core counts %u operations, not %u", (unsigned)core->ops,
         taken);
    uint32_t pending = (uint32_t)__builtin_popcountll(node->oracle.pending);
    uint32_t coming = 0;
    for (uint32_t i = 0; i < node->inbox_size; i++) {
        const struct model_transaction *transaction = model->ops[node->inbox[i]].transaction;
        coming += transaction != NULL ? transaction->size : 1;
    }
    must(model, pending == taken + coming, "an operation was completed before it was taken");
    uint32_t cached = 0;
    for (uint32_t i = 0; i < model->config->keys_size; i++)
        cached += node->oracle.keys[i].stage == STAGE_CACHED &&
                  !is_waited_for(model, &node->oracle.keys[i]);
    must(model, core->unit_max == node->oracle.unit_max, "%u keys may be tied together, not %u",
         (unsigned)core->unit_max, (unsigned)node->oracle.unit_max);
    must(model, core->cached_size == cached, "%u resources are cached, not %u",
         (unsigned)core->cached_size, cached);
    must(model, cached <= core->config.cache_max, "%u resources are cached", cached);
    must(model, cached == 0 || node->state == NODE_UP, "a resource is cached after stop");
}

void oracle_paused(struct model *model, const struct model_node *node)
{
    uint64_t waiting = 0;
    for (uint32_t i = 0; i < model->config->keys_size; i++)
        waiting |= node->oracle.keys[i].waiting;
    must_be_woken(model, node, waiting);
    windows_must_end(model, node);
    saw(model, EVENT_turns_left);
}

void oracle_iterated(struct model *model, const struct model_node *node, uint64_t now_ns)
{
    const struct batch__core_config *config = &node->core.config;
    if (config->window_ns == BATCH_WINDOW_NONE || config->expire_max > 0 ||
        model->config->has_transactions) /* others of a unit may end it */
        return;
    for (uint32_t i = 0; i < model->config->keys_size; i++) {
        const struct oracle_key *key = &node->oracle.keys[i];
        if (!is_window_open(key) || key->opened == node->iterations)
            continue;
        uint64_t ends_ns = batch__sum_or_max(key->begun_ns, config->window_ns);
        must(model, now_ns <= batch__sum_or_max(ends_ns, config->late_max_ns) + 2,
             "the window of %s does not end", key_name(i));
    }
    if (node->inbox_size > 0)
        saw(model, EVENT_backlog);
}

/* ---- Nothing is left to happen -------------------------------------------------------------- */

void oracle_rest(struct model *model)
{
    for (uint32_t i = 0; i < model->config->nodes_size; i++) {
        const struct model_node *node = &model->nodes[i];
        if (node->state == NODE_DOWN)
            continue;
        must(model, node->oracle.pending == 0, "%c is never completed",
             op_letter((uint32_t)__builtin_ctzll(node->oracle.pending)));
        uint32_t cached = 0;
        for (uint32_t k = 0; k < model->config->keys_size; k++) {
            const struct oracle_key *key = &node->oracle.keys[k];
            cached += key->stage == STAGE_CACHED;
            must(model, key->waiting == 0, "somebody still waits");
        }
        must(model, node->core.table.count == cached, "%u keys are left",
             (unsigned)node->core.table.count);
    }
}

/* ---- One order for all keys ----------------------------------------------------------------- */

struct order {
    uint64_t after[MODEL_OPS]; /* of each, the set of those that come later */
};

/* Operations stand for their transactions: the first leg for all. */
static uint32_t order_of(const struct model *model, uint8_t number)
{
    const struct model_op *op = &model->ops[number];
    return op->transaction != NULL ? op->transaction->legs[0]->number : number;
}

/* What is stored of a key, in its order; others only separate. */
static void order_key(const struct model *model, struct order *order, const struct model_row *row)
{
    for (uint32_t i = 1; i < row->history_size; i++) {
        for (uint32_t k = i; k-- > 0;) {
            uint8_t later = row->history[i], earlier = row->history[k];
            if (later >= MODEL_OPS)
                break;
            if (earlier >= MODEL_OPS)
                continue;
            if (order_of(model, earlier) != order_of(model, later))
                order->after[order_of(model, earlier)] |= op_bit(order_of(model, later));
            break;
        }
    }
}

/* What a leg saw was stored before it, and what it did not see came later. */
static void order_read(const struct model *model, struct order *order, const struct model_op *op)
{
    const struct model_row *row = &model->rows[op->key];
    uint32_t at = op->seen_base + op->seen_size;
    uint32_t self = order_of(model, op->number);
    for (uint32_t i = 0; i < row->history_size; i++) {
        if (row->history[i] >= MODEL_OPS || order_of(model, row->history[i]) == self)
            continue;
        uint32_t other = order_of(model, row->history[i]);
        if (i < at)
            order->after[other] |= op_bit(self);
        else
            order->after[self] |= op_bit(other);
    }
}

static void order_must_be_serial(struct model *model)
{
    struct order order = {{0}};
    for (uint32_t i = 0; i < model->config->keys_size && model->transactions_size > 0; i++)
        order_key(model, &order, &model->rows[i]);
    for (uint32_t i = 0; i < model->transactions_size; i++) {
        const struct model_transaction *transaction = &model->transactions[i];
        uint64_t all = 0;
        for (uint32_t k = 0; k < transaction->legs_size; k++)
            all |= op_bit(transaction->legs[k]->number);
        bool is_stored = (model->oracle.stored & all) != 0;
        bool is_read = (model->oracle.ok_unchanged & all) == all;
        for (uint32_t k = 0; k < transaction->legs_size && (is_stored || is_read); k++) {
            if (!transaction->legs[k]->is_changed)
                order_read(model, &order, transaction->legs[k]);
        }
    }
    /* Take away those before which there is nobody, until nobody is left. */
    uint64_t left = op_bit(model->ops_size) - 1;
    for (uint64_t before = 0; left != before;) {
        uint64_t later = 0;
        before = left;
        for (uint64_t each = left; each != 0; each &= each - 1)
            later |= order.after[__builtin_ctzll(each)];
        left &= later;
    }
    must(model, left == 0, "no order of all transactions has %c where it is on all its keys",
         op_letter((uint32_t)__builtin_ctzll(left | UINT64_C(1) << 63)));
}

void oracle_end(struct model *model)
{
    for (uint32_t i = 0; i < model->config->nodes_size; i++)
        must(model, model->nodes[i].state == NODE_DOWN, "node %u does not come to an end", i + 1);
    const struct oracle *oracle = &model->oracle;
    uint64_t stored = oracle->stored;
    uint64_t maybe = oracle->unknown | oracle->crashed;
    uint64_t known = oracle->ok | oracle->ok_unchanged | oracle->refused;
    uint64_t all = op_bit(model->ops_size) - 1;
    oracle_unit_applied(model);
    order_must_be_serial(model);
    must(model, (oracle->ok & ~stored) == 0, "completed with OK, and not stored");
    must(model, (stored & ~(oracle->ok | maybe)) == 0, "stored, and not completed so");
    must(model, (known | maybe) == all, "an operation got lost");
    must(model, (known & maybe) == 0 && (oracle->unknown & oracle->crashed) == 0,
         "one completed twice");
    oracle_count(model, OUTCOME_ok, oracle->ok);
    oracle_count(model, OUTCOME_ok_unchanged, oracle->ok_unchanged);
    oracle_count(model, OUTCOME_unknown_applied, oracle->unknown & stored);
    oracle_count(model, OUTCOME_unknown_not_applied, oracle->unknown & ~stored);
    oracle_count(model, OUTCOME_crashed_applied, oracle->crashed & stored);
    oracle_count(model, OUTCOME_crashed_not_applied, oracle->crashed & ~stored);
}
