/* transaction.c: transactions, from submit to the inbox. Any thread; no lock, no allocation. */
#include "../base/atomics.h"
#include "../base/check.h"
#include "../loop/loop.h"
#include "drive.h"
#include "options.h"
#include "processor.h"
#include "result.h"
#include "shard.h"
#include "submit.h"
#include "waiter.h"

#include <string.h>

/* ---- What is refused ------------------------------------------------------------------------ */

/* Why this processor runs no transactions; NULL: it does. */
static const char *fault_of_processor(const struct batch__shared *shared)
{
    const batch_options *options = &shared->options;
    if (options->shards > 1)
        return "a transaction needs a processor with one shard: no two shards store together";
    if (options->group_max < BATCH_PARTS_MAX)
        return "a transaction needs a group_max of 64 or more: its keys are stored in one group";
    if (shared->saves_units)
        return NULL;
    return options->store != NULL
               ? "the store cannot store several keys all together or not at all (saves_units)"
               : "load and save functions store one key at a time: a transaction needs a store";
}

static const char *fault_of_parts(const batch_transaction *transaction)
{
    if (transaction->parts == NULL)
        return "transaction->parts is NULL";
    if (transaction->parts_size == 0)
        return "transaction->parts_size is 0";
    if (transaction->parts_size > BATCH_PARTS_MAX)
        return "transaction->parts_size exceeds 64";
    for (size_t i = 0; i < transaction->parts_size; i++) {
        const batch_part *part = &transaction->parts[i];
        if (part->key_size > BATCH_KEY_SIZE_MAX)
            return "the key_size of a part exceeds 65,536";
        if (part->key == NULL && part->key_size > 0)
            return "the key of a part is NULL, but its key_size is not 0";
    }
    return NULL;
}

static const char *fault_of(const struct batch__shared *shared,
                            const batch_transaction *transaction)
{
    if (transaction == NULL)
        return "transaction is NULL";
    if (transaction->run == NULL)
        return "transaction->run is NULL";
    if (transaction->private_state != BATCH__OP_IDLE)
        return "the transaction is in use: it has been submitted and is not complete (or is not "
               "initialized)";
    const char *fault = fault_of_parts(transaction);
    if (fault == NULL)
        fault = fault_of_processor(shared);
    if (fault == NULL && transaction->parts_size > shared->options.ops_waiting_max)
        fault = "the transaction has more parts than ops_waiting_max: no wait would help";
    return fault;
}

static bool is_same_key(const batch_op *a, const batch_op *b)
{
    return a->private_hash == b->private_hash && a->key_size == b->key_size &&
           (a->key_size == 0 || memcmp(a->key, b->key, a->key_size) == 0);
}

static bool is_any_key_twice(const batch_transaction *transaction)
{
    for (size_t i = 1; i < transaction->parts_size; i++) {
        for (size_t k = 0; k < i; k++) {
            if (is_same_key(&transaction->parts[i].private_leg, &transaction->parts[k].private_leg))
                return true;
        }
    }
    return false;
}

/* ---- Submit --------------------------------------------------------------------------------- */

static void make_legs(const struct batch__shared *shared, batch_transaction *transaction)
{
    for (size_t i = 0; i < transaction->parts_size; i++) {
        batch_part *part = &transaction->parts[i];
        part->private_leg = (batch_op){.key = part->key,
                                       .key_size = part->key_size,
                                       .arg = transaction,
                                       .start_by_ns = transaction->start_by_ns,
                                       .private_state = BATCH__OP_LEG};
        part->private_leg.private_hash = batch__hash_of(shared, &part->private_leg);
    }
}

/* Would one of its legs wait too long? */
static bool is_door_shut(const struct batch__shared *shared, const struct batch__shard *shard,
                         const batch_transaction *transaction)
{
    for (size_t i = 0; i < transaction->parts_size; i++) {
        const batch_op *leg = &transaction->parts[i].private_leg;
        uint64_t door = batch__door_of(&shard->doors, leg->private_hash);
        if (door != 0 && batch__doors_refuse(door, leg, shared->options.deadline_ns))
            return true;
    }
    return false;
}

/* The first leg stands for all in the inbox. `state` and `receiver`: as of batch__submit. */
static int submit(const struct batch__shared *shared, batch_transaction *transaction,
                  enum batch__op_state state, void *receiver, const char **ret_fault)
{
    *ret_fault = fault_of(shared, transaction);
    if (*ret_fault != NULL)
        return BATCH_INVALID;
    if (batch__load_relaxed(&shared->xis_stopping) != 0)
        return BATCH_STOPPED;
    make_legs(shared, transaction);
    if (is_any_key_twice(transaction)) {
        *ret_fault = "a key is given twice in one transaction";
        return BATCH_INVALID;
    }
    struct batch__shard *shard = shared->shards[0];
    if (batch__load_relaxed(&shard->xis_full) != 0 || is_door_shut(shared, shard, transaction))
        return BATCH_BUSY;
    transaction->private_waiter = receiver;
    transaction->private_legs = (uint32_t)transaction->parts_size;
    transaction->private_status = BATCH_OK;
    transaction->private_result = (batch_result){.status = BATCH_OK};
    transaction->private_state = (uint8_t)state;
    batch__store_relaxed(&transaction->private_canceled, 0);
    batch_op *leg = &transaction->parts[0].private_leg;
    if (batch__inbox_push_ops_mp(&shard->inbox, leg, leg))
        return BATCH_OK;
    transaction->private_state = BATCH__OP_IDLE;
    return BATCH_STOPPED;
}

/* For its `done`, which is called as `state` says. */
static int submit_done(batch_processor *processor, batch_transaction *transaction,
                       enum batch__op_state state, batch_completions *loop)
{
    struct batch__shared *shared = &processor->shared;
    const char *fault;
    int status = BATCH_INVALID;
    if (transaction != NULL && transaction->done != NULL)
        status = submit(shared, transaction, state, loop, &fault);
    return status == BATCH_OK ? status : batch__refusals_add(&shared->refusals, status, 1);
}

int batch_transaction_submit(batch_processor *processor, batch_transaction *transaction)
{
    if (processor == NULL)
        return BATCH_INVALID;
    return submit_done(processor, transaction, BATCH__OP_ACCEPTED, NULL);
}

int batch_transaction_submit_to(batch_processor *processor, batch_transaction *transaction,
                                batch_completions *completions)
{
    if (processor == NULL)
        return BATCH_INVALID;
    if (completions == NULL)
        return batch__refusals_add(&processor->shared.refusals, BATCH_INVALID, 1);
    batch__loop_use(completions, 1); /* before: it may be dispatched before we return */
    int status = submit_done(processor, transaction, BATCH__OP_BOUND, completions);
    if (status != BATCH_OK)
        batch__loop_leave(completions, 1);
    return status;
}

int batch_transaction_cancel(batch_processor *processor, batch_transaction *transaction)
{
    if (processor == NULL || transaction == NULL)
        return BATCH_INVALID;
    batch__store_relaxed(&transaction->private_canceled, 1);
    batch__inbox_signal_mp(&processor->shared.shards[0]->inbox, BATCH__SIGNAL_CANCEL);
    return BATCH_OK;
}

/* ---- Run ------------------------------------------------------------------------------------ */

static int refused(batch_processor *processor, batch_result *result, int status, const char *why)
{
    batch__refusals_add(&processor->shared.refusals, status, 1);
    return batch__result_set(result, status, "%s", why != NULL ? why : batch_status_text(status));
}

int batch_transaction_run(batch_processor *processor, batch_transaction *transaction,
                          batch_result *result)
{
    if (processor == NULL)
        return batch__result_set(result, BATCH_INVALID, "processor is NULL");
    if (batch__load_relaxed(&processor->shared.xis_stopping) != 0)
        return refused(processor, result, BATCH_STOPPED, NULL);
    if (batch__thread_is_ours())
        return refused(processor, result, BATCH_DEADLOCK,
                       "batch_transaction_run in a callback might wait for the thread that it is "
                       "called on, also by way of another processor: use batch_transaction_submit");
    struct batch__waiter waiter;
    if (!batch__waiter_init(&waiter, result))
        return refused(processor, result, BATCH_NO_MEMORY, NULL);
    const char *fault = NULL;
    int status = submit(&processor->shared, transaction, BATCH__OP_ACCEPTED, &waiter, &fault);
    if (status == BATCH_OK)
        status = batch__drive_for(&processor->shared, &waiter);
    else
        refused(processor, result, status, fault);
    batch__waiter_destroy(&waiter);
    return status;
}
