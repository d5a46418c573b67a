/* events.c: the events and the questions of core.h. Each event changes the state and puts on `todo`
 * the batches that may now have actions. */
#include "core.h"

#include "../base/check.h"
#include "admission.h"
#include "cache.h"
#include "lists.h"
#include "replay.h"
#include "sweep.h"
#include "transaction.h"
#include "turns.h"
#include "unit.h"
#include "window.h"

#include <batch/metrics.h>

void batch__core_init(struct batch__core *core, const struct batch__core_config *config)
{
    batch__check(config->ops_max > 0);
    batch__check(config->unit_max > 0);
    batch__check(config->unit_max <= UINT16_MAX);
    *core = (struct batch__core){
        .config = *config, .start_by_min_ns = UINT64_MAX, .unit_max = config->unit_max};
    batch__pool_init(&core->pool, &config->allocator, &config->pages, config->object_size,
                     config->head_size);
    batch__table_init(&core->table, &config->allocator);
}

void batch__core_destroy(struct batch__core *core)
{
    batch__check(core->ops == 0);
    batch__check(core->table.count == 0);
    batch__table_destroy(&core->table);
    batch__pool_destroy(&core->pool);
}

static void event_begin(struct batch__core *core, uint64_t now_ns)
{
    batch__check(core->running == NULL);
    if (now_ns > core->now_ns)
        core->now_ns = now_ns;
}

static void event_end(struct batch__core *core)
{
#ifdef BATCH_DEBUG_CHECKS
    if (++core->check_debt * 64 < core->ops + core->table.count)
        return;
    core->check_debt = 0;
    batch__core_check(core);
#else
    (void)core;
#endif
}

/* ---- Submit and cancel ---------------------------------------------------------------------- */

static inline void join(struct batch__core *core, struct batch__batch *batch, batch_op *op)
{
    batch__check(batch->phase != BATCH__POOLED);
    batch__check(batch->phase != BATCH__CACHED);
    bool has_begun = batch__takes_new(batch) && batch->ran.count > 0;
    if (batch->waiting.count == batch->replaying && !has_begun)
        batch__window_restart(core, batch); /* it is the first */
    if (batch->waiting.count == 0)
        batch->start_by_min_ns = UINT64_MAX;
    batch__ops_push(&batch->waiting, op);
    if (op->start_by_ns != 0 && op->start_by_ns < batch->start_by_min_ns) {
        batch->start_by_min_ns = op->start_by_ns;
        batch__sweep_note(core, batch);
    }
    if (batch->in_turns || batch->in_waiting)
        return;
    if (batch->phase == BATCH__OPEN)
        batch__turns_push(&core->turns, batch);
    else
        batch__waiting_push(&core->waiting, batch);
}

/* A batch for a key that has none; NULL if there is no memory. */
static struct batch__batch *open_batch(struct batch__core *core, const batch_op *op)
{
    if (!batch__table_reserve(&core->table))
        return NULL;
    struct batch__batch *batch =
        batch__pool_take(&core->pool, op->key, op->key_size, op->private_hash);
    if (batch == NULL)
        return NULL;
    batch__check(batch->phase == BATCH__POOLED);
    batch__table_add(&core->table, batch);
    batch__begin(core, batch);
    return batch;
}

/* Why so many operations are not taken, or BATCH_OK. */
static inline int limit(const struct batch__core *core, uint64_t count)
{
    uint64_t ops_max = core->config.ops_waiting_max;
    if (core->is_stopping)
        return BATCH_STOPPED;
    if (core->ops > ops_max || ops_max - core->ops < count)
        return BATCH_BUSY;
    return BATCH_OK;
}

/* Its operations that have not been given out by DONE. */
static uint64_t outstanding(const struct batch__batch *batch)
{
    uint64_t ran = batch__phase_owns_ran(batch->phase) ? batch->ran.count : 0;
    return batch->waiting.count + ran;
}

static bool is_full(const struct batch__core *core, const struct batch__batch *batch)
{
    return outstanding(batch) >= core->config.key_ops_waiting_max;
}

static void accept(struct batch__core *core, batch_op *op)
{
    op->private_accepted_ns = core->now_ns;
    op->private_changed = 0;
    core->ops++;
}

/* The batch of its key, found or opened; NULL if there is no memory. */
static inline struct batch__batch *find_batch(struct batch__core *core, const batch_op *op)
{
    struct batch__batch *batch =
        batch__table_find(&core->table, op->key, op->key_size, op->private_hash);
    return batch != NULL ? batch : open_batch(core, op);
}

/* Why it finds no place there, or BATCH_OK. */
static inline int refusal(const struct batch__core *core, const struct batch__batch *batch,
                          const batch_op *op)
{
    if (batch == NULL)
        return BATCH_NO_MEMORY;
    if (batch->phase == BATCH__CACHED)
        return BATCH_OK;
    if (is_full(core, batch))
        return BATCH_BUSY;
    return batch__is_too_late(core, batch, op) ? BATCH_BUSY : BATCH_OK;
}

static inline void enter(struct batch__core *core, struct batch__batch *batch, batch_op *op)
{
    if (batch->phase == BATCH__CACHED) {
        batch__cache_take(core, batch);
        batch__begin_cached(core, batch);
    }
    join(core, batch, op);
}

static void submit(struct batch__core *core, batch_op *op)
{
    struct batch__batch *batch = NULL;
    int status = limit(core, 1);
    accept(core, op);
    if (status == BATCH_OK)
        status = batch__op_refusal(op, core->now_ns);
    if (status == BATCH_OK) {
        batch = find_batch(core, op);
        status = refusal(core, batch, op);
    }
    if (status == BATCH_OK)
        enter(core, batch, op);
    else
        batch__refuse(core, op, status);
}

/* A place for all legs, or for none. */
static int find_batches(struct batch__core *core, batch_transaction *transaction)
{
    int status = BATCH_OK;
    size_t size = 0;
    while (status == BATCH_OK && size < transaction->parts_size) {
        batch_part *part = &transaction->parts[size];
        part->private_batch = find_batch(core, &part->private_leg);
        status = refusal(core, part->private_batch, &part->private_leg);
        size += status == BATCH_OK;
    }
    while (status != BATCH_OK && size-- > 0) {
        struct batch__batch *batch = transaction->parts[size].private_batch;
        if (batch->phase == BATCH__BEGUN && batch->waiting.count == 0)
            batch->phase = BATCH__ENDED; /* opened for this one */
    }
    return status;
}

static void submit_transaction(struct batch__core *core, batch_transaction *transaction)
{
    int status = limit(core, transaction->parts_size);
    transaction->private_status = BATCH_OK;
    transaction->private_ready = 0;
    for (size_t i = 0; i < transaction->parts_size; i++) {
        batch_part *part = &transaction->parts[i];
        part->private_is_ready = false;
        part->private_leg.arg = transaction;
        part->private_leg.private_state = BATCH__OP_LEG;
        accept(core, &part->private_leg);
    }
    if (status == BATCH_OK)
        status = batch__op_refusal(&transaction->parts[0].private_leg, core->now_ns);
    if (status == BATCH_OK)
        status = find_batches(core, transaction);
    for (size_t i = 0; i < transaction->parts_size; i++) {
        batch_part *part = &transaction->parts[i];
        if (status == BATCH_OK)
            enter(core, part->private_batch, &part->private_leg);
        else
            batch__refuse(core, &part->private_leg, status);
    }
}

void batch__core_submit(struct batch__core *core, batch_op *op, uint64_t now_ns)
{
    event_begin(core, now_ns);
    submit(core, op);
    event_end(core);
}

void batch__core_submit_transaction(struct batch__core *core, batch_transaction *transaction,
                                    uint64_t now_ns)
{
    event_begin(core, now_ns);
    submit_transaction(core, transaction);
    event_end(core);
}

void batch__core_cancel(struct batch__core *core, uint64_t now_ns)
{
    event_begin(core, now_ns);
    core->is_sweep_wanted = true;
    batch__sweep_if_due(core);
    event_end(core);
}

/* ---- Load, run, save ------------------------------------------------------------------------ */

/* For all that wait; of a replay, for those that ran before. */
static void load_failed(struct batch__core *core, struct batch__batch *batch)
{
    batch__check(batch->ran.count == 0);
    if (batch->replaying > 0)
        batch->ran = batch__ops_take_first(&batch->waiting, batch->replaying);
    else
        batch->ran = batch__ops_take(&batch->waiting);
    batch->replaying = 0;
    batch__transactions_decide(core, &batch->ran, BATCH_LOAD_FAILED);
    batch->status = BATCH_LOAD_FAILED;
    batch->close_reason = BATCH_CLOSED_BY_ERROR;
    batch->phase = BATCH__COMPLETE;
    if (batch->waiting.count > 0)
        return;
    batch__waiting_remove(&core->waiting, batch);
    batch__window_end(core, batch);
}

/* The clocks of several threads may differ a little. */
static uint64_t between(uint64_t at_ns, uint64_t from_ns, uint64_t to_ns)
{
    if (at_ns > to_ns)
        return to_ns;
    return at_ns > from_ns ? at_ns : from_ns;
}

void batch__core_loaded(struct batch__core *core, struct batch__batch *batch, int status,
                        uint64_t finished_ns, uint64_t now_ns)
{
    event_begin(core, now_ns);
    batch__check(!batch->is_loaded);
    batch__check(batch->phase == BATCH__LOADING);
    batch__check(status == BATCH_OK || status == BATCH_LOAD_FAILED);
    batch->loaded_ns = between(finished_ns, batch->load_ns, core->now_ns);
    batch->is_loaded = status == BATCH_OK;
    batch__mean_add(&core->load_mean_ns, batch->loaded_ns - batch->load_ns);
    if (batch->waiting.count == 0)
        batch->phase = batch->is_loaded ? BATCH__RELEASE : BATCH__ENDED; /* all have left */
    else if (batch->is_loaded)
        batch__window_open(core, batch);
    else
        load_failed(core, batch);
    if (!batch->in_turns)
        batch__todo_push(core, batch);
    event_end(core);
}

static inline batch_op *run_ended(struct batch__core *core, uint64_t now_ns)
{
    batch_op *op = core->running;
    batch__check(op != NULL);
    core->running = NULL;
    if (now_ns > core->now_ns) {
        batch__op_took(core, core->turns.first, now_ns - core->now_ns);
        core->now_ns = now_ns;
    }
    batch__turns_ran(core);
    return op;
}

static inline void ran(struct batch__core *core, struct batch__batch *batch, batch_op *op,
                       bool changed, uint64_t now_ns)
{
    batch__check(batch->phase == BATCH__OPEN);
    if (now_ns >= batch->closes_ns)
        batch__window_end(core, batch); /* the operation ran past its end */
    op->private_changed = changed;
    if (changed && batch->changed++ == 0)
        batch__window_changed(core, batch);
    batch__ops_push(&batch->ran, op);
}

void batch__core_ran(struct batch__core *core, batch_verdict verdict, uint64_t now_ns)
{
    batch_op *op = run_ended(core, now_ns);
    batch__check(!batch__op_is_leg(op));
    ran(core, core->turns.first, op, verdict != BATCH_UNCHANGED, now_ns);
    event_end(core);
}

static void leg_ran(struct batch__core *core, batch_part *part, uint64_t began_ns, uint64_t now_ns)
{
    struct batch__batch *batch = part->private_batch;
    batch_op *leg = &part->private_leg;
    batch__check(batch->waiting.head == leg);
    if (batch->in_waiting)
        batch__unblock(core, batch);
    bool is_first = batch->ran.count == 0;
    bool has_begun = batch__take_first(batch);
    if (is_first && !has_begun)
        batch->first_wait_ns = began_ns - leg->private_accepted_ns;
    part->private_is_ready = false;
    ran(core, batch, leg, part->changed, now_ns);
    batch__todo_push(core, batch);
}

void batch__core_ran_transaction(struct batch__core *core, uint64_t now_ns)
{
    uint64_t began_ns = core->now_ns;
    batch_transaction *transaction = batch__leg_transaction(run_ended(core, now_ns));
    transaction->private_ready = 0;
    for (size_t i = 0; i < transaction->parts_size; i++)
        leg_ran(core, &transaction->parts[i], began_ns, now_ns);
    if (transaction->parts_size > 1)
        batch__unit_tie(transaction);
    event_end(core);
}

/* After a failed save: does the batch begin once more? */
static bool is_replayed(const struct batch__core *core, struct batch__batch *batch, int status,
                        bool is_unit)
{
    if (status == BATCH_CONFLICT && batch__may_replay(core, batch)) {
        batch->replays++;
        return true;
    }
    if (status != BATCH_SAVE_FAILED || !is_unit || batch->is_isolated)
        return false;
    batch->is_isolated = true;
    return true;
}

static void saved(struct batch__core *core, struct batch__batch *batch, int status)
{
    batch__unit_limit(core, batch, status);
    bool is_unit = batch->unit != NULL;
    bool is_dissolved = false;
    struct batch__batch *each = batch, *next;
    do {
        next = batch__unit_untie(each);
        if (is_replayed(core, each, status, is_unit)) {
            batch__replay_begin(core, each);
            is_dissolved = is_unit;
        } else {
            if (status != BATCH_OK)
                batch__transactions_decide(core, &each->ran, status);
            each->is_isolated = each->is_isolated && status != BATCH_OK;
            each->status = (int8_t)status;
            each->phase = BATCH__COMPLETE;
        }
        batch__todo_push(core, each);
        each = next;
    } while (each != NULL && each != batch);
    core->units_dissolved += is_dissolved;
}

void batch__core_saved(struct batch__core *core, struct batch__batch *batch, int status,
                       uint64_t now_ns)
{
    event_begin(core, now_ns);
    batch__check(batch->phase == BATCH__SAVING);
    batch__check(batch->changed > 0 || batch->unit != NULL);
    batch__check(status == BATCH_OK || status == BATCH_CONFLICT || status == BATCH_SAVE_FAILED ||
                 status == BATCH_UNKNOWN);
    batch->saved_ns = core->now_ns;
    batch__mean_add(&core->save_mean_ns, batch->saved_ns - batch->save_ns);
    status = batch__unit_end_save(batch, status);
    if (status <= BATCH_OK)
        saved(core, batch, status);
    event_end(core);
}

/* ---- Time, the store's readiness, and stop -------------------------------------------------- */

/* What has come by now joins, unless it is too late for that; when all of it has run, the batch
 * closes. */
static void close_when_run(struct batch__core *core, struct batch__batch *batch)
{
    if (!batch->in_waiting && !batch->is_replay && !batch__is_too_old(core, batch))
        batch__window_join(batch);
    batch__todo_push(core, batch);
}

void batch__core_expire(struct batch__core *core, uint64_t now_ns)
{
    event_begin(core, now_ns);
    uint64_t left = core->config.expire_max > 0 ? core->config.expire_max : UINT64_MAX;
    while (batch__has_window(core) && core->due.first != NULL &&
           core->due.first->closes_ns <= core->now_ns && left-- > 0) {
        struct batch__batch *batch = core->due.first;
        batch__due_remove(&core->due, batch);
        /* One that is loading closes as soon as its operations ran. */
        if (batch->phase == BATCH__OPEN)
            close_when_run(core, batch);
    }
    batch__sweep_if_due(core);
    event_end(core);
}

uint64_t batch__core_flush(struct batch__core *core, uint64_t calls_max, uint64_t now_ns)
{
    event_begin(core, now_ns);
    uint64_t flushed = 0;
    struct batch__batch *next = batch__has_window(core) ? NULL : core->due.first;
    while (next != NULL) {
        struct batch__batch *batch = next;
        next = batch->due.next;
        if (batch->ran.count == 0)
            continue; /* its turn has not come */
        if (batch->unit != NULL && batch->unit != batch)
            continue; /* the first closes for all */
        bool may_need_save = batch->changed > 0 || batch->waiting.count > 0;
        uint64_t calls = batch->unit != NULL ? batch->unit_size : may_need_save;
        if (calls_max == 0 && batch->changed > 0)
            break; /* all that follow have changed something */
        if (calls > 0 && calls_max == 0)
            continue;
        calls_max -= calls < calls_max ? calls : calls_max;
        flushed++;
        batch__due_remove(&core->due, batch);
        close_when_run(core, batch);
    }
    event_end(core);
    return flushed;
}

void batch__core_stop(struct batch__core *core, uint64_t now_ns)
{
    event_begin(core, now_ns);
    core->is_stopping = true;
    batch__cache_trim(core, 0);
    for (struct batch__batch *batch = core->due.first; batch != NULL; batch = batch->due.next) {
        if (batch->phase == BATCH__OPEN)
            close_when_run(core, batch);
    }
    event_end(core);
}

/* ---- Questions ------------------------------------------------------------------------------ */

static uint64_t deadline_ns(const struct batch__core *core, uint64_t late_ns)
{
    uint64_t window_ns = core->due.first != NULL ? core->due.first->closes_ns : UINT64_MAX;
    window_ns = batch__sum_or_max(window_ns, late_ns);
    uint64_t sweep_ns = batch__sweep_due_ns(core);
    return window_ns < sweep_ns ? window_ns : sweep_ns;
}

uint64_t batch__core_deadline_ns(const struct batch__core *core)
{
    return deadline_ns(core, 0);
}

uint64_t batch__core_backlog_deadline_ns(const struct batch__core *core)
{
    return deadline_ns(core, core->config.late_max_ns);
}

uint64_t batch__core_open(const struct batch__core *core)
{
    return core->table.count - core->cached_size;
}

uint64_t batch__core_cached(const struct batch__core *core)
{
    return core->cached_size;
}

uint64_t batch__core_now_ns(const struct batch__core *core)
{
    return core->now_ns;
}

bool batch__core_has_due(const struct batch__core *core)
{
    return core->due.first != NULL;
}

bool batch__core_has_turns(const struct batch__core *core)
{
    return core->turns.first != NULL;
}

uint64_t batch__core_backlog_ns(const struct batch__core *core, uint32_t hash)
{
    const struct batch__batch *batch = batch__table_find_hash(&core->table, hash);
    if (batch == NULL)
        return 0;
    return is_full(core, batch) ? UINT64_MAX : batch__backlog_ns(core, batch);
}

bool batch__core_is_full(const struct batch__core *core)
{
    return core->ops >= core->config.ops_waiting_max;
}

struct batch__core_units batch__core_units(const struct batch__core *core)
{
    return (struct batch__core_units){core->unit_max, core->units_conflicted,
                                      core->units_dissolved};
}

bool batch__core_is_idle(const struct batch__core *core)
{
    return core->table.count == 0 && core->ops == 0;
}
