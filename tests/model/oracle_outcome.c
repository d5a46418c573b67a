#include "oracle_outcome.h"

#include "model.h"
#include "transcript.h"

#include <batch/metrics.h>

#include <string.h>

/* ---- Operations ----------------------------------------------------------------------------- */

/* What it saw is stored, and is not older than what was acknowledged: before it was submitted if
 * its batch was saved, before its batch was loaded if nothing had to be. */
static void must_have_seen_what_is_stored(struct model *model, struct oracle_key *key,
                                          struct model_op *op)
{
    struct model_row *row = &model->rows[op->key];
    uint32_t seen = op->seen_base + op->seen_size;
    uint32_t floor = key->changed > 0 || key->tied != 0 ? op->floor : key->load_floor;
    must(model, !op->is_changed || (model->oracle.stored & op_bit(op->number)) != 0,
         "%c is completed with OK, but is not stored", letter_of(op));
    must(model, seen >= floor + op->is_changed, "%c saw less than was acknowledged", letter_of(op));
    if (row->log.base != op->seen_base)
        return; /* deleted meanwhile */
    must(model, op->seen_size <= row->log.size && row->hashes[op->seen_size] == op->seen_hash,
         "%c saw what is not stored", letter_of(op));
    if (seen > row->acknowledged)
        row->acknowledged = seen;
}

static void must_be_punctual(struct model *model, const struct model_node *node,
                             const struct oracle_key *key, const struct model_op *op, int status)
{
    const struct model_config *config = model->config;
    uint64_t window_ns = config->core.window_ns == BATCH_WINDOW_NONE ? 0 : config->core.window_ns;
    uint64_t now_ns = model->now_ns + node->elapsed_ns;
    uint64_t free_ns = op->submitted_ns > key->free_ns ? op->submitted_ns : key->free_ns;
    uint64_t close_ns =
        op->submitted_ns + window_ns; /* of the window that it waited in, or ran in */
    uint64_t load_ns = free_ns + config->load_max_ns;
    if (config->core.cache_max > 0) /* it may be loaded when its window has ended */
        load_ns = (close_ns > free_ns ? close_ns : free_ns) + config->load_max_ns;
    uint64_t by_ns = (close_ns > load_ns ? close_ns : load_ns) + config->save_max_ns;
    if (config->has_transactions) /* each that came before may mean one more batch */
        by_ns = op->submitted_ns + window_ns +
                (2 + op->depth) * (config->load_max_ns + config->save_max_ns);
    must(model, status == BATCH_OK, "%c is completed with %s, but all is calm", letter_of(op),
         status_name(status));
    must(model, now_ns <= by_ns, "%c is completed after %lu us, but all is calm", letter_of(op),
         (unsigned long)((now_ns - op->submitted_ns) / MODEL_US));
}

/* One more, or a set of them. */
void oracle_count(struct model *model, enum outcome outcome, uint64_t set)
{
    model->tally->outcomes[outcome] += (uint64_t)__builtin_popcountll(set);
}

/* As a whole: an operation that is no leg, or a leg of a transaction that is complete. */
static void complete_as(struct model *model, struct model_node *node, struct model_op *op,
                        int status)
{
    struct oracle_key *key = &node->oracle.keys[op->key];
    uint64_t bit = op_bit(op->number);
    if (status == BATCH_OK) {
        *(op->is_changed ? &model->oracle.ok : &model->oracle.ok_unchanged) |= bit;
    } else if (status == BATCH_UNKNOWN) {
        model->oracle.unknown |= bit;
    } else {
        model->oracle.refused |= bit;
        must(model, (model->oracle.stored & bit) == 0, "%c is completed with %s, but is stored",
             letter_of(op), status_name(status));
    }
    if (model->config->is_calm)
        must_be_punctual(model, node, key, op, status);
}

/* With the last leg all of them are, as one of them was. */
static void complete_leg(struct model *model, struct model_node *node, struct model_op *op,
                         int status)
{
    struct model_transaction *transaction = op->transaction;
    int all = transaction->transaction.private_status;
    must(model, transaction->left > 0, "%c is completed twice", letter_of(op));
    transaction->seen |= 1U << -status;
    if (--transaction->left > 0)
        return;
    must(model,
         all <= BATCH_OK && all > -BATCH_STATUS_COUNT && (transaction->seen >> -all & 1) != 0,
         "a transaction is completed with %s, and none of its legs was", status_name(all));
    must(model, all != BATCH_OK || transaction->seen == 1,
         "a transaction is completed with OK, but not all of its legs were");
    transaction->is_complete = true;
    bool is_changed = false;
    for (uint32_t i = 0; i < transaction->size; i++) {
        is_changed = is_changed || transaction->legs[i]->is_changed;
        complete_as(model, node, transaction->legs[i], all);
    }
    if (all == BATCH_OK)
        saw(model, is_changed ? EVENT_transaction_ok : EVENT_transaction_read);
}

static void complete(struct model *model, struct model_node *node, struct model_op *op, int status)
{
    struct oracle_key *key = &node->oracle.keys[op->key];
    uint64_t bit = op_bit(op->number);
    transcribe(model, node, "done %c %s", letter_of(op), status_name(status));
    model_step(model, 0x10000 + (uint64_t)(uint8_t)status + ((uint64_t)op->number << 8));
    must(model, (node->oracle.taken & bit) != 0, "%c is completed twice", letter_of(op));
    bool is_first = (key->waiting & (bit - 1)) == 0;
    bool is_changed = op->has_run && !op->has_left && op->is_changed && status != BATCH_LOAD_FAILED;
    must(model, core_op_of(op)->private_changed == is_changed,
         "%c is completed with the wrong verdict", letter_of(op));
    node->oracle.taken &= ~bit;
    node->oracle.pending &= ~bit;
    key->waiting &= ~bit;
    key->load_failed &= ~bit;
    if (!op->has_run) /* it has left a queue, which may go on elsewhere */
        key->had_turn = 0;
    if (!op->has_run && is_first && (key->stage != STAGE_OPEN || key->ran_size == 0)) {
        key->begun_ns = node->core.now_ns; /* the window has begun with the next one … */
        key->is_window_over = false;
        key->is_window_unsure = true; /* … and may be over again */
    }
    op->status = (int8_t)status;
    if (status == BATCH_OK)
        must_have_seen_what_is_stored(model, key, op);
    if (op->transaction != NULL)
        complete_leg(model, node, op, status);
    else
        complete_as(model, node, op, status);
}

static enum outcome outcome_of(const struct model_op *op, int status)
{
    switch (status) {
    case BATCH_CANCELED:
        return OUTCOME_canceled;
    case BATCH_EXPIRED:
        return OUTCOME_expired;
    case BATCH_STOPPED:
        return OUTCOME_stopped;
    case BATCH_BUSY:
        return op->would_expire || op->may_expire ? OUTCOME_busy_would_expire : OUTCOME_busy;
    case BATCH_LOAD_FAILED:
        return OUTCOME_load_failed;
    case BATCH_SAVE_FAILED:
        return OUTCOME_save_failed;
    case BATCH_CONFLICT:
        return OUTCOME_conflict;
    default:
        return OUTCOME_no_memory;
    }
}

static void complete_refused(struct model *model, struct model_node *node, struct model_op *op,
                             int status)
{
    const char *name = status_name(status);
    oracle_leaves_replay(model, node, op);
    bool is_leg = op->transaction != NULL;
    bool is_decided = is_leg && (status == BATCH_LOAD_FAILED || status == BATCH_SAVE_FAILED ||
                                 status == BATCH_CONFLICT);
    must(model, !op->has_run || (op->has_left && (status == BATCH_CANCELED || is_decided)),
         "%c ran, and is completed with %s", letter_of(op), name);
    if (is_decided)
        must(model, op->transaction->transaction.private_status == status,
             "a transaction has several outcomes");
    else if (op->must_be != BATCH_OK)
        must(model, status == op->must_be, "%c is completed with %s, not %s", letter_of(op), name,
             status_name(op->must_be));
    else if (status == BATCH_EXPIRED)
        must(model, op->op.start_by_ns != 0 && node->core.now_ns > op->op.start_by_ns,
             "%c expires too early", letter_of(op));
    else if (status == BATCH_CANCELED)
        must(model, op->is_canceled, "%c was canceled by nobody", letter_of(op));
    else if (status == BATCH_BUSY)
        must(model, op->may_be_full || op->may_expire, "%c is completed with BUSY", letter_of(op));
    else
        must(model, status == BATCH_NO_MEMORY && op->may_lack_memory, "%c is completed with %s",
             letter_of(op), name);
    oracle_count(model, outcome_of(op, status), 1);
    complete(model, node, op, status);
}

/* No key of its unit is being saved yet. */
static void unit_must_be_decided(struct model *model, const struct model_node *node,
                                 const struct oracle_key *key)
{
    for (uint32_t i = 0; i < model->config->keys_size; i++) {
        const struct oracle_key *other = &node->oracle.keys[i];
        must(model, other->tied == 0 || other->tied != key->tied || other->stage != STAGE_SAVING,
             "a key of a unit goes on before %s is saved", key_name(i));
    }
}

/* What a batch must be completed with, if it may be now. */
static int outcome_of_batch(struct model *model, const struct model_node *node,
                            const struct oracle_key *key, const struct batch__batch *batch)
{
    bool is_unchanged = key->changed == 0 && !key->is_cached && key->ran_size > 0;
    if (key->stage == STAGE_LOAD_FAILED)
        return BATCH_LOAD_FAILED;
    if (is_unchanged && (key->stage == STAGE_OPEN || key->stage == STAGE_REPLAYING)) {
        must(model, key->is_rechecked || !oracle_is_too_old(node, key),
             "%s is completed on what was loaded too long ago", key_name(key_number(batch)));
        return BATCH_OK;
    }
    must(model, key->stage == STAGE_SAVED, "%s is completed while it is %s%s",
         key_name(key_number(batch)), stage_name(key),
         key->is_cached ? ", and has only been cached" : "");
    bool may_replay = key->replays < node->core.config.replays_max &&
                      (key->replays == 0 || key->decided_ns < key->replay_by_ns);
    must(model, key->reported != BATCH_CONFLICT || !may_replay, "a conflict could be replayed");
    must(model, key->reported != BATCH_SAVE_FAILED || key->tied == 0 || key->is_isolated,
         "a unit that the store refused is not dissolved");
    unit_must_be_decided(model, node, key);
    return key->reported;
}

/* Who is completed next with this batch; NULL: nobody. */
static const struct model_op *next_of_batch(const struct model *model, const struct oracle_key *key,
                                            bool is_failed, uint32_t at)
{
    if (!is_failed)
        return at < key->ran_size ? &model->ops[key->ran[at]] : NULL;
    if (key->replay_size > 0)
        return at < key->replay_size ? &model->ops[key->replay[at]] : NULL;
    return oracle_load_failed(model, key);
}

/* A load of a replay has failed: those that were canceled have left, or complete with the others;
 * where the next one is, from `at`. */
static uint32_t pass_left(struct model *model, const struct oracle_key *key, uint32_t at,
                          const struct model_op *until)
{
    for (; at < key->replay_size; at++) {
        struct model_op *op = &model->ops[key->replay[at]];
        if (op == until || !may_leave(op))
            break;
        op->has_left = true;
    }
    return at;
}

static void complete_batch(struct model *model, struct model_node *node,
                           const struct batch__action *action)
{
    const struct batch__batch *batch = action->batch;
    struct oracle_key *key = oracle_key_of(node, batch);
    if (key->stage == STAGE_REPLAYING && !model->config->has_transactions)
        oracle_pass_canceled(model, key, NULL);
    int status = outcome_of_batch(model, node, key, batch);
    bool is_failed = status == BATCH_LOAD_FAILED;
    must(model, batch->status == status, "a batch is completed with %s, not %s",
         status_name(batch->status), status_name(status));
    if (is_failed && key->replay_size > 0 &&
        (key->joining & op_bit(op_of(action->op)->number)) != 0)
        oracle_replay_left(model, key); /* for nobody but those that came later */
    bool is_first_failed = is_failed && key->replay_size == 0;
    uint32_t completed = 0;
    uint32_t at = is_failed ? key->replay_at : 0;
    int last = -1;
    for (batch_op *one = action->op, *next; one != NULL; one = next, completed++, at++) {
        struct model_op *op = op_of(one);
        next = one->private_next;
        if (is_failed && !is_first_failed)
            at = pass_left(model, key, at, op);
        if (is_first_failed)
            must(model, (key->load_failed & op_bit(op->number)) != 0 && op->number > last,
                 "%c did not wait for the load that failed, or not there", letter_of(op));
        else
            must(model, next_of_batch(model, key, is_failed, at) == op,
                 "%c is not the next to be completed", letter_of(op));
        last = op->number;
        if (status < BATCH_OK && status != BATCH_UNKNOWN)
            oracle_count(model, outcome_of(op, status), 1);
        complete(model, node, op, status);
    }
    must(model, completed == action->count && completed > 0, "a batch of %u completed, not %u",
         completed, (unsigned)action->count);
    if (is_failed && !is_first_failed)
        at = pass_left(model, key, at, NULL);
    const struct model_op *left = next_of_batch(model, key, is_failed, at);
    must(model, left == NULL, "%c is left out", letter_of(left));
    if (is_failed) {
        must(model, batch->close_reason == BATCH_CLOSED_BY_ERROR, "a load failed, and it is %u",
             batch->close_reason);
        saw(model, EVENT_closed_by_error);
    } else if (key->stage == STAGE_OPEN) {
        must(model, key->tied == 0, "a unit completes without a save");
        oracle_close(model, node, batch);
    }
    if (completed > 1)
        saw(model, EVENT_batch_of_many);
    key->reported = (int8_t)status;
    key->stage = STAGE_COMPLETED;
    key->ran_size = (uint8_t)completed;
    if (is_failed)
        key->replay_at = key->replay_size;
}

void oracle_completed(struct model *model, struct model_node *node,
                      const struct batch__action *action)
{
    if (action->batch != NULL) {
        complete_batch(model, node, action);
        return;
    }
    for (batch_op *at = action->op, *next; at != NULL; at = next) {
        next = at->private_next;
        complete_refused(model, node, op_of(at), at->private_status);
    }
}

/* ---- The end of a batch --------------------------------------------------------------------- */

void oracle_recorded(struct model *model, struct model_node *node, struct batch__batch *batch)
{
    struct oracle_key *key = oracle_key_of(node, batch);
    must(model, key->stage == STAGE_COMPLETED, "a record of one that is %s", stage_name(key));
    must(model, batch->ran.count == key->ran_size, "a record of %u operations, not %u",
         (unsigned)batch->ran.count, key->ran_size);
    must(model, batch->changed == key->changed, "a record of %u changes, not %u",
         (unsigned)batch->changed, key->changed);
    must(model, batch->replays == key->replays, "a record of %u replays, not %u", batch->replays,
         key->replays);
    must(model, batch->is_cached == key->is_cached, "a record with a load that was skipped or not");
    must(model, batch->load_ns == key->load_ns && batch->loaded_ns == key->loaded_ns,
         "a record with the times of another load");
    must(model, batch->save_ns == key->save_ns, "a record with the time of another save");
    must(model, batch->saved_ns == (key->save_ns != 0 ? key->saved_ns : 0),
         "a record with the time of another save");
    must(model, batch->first_wait_ns == key->first_wait_ns, "a record with another first wait");
    key->stage = key->is_loaded ? STAGE_CACHED : STAGE_IDLE;
    key->ran_size = 0;
    key->tied = 0;
    key->free_ns = model->now_ns + node->elapsed_ns;
    key->joining = key->waiting; /* if it is cached */
    key->flushes = node->oracle.flushes;
}

/* Nothing has shown that it is what is stored: it had been cached, or is too old. */
static bool must_recheck(const struct model_node *node, const struct oracle_key *key)
{
    if (key->changed > 0 || key->tied != 0 ||
        (key->stage != STAGE_OPEN && key->stage != STAGE_REPLAYING))
        return false;
    return key->is_cached || (!key->is_rechecked && oracle_is_too_old(node, key));
}

/* Those who ran come before those who were to run again. */
static void put_back(struct oracle_key *key)
{
    uint8_t all[MODEL_OPS];
    uint8_t size = 0;
    for (uint32_t i = 0; i < key->ran_size; i++)
        all[size++] = key->ran[i];
    for (uint32_t i = key->replay_at; i < key->replay_size; i++)
        all[size++] = key->replay[i];
    memcpy(key->replay, all, size);
    key->replay_size = size;
    key->replay_at = 0;
}

/* After a conflict, or because nothing changed on a resource that must be rechecked. */
static bool is_dropped_for_replay(struct model *model, struct model_node *node,
                                  struct oracle_key *key, const struct batch__batch *batch)
{
    bool is_conflict = key->stage == STAGE_SAVED && key->reported == BATCH_CONFLICT;
    bool is_refused = key->stage == STAGE_SAVED && key->reported == BATCH_SAVE_FAILED &&
                      key->tied != 0 && !key->is_isolated;
    if (key->stage == STAGE_REPLAYING && key->replay_at < key->replay_size &&
        !model->config->has_transactions)
        oracle_pass_canceled(model, key, NULL);
    if (key->ran_size == 0 || (!is_conflict && !is_refused && !must_recheck(node, key)))
        return false;
    if (is_conflict || is_refused)
        unit_must_be_decided(model, node, key);
    if (key->tied != 0)
        saw(model, is_refused ? EVENT_unit_refused : EVENT_unit_dissolved);
    if (is_refused) {
        key->is_isolated = true;
    } else if (is_conflict) {
        must(model, key->replays < node->core.config.replays_max, "a batch is replayed too often");
        must(model, key->replays == 0 || key->decided_ns < key->replay_by_ns,
             "a batch is replayed too late");
        key->replays++;
        saw(model, EVENT_replay);
    } else {
        if (key->stage == STAGE_OPEN)
            oracle_close(model, node, batch);
        saw(model, key->is_cached ? EVENT_rechecked : EVENT_rechecked_for_age);
        key->is_rechecked = !key->is_cached;
    }
    put_back(key);
    key->tied = 0;
    key->ran_size = 0;
    key->changed = 0;
    key->save_ns = 0;
    key->is_loaded = false;
    key->is_cached = false;
    key->had_turn = 0;
    key->stage = STAGE_DROPPED;
    return true;
}

void oracle_released(struct model *model, struct model_node *node, struct batch__batch *batch)
{
    struct oracle_key *key = oracle_key_of(node, batch);
    must(model, key->is_loaded, "a release of what was not loaded");
    if (is_dropped_for_replay(model, node, key, batch))
        return;
    bool is_left =
        (key->stage == STAGE_OPEN || key->stage == STAGE_REPLAYING) && key->ran_size == 0;
    if (is_left)
        oracle_pass_canceled(model, key, NULL);
    must(model, is_left || key->stage == STAGE_CACHED, "a release of one that is %s",
         stage_name(key));
    if (is_left) {
        saw(model, EVENT_batch_left);
        key->free_ns = model->now_ns + node->elapsed_ns;
    }
    key->had_turn = 0;
    key->stage = STAGE_IDLE;
    key->is_loaded = false;
    if (is_left)
        key->replay_size = key->replay_at = 0;
}
