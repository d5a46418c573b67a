/* oracle_save.c: the part of oracle.h about saves: what is saved, why now, and with what. */
#include "oracle.h"

#include "model.h"
#include "transcript.h"

#include <batch/metrics.h>

/* ---- Save ----------------------------------------------------------------------------------- */

/* Of a unit, that of one of its batches is. */
static bool may_be_reason(const struct model_node *node, const struct oracle_key *key,
                          const struct model_op *first, int reason)
{
    const struct batch__core_config *config = &node->core.config;
    switch ((batch_close_reason)reason) {
    case BATCH_CLOSED_BY_WINDOW:
        return config->window_ns != BATCH_WINDOW_NONE &&
               node->core.now_ns - first->accepted_ns >= config->window_ns;
    case BATCH_CLOSED_BY_STORE:
        return config->window_ns == BATCH_WINDOW_NONE && node->oracle.flushes != key->flushes;
    case BATCH_CLOSED_BY_STOP:
        return node->state == NODE_STOPPING;
    case BATCH_CLOSED_BY_AGE:
        return oracle_is_too_old(node, key);
    case BATCH_CLOSED_BY_SIZE:
        return true; /* full, or the unit is */
    default:
        return false;
    }
}

static void reason_must_be_true(struct model *model, struct model_node *node,
                                const struct oracle_key *key, const struct batch__batch *batch)
{
    const char *name = key_name(key_number(batch));
    uint64_t begun_ns = model->ops[key->ran[0]].accepted_ns;
    bool has_window = node->core.config.window_ns != BATCH_WINDOW_NONE;
    switch ((batch_close_reason)batch->close_reason) {
    case BATCH_CLOSED_BY_WINDOW:
        must(model, has_window, "%s is closed by a window that it has not", name);
        must(model, node->core.now_ns - begun_ns >= node->core.config.window_ns, "%s closes early",
             name);
        break;
    case BATCH_CLOSED_BY_STORE:
        must(model, !has_window, "%s is closed by the store, but has a window", name);
        must(model, node->oracle.flushes != key->flushes && node->oracle.free_calls-- > 0,
             "%s is closed, but the store is not free", name);
        break;
    case BATCH_CLOSED_BY_SIZE:
        must(model, key->ran_size == node->core.config.ops_max || model->config->has_transactions,
             "%s is not full", name);
        break;
    case BATCH_CLOSED_BY_STOP:
        must(model, node->state == NODE_STOPPING, "%s is closed by no stop", name);
        break;
    case BATCH_CLOSED_BY_AGE:
        must(model, oracle_is_too_old(node, key), "%s is not too old", name);
        break;
    case BATCH_CLOSED_BY_ERROR:
        model_wrong(model, "%s is closed by no error", name);
    }
    must(model, batch->begun_ns >= begun_ns, "%s begins before its first operation", name);
    saw(model, EVENT_closed_by_window + (enum event)batch->close_reason);
}

void oracle_close(struct model *model, struct model_node *node, const struct batch__batch *batch)
{
    struct oracle_key *key = oracle_key_of(node, batch);
    reason_must_be_true(model, node, key, batch);
    /* Who waited when it was loaded is in this batch, unless it is full. */
    uint64_t left = key->joining & key->waiting;
    if (model->config->has_transactions)
        left = 0; /* they may have been behind one that had to wait */
    for (; left != 0 && key->ran_size < node->core.config.ops_max; left &= left - 1) {
        const struct model_op *op = &model->ops[__builtin_ctzll(left)];
        must(model, oracle_has_left(op), "%c waited for this batch, and is not in it",
             letter_of(op));
    }
    key->joining = 0;
    key->had_turn = 0;
    oracle_begin_window(key, node->core.now_ns); /* of those that wait for the next batch */
}

/* Who is next to be replayed is not blocked. */
static void replay_must_be_over(struct model *model, struct oracle_key *key)
{
    uint8_t at = key->replay_at;
    while (at < key->replay_size && may_leave(&model->ops[key->replay[at]]))
        at++;
    if (at < key->replay_size && model->ops[key->replay[at]].transaction != NULL)
        return; /* it waits for the next batch */
    oracle_pass_canceled(model, key, NULL);
}

static void save_one(struct model *model, struct model_node *node, struct batch__batch *batch)
{
    struct oracle_key *key = oracle_key_of(node, batch);
    const char *name = key_name(key_number(batch));
    if (key->stage == STAGE_REPLAYING && !key->tied)
        replay_must_be_over(model, key);
    must(model, key->stage == STAGE_OPEN || key->stage == STAGE_REPLAYING,
         "%s is saved while it is %s", name, stage_name(key));
    must(model, key->changed > 0 || key->tied != 0, "%s is saved, but not changed", name);
    if (key->replay_size == 0 && key->tied == 0)
        oracle_close(model, node, batch);
    key->joining = 0;
    key->save_ns = node->core.now_ns;
    key->stage = STAGE_SAVING;
}

/* All that transactions have tied together, and nothing else; closed for a reason of one. */
static void unit_must_be_whole(struct model *model, struct model_node *node,
                               struct batch__batch *batch)
{
    uint8_t tied = oracle_key_of(node, batch)->tied;
    uint8_t seen = 0;
    bool is_right = false;
    struct batch__batch *each = batch;
    do {
        struct oracle_key *key = oracle_key_of(node, each);
        seen |= (uint8_t)(1U << key_number(each));
        must(model, key->tied == tied, "%s is saved with keys that nothing ties it to",
             key_name(key_number(each)));
        must(model, key->ran_size > 0, "%s is saved, but nobody ran", key_name(key_number(each)));
        is_right = is_right || key->replay_size > 0 ||
                   may_be_reason(node, key, &model->ops[key->ran[0]], batch->close_reason);
        each = batch__unit_next(each);
    } while (each != batch);
    must(model, seen == tied, "a unit is saved without one of its keys");
    must(model, is_right, "a unit is closed for no reason");
    saw(model, EVENT_unit_saved);
}

void oracle_save(struct model *model, struct model_node *node, struct batch__batch *batch)
{
    struct oracle_key *key = oracle_key_of(node, batch);
    if (key->tied == 0) {
        must(model, batch__unit_next(batch) == batch, "a unit of keys that nothing ties together");
        save_one(model, node, batch);
        return;
    }
    unit_must_be_whole(model, node, batch);
    struct batch__batch *each = batch;
    do {
        save_one(model, node, each);
        each = batch__unit_next(each);
    } while (each != batch);
}

void oracle_applied(struct model *model, const struct model_call *call)
{
    const struct model_log *now = &model->rows[call->key].log;
    const struct model_log *next = &call->log;
    const char *name = key_name(call->key);
    must(model, next->size <= MODEL_LOG, "%s is saved, but is not there", name);
    must(model, next->base == now->base && next->size > now->size, "%s loses what was stored: %s",
         name, log_text(now));
    for (uint32_t i = 0; i < now->size; i++)
        must(model, next->ops[i] == now->ops[i], "%s loses what was stored: %s", name,
             log_text(now));
    for (uint32_t i = now->size; i < next->size; i++) {
        const struct model_op *op = &model->ops[next->ops[i]];
        uint64_t bit = op_bit(next->ops[i]);
        must(model, next->ops[i] < model->ops_size && op->key == call->key && op->has_run,
             "%s is saved with what nobody ran", name);
        must(model, (model->oracle.stored & bit) == 0, "%c is stored twice", letter_of(op));
        must(model, (model->oracle.refused & bit) == 0, "%c is stored, but was completed with %s",
             letter_of(op), status_name(op->status));
        must(model, (model->oracle.ok & bit) == 0, "%c was completed with OK before it is stored",
             letter_of(op));
        model->oracle.stored |= bit;
    }
}

/* A transaction is stored whole, or not at all. */
void oracle_unit_applied(struct model *model)
{
    for (uint32_t i = 0; i < model->transactions_size; i++) {
        const struct model_transaction *transaction = &model->transactions[i];
        uint64_t changed = 0, stored = 0;
        for (uint32_t k = 0; k < MODEL_PARTS && k < transaction->legs_size; k++) {
            const struct model_op *op = transaction->legs[k];
            changed |= op->is_changed ? op_bit(op->number) : 0;
            stored |= model->oracle.stored & op_bit(op->number);
        }
        must(model, stored == 0 || stored == changed, "a transaction is stored in part");
    }
}

/* All calls of a unit have come back, with the same outcome. */
static void unit_ended(struct model *model, struct model_node *node, uint8_t tied, int status)
{
    uint64_t size = (uint64_t)__builtin_popcount(tied);
    uint64_t *max = &node->oracle.unit_max;
    if (status == BATCH_OK) {
        *max = *max * 2 < node->core.config.unit_max ? *max * 2 : node->core.config.unit_max;
    } else if (status == BATCH_CONFLICT) {
        *max = (size < *max ? size : *max) / 2;
        *max += *max == 0;
        saw(model, EVENT_unit_conflict);
    }
}

static void decided(struct oracle_key *key, uint64_t now_ns, uint64_t deadline_ns)
{
    key->decided_ns = now_ns;
    if (key->reported == BATCH_OK)
        key->is_isolated = false;
    if (key->reported == BATCH_CONFLICT && key->replays == 0)
        key->replay_by_ns = now_ns + deadline_ns;
}

void oracle_saved(struct model *model, struct model_node *node, uint32_t number, int status,
                  uint64_t now_ns)
{
    struct oracle_key *key = &node->oracle.keys[number];
    must(model, key->stage == STAGE_SAVING, "a save ends of one that is %s", stage_name(key));
    key->stage = STAGE_SAVED;
    key->reported = (int8_t)status;
    key->saved_ns = now_ns > node->core.now_ns ? now_ns : node->core.now_ns;
    oracle_mean_add(&node->oracle.save_mean_ns, key->saved_ns - key->save_ns);
    bool is_last = true;
    for (uint32_t i = 0; i < model->config->keys_size; i++)
        is_last =
            is_last && ((key->tied >> i & 1) == 0 || node->oracle.keys[i].stage != STAGE_SAVING);
    if (key->tied != 0 && is_last)
        unit_ended(model, node, key->tied, status);
    for (uint32_t i = 0; i < model->config->keys_size && is_last; i++) {
        if (i == number || (key->tied >> i & 1) != 0)
            decided(&node->oracle.keys[i], key->saved_ns, node->core.config.deadline_ns);
    }
}
