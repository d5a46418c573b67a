#include "history.h"

void history_wrong(struct history *h, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(h->error, sizeof h->error, format, arguments);
    va_end(arguments);
    longjmp(*h->on_error, 1);
}

#define must(h, condition, ...)                                                                    \
    do {                                                                                           \
        if (!(condition))                                                                          \
            history_wrong(h, __VA_ARGS__);                                                         \
    } while (0)

static uint32_t number_of(const struct history *h, const struct history_op *op)
{
    return (uint32_t)(op - h->ops);
}

struct history_key *model_key(struct history *h, const struct batch__batch *batch)
{
    for (uint32_t i = 0; i < h->keys_size; i++) {
        struct history_key *key = &h->keys[i];
        if (key->size == batch->key_size && memcmp(key->name, batch->key, key->size) == 0)
            return key;
    }
    history_wrong(h, "a batch of a key that nobody used");
}

/* Its batch has ended, and whatever was left of it is kept or gone. */
static bool is_over(const struct history_key *key)
{
    return key->stage == HISTORY_IDLE || key->stage == HISTORY_REPORTED ||
           (key->stage == HISTORY_LOAD_FAILED && key->ran.size == 0);
}

static bool is_waiting(const struct history_op *op)
{
    return op->is_submitted && op->must_be == BATCH_OK && !op->has_run && !op->is_answered;
}

static uint64_t waiting_on(const struct history *h, const struct history_key *key)
{
    uint64_t count = 0;
    for (uint32_t i = 0; i < h->submitted; i++)
        count += &h->keys[h->ops[i].key] == key && is_waiting(&h->ops[i]);
    return count;
}

/* ---- Submit --------------------------------------------------------------------------------- */

static int refusal_of(const struct history *h, const struct history_op *op)
{
    const struct history_key *key = &h->keys[op->key];
    if (h->is_stopped)
        return BATCH_STOPPED;
    if (h->unanswered >= h->config.ops_waiting_max)
        return BATCH_BUSY;
    if (op->is_canceled)
        return BATCH_CANCELED;
    if (op->op.start_by_ns != 0 && op->op.start_by_ns < h->now_ns)
        return BATCH_EXPIRED;
    uint64_t to_run_again = key->again.size - key->again_at;
    if (waiting_on(h, key) + key->ran.size + to_run_again >= h->config.key_ops_waiting_max)
        return BATCH_BUSY;
    return BATCH_OK;
}

void model_submit(struct history *h, struct history_op *op)
{
    op->must_be = refusal_of(h, op);
    op->is_submitted = true;
    op->submitted_ns = h->now_ns;
    h->unanswered++;
}

/* ---- Load ----------------------------------------------------------------------------------- */

static void begin(struct history_key *key)
{
    key->ran.size = 0;
    key->again.size = 0;
    key->again_at = 0;
    key->changed = 0;
    key->replays = 0;
    key->is_loaded = false;
    key->is_cached = false;
    key->told = BATCH_OK;
}

void model_load(struct history *h, struct batch__batch *batch)
{
    struct history_key *key = model_key(h, batch);
    key->batch = batch;
    if (key->stage == HISTORY_DROPPED) {
        key->stage = HISTORY_RELOADING;
        return;
    }
    must(h, is_over(key) && key->stage != HISTORY_REPORTED, "%s is loaded in stage %d", key->name,
         key->stage);
    must(h, waiting_on(h, key) > 0, "%s is loaded for nobody", key->name);
    begin(key);
    key->stage = HISTORY_LOADING;
}

void model_loaded(struct history *h, struct batch__batch *batch, int status)
{
    struct history_key *key = model_key(h, batch);
    key->is_loaded = status == BATCH_OK;
    if (key->stage == HISTORY_RELOADING) {
        key->stage = key->is_loaded ? HISTORY_RERUN : HISTORY_LOAD_FAILED;
        return;
    }
    key->stage = key->is_loaded ? HISTORY_OPEN : HISTORY_LOAD_FAILED;
    for (uint32_t i = 0; i < h->submitted && !key->is_loaded; i++) {
        struct history_op *op = &h->ops[i];
        if (&h->keys[op->key] == key && is_waiting(op))
            op->must_not_run = true;
    }
}

/* ---- Run ------------------------------------------------------------------------------------ */

/* Those who are to run again and were canceled leave, up to this one, or all that are left. */
static void others_leave(struct history *h, struct history_key *key, const struct history_op *until)
{
    for (; key->again_at < key->again.size; key->again_at++) {
        struct history_op *op = &h->ops[key->again.ops[key->again_at]];
        if (op == until)
            return;
        must(h, op->is_canceled, "%u does not run again", number_of(h, op));
        op->has_left = true;
        h->tally->replays_left++;
    }
    must(h, until == NULL, "%u runs again, but is not to", number_of(h, until));
}

static void run_again(struct history *h, struct history_key *key, struct history_op *op)
{
    uint32_t number = number_of(h, op);
    others_leave(h, key, op);
    must(h, !op->is_canceled, "%u runs again, but was canceled", number);
    key->again_at++;
    key->ran.ops[key->ran.size++] = (uint8_t)number;
    key->changed += op->verdict == BATCH_CHANGED;
}

/* The first operation of a batch that skipped its load. */
static void begin_kept(struct history *h, struct history_key *key)
{
    must(h, h->config.cache_max > 0, "%s skips its load", key->name);
    must(h, key->told == BATCH_OK, "%s was kept after %s", key->name, trace_status_name(key->told));
    begin(key);
    key->is_loaded = true;
    key->is_cached = true;
    key->stage = HISTORY_OPEN;
    h->tally->loads_skipped++;
}

void model_run(struct history *h, struct batch__batch *batch, struct history_op *op)
{
    struct history_key *key = model_key(h, batch);
    uint32_t number = number_of(h, op);
    must(h, &h->keys[op->key] == key, "%u runs on %s", number, key->name);
    if (key->stage == HISTORY_RERUN) {
        run_again(h, key, op);
        return;
    }
    if (key->stage == HISTORY_REPORTED)
        begin_kept(h, key);
    must(h, key->stage == HISTORY_OPEN, "%u runs in stage %d", number, key->stage);
    must(h, op->is_submitted && op->must_be == BATCH_OK, "%u runs, but was refused", number);
    must(h, !op->has_run && !op->is_answered, "%u runs again", number);
    must(h, !op->must_not_run, "%u runs after its load failed", number);
    must(h, !op->is_canceled, "%u runs, but was canceled", number);
    must(h, op->op.start_by_ns == 0 || h->core.now_ns <= op->op.start_by_ns, "%u runs late",
         number);
    must(h, number + 1 > key->last_run, "%u overtaken by %u", number, key->last_run - 1);
    must(h, key->ran.size < h->config.ops_max, "%u is too many for a batch", number);
    op->has_run = true;
    key->last_run = number + 1;
    key->ran.ops[key->ran.size++] = (uint8_t)number;
    key->changed += op->verdict == BATCH_CHANGED;
}

/* ---- Save ----------------------------------------------------------------------------------- */

static void close_reason_must_be_true(struct history *h, const struct history_key *key,
                                      const struct batch__batch *batch)
{
    if (key->again.size > 0)
        return; /* it was looked at before */
    const struct history_op *first = &h->ops[key->ran.ops[0]];
    uint64_t begun_ns = first->submitted_ns;
    bool has_window = h->config.window_ns != BATCH_WINDOW_NONE;
    switch ((batch_close_reason)batch->close_reason) {
    case BATCH_CLOSED_BY_WINDOW:
        must(h, has_window, "%s is closed by a window that it has not", key->name);
        must(h, h->core.now_ns - begun_ns >= h->config.window_ns, "%s closes early", key->name);
        break;
    case BATCH_CLOSED_BY_STORE:
        must(h, !has_window, "%s is closed by the store, but has a window", key->name);
        break;
    case BATCH_CLOSED_BY_SIZE:
        must(h, key->ran.size == h->config.ops_max, "%s is not full", key->name);
        break;
    case BATCH_CLOSED_BY_STOP:
        must(h, h->is_stopped, "%s is closed by no stop", key->name);
        break;
    case BATCH_CLOSED_BY_ERROR:
        history_wrong(h, "%s is closed by no error", key->name);
    }
    must(h, batch->deadline_ns >= begun_ns + h->config.deadline_ns,
         "the deadline of %s is that of another batch", key->name);
    h->tally->closed[batch->close_reason]++;
}

void model_save(struct history *h, struct batch__batch *batch)
{
    struct history_key *key = model_key(h, batch);
    if (key->stage == HISTORY_RERUN)
        others_leave(h, key, NULL);
    must(h, key->stage == HISTORY_OPEN || key->stage == HISTORY_RERUN, "%s is saved in stage %d",
         key->name, key->stage);
    must(h, key->changed > 0, "%s is saved, but not changed", key->name);
    close_reason_must_be_true(h, key, batch);
    key->stage = HISTORY_SAVING;
}

void model_saved(struct history *h, struct batch__batch *batch, int told, bool is_applied)
{
    struct history_key *key = model_key(h, batch);
    if (key->stage != HISTORY_SAVING)
        return; /* a mistake: the core must find it */
    key->stage = HISTORY_SAVED;
    key->told = told;
    for (uint32_t i = 0; i < key->ran.size; i++)
        h->ops[key->ran.ops[i]].is_applied = is_applied;
    if (told == BATCH_UNKNOWN && is_applied)
        h->tally->unknown_applied++;
    else if (told == BATCH_UNKNOWN)
        h->tally->unknown_not_applied++;
}

/* ---- Answers -------------------------------------------------------------------------------- */

static void answer(struct history *h, struct history_op *op, int status)
{
    uint32_t number = number_of(h, op);
    must(h, op->is_submitted, "%u is answered, but was not submitted", number);
    must(h, !op->is_answered, "%u is answered twice", number);
    bool is_changed =
        op->has_run && !op->has_left && op->verdict == BATCH_CHANGED && status != BATCH_LOAD_FAILED;
    must(h, op->op.private_changed == is_changed, "%u is told the wrong verdict", number);
    op->is_answered = true;
    op->status = status;
    h->unanswered--;
    h->tally->answers[-status]++;
    if (!h->is_calm)
        return;
    uint64_t load_ns = h->load_max_ns;
    bool has_window = h->config.window_ns != BATCH_WINDOW_NONE;
    uint64_t open_ns = has_window && h->config.window_ns > load_ns ? h->config.window_ns : load_ns;
    uint64_t look_again_ns = h->config.cache_max > 0 ? 2 * load_ns : 0;
    uint64_t latency_ns = h->now_ns - op->submitted_ns;
    must(h, status == BATCH_OK, "%u is told %s, but all is calm", number,
         trace_status_name(status));
    must(h, latency_ns <= h->save_max_ns + open_ns + h->save_max_ns + look_again_ns,
         "%u is answered after %lu us, but all is calm", number,
         (unsigned long)(latency_ns / 1000));
}

static void answer_refused(struct history *h, struct history_op *op, int status)
{
    uint32_t number = number_of(h, op);
    const char *name = trace_status_name(status);
    must(h, !op->has_run || (op->has_left && status == BATCH_CANCELED), "%u ran, and is told %s",
         number, name);
    if (op->must_be != BATCH_OK) {
        must(h, status == op->must_be, "%u is told %s, not %s", number, name,
             trace_status_name(op->must_be));
    } else if (status == BATCH_EXPIRED) {
        must(h, op->op.start_by_ns != 0 && h->core.now_ns > op->op.start_by_ns,
             "%u is told EXPIRED too early", number);
    } else if (status == BATCH_CANCELED) {
        must(h, op->is_canceled, "%u is told CANCELED by nobody", number);
    } else if (status == BATCH_BUSY) {
        must(h, h->config.refuses_early && op->op.start_by_ns != 0, "%u is told BUSY", number);
        h->tally->refused_early++;
    } else {
        must(h, status == BATCH_NO_MEMORY && op->may_lack_memory, "%u is told %s", number, name);
    }
    answer(h, op, status);
}

static void answer_batch(struct history *h, const struct batch__action *action)
{
    const struct batch__batch *batch = action->batch;
    struct history_key *key = model_key(h, batch);
    bool is_failed = key->stage == HISTORY_LOAD_FAILED;
    bool is_again = is_failed && key->again.size > 0;
    if (key->stage == HISTORY_RERUN)
        others_leave(h, key, NULL);
    bool is_unchanged = key->changed == 0 && !key->is_cached &&
                        (key->stage == HISTORY_OPEN || key->stage == HISTORY_RERUN);
    must(h, is_failed || is_unchanged || key->stage == HISTORY_SAVED, "%s is answered in stage %d",
         key->name, key->stage);
    int status = is_failed ? BATCH_LOAD_FAILED : is_unchanged ? BATCH_OK : key->told;
    bool may_replay = key->replays < h->config.replays_max && key->told_ns < batch->deadline_ns;
    must(h, status != BATCH_CONFLICT || !may_replay, "%s could run again", key->name);
    if (is_unchanged)
        key->told = BATCH_OK;
    must(h, batch->status == status, "the batch is told %s, not %s",
         trace_status_name(batch->status), trace_status_name(status));
    uint32_t count = 0;
    const struct history_op *before = NULL;
    for (batch_op *at = action->op, *next; at != NULL; at = next, count++) {
        struct history_op *op = at->arg;
        next = at->private_next;
        if (is_again) {
            must(h, count < key->again.size && key->again.ops[count] == number_of(h, op),
                 "%u is not the next that was to run again", number_of(h, op));
        } else if (is_failed) {
            must(h, op->must_not_run && !op->has_run, "%u did not wait for the load that failed",
                 number_of(h, op));
            must(h, before == NULL || op > before, "a failed load is answered out of order");
        } else {
            must(h, count < key->ran.size && key->ran.ops[count] == number_of(h, op),
                 "%u is not the next that ran", number_of(h, op));
        }
        before = op;
        answer(h, op, status);
    }
    must(h, count == action->count, "%u answers, not %u", count, (unsigned)action->count);
    must(h, count > 0, "an empty batch");
    must(h, is_failed || count == key->ran.size, "%s leaves out some that ran", key->name);
    must(h, !is_again || count == key->again.size, "%s leaves out some that were to run again",
         key->name);
    h->tally->batches_unchanged += is_unchanged;
    h->tally->batches_together += count > 1;
    h->tally->closed[BATCH_CLOSED_BY_ERROR] += is_failed;
    key->stage = HISTORY_ANSWERED;
    key->ran.size = count;
    key->again_at = key->again.size;
}

void model_done(struct history *h, const struct batch__action *action)
{
    if (action->batch != NULL) {
        answer_batch(h, action);
        return;
    }
    for (batch_op *at = action->op, *next; at != NULL; at = next) {
        next = at->private_next;
        answer_refused(h, at->arg, at->private_status);
    }
}

/* ---- The end of a batch --------------------------------------------------------------------- */

void model_record(struct history *h, struct batch__batch *batch)
{
    struct history_key *key = model_key(h, batch);
    must(h, key->stage == HISTORY_ANSWERED, "a record in stage %d", key->stage);
    must(h, batch->ran.count == key->ran.size, "a record of %u operations, not %u",
         (unsigned)batch->ran.count, key->ran.size);
    must(h, batch->changed == key->changed, "a record of %u changes, not %u",
         (unsigned)batch->changed, (unsigned)key->changed);
    must(h, batch->replays == key->replays, "a record of %u replays, not %u", batch->replays,
         key->replays);
    must(h, (batch->save_ns != 0) == (key->changed > 0), "a record with a save that was not");
    must(h, batch->loaded_ns >= batch->load_ns, "a load that ends before it begins");
    must(h, batch->saved_ns >= batch->save_ns, "a save that ends before it begins");
    key->stage = key->is_loaded ? HISTORY_REPORTED : HISTORY_IDLE;
    key->ran.size = 0;
}

/* After a conflict, or because nothing changed on a kept resource. */
static bool is_dropped_to_run_again(struct history *h, struct history_key *key)
{
    bool is_conflict = key->stage == HISTORY_SAVED && key->told == BATCH_CONFLICT;
    bool is_look = key->stage == HISTORY_OPEN && key->is_cached && key->changed == 0;
    if (key->ran.size == 0 || (!is_conflict && !is_look))
        return false;
    if (is_conflict) {
        must(h, key->replays < h->config.replays_max, "%s runs again too often", key->name);
        must(h, key->told_ns < key->batch->deadline_ns, "%s runs again too late", key->name);
        key->replays++;
        h->tally->replays++;
    } else {
        h->tally->looks_again++;
    }
    key->again = key->ran;
    key->again_at = 0;
    key->ran.size = 0;
    key->changed = 0;
    key->is_loaded = false;
    key->is_cached = false;
    key->stage = HISTORY_DROPPED;
    return true;
}

void model_release(struct history *h, struct batch__batch *batch)
{
    struct history_key *key = model_key(h, batch);
    must(h, key->is_loaded, "a release of what was not loaded");
    if (is_dropped_to_run_again(h, key))
        return;
    if (key->stage == HISTORY_RERUN)
        others_leave(h, key, NULL);
    bool is_left =
        (key->stage == HISTORY_OPEN || key->stage == HISTORY_RERUN) && key->ran.size == 0;
    must(h, is_left || key->stage == HISTORY_REPORTED, "a release in stage %d", key->stage);
    key->stage = HISTORY_IDLE;
    h->tally->batches_left += is_left;
}

/* ---- The end -------------------------------------------------------------------------------- */

static void store_must_hold(struct history *h, uint32_t number)
{
    const struct history_op *op = &h->ops[number];
    const struct history_log *stored = &h->keys[op->key].stored;
    uint32_t times = 0;
    for (uint32_t i = 0; i < stored->size; i++)
        times += stored->ops[i] == number;
    bool is_expected = op->has_run && op->verdict == BATCH_CHANGED &&
                       (op->status == BATCH_OK || (op->status == BATCH_UNKNOWN && op->is_applied));
    must(h, times == is_expected, "%u was told %s, and is %u times in the store", number,
         trace_status_name(op->status), times);
}

static void order_must_be_kept(struct history *h, const struct history_key *key)
{
    int last = -1;
    uint32_t others = 0;
    for (uint32_t i = 0; i < key->stored.size; i++) {
        int op = key->stored.ops[i];
        if (op == HISTORY_SOMEBODY_ELSE) {
            others++;
            continue;
        }
        must(h, op > last, "the store has them out of order");
        last = op;
    }
    must(h, others == key->others_size, "%u of what others wrote is lost",
         key->others_size - others);
}

void model_end(struct history *h)
{
    for (uint32_t i = 0; i < h->submitted; i++) {
        must(h, h->ops[i].is_answered, "%u is not answered", i);
        store_must_hold(h, i);
    }
    uint64_t kept = 0;
    for (uint32_t i = 0; i < h->keys_size; i++) {
        const struct history_key *key = &h->keys[i];
        must(h, is_over(key), "%s ends in stage %d", key->name, key->stage);
        kept += key->stage == HISTORY_REPORTED;
        order_must_be_kept(h, key);
    }
    must(h, h->core.ops == 0, "%u operations are left", (unsigned)h->core.ops);
    must(h, kept <= h->config.cache_max, "%u resources are kept", (unsigned)kept);
    must(h, h->core.table.count == kept, "%u keys are left", (unsigned)h->core.table.count);
}
