#include "outbox.h"

#include "../base/check.h"
#include "../loop/loop.h"

void batch__outbox_flush(struct batch__outbox *outbox)
{
    for (uint32_t i = 0; i < outbox->size; i++)
        batch__loop_push_mp(outbox->chains[i].loop, outbox->chains[i].first);
    outbox->size = 0;
}

void batch__outbox_add(struct batch__outbox *outbox, batch_op *op)
{
    batch_completions *loop = op->private_waiter;
    batch__check(loop != NULL);
    op->private_next = NULL;
    for (uint32_t i = 0; i < outbox->size; i++) {
        struct batch__outbox_chain *chain = &outbox->chains[i];
        if (chain->loop == loop) {
            chain->last->private_next = op;
            chain->last = op;
            return;
        }
    }
    if (outbox->size == BATCH__OUTBOX_LOOPS)
        batch__outbox_flush(outbox);
    outbox->chains[outbox->size++] = (struct batch__outbox_chain){loop, op, op};
}
