/* invariants.c: batch__core_check of core.h. Every relation that the headers state, checked from
 * scratch over the whole state. */
#include "core.h"

#include "../base/check.h"
#include "window.h"

static void check_ops(const struct batch__ops *ops)
{
    uint64_t count = 0;
    const batch_op *last = NULL;
    for (const batch_op *op = ops->head; op != NULL; op = op->private_next) {
        last = op;
        count++;
        batch__check(count <= ops->count);
    }
    batch__check(count == ops->count);
    batch__check(count == 0 || last == ops->tail);
}

/* That of a batch in the table. */
static bool is_phase_of_key(enum batch__phase phase)
{
    switch (phase) {
    case BATCH__BEGUN:
    case BATCH__LOADING:
    case BATCH__OPEN:
    case BATCH__CLOSED:
    case BATCH__SAVING:
    case BATCH__COMPLETE:
    case BATCH__REPORT:
    case BATCH__RELEASE:
    case BATCH__ENDED:
    case BATCH__CACHED:
        return true;
    case BATCH__POOLED:
        break;
    }
    return false;
}

/* It waits for others of its unit to run what joins, and then they close it too. */
static bool is_closing(const struct batch__batch *batch)
{
    return batch->unit != NULL && batch->unit->is_closing;
}

/* It must be on `todo`, where it is not remembered by its turn or by a call of the store. */
static bool must_act(const struct batch__core *core, const struct batch__batch *batch)
{
    if (batch__phase_is_at_store(batch->phase) || batch->phase == BATCH__CACHED)
        return false;
    if (batch->in_turns)
        return false;
    if (batch->phase != BATCH__OPEN)
        return true;
    if (batch->ran.count == 0)
        return batch->waiting.count == 0; /* else it is blocked */
    /* Not in `due` it closes: only `todo` would remember it. */
    return (!batch->in_due || core->is_stopping) && !is_closing(batch);
}

static void check_waiting(const struct batch__core *core, const struct batch__batch *batch)
{
    check_ops(&batch->waiting);
    batch__check(batch->joining <= batch->waiting.count);
    batch__check(batch->joining == 0 || batch->phase == BATCH__OPEN);
    if (batch->in_turns)
        batch__check(batch->phase == BATCH__OPEN);
    batch__check(batch->in_waiting == (batch->waiting.count > 0 && !batch->in_turns));
    if (batch->waiting.count > 0)
        batch__check(core->start_by_min_ns <= batch->start_by_min_ns);
    uint64_t replaying = batch->replaying;
    for (const batch_op *op = batch->waiting.head; op != NULL; op = op->private_next) {
        batch__check(replaying > 0 || op->start_by_ns == 0 ||
                     op->start_by_ns >= batch->start_by_min_ns);
        replaying -= replaying > 0;
    }
}

static void check_loaded(const struct batch__batch *batch)
{
    switch ((enum batch__phase)batch->phase) {
    case BATCH__OPEN:
    case BATCH__CLOSED:
    case BATCH__SAVING:
    case BATCH__RELEASE:
    case BATCH__CACHED:
        batch__check(batch->is_loaded);
        break;
    case BATCH__BEGUN:
    case BATCH__LOADING:
        batch__check(!batch->is_loaded);
        break;
    default: /* may be either */
        break;
    }
}

static void check_replay(const struct batch__core *core, const struct batch__batch *batch)
{
    batch__check(batch->replays <= core->config.replays_max);
    if (batch->replaying == 0)
        return;
    batch__check(batch->is_replay);
    batch__check(batch->replaying <= batch->waiting.count);
}

/* Whose window is it? */
static void check_window(const struct batch__core *core, const struct batch__batch *batch)
{
    bool is_open = batch->phase == BATCH__OPEN && !batch->is_replay;
    bool is_next = batch->waiting.count > batch->replaying;
    if (batch->in_due)
        batch__check(is_open || (is_next && batch__has_window(core)));
}

/* A leg counts as ready while its batch is open and it is the first that waits there. */
static void check_leg(const struct batch__batch *batch, const batch_op *leg)
{
    const batch_transaction *transaction = batch__leg_transaction(leg);
    uint64_t ready = 0;
    bool is_remembered = transaction->private_status != BATCH_OK;
    for (size_t i = 0; i < transaction->parts_size; i++) {
        const batch_part *part = &transaction->parts[i];
        const struct batch__batch *other = part->private_batch;
        ready += part->private_is_ready;
        is_remembered = is_remembered || other->in_todo || other->in_turns;
        if (&part->private_leg == leg)
            batch__check(other == batch);
        if (&part->private_leg == leg && part->private_is_ready)
            batch__check(batch->phase == BATCH__OPEN && batch->waiting.head == leg);
    }
    if (transaction->private_status == BATCH_OK)
        batch__check(transaction->private_ready == ready);
    batch__check(ready < transaction->parts_size || is_remembered);
}

static void check_legs(const struct batch__batch *batch)
{
    for (const batch_op *op = batch->waiting.head; op != NULL; op = op->private_next) {
        if (batch__op_is_leg(op))
            check_leg(batch, op);
    }
}

/* A ring; what its first knows of the others. */
static void check_unit(const struct batch__core *core, const struct batch__batch *batch)
{
    batch__check((batch->unit == NULL) == (batch->unit_next == NULL));
    if (batch->unit != batch)
        return;
    uint64_t size = 0, joining = 0, todo = 0;
    const struct batch__batch *each = batch;
    do {
        batch__check(each->unit == batch);
        batch__check(each->phase == batch->phase);
        batch__check(each->ran.count > 0);
        joining += batch__is_joining(each);
        todo += each->in_todo || each->in_turns;
        size++;
        batch__check(size <= batch->unit_size);
        each = each->unit_next;
    } while (each != batch);
    batch__check(size == batch->unit_size);
    batch__check(size <= core->config.unit_max || size <= BATCH_PARTS_MAX);
    batch__check(batch->phase == BATCH__OPEN || batch__phase_has_changed(batch->phase));
    if (batch->phase == BATCH__OPEN)
        batch__check(batch->unit_count == joining && (!batch->is_closing || todo > 0));
    batch__check(batch->phase != BATCH__SAVING ||
                 (batch->unit_count > 0 && batch->unit_count <= size));
}

static void check_batch(const struct batch__core *core, const struct batch__batch *batch)
{
    batch__check(is_phase_of_key(batch->phase));
    check_waiting(core, batch);
    check_loaded(batch);
    check_replay(core, batch);
    check_window(core, batch);
    check_legs(batch);
    check_unit(core, batch);
    if (batch__phase_owns_ran(batch->phase))
        check_ops(&batch->ran);
    batch__check(batch->changed <= batch->ran.count);
    batch__check(batch->ran.count <= core->config.ops_max || batch->status == BATCH_LOAD_FAILED);
    batch__check(batch->in_todo || !must_act(core, batch));
    if (batch__phase_has_changed(batch->phase))
        batch__check(batch->changed > 0 || batch->unit != NULL);
    if (batch->phase == BATCH__CACHED) {
        batch__check(!batch->in_todo);
        batch__check(batch->waiting.count == 0);
    }
}

static void check_due(const struct batch__core *core, uint64_t expected)
{
    uint64_t count = 0;
    uint64_t before_ns = 0;
    const struct batch__batch *previous = NULL;
    for (const struct batch__batch *batch = core->due.first; batch != NULL;
         batch = batch->due.next) {
        batch__check(batch->in_due);
        batch__check(batch->due.previous == previous);
        batch__check(batch->closes_ns >= before_ns);
        before_ns = batch->closes_ns;
        previous = batch;
        count++;
        batch__check(count <= expected);
    }
    batch__check(core->due.last == previous);
    batch__check(count == expected);
}

static void check_waiters(const struct batch__core *core, uint64_t expected)
{
    uint64_t count = 0;
    const struct batch__batch *previous = NULL;
    for (const struct batch__batch *batch = core->waiting.first; batch != NULL;
         batch = batch->waiters.next) {
        batch__check(batch->in_waiting);
        batch__check(batch->waiters.previous == previous);
        previous = batch;
        count++;
        batch__check(count <= expected);
    }
    batch__check(core->waiting.last == previous);
    batch__check(count == expected);
}

static void check_turns(const struct batch__core *core, uint64_t expected)
{
    uint64_t count = 0;
    const struct batch__batch *previous = NULL;
    for (const struct batch__batch *batch = core->turns.first; batch != NULL;
         batch = batch->waiters.next) {
        batch__check(batch->in_turns);
        batch__check(batch->waiters.previous == previous);
        previous = batch;
        count++;
        batch__check(count <= expected);
    }
    batch__check(core->turns.last == previous);
    batch__check(count == expected);
    batch__check(count > 0 || core->turn_ops == 0);
    batch__check(core->turn_ops <= core->config.turn_ops_max);
    batch__check(core->turn_ops > 0 || !core->is_turn_over);
}

static void check_cached(const struct batch__core *core, uint64_t expected)
{
    uint64_t count = 0;
    const struct batch__batch *previous = NULL;
    for (const struct batch__batch *batch = core->cached.first; batch != NULL;
         batch = batch->due.next) {
        batch__check(batch->phase == BATCH__CACHED);
        batch__check(batch->due.previous == previous);
        previous = batch;
        count++;
        batch__check(count <= expected);
    }
    batch__check(core->cached.last == previous);
    batch__check(count == expected);
    batch__check(count == core->cached_size);
    batch__check(count <= core->config.cache_max);
    batch__check(count == 0 || !core->is_stopping);
}

static void check_todo(const struct batch__core *core, uint64_t expected)
{
    uint64_t count = 0;
    for (const struct batch__batch *batch = core->todo_first; batch != NULL;
         batch = batch->todo_next) {
        batch__check(batch->in_todo);
        batch__check(batch->todo_next != NULL || batch == core->todo_last);
        count++;
        batch__check(count <= expected);
    }
    batch__check(count == expected);
}

void batch__core_check(const struct batch__core *core)
{
    uint64_t batches = 0, due = 0, turns = 0, waiting = 0, todo = 0, cached = 0;
    uint64_t tied = 0, in_units = 0;
    bool is_running_leg = core->running != NULL && batch__op_is_leg(core->running);
    uint64_t ops = core->refused.count + (core->running != NULL && !is_running_leg);
    check_ops(&core->refused);
    for (uint64_t i = 0; i < core->table.size; i++) {
        const struct batch__slot *slot = &core->table.slots[i];
        const struct batch__batch *batch = slot->batch;
        if (batch == NULL)
            continue;
        batch__check(slot->hash == batch->hash);
        batch__check(batch__table_find(&core->table, batch->key, batch->key_size, batch->hash) ==
                     batch);
        check_batch(core, batch);
        batches++;
        due += batch->in_due;
        turns += batch->in_turns;
        waiting += batch->in_waiting;
        todo += batch->in_todo;
        cached += batch->phase == BATCH__CACHED;
        tied += batch->unit != NULL;
        in_units += batch->unit == batch ? batch->unit_size : 0;
        ops += batch->waiting.count;
        ops += batch__phase_owns_ran(batch->phase) ? batch->ran.count : 0;
    }
    batch__check(batches == core->table.count);
    batch__check(ops == core->ops);
    batch__check(tied == in_units);
    batch__check(core->unit_max > 0 && core->unit_max <= core->config.unit_max);
    batch__check(core->ops <= core->config.ops_waiting_max + core->refused.count);
    check_due(core, due);
    check_turns(core, turns);
    check_waiters(core, waiting);
    check_todo(core, todo);
    check_cached(core, cached);
    if (core->running != NULL)
        batch__check(core->turns.first != NULL);
}
