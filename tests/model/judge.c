/* judge.c: the reference model, and what it holds against the core. For each key of each node it
 * knows the stage of the batch, who waits, who ran and in what order; of the store it sees the
 * rows. It is told of an event before the core is, and of an action before it is performed.
 *
 *   - every accepted operation is answered once, and the core counts as many as there are
 *   - an operation runs once, and again only after a conflict or if its resource had been kept; in
 *     the order of submission; never when canceled, late, refused, or after its load failed
 *   - who ran is never told CANCELED, EXPIRED, STOPPED, BUSY or NO_MEMORY, but who left a replay
 *   - a batch is loaded for somebody, saved if and only if something changed, and told what its
 *     save was told, all of it, in order, and nobody else
 *   - OK is told when it is stored; what is told as not applied is not stored, then or later
 *   - a save adds to what is stored, and takes nothing away
 *   - nobody sees less than others had been told before
 *   - a conflict is run again as often as is allowed; only what ended well is kept, no more than
 *     may be
 *   - a window is as long as it should be, a deadline counts from the beginning of its own batch
 *   - in a calm history every operation is OK within window + load + save of when its key was free
 *   - when nothing is left to happen nobody waits; when all have stopped no key and no memory is
 *     left
 */
#include "simulation.h"

#include <batch/metrics.h>

static uint32_t count_of(uint64_t set)
{
    return (uint32_t)__builtin_popcountll(set);
}

static struct sim_judged *judged_of(struct sim_node *node, const struct batch__batch *batch)
{
    return &node->keys[sim_key_of(batch)];
}

static char letter(const struct sim_op *op)
{
    return sim_op_letter(op->number);
}

static uint32_t to_run_again(const struct sim_judged *key)
{
    return (uint32_t)(key->again_size - key->again_at);
}

/* May it wait no more, and be told so after its batch? */
static bool has_left(const struct sim_op *op)
{
    return op->is_canceled || op->op.start_by_ns != 0 || op->may_be_full || op->may_lack_memory;
}

/* Of those who waited for a load that failed, one who has to be told so; NULL: none. */
static const struct sim_op *doomed_of(const struct sim *sim, const struct sim_judged *key)
{
    uint64_t doomed = key->doomed;
    while (doomed != 0 && has_left(&sim->ops[__builtin_ctzll(doomed)]))
        doomed &= doomed - 1;
    return doomed == 0 ? NULL : &sim->ops[__builtin_ctzll(doomed)];
}

/* Its batch has ended, and whatever was left of it is kept or gone. */
static bool is_over(const struct sim *sim, const struct sim_judged *key)
{
    return key->stage == SIM_IDLE || key->stage == SIM_REPORTED ||
           (key->stage == SIM_LOAD_FAILED && doomed_of(sim, key) == NULL && to_run_again(key) == 0);
}

/* ---- Submit --------------------------------------------------------------------------------- */

static void mean_add(uint64_t *mean_ns, uint64_t time_ns)
{
    *mean_ns = *mean_ns == 0 ? time_ns : *mean_ns - *mean_ns / 8 + time_ns / 8;
}

static uint64_t rest_of(uint64_t all_ns, uint64_t since_ns)
{
    return all_ns > since_ns ? all_ns - since_ns : 0;
}

/* How long it must wait at the least, as the node knows saves and loads; a key at rest, or open, is
 * never judged. */
static uint64_t wait_ns(const struct sim_node *node, const struct sim_judged *key, uint64_t now_ns)
{
    uint64_t next_load_ns = node->core.config.cache_max > 0 ? 0 : node->load_mean_ns;
    if (key->stage == SIM_SAVING)
        return rest_of(node->save_mean_ns, now_ns - key->save_ns) + next_load_ns;
    if (key->stage == SIM_RELOADING)
        return rest_of(node->load_mean_ns, now_ns - key->load_ns) + node->save_mean_ns +
               next_load_ns;
    return 0;
}

/* Is it told that it would have to wait too long? While actions are to be taken it depends on them:
 * then it may be. */
static bool is_hopeless(const struct sim_node *node, const struct sim_judged *key,
                        struct sim_op *op, uint64_t now_ns)
{
    bool may_be = node->core.config.refuses_early && op->op.start_by_ns != 0 &&
                  node->save_mean_ns != 0 && key->stage != SIM_IDLE;
    op->may_be_hopeless = may_be && !node->is_clean;
    return may_be && node->is_clean && wait_ns(node, key, now_ns) > op->op.start_by_ns - now_ns;
}

static int refusal_of(struct sim_node *node, const struct sim_judged *key, struct sim_op *op,
                      uint64_t now_ns)
{
    const struct batch__core_config *config = &node->core.config;
    if (node->state == SIM_STOPPING)
        return BATCH_STOPPED;
    if (count_of(node->taken) >= config->ops_waiting_max)
        return BATCH_BUSY;
    if (op->is_canceled)
        return BATCH_CANCELED;
    if (op->op.start_by_ns != 0 && op->op.start_by_ns < now_ns)
        return BATCH_EXPIRED;
    uint32_t ran = key->stage < SIM_ANSWERED ? key->ran_size : 0;
    bool is_full = count_of(key->waiting) + ran + to_run_again(key) >= config->key_ops_waiting_max;
    if (is_full && node->is_clean)
        return BATCH_BUSY;
    op->may_be_full = is_full;
    op->is_hopeless = is_hopeless(node, key, op, now_ns);
    return op->is_hopeless ? BATCH_BUSY : BATCH_OK;
}

void sim_judge_submit(struct sim *sim, struct sim_node *node, struct sim_op *op, uint64_t now_ns)
{
    (void)sim;
    struct sim_judged *key = &node->keys[op->key];
    op->accepted_ns = now_ns > node->core.now_ns ? now_ns : node->core.now_ns;
    op->must_be = (int8_t)refusal_of(node, key, op, op->accepted_ns);
    node->taken |= sim_bit(op->number);
    if (op->op.start_by_ns != 0)
        node->impatient |= sim_bit(op->number);
    if (op->must_be == BATCH_OK)
        key->waiting |= sim_bit(op->number);
}

/* ---- Load ----------------------------------------------------------------------------------- */

static void begin(struct sim_judged *key)
{
    key->ran_size = key->again_size = key->again_at = key->changed = 0;
    key->replays = 0;
    key->is_loaded = false;
    key->is_cached = false;
    key->told = BATCH_OK;
    key->load_ns = key->loaded_ns = key->save_ns = key->first_wait_ns = 0;
}

void sim_judge_load(struct sim *sim, struct sim_node *node, struct batch__batch *batch)
{
    struct sim_judged *key = judged_of(node, batch);
    const char *name = sim_key_name(sim, sim_key_of(batch));
    sim_must(sim, batch->deadline_ns == batch->begun_ns + node->core.config.deadline_ns,
             "the deadline of %s is that of another batch", name);
    key->load_floor = sim->rows[sim_key_of(batch)].told;
    if (key->stage == SIM_DROPPED) {
        key->stage = SIM_RELOADING;
        key->load_ns = node->core.now_ns;
        return;
    }
    sim_must(sim, is_over(sim, key) && key->stage != SIM_REPORTED, "%s is loaded while it is %s",
             name, sim_stage_name(key));
    sim_must(sim, key->waiting != 0 && batch->waiting.count > 0, "%s is loaded for nobody", name);
    begin(key);
    key->load_ns = node->core.now_ns;
    key->stage = SIM_LOADING;
}

void sim_judge_loaded(struct sim *sim, struct sim_node *node, uint32_t number, int status,
                      uint64_t now_ns)
{
    struct sim_judged *key = &node->keys[number];
    bool is_again = key->stage == SIM_RELOADING;
    sim_must(sim, is_again || key->stage == SIM_LOADING, "a load ends of one that is %s",
             sim_stage_name(key));
    key->is_loaded = status == BATCH_OK;
    if (!key->is_loaded)
        key->stage = SIM_LOAD_FAILED;
    else
        key->stage = is_again ? SIM_RERUN : SIM_OPEN;
    if (!key->is_loaded && !is_again)
        key->doomed = key->waiting;
    key->joining = key->is_loaded && !is_again ? key->waiting : 0;
    key->flushes = node->flushes;
    key->loaded_ns = now_ns > node->core.now_ns ? now_ns : node->core.now_ns;
    mean_add(&node->load_mean_ns, key->loaded_ns - key->load_ns);
}

/* ---- Run ------------------------------------------------------------------------------------ */

/* Those who are to run again and were canceled leave, up to this one, or all that are left. */
static void others_leave(struct sim *sim, struct sim_judged *key, const struct sim_op *until)
{
    for (; key->again_at < key->again_size; key->again_at++) {
        struct sim_op *op = &sim->ops[key->again[key->again_at]];
        if (op == until)
            return;
        sim_must(sim, op->is_canceled, "%c does not run again", letter(op));
        op->has_left = true;
        sim_saw(sim, SIM_EVENT_replay_left);
    }
    sim_must(sim, until == NULL, "%c runs again, but is not to", letter(until));
}

static void runs(struct sim_judged *key, const struct sim_op *op)
{
    key->ran[key->ran_size++] = op->number;
    key->changed = (uint8_t)(key->changed + op->is_changed);
}

/* The first operation of a batch that skipped its load. */
static void begin_kept(struct sim *sim, struct sim_node *node, struct sim_judged *key)
{
    sim_must(sim, node->core.config.cache_max > 0, "a load is skipped");
    sim_must(sim, key->told == BATCH_OK, "a resource was kept after %s",
             sim_status_name(key->told));
    begin(key);
    key->is_loaded = true;
    key->is_cached = true;
    key->stage = SIM_OPEN;
    sim_saw(sim, SIM_EVENT_load_skipped);
}

void sim_judge_run(struct sim *sim, struct sim_node *node, struct batch__batch *batch,
                   struct sim_op *op)
{
    struct sim_judged *key = judged_of(node, batch);
    uint64_t bit = sim_bit(op->number);
    sim_must(sim, op->key == sim_key_of(batch), "%c runs on another key", letter(op));
    sim_must(sim, (node->taken & bit) != 0, "%c runs, but is nobody's", letter(op));
    sim_must(sim, !op->is_canceled, "%c runs, but was canceled", letter(op));
    if (key->stage == SIM_RERUN) {
        others_leave(sim, key, op);
        key->again_at++;
        runs(key, op);
        return;
    }
    if (key->stage == SIM_REPORTED)
        begin_kept(sim, node, key);
    sim_must(sim, key->stage == SIM_OPEN, "%c runs on one that is %s", letter(op),
             sim_stage_name(key));
    sim_must(sim, (key->waiting & bit) != 0, "%c runs, but does not wait", letter(op));
    sim_must(sim, (key->doomed & bit) == 0, "%c runs after its load failed", letter(op));
    sim_must(sim, op->op.start_by_ns == 0 || node->core.now_ns <= op->op.start_by_ns,
             "%c runs late", letter(op));
    sim_must(sim, op->number + 1 > key->last_run, "%c is overtaken by %c", letter(op),
             sim_op_letter(key->last_run - 1U));
    sim_must(sim, key->ran_size < node->core.config.ops_max, "%c is too many for a batch",
             letter(op));
    if (key->ran_size == 0)
        key->first_wait_ns = node->core.now_ns - op->accepted_ns;
    key->waiting &= ~bit;
    key->last_run = (uint8_t)(op->number + 1);
    op->has_run = true;
    runs(key, op);
}

/* ---- Save ----------------------------------------------------------------------------------- */

static void reason_must_be_true(struct sim *sim, const struct sim_node *node,
                                const struct sim_judged *key, const struct batch__batch *batch)
{
    const char *name = sim_key_name(sim, sim_key_of(batch));
    uint64_t begun_ns = sim->ops[key->ran[0]].accepted_ns;
    bool has_window = node->core.config.window_ns != BATCH_WINDOW_NONE;
    switch ((batch_close_reason)batch->close_reason) {
    case BATCH_CLOSED_BY_WINDOW:
        sim_must(sim, has_window, "%s is closed by a window that it has not", name);
        sim_must(sim, node->core.now_ns - begun_ns >= node->core.config.window_ns,
                 "%s closes early", name);
        break;
    case BATCH_CLOSED_BY_STORE:
        sim_must(sim, !has_window, "%s is closed by the store, but has a window", name);
        sim_must(sim, node->flushes != key->flushes, "%s is closed, but the store is not free",
                 name);
        break;
    case BATCH_CLOSED_BY_SIZE:
        sim_must(sim, key->ran_size == node->core.config.ops_max, "%s is not full", name);
        break;
    case BATCH_CLOSED_BY_STOP:
        sim_must(sim, node->state == SIM_STOPPING, "%s is closed by no stop", name);
        break;
    case BATCH_CLOSED_BY_ERROR:
        sim_wrong(sim, "%s is closed by no error", name);
    }
    sim_must(sim, batch->begun_ns >= begun_ns, "%s begins before its first operation", name);
    sim_must(sim, batch->deadline_ns == batch->begun_ns + node->core.config.deadline_ns,
             "the deadline of %s is that of another batch", name);
    sim_saw(sim, SIM_EVENT_closed_by_window + (enum sim_event)batch->close_reason);
}

/* Who waited when it was loaded is in this batch, unless it is full. */
void sim_judge_close(struct sim *sim, const struct sim_node *node, struct sim_judged *key)
{
    uint64_t left = key->joining & key->waiting;
    for (; left != 0 && key->ran_size < node->core.config.ops_max; left &= left - 1) {
        const struct sim_op *op = &sim->ops[__builtin_ctzll(left)];
        sim_must(sim, has_left(op), "%c waited for this batch, and is not in it", letter(op));
    }
    key->joining = 0;
}

void sim_judge_save(struct sim *sim, struct sim_node *node, struct batch__batch *batch)
{
    struct sim_judged *key = judged_of(node, batch);
    const char *name = sim_key_name(sim, sim_key_of(batch));
    if (key->stage == SIM_RERUN)
        others_leave(sim, key, NULL);
    sim_must(sim, key->stage == SIM_OPEN || key->stage == SIM_RERUN, "%s is saved while it is %s",
             name, sim_stage_name(key));
    sim_must(sim, key->changed > 0, "%s is saved, but not changed", name);
    if (key->again_size == 0) {
        reason_must_be_true(sim, node, key, batch);
        sim_judge_close(sim, node, key);
    }
    key->save_ns = node->core.now_ns;
    key->stage = SIM_SAVING;
}

void sim_judge_row(struct sim *sim, const struct sim_call *call)
{
    const struct sim_log *now = &sim->rows[call->key].log;
    const struct sim_log *next = &call->log;
    const char *name = sim_key_name(sim, call->key);
    sim_must(sim, next->size <= SIM_LOG, "%s is saved, but is not there", name);
    sim_must(sim, next->base == now->base && next->size > now->size, "%s loses what was stored: %s",
             name, sim_log_text(now));
    for (uint32_t i = 0; i < now->size; i++)
        sim_must(sim, next->ops[i] == now->ops[i], "%s loses what was stored: %s", name,
                 sim_log_text(now));
    for (uint32_t i = now->size; i < next->size; i++) {
        const struct sim_op *op = &sim->ops[next->ops[i]];
        uint64_t bit = sim_bit(next->ops[i]);
        sim_must(sim, next->ops[i] < sim->ops_size && op->key == call->key && op->has_run,
                 "%s is saved with what nobody ran", name);
        sim_must(sim, (sim->stored & bit) == 0, "%c is stored twice", letter(op));
        sim_must(sim, (sim->refused & bit) == 0, "%c is stored, but was told %s", letter(op),
                 sim_status_name(op->status));
        sim_must(sim, (sim->ok & bit) == 0, "%c was told OK before it is stored", letter(op));
        sim->stored |= bit;
    }
}

void sim_judge_saved(struct sim *sim, struct sim_node *node, uint32_t number, int status,
                     uint64_t now_ns)
{
    struct sim_judged *key = &node->keys[number];
    sim_must(sim, key->stage == SIM_SAVING, "a save ends of one that is %s", sim_stage_name(key));
    key->stage = SIM_SAVED;
    key->told = (int8_t)status;
    key->told_ns = now_ns > node->core.now_ns ? now_ns : node->core.now_ns;
    mean_add(&node->save_mean_ns, key->told_ns - key->save_ns);
}

/* ---- Answers -------------------------------------------------------------------------------- */

/* What it saw is stored, and is not older than what somebody had been told: before it was
 * submitted, if its batch was saved; before its batch was loaded, if nothing had to be. */
static void must_have_seen_the_truth(struct sim *sim, struct sim_judged *key, struct sim_op *op)
{
    struct sim_row *row = &sim->rows[op->key];
    uint32_t seen = op->seen_base + op->seen_size;
    uint32_t floor = key->changed > 0 ? op->floor : key->load_floor;
    sim_must(sim, !op->is_changed || (sim->stored & sim_bit(op->number)) != 0,
             "%c is told OK, but is not stored", letter(op));
    sim_must(sim, seen >= floor + op->is_changed, "%c saw less than others had been told",
             letter(op));
    if (row->log.base != op->seen_base)
        return; /* deleted meanwhile */
    sim_must(sim, op->seen_size <= row->log.size && row->hashes[op->seen_size] == op->seen_hash,
             "%c saw what is not stored", letter(op));
    if (seen > row->told)
        row->told = seen;
}

static void must_be_punctual(struct sim *sim, const struct sim_node *node,
                             const struct sim_judged *key, const struct sim_op *op, int status)
{
    const struct sim_config *config = sim->config;
    uint64_t window_ns = config->core.window_ns == BATCH_WINDOW_NONE ? 0 : config->core.window_ns;
    uint64_t now_ns = sim->now_ns + node->elapsed_ns;
    uint64_t since_ns = op->submitted_ns > key->free_ns ? op->submitted_ns : key->free_ns;
    sim_must(sim, status == BATCH_OK, "%c is told %s, but all is calm", letter(op),
             sim_status_name(status));
    sim_must(sim, now_ns - since_ns <= window_ns + config->load_max_ns + config->save_max_ns,
             "%c is answered after %lu us, but all is calm", letter(op),
             (unsigned long)((now_ns - since_ns) / SIM_US));
}

static void count(struct sim *sim, enum sim_outcome outcome, uint64_t times)
{
    sim->tally->outcomes[outcome] += times;
}

static void answer(struct sim *sim, struct sim_node *node, struct sim_op *op, int status)
{
    struct sim_judged *key = &node->keys[op->key];
    uint64_t bit = sim_bit(op->number);
    sim_say(sim, node, "done %c %s", letter(op), sim_status_name(status));
    sim_step(sim, 0x10000 + (uint64_t)(uint8_t)status + ((uint64_t)op->number << 8));
    sim_must(sim, (node->taken & bit) != 0, "%c is answered twice", letter(op));
    bool is_changed = op->has_run && !op->has_left && op->is_changed && status != BATCH_LOAD_FAILED;
    sim_must(sim, op->op.private_changed == is_changed, "%c is told the wrong verdict", letter(op));
    node->taken &= ~bit;
    node->pending &= ~bit;
    key->waiting &= ~bit;
    key->doomed &= ~bit;
    op->status = (int8_t)status;
    if (status == BATCH_OK) {
        must_have_seen_the_truth(sim, key, op);
        *(op->is_changed ? &sim->ok : &sim->ok_unchanged) |= bit;
    } else if (status == BATCH_UNKNOWN) {
        sim->unknown |= bit;
    } else {
        sim->refused |= bit;
        sim_must(sim, (sim->stored & bit) == 0, "%c is told %s, but is stored", letter(op),
                 sim_status_name(status));
    }
    if (sim->config->is_calm)
        must_be_punctual(sim, node, key, op, status);
}

static enum sim_outcome outcome_of(const struct sim_op *op, int status)
{
    switch (status) {
    case BATCH_CANCELED:
        return SIM_OUTCOME_canceled;
    case BATCH_EXPIRED:
        return SIM_OUTCOME_expired;
    case BATCH_STOPPED:
        return SIM_OUTCOME_stopped;
    case BATCH_BUSY:
        return op->is_hopeless || op->may_be_hopeless ? SIM_OUTCOME_busy_early : SIM_OUTCOME_busy;
    case BATCH_LOAD_FAILED:
        return SIM_OUTCOME_load_failed;
    case BATCH_SAVE_FAILED:
        return SIM_OUTCOME_save_failed;
    case BATCH_CONFLICT:
        return SIM_OUTCOME_conflict;
    default:
        return SIM_OUTCOME_no_memory;
    }
}

static void answer_refused(struct sim *sim, struct sim_node *node, struct sim_op *op, int status)
{
    const char *name = sim_status_name(status);
    sim_must(sim, !op->has_run || (op->has_left && status == BATCH_CANCELED),
             "%c ran, and is told %s", letter(op), name);
    if (op->must_be != BATCH_OK)
        sim_must(sim, status == op->must_be, "%c is told %s, not %s", letter(op), name,
                 sim_status_name(op->must_be));
    else if (status == BATCH_EXPIRED)
        sim_must(sim, op->op.start_by_ns != 0 && node->core.now_ns > op->op.start_by_ns,
                 "%c is told EXPIRED too early", letter(op));
    else if (status == BATCH_CANCELED)
        sim_must(sim, op->is_canceled, "%c is told CANCELED by nobody", letter(op));
    else if (status == BATCH_BUSY)
        sim_must(sim, op->may_be_full || op->may_be_hopeless, "%c is told BUSY", letter(op));
    else
        sim_must(sim, status == BATCH_NO_MEMORY && op->may_lack_memory, "%c is told %s", letter(op),
                 name);
    count(sim, outcome_of(op, status), 1);
    answer(sim, node, op, status);
}

/* The outcome that a batch must be told; -1: it must not be told anything now. */
static int outcome_of_batch(struct sim *sim, const struct sim_node *node,
                            const struct sim_judged *key, const struct batch__batch *batch)
{
    bool is_unchanged = key->changed == 0 && !key->is_cached && key->ran_size > 0;
    if (key->stage == SIM_LOAD_FAILED)
        return BATCH_LOAD_FAILED;
    if (is_unchanged && (key->stage == SIM_OPEN || key->stage == SIM_RERUN))
        return BATCH_OK;
    sim_must(sim, key->stage == SIM_SAVED, "%s is answered while it is %s%s",
             sim_key_name(sim, sim_key_of(batch)), sim_stage_name(key),
             key->is_cached ? ", and has only been kept" : "");
    bool may_replay =
        key->replays < node->core.config.replays_max && key->told_ns < batch->deadline_ns;
    sim_must(sim, key->told != BATCH_CONFLICT || !may_replay, "a conflict could be run again");
    return key->told;
}

/* Who is answered next with this batch; NULL: nobody. */
static const struct sim_op *next_of_batch(const struct sim *sim, const struct sim_judged *key,
                                          bool is_failed, uint32_t at)
{
    if (!is_failed)
        return at < key->ran_size ? &sim->ops[key->ran[at]] : NULL;
    if (key->again_size > 0)
        return at < key->again_size ? &sim->ops[key->again[at]] : NULL;
    return doomed_of(sim, key);
}

static void answer_batch(struct sim *sim, struct sim_node *node, const struct batch__action *action)
{
    const struct batch__batch *batch = action->batch;
    struct sim_judged *key = judged_of(node, batch);
    if (key->stage == SIM_RERUN)
        others_leave(sim, key, NULL);
    int status = outcome_of_batch(sim, node, key, batch);
    bool is_failed = status == BATCH_LOAD_FAILED;
    bool is_first_failed = is_failed && key->again_size == 0;
    sim_must(sim, batch->status == status, "a batch is told %s, not %s",
             sim_status_name(batch->status), sim_status_name(status));
    uint32_t answers = 0;
    int last = -1;
    for (batch_op *at = action->op, *next; at != NULL; at = next, answers++) {
        struct sim_op *op = sim_op_of(at);
        next = at->private_next;
        if (is_first_failed)
            sim_must(sim, (key->doomed & sim_bit(op->number)) != 0 && op->number > last,
                     "%c did not wait for the load that failed, or not there", letter(op));
        else
            sim_must(sim, next_of_batch(sim, key, is_failed, answers) == op,
                     "%c is not the next to be answered", letter(op));
        last = op->number;
        if (status < BATCH_OK && status != BATCH_UNKNOWN)
            count(sim, outcome_of(op, status), 1);
        answer(sim, node, op, status);
    }
    sim_must(sim, answers == action->count && answers > 0, "a batch of %u answers, not %u", answers,
             (unsigned)action->count);
    const struct sim_op *left = next_of_batch(sim, key, is_failed, answers);
    sim_must(sim, left == NULL, "%c is left out", letter(left));
    if (is_failed) {
        sim_must(sim, batch->close_reason == BATCH_CLOSED_BY_ERROR, "a load failed, and it is %u",
                 batch->close_reason);
        sim_saw(sim, SIM_EVENT_closed_by_error);
    } else if (key->stage == SIM_OPEN) {
        sim_judge_close(sim, node, key);
    }
    key->told = (int8_t)status;
    key->stage = SIM_ANSWERED;
    key->ran_size = (uint8_t)answers;
    key->again_at = key->again_size;
}

void sim_judge_done(struct sim *sim, struct sim_node *node, const struct batch__action *action)
{
    if (action->batch != NULL) {
        answer_batch(sim, node, action);
        return;
    }
    for (batch_op *at = action->op, *next; at != NULL; at = next) {
        next = at->private_next;
        answer_refused(sim, node, sim_op_of(at), at->private_status);
    }
}
