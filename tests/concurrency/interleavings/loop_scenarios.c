/* loop_scenarios.c: src/loop and dispatch.c: what is pushed against what is taken, waking, closing,
 * shared records; and submit_to and stop_to of a whole processor. The threads play workers and the
 * loop, which waits for ever where a wake is missing. */
#include "scenarios.h"

#include <batch/completions.h>

#include "base/atomics.h"
#include "core/op.h"
#include "loop/loop.h"
#include "loop/outcome.h"
#include "runtime/allocator.h"

enum { OPS = 4, LOOPS = 2, CODE = 28 };

static batch_completions *loops[LOOPS];
static batch_op ops[OPS];
static uint32_t dispatched; /* by the loop */
static int last_number;     /* of the first pusher's */
static struct batch__failure *failure;

/* For a wake function: one that sets a flag, and wakes the loop. */
static struct batch__lock lock;
static bool is_woken;   /* under lock */
static uint32_t wakes;  /* under lock */
static uint32_t useful; /* dispatches that found something */

static void done(batch_op *op, const batch_result *result)
{
    int number = (int)(op - ops);
    explorer_check(op->arg == op); /* written before the push */
    explorer_check(op->private_state == BATCH__OP_IDLE);
    explorer_check(result->status == BATCH_OK && result->batch_operations == 7);
    if (number < OPS - 1) { /* all of one pusher, in this order */
        explorer_check(number > last_number);
        last_number = number;
    }
    dispatched++;
}

static void wake(void *arg)
{
    (void)arg;
    batch__lock_take(&lock);
    is_woken = true;
    wakes++;
    batch__lock_wake_one(&lock);
    batch__lock_give(&lock);
}

static void make(uint32_t count, void (*wake_function)(void *))
{
    batch_completions_options options = BATCH_COMPLETIONS_OPTIONS_INIT;
    options.wake = wake_function;
    explorer_check(batch__lock_init(&lock));
    is_woken = false;
    wakes = useful = dispatched = 0;
    last_number = -1;
    for (uint32_t i = 0; i < count; i++) {
        explorer_check(batch_completions_open(&loops[i], &options) == BATCH_OK);
        explorer_name(&loops[i]->xchains, "xchains");
        explorer_name(&loops[i]->xpushers, "xpushers");
        explorer_name(&loops[i]->xusers, "xusers");
        explorer_name(&loops[i]->event, "event");
    }
    for (int i = 0; i < OPS; i++) {
        ops[i] = (batch_op)BATCH_OP_INIT;
        ops[i].done = done;
    }
}

/* Those who will be pushed are accepted: they are counted and bound. */
static void accept_all(batch_completions *loop, uint32_t count)
{
    batch__loop_use(loop, count);
    for (int i = 0; i < OPS; i++)
        ops[i].private_state = BATCH__OP_BOUND;
}

static void begin_two(void)
{
    make(1, NULL);
    accept_all(loops[0], 2);
}

static void begin_four(void)
{
    make(1, NULL);
    accept_all(loops[0], 4);
}

static void begin_two_wake(void)
{
    make(1, wake);
    accept_all(loops[0], 2);
}

/* Push a chain: `first` … `first + count - 1`. */
static void push(int first, int count)
{
    const batch_result result = {.status = BATCH_OK, .batch_operations = 7};
    for (int i = first; i < first + count; i++) {
        ops[i].arg = &ops[i];
        batch__outcome_put(&ops[i], &result, NULL);
        ops[i].private_next = i + 1 < first + count ? &ops[i + 1] : NULL;
    }
    batch__loop_push_mp(loops[0], &ops[first]);
}

static void push_0(void)
{
    push(0, 1);
}

static void push_0_then_1_2(void)
{
    push(0, 1);
    push(1, 2);
}

static void push_last(void)
{
    push(OPS - 1, 1);
}

/* Wait and dispatch, then close: the pushers may be waking still. */
static void dispatch_and_close(uint32_t wanted, size_t max)
{
    while (dispatched < wanted) {
        int64_t count = batch_completions_dispatch(loops[0], max, BATCH_FOREVER);
        explorer_check(count >= 0 && (max == 0 || (size_t)count <= max));
    }
    explorer_check(batch_completions_close(loops[0]) == BATCH_OK);
}

static void dispatch_two(void)
{
    dispatch_and_close(2, 0);
}

static void dispatch_four(void)
{
    dispatch_and_close(4, 0);
}

/* The loop sleeps between any two: what is left must wake it again. */
static void dispatch_four_one_by_one(void)
{
    while (dispatched < 4) {
        batch__event_wait(&loops[0]->event, UINT64_MAX);
        explorer_check(batch_completions_dispatch(loops[0], 1, 0) >= 0);
    }
    explorer_check(batch_completions_close(loops[0]) == BATCH_OK);
}

static void dispatch_when_woken(void)
{
    while (dispatched < 2) {
        batch__lock_take(&lock);
        while (!is_woken)
            batch__lock_wait(&lock, UINT64_MAX);
        is_woken = false;
        batch__lock_give(&lock);
        int64_t count = batch_completions_dispatch(loops[0], 0, 0);
        explorer_check(count >= 0);
        useful += count > 0;
    }
    explorer_check(batch_completions_close(loops[0]) == BATCH_OK);
}

static void end(void)
{
}

/* Woken as often as there was something and had been nothing. */
static void end_woken(void)
{
    explorer_check(wakes == useful);
}

/* ---- A record that two loops share ----------------------------------------------------------- */

static void done_failed(batch_op *op, const batch_result *result)
{
    (void)op;
    explorer_check(result->status == BATCH_SAVE_FAILED && result->store_code == CODE);
}

static void begin_failure(void)
{
    make(LOOPS, NULL);
    batch_result result = {.status = BATCH_SAVE_FAILED, .store_code = CODE};
    batch_allocator allocator = batch__default_allocator();
    failure = batch__failure_new(&allocator, &result);
    for (int i = 0; i < LOOPS; i++) {
        ops[i].done = done_failed;
        ops[i].private_state = BATCH__OP_BOUND;
        batch__loop_use(loops[i], 1);
        batch__outcome_put(&ops[i], &result, failure);
    }
}

static void push_failed(void)
{
    batch__loop_push_mp(loops[0], &ops[0]);
    batch__loop_push_mp(loops[1], &ops[1]);
    batch__failure_leave(failure);
}

static void dispatch_failed_0(void)
{
    while (batch_completions_dispatch(loops[0], 0, BATCH_FOREVER) == 0)
        continue;
}

static void dispatch_failed_1(void)
{
    while (batch_completions_dispatch(loops[1], 0, BATCH_FOREVER) == 0)
        continue;
}

/* ---- A whole processor ----------------------------------------------------------------------- */

static batch_processor *processor;
static uint32_t completions[OPS]; /* by the loop */
static bool is_accepted[OPS];     /* each written by its submitter */
static bool has_stopped;

static batch_verdict run_whole(void *resource, void *arg)
{
    (void)arg;
    ++*(uint64_t *)resource;
    return BATCH_CHANGED;
}

static void done_whole(batch_op *op, const batch_result *result)
{
    completions[op - ops]++;
    explorer_check(result->message[0] != '\0');
    explorer_saw((uint32_t)-result->status);
}

static int save_whole(batch_call *call, void *resource, void *arg)
{
    (void)call;
    (void)resource;
    (void)arg;
    return explorer_choose(3) == 0 ? BATCH_SAVE_FAILED : BATCH_OK;
}

static void begin_whole(void)
{
    make(1, NULL);
    batch_options options = BATCH_OPTIONS_INIT;
    options.sessions = explorer_choose(3);
    options.window_ns = BATCH_WINDOW_NONE;
    options.resource_size = sizeof(uint64_t);
    options.save = save_whole;
    has_stopped = false;
    for (int i = 0; i < OPS; i++) {
        ops[i].key = "ab";
        ops[i].key_size = 1 + (size_t)i % 2;
        ops[i].run = run_whole;
        ops[i].done = done_whole;
        completions[i] = 0;
        is_accepted[i] = false;
    }
    explorer_check(batch_processor_start(&processor, &options, NULL) == BATCH_OK);
    explorer_want(1u << -BATCH_OK | 1u << -BATCH_SAVE_FAILED);
}

static void submit_whole(int number)
{
    int status = batch_submit_to(processor, &ops[number], loops[0]);
    explorer_check(status == BATCH_OK || status == BATCH_STOPPED);
    is_accepted[number] = status == BATCH_OK;
}

static void submit_0_1(void)
{
    submit_whole(0);
    submit_whole(1);
}

static void submit_many_2_3(void)
{
    batch_op *const some[] = {&ops[2], &ops[3]};
    int status = batch_submit_many_to(processor, some, 2, loops[0]);
    explorer_check(status == BATCH_OK || status == BATCH_STOPPED);
    is_accepted[2] = is_accepted[3] = status == BATCH_OK;
}

static void stopped(batch_processor *stopped_processor, void *arg)
{
    (void)arg;
    explorer_check(stopped_processor == processor);
    has_stopped = true;
}

static void stop_and_dispatch(void)
{
    explorer_check(batch_processor_stop_to(processor, loops[0], stopped, NULL) == BATCH_OK);
    while (!has_stopped) {
        explorer_check(batch_processor_free(processor) == BATCH_BUSY);
        explorer_check(batch_completions_dispatch(loops[0], 0, BATCH_FOREVER) >= 0);
    }
}

/* The submitters have ended: now it may be freed. */
static void end_whole(void)
{
    explorer_check(has_stopped);
    explorer_check(batch_processor_free(processor) == BATCH_OK);
    explorer_check(batch_completions_close(loops[0]) == BATCH_OK);
    for (int i = 0; i < OPS; i++)
        explorer_check(completions[i] == (is_accepted[i] ? 1 : 0));
}

/* ---- Transactions ---------------------------------------------------------------------------- */

static batch_transaction transactions[2];
static batch_part parts[2][2];
static bool is_transaction_accepted[2];
static uint32_t transactions_completed[2]; /* by the loop */
static uint32_t transactions_run[2];       /* by the worker */

static void run_transaction(void *const *resources, batch_transaction *transaction)
{
    ++*(uint64_t *)resources[0];
    ++*(uint64_t *)resources[1];
    transaction->parts[0].changed = true;
    transactions_run[transaction - transactions]++;
}

static void done_transaction(batch_transaction *transaction, const batch_result *result)
{
    transactions_completed[transaction - transactions]++;
    explorer_check(result->status == BATCH_OK && result->changed && result->message[0] == 'd');
    explorer_check(transactions_run[transaction - transactions] == 1);
    explorer_saw((uint32_t)-result->status);
}

static void begin_transactions(void)
{
    make(1, NULL);
    batch_options options = BATCH_OPTIONS_INIT;
    options.window_ns = BATCH_WINDOW_NONE;
    options.resource_size = sizeof(uint64_t);
    has_stopped = false;
    for (size_t i = 0; i < 2; i++) {
        for (size_t k = 0; k < 2; k++) {
            parts[i][k] = (batch_part)BATCH_PART_INIT;
            parts[i][k].key = "abc";
            parts[i][k].key_size = 1 + i + k; /* one in common */
        }
        transactions[i] = (batch_transaction)BATCH_TRANSACTION_INIT;
        transactions[i].parts = parts[i];
        transactions[i].parts_size = 2;
        transactions[i].run = run_transaction;
        transactions[i].done = done_transaction;
        is_transaction_accepted[i] = false;
        transactions_completed[i] = transactions_run[i] = 0;
    }
    explorer_check(batch_processor_start(&processor, &options, NULL) == BATCH_OK);
    explorer_want(1u << -BATCH_OK);
}

static void submit_transaction(int number)
{
    int status = batch_transaction_submit_to(processor, &transactions[number], loops[0]);
    explorer_check(status == BATCH_OK || status == BATCH_STOPPED);
    is_transaction_accepted[number] = status == BATCH_OK;
}

static void submit_transaction_0(void)
{
    submit_transaction(0);
}

static void submit_transaction_1(void)
{
    submit_transaction(1);
}

static void end_transactions(void)
{
    explorer_check(has_stopped);
    explorer_check(batch_processor_free(processor) == BATCH_OK);
    explorer_check(batch_completions_close(loops[0]) == BATCH_OK);
    for (int i = 0; i < 2; i++)
        explorer_check(transactions_completed[i] == (is_transaction_accepted[i] ? 1 : 0));
}

const struct explorer_scenario loop_scenarios[] = {
    {.name = "loop-push",
     .begin = begin_two,
     .threads = {push_0, push_last, dispatch_two},
     .end = end},
    {.name = "loop-order",
     .begin = begin_four,
     .threads = {push_0_then_1_2, push_last, dispatch_four},
     .end = end,
     .runs = 30000,
     .whims = 1},
    {.name = "loop-left",
     .begin = begin_four,
     .threads = {push_0_then_1_2, push_last, dispatch_four_one_by_one},
     .end = end,
     .runs = 30000},
    {.name = "loop-wake",
     .begin = begin_two_wake,
     .threads = {push_0, push_last, dispatch_when_woken},
     .end = end_woken},
    {.name = "loop-failure",
     .begin = begin_failure,
     .threads = {push_failed, dispatch_failed_0, dispatch_failed_1},
     .end = end},
    {.name = "loop-whole",
     .begin = begin_whole,
     .threads = {submit_0_1, submit_many_2_3, stop_and_dispatch},
     .end = end_whole,
     .runs = 2000,
     .whims = 1},
    {.name = "loop-transactions",
     .begin = begin_transactions,
     .threads = {submit_transaction_0, submit_transaction_1, stop_and_dispatch},
     .end = end_transactions,
     .runs = 2000,
     .whims = 1},
};
const size_t loop_scenarios_size = sizeof loop_scenarios / sizeof *loop_scenarios;
