/* again.c: a batch that runs once more, and resources that are kept between batches.
 *
 * Running again is dropping the resource, loading it as it is stored now, and running the same
 * operations in the same order; what an earlier run said does not count. Those canceled meanwhile
 * leave. It is done after a conflict, as often as replays_max and the deadline allow; nobody has
 * been told anything yet, and a conflict is certain to have stored nothing.
 *
 * A resource is kept when its batch ended well: then it is what is stored, with that version. The
 * next batch of the key skips its load. If it changes the resource, the version check of its save
 * tells whether somebody else has saved meanwhile. If it changes nothing there is no save, so
 * nothing has shown that what it saw is stored: then it is run again on what is.
 */
#include "check.h"
#include "lists.h"
#include "parts.h"

bool batch__may_replay(const struct batch__core *core, const struct batch__batch *batch)
{
    return batch->replays < core->config.replays_max && core->now_ns < batch->deadline_ns;
}

void batch__run_again(struct batch__batch *batch)
{
    batch__check(batch->again.count == 0);
    batch__check(batch->is_loaded);
    batch->again = batch__ops_take(&batch->ran);
    for (batch_op *op = batch->again.head; op != NULL; op = op->private_next)
        op->private_changed = 0;
    batch->changed = 0;
    batch->save_ns = batch->saved_ns = 0;
    batch->is_kept = false;
    batch->phase = BATCH__DROP;
}

bool batch__may_keep(const struct batch__core *core, const struct batch__batch *batch)
{
    batch__check(batch->is_loaded);
    return core->config.kept_max > 0 && batch->status == BATCH_OK && !core->is_stopping;
}

void batch__keep(struct batch__core *core, struct batch__batch *batch)
{
    batch__keep_at_most(core, core->config.kept_max - 1);
    batch->phase = BATCH__KEPT;
    batch__kept_push(&core->kept, batch);
    core->kept_size++;
}

void batch__keep_end(struct batch__core *core, struct batch__batch *batch)
{
    batch__kept_remove(&core->kept, batch);
    core->kept_size--;
}

void batch__keep_at_most(struct batch__core *core, uint64_t kept_max)
{
    while (core->kept_size > kept_max) {
        struct batch__batch *batch = core->kept.first;
        batch__keep_end(core, batch);
        batch->phase = BATCH__RELEASE;
        batch__todo_push(core, batch);
    }
}
