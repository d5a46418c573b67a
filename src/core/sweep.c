#include "sweep.h"

#include "../base/check.h"
#include "lists.h"
#include "window.h"

enum { PAUSE_NS = 1000 }; /* for each operation visited */

void batch__sweep_note(struct batch__core *core, const struct batch__batch *batch)
{
    if (batch->start_by_min_ns < core->start_by_min_ns)
        core->start_by_min_ns = batch->start_by_min_ns;
}

/* Those of `batch` that may still begin stay; the others are completed. */
static void sweep_batch(struct batch__core *core, struct batch__batch *batch)
{
    batch__check(batch->in_waiting);
    batch__check(batch->waiting.count > 0);
    struct batch__ops ops = batch__ops_take(&batch->waiting);
    uint64_t replaying = batch->replaying;
    bool is_first_gone = false; /* of those that have not run before */
    batch->start_by_min_ns = UINT64_MAX;
    for (uint64_t i = 0; ops.count > 0; i++) {
        batch_op *op = batch__ops_pop(&ops);
        bool has_begun = i < replaying;
        int status = batch__op_refusal(op, has_begun ? 0 : core->now_ns);
        if (status != BATCH_OK) {
            batch__refuse(core, op, status);
            batch->replaying -= has_begun;
            is_first_gone = is_first_gone || i == replaying;
            continue;
        }
        batch__ops_push(&batch->waiting, op);
        if (!has_begun && op->start_by_ns != 0 && op->start_by_ns < batch->start_by_min_ns)
            batch->start_by_min_ns = op->start_by_ns;
    }
    batch__sweep_note(core, batch);
    if (batch->replaying == 0 && replaying > 0)
        batch__replay_left(core, batch);
    if (batch->waiting.count == 0) {
        batch__waiting_remove(&core->waiting, batch);
        if (batch->phase == BATCH__BEGUN)
            batch->phase = BATCH__ENDED; /* nobody waits for a load */
    }
    if (batch->waiting.count == batch->replaying)
        batch__window_end(core, batch);
    else if (is_first_gone)
        batch__window_restart(core, batch);
}

uint64_t batch__sweep_due_ns(const struct batch__core *core)
{
    if (core->waiting.first == NULL)
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
    /* A canceled operation that does not wait has begun or is completed; unless it is about to
     * begin in an open batch: that may be full, and then it waits once more. */
    bool is_sweep_wanted = core->is_sweep_wanted && core->todo_first != NULL;
    if (core->waiting.first == NULL) {
        core->is_sweep_wanted = is_sweep_wanted;
        core->start_by_min_ns = UINT64_MAX;
        return;
    }
    if (batch__sweep_due_ns(core) > core->now_ns)
        return;
    core->is_sweep_wanted = is_sweep_wanted;
    core->start_by_min_ns = UINT64_MAX;
    uint64_t visited = 0;
    for (struct batch__batch *batch = core->waiting.first, *next; batch != NULL; batch = next) {
        next = batch->waiters.next;
        visited += batch->waiting.count;
        sweep_batch(core, batch);
    }
    core->sweep_after_ns = core->now_ns + visited * PAUSE_NS;
}
