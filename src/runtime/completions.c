#include "completions.h"

#include "../base/atomics.h"
#include "../base/check.h"
#include "../core/prefetch.h"
#include "../loop/outcome.h"
#include "result.h"
#include "shard.h"
#include "shared.h"
#include "waiter.h"

#include <string.h>

/* Its `done` is called on a loop. */
static void put_in_outbox(struct batch__shard *shard, batch_op *op)
{
    struct batch__completions *completions = &shard->completions;
    if (completions->is_record_due) {
        completions->is_record_due = false;
        completions->failure =
            batch__failure_new(&shard->shared->options.allocator, &completions->result);
    }
    batch__outcome_put(op, &completions->result, completions->failure);
    batch__outbox_add(&completions->outbox, op);
}

/* The thread of a loop. */
static void complete_on_loop(batch_op *leg, const batch_result *result)
{
    batch_transaction *transaction = leg->arg;
    batch_result last = transaction->private_result; /* with its message, which `result` lacks */
    (void)result;
    batch__check(transaction->private_state == BATCH__OP_BOUND);
    transaction->private_state = BATCH__OP_IDLE;
    transaction->done(transaction, &last);
}

/* The last leg, which nobody needs any more, goes to the loop for all of it. */
static void put_transaction_in_outbox(struct batch__shard *shard, batch_op *leg)
{
    const batch_transaction *transaction = leg->arg;
    leg->private_state = BATCH__OP_BOUND;
    leg->private_waiter = transaction->private_waiter;
    leg->done = complete_on_loop;
    batch__outcome_put(leg, &transaction->private_result, NULL);
    batch__outbox_add(&shard->completions.outbox, leg);
}

/* With the last leg the transaction is complete, and its owner's: it may be gone when `done`
 * returns. It gets the result of the leg that decided; if that was in a batch, with the reason. */
static void complete_leg(struct batch__shard *shard, batch_op *leg, bool is_in_batch)
{
    const batch_result *result = &shard->completions.result;
    batch_transaction *transaction = batch__leg_transaction(leg);
    batch_result *kept = &transaction->private_result;
    bool changed = kept->changed || leg->private_changed != 0;
    bool is_better = is_in_batch || kept->status == BATCH_OK;
    leg->private_state = BATCH__OP_IDLE;
    if (result->status == transaction->private_status && is_better)
        *kept = *result;
    kept->changed = changed;
    batch__check(transaction->private_legs > 0);
    if (--transaction->private_legs > 0)
        return;
    batch__check(kept->status == transaction->private_status);
    if (transaction->private_state == BATCH__OP_BOUND) {
        put_transaction_in_outbox(shard, leg);
        return;
    }
    batch__check(transaction->private_state == BATCH__OP_ACCEPTED);
    batch_result last = *kept;
    struct batch__waiter *waiter = transaction->private_waiter;
    transaction->private_state = BATCH__OP_IDLE;
    if (waiter != NULL)
        batch__waiter_complete(waiter, &last);
    else
        transaction->done(transaction, &last);
}

static void complete_other(struct batch__shard *shard, batch_op *op, bool is_in_batch)
{
    if (op->private_state == BATCH__OP_BOUND)
        put_in_outbox(shard, op);
    else
        complete_leg(shard, op, is_in_batch);
}

/* With completions->result. From here on the operation is its owner's: it may be gone when `done`
 * returns. */
static inline void complete(struct batch__shard *shard, batch_op *op, bool is_in_batch)
{
    if (op->private_state != BATCH__OP_ACCEPTED) {
        complete_other(shard, op, is_in_batch);
        return;
    }
    batch_result *result = &shard->completions.result;
    result->changed = op->private_changed != 0;
    struct batch__waiter *waiter = op->private_waiter;
    op->private_state = BATCH__OP_IDLE;
    if (waiter != NULL)
        batch__waiter_complete(waiter, result);
    else
        op->done(op, result);
}

/* Of a batch: how long it took is counted too, before its owner can ask. */
static inline void complete_in_batch(struct batch__shard *shard, batch_op *op)
{
    batch__counters_took(&shard->counters, op->private_accepted_ns, shard->completions.now_ns);
    complete(shard, op, true);
}

/* What is completed now has taken until now: the time of the iteration, or of the store's return if
 * the worker has called it; or of the latest tick, if completions have taken long since. So no
 * precise clock is read. */
static void set_now(struct batch__shard *shard)
{
    uint64_t now_ns = batch__core_now_ns(&shard->core);
    uint64_t ticks_ns = batch__clock_coarse_ns();
    if (shard->called_ns > now_ns)
        now_ns = shard->called_ns;
    shard->completions.now_ns = ticks_ns > now_ns ? ticks_ns : now_ns;
}

/* Of a batch. One that has failed has a message of its own, which loops get as a record. */
static void complete_chain(struct batch__shard *shard, batch_op *first)
{
    struct batch__completions *completions = &shard->completions;
    batch__check(completions->failure == NULL);
    completions->is_record_due = completions->result.status != BATCH_OK;
    set_now(shard);
    for (batch_op *op = first, *next; op != NULL; op = next) {
        next = op->private_next;
        complete_in_batch(shard, op);
    }
    batch__failure_leave(completions->failure);
    completions->failure = NULL;
    completions->is_record_due = false;
}

static void set_ok(batch_result *result)
{
    result->status = BATCH_OK;
    result->store_code = 0;
    memcpy(result->message, "done", sizeof "done");
}

static void flush_chains(struct batch__shard *shard)
{
    struct batch__completions *completions = &shard->completions;
    set_ok(&completions->result);
    set_now(shard);
    while (completions->chains_size > 0) {
        for (uint32_t i = 0; i < completions->chains_size; i++) {
            struct batch__chain *chain = &completions->chains[i];
            batch_op *op = chain->op;
            chain->op = op->private_next;
            if (chain->op != NULL)
                batch__op_prefetch(chain->op);
            completions->result.batch_operations = chain->batch_operations;
            complete_in_batch(shard, op);
            if (chain->op == NULL)
                *chain = completions->chains[--completions->chains_size];
        }
    }
}

void batch__completions_flush(struct batch__shard *shard)
{
    if (shard->completions.chains_size > 0)
        flush_chains(shard);
    batch__outbox_flush(&shard->completions.outbox);
}

/* What is about to be completed has left room: its owner may submit the next one at once. */
static void publish_room(struct batch__shard *shard)
{
    if (batch__load_relaxed(&shard->xis_full) != 0 && !batch__core_is_full(&shard->core))
        batch__store_relaxed(&shard->xis_full, 0);
}

void batch__completions_batch(struct batch__shard *shard, const batch_call *call, batch_op *op,
                              uint64_t count)
{
    struct batch__completions *completions = &shard->completions;
    int status = call->batch.status;
    batch__check(op != NULL && count > 0);
    publish_room(shard);
    batch__doors_update_one(&shard->doors, &shard->core, call->batch.hash);
    batch__counters_completed(&shard->counters, status, count);
    /* Without loads, two batches of one key may end between two flushes: keep their order. */
    if (status == BATCH_OK && shard->shared->has_load) {
        batch__check(completions->chains_size < BATCH__CHAINS);
        completions->chains[completions->chains_size++] =
            (struct batch__chain){op, (uint32_t)count};
        batch__op_prefetch(op);
        if (completions->chains_size == BATCH__CHAINS)
            flush_chains(shard);
        return;
    }
    batch__result_of_call(&completions->result, call);
    complete_chain(shard, op);
}

void batch__completions_refused(struct batch__shard *shard, batch_op *first)
{
    batch_result *result = &shard->completions.result;
    result->status = BATCH_OK; /* none of these */
    publish_room(shard);
    for (batch_op *op = first, *next; op != NULL; op = next) {
        next = op->private_next;
        int status = op->private_status;
        batch__check(status != BATCH_OK);
        if (status != result->status)
            batch__result_set(result, status, "%s", batch_status_text(status));
        batch__counters_completed(&shard->counters, status, 1);
        batch__counters_left(&shard->counters, op->private_accepted_ns);
        if (status == BATCH_BUSY)
            batch__doors_shut(&shard->doors, &shard->core, op->private_hash);
        else
            batch__doors_update_one(&shard->doors, &shard->core, op->private_hash);
        complete(shard, op, false);
    }
}
