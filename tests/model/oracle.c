#include "oracle.h"

#include "model.h"
#include "transcript.h"

#include <batch/metrics.h>

static uint32_t count_of(uint64_t set)
{
    return (uint32_t)__builtin_popcountll(set);
}

/* How many are still to be replayed; some may have left. */
static uint32_t to_replay(const struct model *model, const struct oracle_key *key)
{
    uint32_t count = 0;
    for (uint32_t i = key->replay_at; i < key->replay_size; i++)
        count += !model->ops[key->replay[i]].has_left;
    return count;
}

/* May it have stopped waiting, though it is completed later? */
bool oracle_has_left(const struct model_op *op)
{
    return may_leave(op) || op->op.start_by_ns != 0 || op->may_be_full || op->may_expire ||
           op->may_lack_memory;
}

const struct model_op *oracle_load_failed(const struct model *model, const struct oracle_key *key)
{
    uint64_t load_failed = key->load_failed;
    while (load_failed != 0 && oracle_has_left(&model->ops[__builtin_ctzll(load_failed)]))
        load_failed &= load_failed - 1;
    return load_failed == 0 ? NULL : &model->ops[__builtin_ctzll(load_failed)];
}

/* All that it was to be replayed for were canceled, and may have left. */
static bool may_have_left(const struct model *model, const struct oracle_key *key)
{
    for (uint32_t i = key->replay_at; i < key->replay_size; i++) {
        if (!may_leave(&model->ops[key->replay[i]]))
            return false;
    }
    return true;
}

/* Its batch has ended, and whatever was left of it is cached or gone. */
static bool is_over(const struct model *model, const struct oracle_key *key)
{
    return key->stage == STAGE_IDLE || key->stage == STAGE_CACHED ||
           ((key->stage == STAGE_LOAD_FAILED || key->stage == STAGE_DROPPED) &&
            oracle_load_failed(model, key) == NULL && may_have_left(model, key));
}

/* ---- Submit --------------------------------------------------------------------------------- */

static uint64_t rest_of(uint64_t all_ns, uint64_t since_ns)
{
    return all_ns > since_ns ? all_ns - since_ns : 0;
}

/* How long it must wait at the least, as the node knows saves and loads; a key at rest, or open, is
 * never refused for it. */
static uint64_t wait_ns(const struct model *model, const struct model_node *node,
                        const struct oracle_key *key, uint64_t now_ns)
{
    uint64_t next_load_ns = node->core.config.cache_max > 0 ? 0 : node->oracle.load_mean_ns;
    if (key->stage == STAGE_SAVING || key->stage == STAGE_SAVED) /* others of its unit are not */
        return rest_of(node->oracle.save_mean_ns, now_ns - key->save_ns) + next_load_ns;
    bool is_open = key->stage == STAGE_REPLAYING || key->stage == STAGE_CACHED;
    if (is_open && to_replay(model, key) > 0) /* blocked */
        return node->oracle.save_mean_ns + next_load_ns;
    if (key->stage == STAGE_RELOADING && to_replay(model, key) > 0)
        return rest_of(node->oracle.load_mean_ns, now_ns - key->load_ns) +
               node->oracle.save_mean_ns + next_load_ns;
    return 0;
}

/* How long so many take that wait on this key, with the turns of other keys. */
static uint64_t backlog_ns(const struct model_node *node, const struct oracle_key *key,
                           uint64_t count)
{
    uint64_t own_ns = key->op_mean_ns * count;
    return own_ns + own_ns / node->core.config.turn_ns * node->core.lap_mean_ns;
}

/* As its node has it: whatever is known of it ends with it. */
static const struct batch__batch *batch_of(const struct model_node *node, const struct model_op *op)
{
    const batch_op *core_op = core_op_of(op);
    return batch__table_find(&node->core.table, core_op->key, core_op->key_size,
                             core_op->private_hash);
}

/* Is it refused because it could not begin in time? While actions are to be taken that depends on
 * them, and it may be; but not if its key is open. */
static bool would_expire(const struct model *model, const struct model_node *node,
                         struct oracle_key *key, struct model_op *op, uint64_t now_ns)
{
    const struct batch__batch *batch = batch_of(node, op);
    uint64_t start_by_ns = op->op.start_by_ns;
    uint64_t time_ns = start_by_ns != 0 ? start_by_ns - now_ns : node->core.config.deadline_ns;
    if (batch == NULL)
        key->op_mean_ns = 0;
    bool may_be = key->stage != STAGE_IDLE || key->waiting != 0 || to_replay(model, key) > 0;
    if (batch == NULL || !may_be)
        return false;
    if (batch->phase == BATCH__OPEN && batch->replaying == 0)
        return backlog_ns(node, key, batch->waiting.count) > time_ns;
    bool waits_for_store = start_by_ns != 0 && node->oracle.save_mean_ns != 0;
    uint64_t store_ns = waits_for_store ? wait_ns(model, node, key, now_ns) : 0;
    uint64_t count = count_of(key->waiting) + to_replay(model, key);
    op->may_expire = !node->oracle.is_clean;
    return node->oracle.is_clean && store_ns + backlog_ns(node, key, count) > time_ns;
}

static int refusal_of(const struct model_node *node, const struct model_op *op, uint32_t count,
                      uint64_t now_ns)
{
    if (node->state == NODE_STOPPING)
        return BATCH_STOPPED;
    if (count_of(node->oracle.taken) + count > node->core.config.ops_waiting_max)
        return BATCH_BUSY;
    if (op->is_canceled)
        return BATCH_CANCELED;
    if (op->op.start_by_ns != 0 && op->op.start_by_ns < now_ns)
        return BATCH_EXPIRED;
    return BATCH_OK;
}

static int refusal_of_key(const struct model *model, struct model_node *node,
                          struct oracle_key *key, struct model_op *op, uint64_t now_ns)
{
    const struct batch__core_config *config = &node->core.config;
    uint32_t ran = key->stage < STAGE_COMPLETED ? key->ran_size : 0;
    bool is_full =
        count_of(key->waiting) + ran + to_replay(model, key) >= config->key_ops_waiting_max;
    if (is_full && node->oracle.is_clean)
        return BATCH_BUSY;
    op->may_be_full = is_full;
    op->would_expire = would_expire(model, node, key, op, now_ns);
    return op->would_expire ? BATCH_BUSY : BATCH_OK;
}

/* Operations have run in the batch that takes new ones. */
static bool has_begun(const struct oracle_key *key)
{
    return key->stage == STAGE_OPEN && key->ran_size > 0;
}

void oracle_begin_window(struct oracle_key *key, uint64_t now_ns)
{
    key->begun_min_ns = key->begun_ns = now_ns;
    key->is_window_over = key->is_window_unsure = false;
}

void oracle_accepted(struct model *model, struct model_node *node, struct model_op *op,
                     uint64_t now_ns)
{
    struct model_transaction *transaction = op->transaction;
    uint32_t count = transaction != NULL ? transaction->size : 1;
    uint64_t accepted_ns = now_ns > node->core.now_ns ? now_ns : node->core.now_ns;
    int status = refusal_of(node, op, count, accepted_ns);
    bool may_be_full = false, may_expire = false;
    for (uint32_t i = 0; i < count && status == BATCH_OK; i++) {
        struct model_op *one = transaction != NULL ? transaction->legs[i] : op;
        struct oracle_key *key = &node->oracle.keys[one->key];
        int one_status = refusal_of_key(model, node, key, one, accepted_ns);
        if (status == BATCH_OK)
            status = one_status;
        may_be_full = may_be_full || one->may_be_full;
        may_expire = may_expire || one->may_expire || one->would_expire;
    }
    bool is_unsure = transaction != NULL && status == BATCH_BUSY &&
                     (may_be_full || may_expire || op->fails_memory > 0);
    if (is_unsure) { /* it depends on which of its keys comes first */
        status = BATCH_OK;
        may_be_full = true;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct model_op *one = transaction != NULL ? transaction->legs[i] : op;
        one->accepted_ns = accepted_ns;
        one->must_be = (int8_t)status;
        one->may_be_full = may_be_full;
        one->may_expire = may_expire;
        node->oracle.taken |= op_bit(one->number);
        if (status != BATCH_OK)
            node->oracle.to_refuse |= op_bit(one->number);
        if (one->op.start_by_ns != 0)
            node->oracle.impatient |= op_bit(one->number);
        struct oracle_key *key = &node->oracle.keys[one->key];
        if (status == BATCH_OK && key->waiting == 0 && !has_begun(key))
            oracle_begin_window(key, accepted_ns);
        if (status == BATCH_OK)
            key->waiting |= op_bit(one->number);
    }
}

void oracle_flushed(struct model_node *node, uint64_t calls_max)
{
    node->oracle.flushes++;
    node->oracle.free_calls += calls_max < UINT32_MAX ? calls_max : UINT32_MAX;
    for (size_t i = 0; i < MODEL_KEYS; i++) { /* these need no save, so they close all the same */
        const struct oracle_key *key = &node->oracle.keys[i];
        node->oracle.free_calls += key->stage == STAGE_OPEN && key->changed == 0;
    }
}

static bool is_too_old(const struct oracle_key *key, const struct batch__core_config *config,
                       uint64_t now_ns)
{
    return !key->is_cached && now_ns - key->loaded_ns > config->age_max_ns;
}

bool oracle_is_too_old(const struct model_node *node, const struct oracle_key *key)
{
    return is_too_old(key, &node->core.config, node->core.now_ns);
}

void oracle_may_close(const struct model *model, struct model_node *node, uint64_t now_ns)
{
    for (uint32_t i = 0; i < model->config->keys_size; i++) {
        struct oracle_key *key = &node->oracle.keys[i];
        bool may_close = key->stage == STAGE_OPEN && !key->is_window_over;
        if (may_close && !is_too_old(key, &node->core.config, now_ns))
            key->at_end |= key->waiting;
    }
}

/* All windows of which this is sure end now. */
void oracle_expired(struct model *model, struct model_node *node, uint64_t now_ns)
{
    const struct batch__core_config *config = &node->core.config;
    oracle_may_close(model, node, now_ns);
    if (config->window_ns == BATCH_WINDOW_NONE || config->expire_max > 0)
        return;
    for (uint32_t i = 0; i < model->config->keys_size; i++) {
        struct oracle_key *key = &node->oracle.keys[i];
        bool has_window = key->waiting != 0 || has_begun(key);
        if (!has_window || key->is_window_over || key->is_window_unsure)
            continue;
        if (now_ns < batch__sum_or_max(key->begun_ns, config->window_ns)) {
            key->is_window_unsure = now_ns >= key->begun_min_ns + config->window_ns;
            continue;
        }
        key->is_window_over = true;
        if (key->stage == STAGE_OPEN && !is_too_old(key, config, now_ns))
            key->joining |= key->waiting;
    }
}

/* ---- Load ----------------------------------------------------------------------------------- */

/* A batch, of which some operations may have run before. */
static void begin_more(struct oracle_key *key)
{
    key->ran_size = key->changed = 0;
    key->tied = 0;
    key->is_loaded = false;
    key->is_cached = false;
    key->may_join = false;
    key->at_end = 0;
    key->had_turn = 0;
    key->reported = BATCH_OK;
    key->load_ns = key->loaded_ns = key->save_ns = 0;
}

static void begin(struct oracle_key *key)
{
    begin_more(key);
    key->replay_size = key->replay_at = 0;
    key->replays = 0;
    key->is_rechecked = false;
    key->is_isolated = false;
    key->first_wait_ns = 0;
}

void oracle_load(struct model *model, struct model_node *node, struct batch__batch *batch)
{
    struct oracle_key *key = oracle_key_of(node, batch);
    const char *name = key_name(key_number(batch));
    key->load_floor = model->rows[key_number(batch)].acknowledged;
    if (key->stage != STAGE_DROPPED && key->stage != STAGE_CACHED && is_over(model, key) &&
        key->stage != STAGE_LOAD_FAILED && to_replay(model, key) > 0) {
        begin_more(key); /* a part of it has been saved */
        key->is_rechecked = false;
        key->stage = STAGE_DROPPED;
        saw(model, EVENT_replay_goes_on);
    }
    if (key->stage == STAGE_DROPPED && to_replay(model, key) > 0) {
        key->stage = STAGE_RELOADING;
        key->load_ns = node->core.now_ns;
        return;
    }
    must(model, is_over(model, key) && key->stage != STAGE_CACHED, "%s is loaded while it is %s",
         name, stage_name(key));
    must(model, key->waiting != 0 && batch->waiting.count > 0, "%s is loaded for nobody", name);
    oracle_pass_canceled(model, key, NULL);
    begin(key);
    key->load_ns = node->core.now_ns;
    key->stage = STAGE_LOADING;
}

void oracle_loaded(struct model *model, struct model_node *node, uint32_t number, int status,
                   uint64_t finished_ns, uint64_t now_ns)
{
    struct oracle_key *key = &node->oracle.keys[number];
    if (key->stage == STAGE_RELOADING && to_replay(model, key) == 0) {
        oracle_replay_left(model, key);
        key->stage = STAGE_LOADING;
        key->may_join = false;
    }
    bool is_again = key->stage == STAGE_RELOADING;
    must(model, is_again || key->stage == STAGE_LOADING, "a load ends of one that is %s",
         stage_name(key));
    key->is_loaded = status == BATCH_OK;
    if (!key->is_loaded)
        key->stage = STAGE_LOAD_FAILED;
    else
        key->stage = is_again ? STAGE_REPLAYING : STAGE_OPEN;
    if (!key->is_loaded && !is_again)
        key->load_failed = key->waiting;
    key->joining = key->waiting;
    key->flushes = node->oracle.flushes;
    key->opened = node->iterations;
    key->loaded_ns = now_ns > node->core.now_ns ? now_ns : node->core.now_ns;
    if (finished_ns < key->loaded_ns)
        key->loaded_ns = finished_ns > key->load_ns ? finished_ns : key->load_ns;
    oracle_mean_add(&node->oracle.load_mean_ns, key->loaded_ns - key->load_ns);
}

/* ---- Run ------------------------------------------------------------------------------------ */

void oracle_leaves_replay(struct model *model, struct model_node *node, struct model_op *op)
{
    struct oracle_key *key = &node->oracle.keys[op->key];
    for (uint32_t i = key->replay_at; may_leave(op) && i < key->replay_size; i++) {
        if (key->replay[i] != op->number || op->has_left)
            continue;
        op->has_left = true;
        saw(model, EVENT_replay_left);
    }
}

void oracle_replay_left(struct model *model, struct oracle_key *key)
{
    oracle_pass_canceled(model, key, NULL);
    key->replay_size = key->replay_at = 0;
    key->replays = 0;
    key->is_rechecked = false;
    key->is_isolated = false;
    key->first_wait_ns = 0;
    if (key->stage == STAGE_LOAD_FAILED)
        key->load_failed = key->joining & key->waiting;
    else
        key->stage = STAGE_OPEN;
    key->may_join = true;
}

void oracle_pass_canceled(struct model *model, struct oracle_key *key, const struct model_op *until)
{
    for (; key->replay_at < key->replay_size; key->replay_at++) {
        struct model_op *op = &model->ops[key->replay[key->replay_at]];
        if (op == until)
            return;
        must(model, may_leave(op), "%c is not replayed", letter_of(op));
        if (!op->has_left)
            saw(model, EVENT_replay_left);
        op->has_left = true;
    }
    must(model, until == NULL, "%c is replayed, but is not to", letter_of(until));
}

static void runs(struct oracle_key *key, const struct model_op *op)
{
    key->is_window_unsure = key->is_window_unsure || op->takes_ns > 0; /* it may have ended it */
    key->ran[key->ran_size++] = op->number;
    key->changed = (uint8_t)(key->changed + op->is_changed);
}

/* The first operation of a batch that skipped its load. */
static void begin_cached(struct model *model, struct model_node *node, struct oracle_key *key)
{
    bool is_more = to_replay(model, key) > 0;
    must(model, node->core.config.cache_max > 0, "a load is skipped");
    must(model, key->reported == BATCH_OK, "a resource was cached after %s",
         status_name(key->reported));
    if (is_more)
        begin_more(key);
    else
        begin(key);
    key->is_loaded = true;
    key->is_cached = true;
    key->opened = node->iterations;
    key->at_end = key->waiting; /* or fewer: those that waited when it was taken */
    key->stage = is_more ? STAGE_REPLAYING : STAGE_OPEN;
    saw(model, EVENT_load_skipped);
}

/* It has something that can run, for certain. */
static bool may_run(const struct model *model, const struct oracle_key *key)
{
    if (key->stage != STAGE_REPLAYING)
        return key->stage == STAGE_OPEN && key->waiting != 0;
    return !may_have_left(model, key);
}

void oracle_look_at_turn(struct model_node *node)
{
    const struct batch__batch *batch = node->oracle.turn_batch;
    if (batch == NULL || !batch->in_turns || key_number(batch) != node->oracle.turn_key)
        node->oracle.is_turn_left = true;
}

/* A moving average to which a time counts as four times that, and a little, at most. */
static void mean_add_limited(uint64_t *mean_ns, uint64_t time_ns, uint64_t little_ns)
{
    uint64_t most_ns = 4 * *mean_ns + little_ns;
    oracle_mean_add(mean_ns, time_ns < most_ns ? time_ns : most_ns);
}

void oracle_ran(struct model_node *node, uint32_t turn_key, uint64_t before_ns)
{
    const struct batch__core_config *config = &node->core.config;
    struct oracle_node *oracle = &node->oracle;
    if (node->core.now_ns > before_ns)
        mean_add_limited(&oracle->keys[turn_key].op_mean_ns, node->core.now_ns - before_ns,
                         config->op_first_max_ns);
    oracle->turn_ops++;
    oracle->is_turn_over = oracle->turn_ops >= config->turn_ops_max ||
                           node->core.now_ns - oracle->turn_began_ns >= config->turn_ns;
}

static void outcomes_must_be_completed(struct model *model, const struct model_node *node)
{
    uint64_t to_refuse = node->oracle.to_refuse & node->oracle.taken;
    must(model, to_refuse == 0, "an operation runs, and %c is to be completed",
         op_letter((uint32_t)__builtin_ctzll(to_refuse | UINT64_C(1) << 63)));
    for (uint32_t i = 0; i < model->config->keys_size; i++) {
        const struct oracle_key *key = &node->oracle.keys[i];
        must(model, key->stage != STAGE_SAVED && key->stage != STAGE_COMPLETED,
             "an operation runs, and %s is %s", key_name(i), stage_name(key));
    }
}

static void begin_turn(struct model *model, struct model_node *node,
                       const struct batch__batch *batch)
{
    struct oracle_node *oracle = &node->oracle;
    uint32_t number = key_number(batch);
    bool is_over = oracle->is_turn_over || oracle->is_turn_left;
    must(model, is_over || !may_run(model, &oracle->keys[oracle->turn_key]),
         "the turn of %s is cut short", key_name(oracle->turn_key));
    for (uint32_t i = 0; i < model->config->keys_size; i++) {
        struct oracle_key *key = &oracle->keys[i];
        if (i == number)
            continue;
        must(model, !may_run(model, key) || (key->had_turn >> number & 1) == 0,
             "%s has two turns, and %s waits for one", key_name(number), key_name(i));
        key->had_turn = may_run(model, key) ? (uint8_t)(key->had_turn | 1U << number) : 0;
        if (key->had_turn != 0)
            saw(model, EVENT_turn_awaited);
    }
    oracle->turn_key = (uint8_t)number;
    oracle->turn_batch = batch;
    oracle->turn_ops = 0;
    oracle->turn_began_ns = node->core.now_ns;
    oracle->is_turn_over = oracle->is_turn_left = false;
}

void oracle_run(struct model *model, struct model_node *node, struct batch__batch *batch,
                struct model_op *op)
{
    struct oracle_key *key = oracle_key_of(node, batch);
    uint64_t bit = op_bit(op->number);
    must(model, op->key == key_number(batch), "%c runs on another key", letter_of(op));
    must(model, (node->oracle.taken & bit) != 0, "%c runs, but is nobody's", letter_of(op));
    must(model, !op->is_canceled, "%c runs, but was canceled", letter_of(op));
    if (!model->config->has_transactions) { /* else others of its transaction run with it */
        outcomes_must_be_completed(model, node);
        if (node->oracle.turn_key != op->key || node->oracle.is_turn_over ||
            node->oracle.is_turn_left)
            begin_turn(model, node, batch);
    }
    key->had_turn = 0;
    if (key->stage == STAGE_CACHED)
        begin_cached(model, node, key);
    if (key->stage == STAGE_REPLAYING && key->ran_size == 0 && (key->waiting & bit) != 0)
        oracle_replay_left(model, key);
    if (key->stage == STAGE_REPLAYING) {
        oracle_pass_canceled(model, key, op);
        key->replay_at++;
        runs(key, op);
        return;
    }
    must(model, key->stage == STAGE_OPEN, "%c runs on one that is %s", letter_of(op),
         stage_name(key));
    must(model, (key->waiting & bit) != 0, "%c runs, but does not wait", letter_of(op));
    must(model, (key->load_failed & bit) == 0, "%c runs after its load failed", letter_of(op));
    must(model, op->op.start_by_ns == 0 || node->core.now_ns <= op->op.start_by_ns, "%c runs late",
         letter_of(op));
    must(model, op->number + 1 > key->last_run, "%c is overtaken by %c", letter_of(op),
         op_letter(key->last_run - 1U));
    must(model, key->ran_size < node->core.config.ops_max, "%c is too many for a batch",
         letter_of(op));
    bool is_joining = ((key->joining | key->at_end) & bit) != 0 || key->may_join ||
                      model->config->has_transactions;
    must(model, key->ran_size == 0 || is_joining || !key->is_window_over,
         "%c runs in a batch whose window had ended", letter_of(op));
    must(model, key->ran_size == 0 || is_joining || !oracle_is_too_old(node, key),
         "%c runs on what was loaded too long ago", letter_of(op));
    if (key->ran_size == 0)
        key->first_wait_ns = node->core.now_ns - op->accepted_ns;
    key->waiting &= ~bit;
    key->last_run = (uint8_t)(op->number + 1);
    op->has_run = true;
    runs(key, op);
}

/* Before each of its legs does. */
void oracle_transaction_runs(struct model *model, struct model_node *node,
                             const struct model_transaction *transaction)
{
    uint8_t tied = 0;
    uint32_t ties = 0;
    bool is_small = false;
    for (uint32_t i = 0; i < transaction->size; i++) {
        const struct model_op *op = transaction->legs[i];
        struct oracle_key *key = &node->oracle.keys[op->key];
        if (key->stage == STAGE_REPLAYING && key->ran_size == 0 &&
            (key->waiting & op_bit(op->number)) != 0)
            oracle_replay_left(model, key);
    }
    for (uint32_t i = 0; i < transaction->size; i++) {
        const struct oracle_key *key = &node->oracle.keys[transaction->legs[i]->key];
        bool is_new = key->stage == STAGE_CACHED;
        tied |= (uint8_t)((is_new ? 0 : key->tied) | 1U << transaction->legs[i]->key);
        ties += !is_new && key->tied != 0;
    }
    for (uint32_t i = 0; i < model->config->keys_size; i++)
        is_small = is_small || ((tied >> i & 1) != 0 && node->oracle.keys[i].is_isolated &&
                                node->oracle.keys[i].stage != STAGE_CACHED);
    uint32_t size = (uint32_t)__builtin_popcount(tied);
    uint64_t max = is_small ? transaction->size : node->oracle.unit_max;
    must(model, size <= max || size <= transaction->size, "%u keys are tied together, of %u", size,
         (unsigned)max);
    if (ties > 0)
        saw(model, EVENT_unit_of_many);
    for (uint32_t i = 0; i < transaction->size; i++) { /* a cached one begins now */
        struct oracle_key *key = &node->oracle.keys[transaction->legs[i]->key];
        if (key->stage == STAGE_CACHED)
            begin_cached(model, node, key);
    }
    for (uint32_t i = 0; i < model->config->keys_size && transaction->size > 1; i++) {
        if ((tied >> i & 1) != 0)
            node->oracle.keys[i].tied = tied;
    }
}
