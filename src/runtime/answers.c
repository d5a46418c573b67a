#include "answers.h"

#include "processor.h"
#include "shard.h"

#include <string.h>

/* From here on the operation is its owner's: it may be gone when `done` returns. */
static void answer(batch_op *op, batch_result *result)
{
    result->changed = op->private_changed != 0;
    struct batch__waiter *waiter = op->private_waiter;
    op->private_state = BATCH__OP_IDLE;
    if (waiter != NULL)
        batch__waiter_tell(waiter, result);
    else
        op->done(op, result);
}

static void answer_chain(struct batch__answers *answers, batch_op *first)
{
    for (batch_op *op = first, *next; op != NULL; op = next) {
        next = op->private_next;
        answer(op, &answers->result);
    }
}

static void set_ok(batch_result *result)
{
    result->status = BATCH_OK;
    result->store_code = 0;
    memcpy(result->message, "done", sizeof "done");
}

void batch__answers_flush(struct batch__shard *shard)
{
    struct batch__answers *answers = &shard->answers;
    if (answers->chains_size == 0)
        return;
    set_ok(&answers->result);
    while (answers->chains_size > 0) {
        for (uint32_t i = 0; i < answers->chains_size; i++) {
            struct batch__chain *chain = &answers->chains[i];
            batch_op *op = chain->op;
            chain->op = op->private_next;
            __builtin_prefetch(chain->op);
            answers->result.batch_operations = chain->batch_operations;
            answer(op, &answers->result);
            if (chain->op == NULL)
                *chain = answers->chains[--answers->chains_size];
        }
    }
}

void batch__answers_batch(struct batch__shard *shard, const batch_call *call, batch_op *op,
                          uint64_t count)
{
    struct batch__answers *answers = &shard->answers;
    int status = call->batch.status;
    batch__counters_answered(&shard->counters, status, count);
    /* Without loads, two batches of one key may end between two flushes: keep their order. */
    if (status == BATCH_OK && shard->processor->has_load) {
        answers->chains[answers->chains_size++] = (struct batch__chain){op, (uint32_t)count};
        __builtin_prefetch(op);
        if (answers->chains_size == BATCH__CHAINS)
            batch__answers_flush(shard);
        return;
    }
    batch__result_of_call(&answers->result, call);
    answer_chain(answers, op);
}

void batch__answers_refused(struct batch__shard *shard, batch_op *first)
{
    batch_result *result = &shard->answers.result;
    result->status = BATCH_OK; /* none of these */
    for (batch_op *op = first, *next; op != NULL; op = next) {
        next = op->private_next;
        int status = op->private_status;
        if (status != result->status)
            batch__result_set(result, status, "%s", batch_status_text(status));
        batch__counters_answered(&shard->counters, status, 1);
        answer(op, result);
    }
}
