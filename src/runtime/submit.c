/* submit.c: see submit.h. From any thread; no lock, no allocation, one atomic operation for a
 * submit or for all that a batch_submit_many has for a shard. */
#include "submit.h"

#include "../base/atomics.h"
#include "../base/check.h"
#include "../loop/loop.h"
#include "options.h"
#include "processor.h"
#include "shard.h"

#include <sodium.h>
#include <string.h>

_Static_assert(BATCH__HASH_KEY_BYTES == crypto_shorthash_KEYBYTES, "as libsodium has it");

/* SipHash-2-4 with the processor's random key: whoever chooses keys cannot make them collide. */
uint32_t batch__hash_of(const struct batch__shared *shared, const batch_op *op)
{
    unsigned char bytes[crypto_shorthash_BYTES];
    crypto_shorthash(bytes, op->key, op->key_size, shared->hash_key);
    uint32_t hash;
    memcpy(&hash, bytes, sizeof hash);
    return hash;
}

/* By the high bits; the table of the shard uses the low ones. */
static uint32_t shard_index_of(const struct batch__shared *shared, uint32_t hash)
{
    return (uint32_t)((uint64_t)hash * shared->options.shards >> 32);
}

static bool is_valid(const batch_op *op)
{
    return op->run != NULL && op->key_size <= BATCH_KEY_SIZE_MAX &&
           (op->key != NULL || op->key_size == 0) && op->private_state == BATCH__OP_IDLE;
}

const char *batch__op_fault(const batch_op *op)
{
    if (op == NULL)
        return "op is NULL";
    if (op->run == NULL)
        return "op->run is NULL";
    if (op->key_size > BATCH_KEY_SIZE_MAX)
        return "op->key_size exceeds 65,536";
    if (op->key == NULL && op->key_size > 0)
        return "op->key is NULL, but op->key_size is not 0";
    if (op->private_state != BATCH__OP_IDLE)
        return "op is in use: it has been submitted and is not complete (or is not initialized)";
    return NULL;
}

static void accept(batch_op *op, uint32_t hash, enum batch__op_state state, void *receiver)
{
    batch__check((receiver != NULL) || (op->done != NULL));
    batch__check((receiver != NULL) || (state == BATCH__OP_ACCEPTED));
    batch__store_relaxed(&op->private_hash, hash); /* a late cancel may read it */
    op->private_waiter = receiver;
    op->private_state = (uint8_t)state;
    batch__store_relaxed(&op->private_canceled, 0);
}

static int submit(const struct batch__shared *shared, batch_op *op, enum batch__op_state state,
                  void *receiver)
{
    if (!is_valid(op))
        return BATCH_INVALID;
    if (batch__load_relaxed(&shared->xis_stopping) != 0)
        return BATCH_STOPPED;
    uint32_t hash = batch__hash_of(shared, op);
    struct batch__shard *shard = shared->shards[shard_index_of(shared, hash)];
    if (batch__load_relaxed(&shard->xis_full) != 0)
        return BATCH_BUSY;
    uint64_t door = batch__door_of(&shard->doors, hash);
    if (door != 0 && batch__doors_refuse(door, op, shared->options.deadline_ns))
        return BATCH_BUSY;
    accept(op, hash, state, receiver);
    if (batch__inbox_push_ops_mp(&shard->inbox, op, op))
        return BATCH_OK;
    op->private_state = BATCH__OP_IDLE;
    return BATCH_STOPPED;
}

int batch__submit(batch_processor *processor, batch_op *op, enum batch__op_state state,
                  void *receiver)
{
    struct batch__shared *shared = &processor->shared;
    int status = submit(shared, op, state, receiver);
    return status == BATCH_OK ? status : batch__refusals_add(&shared->refusals, status, 1);
}

int batch_submit(batch_processor *processor, batch_op *op)
{
    if (processor == NULL)
        return BATCH_INVALID;
    if (op == NULL || op->done == NULL)
        return batch__refusals_add(&processor->shared.refusals, BATCH_INVALID, 1);
    return batch__submit(processor, op, BATCH__OP_ACCEPTED, NULL);
}

int batch_submit_to(batch_processor *processor, batch_op *op, batch_completions *completions)
{
    if (processor == NULL)
        return BATCH_INVALID;
    if (op == NULL || op->done == NULL || completions == NULL)
        return batch__refusals_add(&processor->shared.refusals, BATCH_INVALID, 1);
    batch__loop_use(completions, 1); /* before: it may be dispatched before we return */
    int status = batch__submit(processor, op, BATCH__OP_BOUND, completions);
    if (status != BATCH_OK)
        batch__loop_leave(completions, 1);
    return status;
}

int batch_cancel(batch_processor *processor, batch_op *op)
{
    if (processor == NULL || op == NULL)
        return BATCH_INVALID;
    const struct batch__shared *shared = &processor->shared;
    uint32_t hash = batch__load_relaxed(&op->private_hash);
    batch__store_relaxed(&op->private_canceled, 1); /* the request; the signal only wakes */
    struct batch__shard *shard = shared->shards[shard_index_of(shared, hash)];
    batch__inbox_signal_mp(&shard->inbox, BATCH__SIGNAL_CANCEL);
    return BATCH_OK;
}

/* ---- Many ----------------------------------------------------------------------------------- */

static bool is_any_full(const struct batch__shared *shared)
{
    for (uint32_t i = 0; i < shared->options.shards; i++) {
        if (batch__load_relaxed(&shared->shards[i]->xis_full) != 0)
            return true;
    }
    return false;
}

/* Accept all or none: an operation that is not valid, or given twice, undoes those before it. */
static bool accept_all(const struct batch__shared *shared, batch_op *const *ops, size_t ops_size,
                       batch_completions *loop)
{
    enum batch__op_state state = loop != NULL ? BATCH__OP_BOUND : BATCH__OP_ACCEPTED;
    for (size_t i = 0; i < ops_size; i++) {
        if (ops[i] != NULL && ops[i]->done != NULL && is_valid(ops[i])) {
            accept(ops[i], batch__hash_of(shared, ops[i]), state, loop);
            continue;
        }
        while (i-- > 0)
            ops[i]->private_state = BATCH__OP_IDLE;
        return false;
    }
    return true;
}

/* Chain the operations of each shard, then push: from the first push on they may complete. */
static void push_all(const struct batch__shared *shared, batch_op *const *ops, size_t ops_size)
{
    batch_op *newest[BATCH__SHARDS_MAX];
    batch_op *oldest[BATCH__SHARDS_MAX];
    uint32_t shards = shared->options.shards;
    batch__check(shards <= BATCH__SHARDS_MAX);
    for (uint32_t i = 0; i < shards; i++)
        newest[i] = oldest[i] = NULL;
    for (size_t i = 0; i < ops_size; i++) {
        uint32_t shard = shard_index_of(shared, ops[i]->private_hash);
        if (oldest[shard] == NULL)
            oldest[shard] = ops[i];
        ops[i]->private_next = newest[shard];
        newest[shard] = ops[i];
    }
    for (uint32_t i = 0; i < shards; i++) {
        if (newest[i] == NULL)
            continue;
        bool is_pushed = batch__inbox_push_ops_mp(&shared->shards[i]->inbox, newest[i], oldest[i]);
        batch__check(is_pushed); /* a stop waits for us before it closes the inbox */
    }
}

/* They complete on the loop, or on the worker if it is NULL. */
static int submit_many(struct batch__shared *shared, batch_op *const *ops, size_t ops_size,
                       batch_completions *loop)
{
    if (ops == NULL && ops_size > 0)
        return BATCH_INVALID;
    if (batch__load_relaxed(&shared->xis_stopping) != 0)
        return BATCH_STOPPED; /* so that stop waits for none but those who are about to leave */
    /* seq_cst, as stop does it the other way round: either we see that it stops, or it waits for us
     * before it closes the inboxes. So all are pushed or none. */
    batch__add_seq_cst(&shared->xgroup_submitters, 1);
    int status = BATCH_OK;
    if (batch__load_seq_cst(&shared->xis_stopping) != 0)
        status = BATCH_STOPPED;
    else if (is_any_full(shared))
        status = BATCH_BUSY;
    else if (!accept_all(shared, ops, ops_size, loop))
        status = BATCH_INVALID;
    else
        push_all(shared, ops, ops_size);
    uint32_t submitters = batch__sub_release(&shared->xgroup_submitters, 1);
    batch__check(submitters > 0);
    return status;
}

int batch_submit_many(batch_processor *processor, batch_op *const *ops, size_t ops_size)
{
    if (processor == NULL)
        return BATCH_INVALID;
    struct batch__shared *shared = &processor->shared;
    int status = submit_many(shared, ops, ops_size, NULL);
    return status == BATCH_OK ? status : batch__refusals_add(&shared->refusals, status, ops_size);
}

int batch_submit_many_to(batch_processor *processor, batch_op *const *ops, size_t ops_size,
                         batch_completions *completions)
{
    if (processor == NULL)
        return BATCH_INVALID;
    struct batch__shared *shared = &processor->shared;
    int status = BATCH_INVALID;
    if (completions != NULL) {
        batch__loop_use(completions, ops_size);
        status = submit_many(shared, ops, ops_size, completions);
        if (status != BATCH_OK)
            batch__loop_leave(completions, ops_size);
    }
    return status == BATCH_OK ? status : batch__refusals_add(&shared->refusals, status, ops_size);
}
