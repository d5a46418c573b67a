/* stop_scenarios.c: submit.c, call.c and processor.c against stop and cancel. The processor and its
 * shards are made as batch_processor_start makes them; only the worker's thread is a few lines of
 * ours, so that there are few enough steps to go through all their orders. */
#include "scenarios.h"

#include "core/op.h"
#include "base/atomics.h"
#include "loop/outcome.h"
#include "runtime/allocator.h"
#include "runtime/options.h"
#include "runtime/processor.h"
#include "runtime/shard.h"
#include "runtime/store_users.h"

#include <string.h>

enum { SHARDS = 2, OPS = 3 };

static batch_processor *processor;
static struct batch__shared *shared; /* its */
static struct batch__shard *shards[SHARDS];
static batch_op ops[OPS];
static bool is_accepted[OPS]; /* each written by its submitter */
static uint32_t completions[OPS];
static batch_call *call;
static bool is_call_taken;

static batch_verdict run(void *resource, void *arg)
{
    (void)resource;
    (void)arg;
    return BATCH_UNCHANGED;
}

static void done(batch_op *op, const batch_result *result)
{
    (void)op;
    (void)result;
}

static bool is_ours(void *arg)
{
    (void)arg;
    return false;
}

static void make(uint32_t count)
{
    batch_options given = BATCH_OPTIONS_INIT;
    given.shards = count;
    given.sessions = 0;
    struct batch__asked asked;
    explorer_check(batch__options_take(&asked, &given, NULL) == BATCH_OK);
    batch_options options = asked.options;
    processor = batch__allocate(&options, sizeof *processor);
    memset(processor, 0, sizeof *processor);
    shared = &processor->shared;
    shared->options = options;
    shared->shards = shards;
    explorer_check(
        batch__lifecycle_init(&shared->lifecycle, count, 0, batch__processor_close_all, processor));
    explorer_check(batch__io_queue_init(&shared->io_queue, 0, 0));
    explorer_check(batch__hub_init(&shared->hub, &options.allocator, is_ours, NULL) == BATCH_OK);
    for (uint32_t i = 0; i < count; i++) {
        shards[i] = batch__shard_new(shared);
        explorer_check(shards[i] != NULL);
        explorer_name(&shards[i]->inbox.xops, i == 0 ? "xops" : "xops of the other");
        explorer_name(&shards[i]->inbox.xsignals, i == 0 ? "xsignals" : "xsignals of the other");
        explorer_name(&shards[i]->inbox.xrest, i == 0 ? "xrest" : "xrest of the other");
        explorer_name(&shards[i]->inbox.lock, i == 0 ? "inbox lock" : "inbox lock of the other");
    }
    explorer_name(&shared->xis_stopping, "xis_stopping");
    explorer_name(&shared->xgroup_submitters, "xgroup_submitters");
    explorer_name(&shared->xfinishers, "xfinishers");
    explorer_name(&shared->lifecycle.lock, "lifecycle lock");
    for (int i = 0; i < OPS; i++) {
        ops[i] = (batch_op)BATCH_OP_INIT;
        ops[i].run = run;
        ops[i].done = done;
        is_accepted[i] = false;
        completions[i] = 0;
    }
    is_call_taken = false;
}

/* Keys: of the first shard or of the second. The processor's hash key is zero here. */
static void give_keys(const char *keys)
{
    for (int i = 0; i < OPS; i++) {
        ops[i].key = keys + i;
        ops[i].key_size = 1;
    }
}

static void start(uint32_t count, void (*body)(void *arg))
{
    for (uint32_t i = 0; i < count; i++)
        explorer_check(batch__thread_start(&shards[i]->thread, "worker", shared, body, shards[i]));
}

static void answer_all(batch_op *first)
{
    batch_op *next;
    for (batch_op *op = first; op != NULL; op = next) {
        next = op->private_next;
        explorer_check(op->private_state == BATCH__OP_ACCEPTED);
        completions[op - ops]++;
    }
}

static void end_completed(void)
{
    for (int i = 0; i < OPS; i++)
        explorer_check(completions[i] == (is_accepted[i] ? 1 : 0));
}

/* ---- Submit against stop -------------------------------------------------------------------- */

/* A worker that completes what it is given, until it is to stop. */
static void worker(void *arg)
{
    struct batch__shard *shard = arg;
    for (;;) {
        uint32_t signals = batch__inbox_take_signals_sc(&shard->inbox);
        batch_op *first = batch__inbox_take_ops_sc(&shard->inbox, false);
        answer_all(first);
        if ((signals & BATCH__SIGNAL_STOP) != 0)
            break;
        if (first == NULL)
            batch__inbox_rest_sc(&shard->inbox, BATCH__ASLEEP, UINT64_MAX);
    }
    answer_all(batch__inbox_take_ops_sc(&shard->inbox, true));
    batch__lifecycle_worker_ended(&shared->lifecycle, &shared->io_queue);
}

/* As it is, but looks only when it is to stop: fewer steps. */
static void lazy_worker(void *arg)
{
    struct batch__shard *shard = arg;
    while ((batch__inbox_take_signals_sc(&shard->inbox) & BATCH__SIGNAL_STOP) == 0)
        batch__inbox_rest_sc(&shard->inbox, BATCH__NAPPING, UINT64_MAX);
    answer_all(batch__inbox_take_ops_sc(&shard->inbox, true));
    batch__lifecycle_worker_ended(&shared->lifecycle, &shared->io_queue);
}

static void begin_submit(void)
{
    make(1);
    give_keys("aaa");
    explorer_want(3);
    start(1, worker);
}

static void submit_two(void)
{
    is_accepted[0] = batch_submit(processor, &ops[0]) == BATCH_OK;
    is_accepted[1] = batch_submit(processor, &ops[1]) == BATCH_OK;
    explorer_check(is_accepted[0] || !is_accepted[1]);
    explorer_saw(is_accepted[0] + is_accepted[1]);
}

static void submit_one(void)
{
    is_accepted[0] = batch_submit(processor, &ops[0]) == BATCH_OK;
    explorer_saw(is_accepted[0]);
}

static void stop_it(void)
{
    explorer_check(batch_processor_stop(processor, BATCH_FOREVER) == 0);
}

static void begin_submit_many(void)
{
    make(2);
    give_keys("aac");
    explorer_want(3);
    start(2, lazy_worker);
}

/* All or none, though they go to two shards. */
static void submit_many(void)
{
    batch_op *const some[] = {&ops[0], &ops[1], &ops[2]};
    bool is_done = batch_submit_many(processor, some, OPS) == BATCH_OK;
    for (int i = 0; i < OPS; i++)
        is_accepted[i] = is_done;
    explorer_saw(is_done);
}

static void end_two_shards(void)
{
    explorer_check(ops[0].private_hash >> 31 != ops[2].private_hash >> 31 || !is_accepted[0]);
    end_completed();
}

/* ---- Submit to a loop ----------------------------------------------------------------------- */

static batch_completions *loop;
static uint32_t dispatched;

static void done_on_loop(batch_op *op, const batch_result *result)
{
    explorer_check(op == &ops[0] && result->status == BATCH_OK);
    dispatched++;
}

static void binding_worker(void *arg)
{
    struct batch__shard *shard = arg;
    batch_op *op;
    while ((op = batch__inbox_take_ops_sc(&shard->inbox, false)) == NULL)
        batch__inbox_rest_sc(&shard->inbox, BATCH__ASLEEP, UINT64_MAX);
    const batch_result result = {.status = BATCH_OK};
    explorer_check(op->private_waiter == loop);
    batch__outcome_put(op, &result, NULL);
    batch__outbox_add(&shard->completions.outbox, op);
    batch__outbox_flush(&shard->completions.outbox);
    batch__lifecycle_worker_ended(&shared->lifecycle, &shared->io_queue);
}

static void begin_submit_to(void)
{
    make(1);
    give_keys("aaa");
    ops[0].done = done_on_loop;
    dispatched = 0;
    explorer_check(batch_completions_open(&loop, NULL) == BATCH_OK);
    start(1, binding_worker);
}

static void submit_to_loop(void)
{
    explorer_check(batch_submit_to(processor, &ops[0], loop) == BATCH_OK);
}

static void dispatch_it(void)
{
    while (dispatched == 0)
        explorer_check(batch_completions_dispatch(loop, 0, BATCH_FOREVER) >= 0);
}

static void end_submit_to(void)
{
    stop_it();
    explorer_check(batch_completions_close(loop) == BATCH_OK);
}

/* ---- Submit a transaction to a loop ---------------------------------------------------------- */

enum { PARTS = 2 };

static batch_transaction transaction;
static batch_part parts[PARTS];

static void run_transaction(void *const *resources, batch_transaction *its)
{
    (void)resources;
    (void)its;
}

static void transaction_done_on_loop(batch_transaction *its, const batch_result *result)
{
    explorer_check(its == &transaction && result->status == BATCH_CANCELED);
    dispatched++;
}

/* Completes both legs, without a core: as if the transaction had been canceled. */
static void refusing_worker(void *arg)
{
    struct batch__shard *shard = arg;
    batch_op *leg;
    while ((leg = batch__inbox_take_ops_sc(&shard->inbox, false)) == NULL)
        batch__inbox_rest_sc(&shard->inbox, BATCH__ASLEEP, UINT64_MAX);
    explorer_check(leg == &parts[0].private_leg && transaction.private_waiter == loop);
    batch__counters_accepted(&shard->counters, PARTS, 1);
    transaction.private_status = BATCH_CANCELED;
    for (int i = 0; i < PARTS; i++) {
        parts[i].private_leg.private_accepted_ns = 1;
        parts[i].private_leg.private_status = BATCH_CANCELED;
        parts[i].private_leg.private_next = i + 1 < PARTS ? &parts[i + 1].private_leg : NULL;
    }
    batch__completions_refused(shard, leg);
    batch__completions_flush(shard);
    batch__lifecycle_worker_ended(&shared->lifecycle, &shared->io_queue);
}

static void begin_submit_transaction_to(void)
{
    make(1);
    shared->saves_units = true;
    transaction = (batch_transaction)BATCH_TRANSACTION_INIT;
    transaction.parts = parts;
    transaction.parts_size = PARTS;
    transaction.run = run_transaction;
    transaction.done = transaction_done_on_loop;
    for (size_t i = 0; i < PARTS; i++) {
        parts[i] = (batch_part)BATCH_PART_INIT;
        parts[i].key = &"ab"[i];
        parts[i].key_size = 1;
    }
    dispatched = 0;
    explorer_check(batch_completions_open(&loop, NULL) == BATCH_OK);
    start(1, refusing_worker);
}

static void submit_transaction_to_loop(void)
{
    explorer_check(batch_transaction_submit_to(processor, &transaction, loop) == BATCH_OK);
}

/* ---- Cancel --------------------------------------------------------------------------------- */

static uint32_t cancels; /* that the worker waits for */

/* Whoever is canceled while it waits is completed, and here nobody is completed otherwise. */
static void canceling_worker(void *arg)
{
    struct batch__shard *shard = arg;
    batch_op *waiting[OPS];
    uint32_t waiting_size = 0;
    uint32_t completed = 0;
    while (completed < cancels) {
        uint32_t signals = batch__inbox_take_signals_sc(&shard->inbox);
        batch_op *first = batch__inbox_take_ops_sc(&shard->inbox, false);
        for (batch_op *op = first; op != NULL; op = op->private_next)
            waiting[waiting_size++] = op;
        if ((signals & BATCH__SIGNAL_CANCEL) != 0) {
            for (uint32_t i = 0; i < waiting_size; i++) {
                uint32_t *its_completions = &completions[waiting[i] - ops];
                if (*its_completions == 0 && batch__op_is_canceled(waiting[i])) {
                    ++*its_completions;
                    completed++;
                }
            }
        }
        if (signals == 0 && first == NULL)
            batch__inbox_rest_sc(&shard->inbox, BATCH__ASLEEP, UINT64_MAX);
    }
    batch__lifecycle_worker_ended(&shared->lifecycle, &shared->io_queue);
}

static void begin_cancel_of(uint32_t count)
{
    make(1);
    cancels = count;
    give_keys("aaa");
    is_accepted[0] = batch_submit(processor, &ops[0]) == BATCH_OK;
    start(1, canceling_worker);
}

static void begin_cancel_one(void)
{
    begin_cancel_of(1);
}

static void begin_cancel(void)
{
    begin_cancel_of(2);
}

static void cancel_first(void)
{
    explorer_check(batch_cancel(processor, &ops[0]) == BATCH_OK);
}

static void submit_and_cancel(void)
{
    is_accepted[1] = batch_submit(processor, &ops[1]) == BATCH_OK;
    explorer_check(is_accepted[1]);
    explorer_check(batch_cancel(processor, &ops[1]) == BATCH_OK);
}

static void end_canceled(void)
{
    stop_it();
    explorer_check(completions[0] + completions[1] == cancels);
}

/* ---- Finish against stop -------------------------------------------------------------------- */

static void finish_call(void)
{
    call->store_code = 7;
    batch_call_finish(call, BATCH_SAVE_FAILED);
}

static void calling_worker(void *arg)
{
    struct batch__shard *shard = arg;
    bool is_told = false;
    while (!is_told || !is_call_taken) {
        uint32_t signals = batch__inbox_take_signals_sc(&shard->inbox);
        batch_call *taken = batch__inbox_take_calls_sc(&shard->inbox);
        is_told = is_told || (signals & BATCH__SIGNAL_STOP) != 0;
        if (taken != NULL) {
            explorer_check(taken == call && taken->next == NULL);
            explorer_check(taken->status == BATCH_SAVE_FAILED && taken->store_code == 7);
            is_call_taken = true;
        }
        if (signals == 0 && taken == NULL)
            batch__inbox_rest_sc(&shard->inbox, BATCH__ASLEEP, UINT64_MAX);
    }
    batch__lifecycle_worker_ended(&shared->lifecycle, &shared->io_queue);
}

static void begin_finish(void)
{
    make(1);
    call = batch__allocate(&shared->options, batch__call_size(0));
    memset(call, 0, sizeof *call);
    batch__call_begin(call, shards[0]);
    batch__call_hand_over(call, BATCH__STAGE_SAVE);
    start(1, calling_worker);
}

/* What batch_processor_free releases; the store's thread may be about to return. */
static void stop_and_free(void)
{
    stop_it();
    batch_options options = shared->options;
    batch__release(&options, call);
    batch__shard_free(shards[0]);
    batch__hub_destroy(&shared->hub);
    batch__io_queue_destroy(&shared->io_queue);
    batch__lifecycle_destroy(&shared->lifecycle);
    batch__release(&options, processor);
}

static void end_finish(void)
{
    explorer_check(is_call_taken);
}

/* ---- Leaving a store ------------------------------------------------------------------------ */

static batch_store store;
static uint64_t store_state;
static bool is_closed;

static void close_store(batch_store *closed)
{
    (void)closed;
    store_state = 2;
    is_closed = true;
}

static void begin_store(void)
{
    store = (batch_store)BATCH_STORE_INIT;
    store.close = close_store;
    store_state = 0;
    is_closed = false;
    batch__store_use(&store);
    batch__store_use(&store);
    explorer_want(3);
}

static void leave_store(void)
{
    batch__store_leave(&store);
}

static void use_and_leave_store(void)
{
    store_state = 1; /* what a session does to it */
    batch__store_leave(&store);
}

static void close_if_left(void)
{
    int status = batch_store_close(&store);
    explorer_check(status == BATCH_OK || status == BATCH_BUSY);
    explorer_check(is_closed == (status == BATCH_OK));
    explorer_saw(status == BATCH_OK);
}

static void end_store(void)
{
    explorer_check(is_closed || batch_store_close(&store) == BATCH_OK);
    explorer_check(store_state == 2);
}

/* ---- Counters ------------------------------------------------------------------------------- */

static struct batch__counters counters;
static struct batch__group_counters group_counters;

static void begin_counters(void)
{
    memset(&counters, 0, sizeof counters);
    memset(&group_counters, 0, sizeof group_counters);
    explorer_want(3);
}

static void count_ops(void)
{
    for (int i = 0; i < 2; i++) {
        batch__counters_accepted(&counters, 1, 1);
        batch__counters_completed(&counters, BATCH_OK, 1);
    }
}

/* Never more completed than accepted. */
static void read_counters(void)
{
    batch_stats stats = BATCH_STATS_INIT;
    const struct batch__counters *all = &counters;
    static const struct batch__refusals refusals;
    static const struct batch__events events;
    struct batch__shared_counts counts = {.refusals = &refusals, .events = &events};
    explorer_check(batch__stats_collect(&stats, &all, 1, &group_counters, &counts) == BATCH_OK);
    explorer_check(stats.operations_waiting <= 2);
    explorer_saw(stats.operations_waiting > 0);
}

static void end_nothing(void)
{
}

const struct explorer_scenario stop_scenarios[] = {
    {.name = "stop-submit",
     .begin = begin_submit,
     .threads = {submit_one, stop_it},
     .end = end_completed},
    {.name = "stop-submit-two",
     .begin = begin_submit,
     .threads = {submit_two, stop_it},
     .end = end_completed,
     .runs = 100000,
     .whims = 1},
    {.name = "submit-to",
     .begin = begin_submit_to,
     .threads = {submit_to_loop, dispatch_it},
     .end = end_submit_to},
    {.name = "submit-transaction-to",
     .begin = begin_submit_transaction_to,
     .threads = {submit_transaction_to_loop, dispatch_it},
     .end = end_submit_to},
    {.name = "stop-submit-many",
     .begin = begin_submit_many,
     .threads = {submit_many, stop_it},
     .end = end_two_shards},
    {.name = "cancel", .begin = begin_cancel_one, .threads = {cancel_first}, .end = end_canceled},
    {.name = "cancel-two",
     .begin = begin_cancel,
     .threads = {cancel_first, submit_and_cancel},
     .end = end_canceled,
     .runs = 100000,
     .whims = 1},
    {.name = "stop-finish",
     .begin = begin_finish,
     .threads = {finish_call, stop_and_free},
     .end = end_finish},
    {.name = "store-close",
     .begin = begin_store,
     .threads = {leave_store, use_and_leave_store, close_if_left},
     .end = end_store},
    {.name = "counters",
     .begin = begin_counters,
     .threads = {count_ops, read_counters},
     .end = end_nothing,
     .runs = 400},
};
const size_t stop_scenarios_size = sizeof stop_scenarios / sizeof *stop_scenarios;
