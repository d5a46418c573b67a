#include "sweep.h"

#include "../base/check.h"
#include "lists.h"
#include "transaction.h"
#include "turns.h"
#include "window.h"

enum { PAUSE_NS = 1000 }; /* for each operation visited */

void batch__sweep_note(struct batch__core *core, const struct batch__batch *batch)
{
    if (batch->start_by_min_ns < core->start_by_min_ns)
        core->start_by_min_ns = batch->start_by_min_ns;
}

/* Those of `batch` that may still begin stay; the others are completed. True if the first of those
 * that have not run before has left. */
static bool sweep_ops(struct batch__core *core, struct batch__batch *batch)
{
    struct batch__ops ops = batch__ops_take(&batch->waiting);
    uint64_t replaying = batch->replaying;
    uint64_t joining = batch->joining;
    uint64_t left = 0; /* of those that join */
    bool is_first_gone = false;
    batch->start_by_min_ns = UINT64_MAX;
    for (uint64_t i = 0; ops.count > 0; i++) {
        batch_op *op = batch__ops_pop(&ops);
        bool has_begun = i < replaying;
        int status = batch__op_refusal(op, has_begun ? 0 : core->now_ns);
        if (status != BATCH_OK) {
            batch__refuse(core, op, status);
            batch->replaying -= has_begun;
            left += i < joining;
            is_first_gone = is_first_gone || i == replaying;
            continue;
        }
        batch__ops_push(&batch->waiting, op);
        if (!has_begun && op->start_by_ns != 0 && op->start_by_ns < batch->start_by_min_ns)
            batch->start_by_min_ns = op->start_by_ns;
    }
    batch__joining_set(batch, joining - left);
    batch__sweep_note(core, batch);
    return is_first_gone;
}

/* None of its operations waits any more. */
static void sweep_emptied(struct batch__core *core, struct batch__batch *batch)
{
    if (batch->in_turns) {
        batch__turns_leave(core, batch);
        batch__todo_push(core, batch); /* it may close, or nothing ran in it */
        return;
    }
    batch__waiting_remove(&core->waiting, batch);
    if (batch->phase == BATCH__BEGUN)
        batch->phase = BATCH__ENDED; /* nobody waits for a load */
}

static void sweep_batch(struct batch__core *core, struct batch__batch *batch)
{
    batch__check(batch->in_waiting || batch->in_turns);
    if (batch->waiting.count == 0)
        return; /* the last one has run just now */
    bool was_replaying = batch->replaying > 0;
    bool is_first_gone = sweep_ops(core, batch);
    if (was_replaying && batch->replaying == 0 && batch->ran.count == 0)
        batch__replay_left(core, batch);
    if (batch->waiting.count == 0)
        sweep_emptied(core, batch);
    bool is_open = batch->phase == BATCH__OPEN && batch__takes_new(batch);
    if (is_open && (batch->ran.count > 0 || batch->waiting.count == 0))
        return; /* its window does not depend on those that wait */
    if (batch->waiting.count == batch->replaying)
        batch__window_end(core, batch);
    else if (is_first_gone)
        batch__window_restart(core, batch);
}

static uint64_t sweep_list(struct batch__core *core, const struct batch__list *list)
{
    uint64_t visited = 0;
    for (struct batch__batch *batch = list->first, *next; batch != NULL; batch = next) {
        next = batch->waiters.next;
        visited += batch->waiting.count;
        sweep_batch(core, batch);
    }
    return visited;
}

static bool has_waiting(const struct batch__core *core)
{
    return core->waiting.first != NULL || core->turns.first != NULL;
}

uint64_t batch__sweep_due_ns(const struct batch__core *core)
{
    if (!has_waiting(core))
        return UINT64_MAX;
    uint64_t due_ns = UINT64_MAX;
    if (core->is_sweep_wanted)
        due_ns = 0;
    else if (core->start_by_min_ns != UINT64_MAX)
        due_ns = core->start_by_min_ns + 1; /* beginning at start_by_ns itself is in time */
    return due_ns > core->sweep_after_ns ? due_ns : core->sweep_after_ns;
}

void batch__sweep_if_due(struct batch__core *core)
{
    if (has_waiting(core) && batch__sweep_due_ns(core) > core->now_ns)
        return;
    /* A canceled operation that does not wait has begun or is completed. */
    core->is_sweep_wanted = false;
    core->start_by_min_ns = UINT64_MAX;
    uint64_t visited = sweep_list(core, &core->waiting) + sweep_list(core, &core->turns);
    core->sweep_after_ns = core->now_ns + visited * PAUSE_NS;
}
