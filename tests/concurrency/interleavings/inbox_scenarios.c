/* inbox_scenarios.c: src/runtime/inbox.c, alone: what is pushed against what is taken, closing,
 * sleep and wake. The threads play submitters, the store and the worker; the worker waits for ever
 * where a wake is missing, and then nobody can go on. */
#include "scenarios.h"

#include "core/op.h"
#include "base/atomics.h"
#include "runtime/call.h"
#include "runtime/inbox.h"

enum { OPS = 4, CALLS = 2 };

static struct batch__inbox inbox;
static batch_op ops[OPS];
static batch_call calls[CALLS];
static bool is_pushed[OPS]; /* each written by its pusher, as arg is before the push */
static bool is_taken[OPS];
static uint32_t ops_taken;
static uint32_t calls_taken;
static uint32_t signals_taken;

static void begin(void)
{
    explorer_check(batch__inbox_init(&inbox));
    for (int i = 0; i < OPS; i++) {
        ops[i] = (batch_op)BATCH_OP_INIT;
        is_pushed[i] = is_taken[i] = false;
    }
    ops_taken = calls_taken = signals_taken = 0;
    explorer_name(&inbox.xops, "xops");
    explorer_name(&inbox.xcalls, "xcalls");
    explorer_name(&inbox.xsignals, "xsignals");
    explorer_name(&inbox.xrest, "xrest");
    explorer_name(&inbox.lock, "lock");
}

/* Push a chain of `count` operations. */
static void push(int first, int count)
{
    for (int i = first; i < first + count; i++) {
        ops[i].arg = &ops[i];
        ops[i].private_next = i > first ? &ops[i - 1] : NULL;
    }
    bool is_done = batch__inbox_push_ops_mp(&inbox, &ops[first + count - 1], &ops[first]);
    for (int i = first; i < first + count; i++)
        is_pushed[i] = is_done;
}

/* Operations of one pusher have numbers that go up; `owners[i]` says whose number i is. */
static void take(bool close, const char *owners)
{
    int last[OPS] = {-1, -1, -1, -1};
    for (int i = 0; i < OPS; i++) {
        if (is_taken[i])
            last[owners[i] - 'a'] = i;
    }
    batch_op *next;
    for (batch_op *op = batch__inbox_take_ops_sc(&inbox, close); op != NULL; op = next) {
        next = op->private_next;
        int number = (int)(op - ops);
        int *last_of_owner = &last[owners[number] - 'a'];
        explorer_check(op->arg == op);
        explorer_check(!is_taken[number]);
        explorer_check(*last_of_owner < number);
        *last_of_owner = number;
        is_taken[number] = true;
        ops_taken++;
    }
}

static void take_calls(void)
{
    batch_call *next;
    for (batch_call *call = batch__inbox_take_calls_sc(&inbox); call != NULL; call = next) {
        next = call->next;
        explorer_check(call->version == (uint64_t)(call - calls) + 1);
        calls_taken++;
    }
}

static void push_call(int number)
{
    calls[number].version = (uint64_t)number + 1;
    batch__inbox_push_call_mp(&inbox, &calls[number]);
}

/* Each operation is refused or taken, and nothing is left. */
static void end_taken(void)
{
    for (int i = 0; i < OPS; i++)
        explorer_check(is_pushed[i] == is_taken[i]);
    take_calls();
    batch__inbox_destroy(&inbox);
}

/* ---- Push and take -------------------------------------------------------------------------- */

static void push_0_1(void)
{
    push(0, 1);
    push(1, 1);
}

static void push_chain_2_3(void)
{
    push(2, 2);
}

static void push_0(void)
{
    push(0, 1);
}

static void push_1(void)
{
    push(1, 1);
}

static void push_2(void)
{
    push(2, 1);
}

static void take_twice(void)
{
    take(false, "aabb");
    take(false, "aabb");
}

static void end_take(void)
{
    take(false, "aabb");
    end_taken();
}

static void end_take_three(void)
{
    take(false, "abcc");
    end_taken();
}

static void close_between(void)
{
    take(false, "aabb");
    take(true, "aabb");
    explorer_check(batch__inbox_take_ops_sc(&inbox, true) == NULL);
    explorer_check(!batch__inbox_has_ops_sc(&inbox));
}

static void close_at_once(void)
{
    take(true, "abcc");
}

/* ---- Sleep and wake ------------------------------------------------------------------------- */

/* A turn of the worker. */
static void look(void)
{
    signals_taken |= batch__inbox_take_signals_sc(&inbox);
    take_calls();
    take(false, "abcc");
}

static bool has_all(uint32_t ops_wanted, uint32_t calls_wanted, uint32_t signals_wanted)
{
    return ops_taken >= ops_wanted && calls_taken >= calls_wanted &&
           signals_taken == signals_wanted;
}

/* Sleep for ever when there is nothing, until this much has come. */
static void work(uint32_t ops_wanted, uint32_t calls_wanted, uint32_t signals_wanted)
{
    for (;;) {
        uint32_t had = ops_taken + calls_taken + signals_taken;
        look();
        if (has_all(ops_wanted, calls_wanted, signals_wanted))
            return;
        if (ops_taken + calls_taken + signals_taken == had)
            batch__inbox_rest_sc(&inbox, BATCH__ASLEEP, UINT64_MAX);
    }
}

static void work_for_two_ops(void)
{
    work(2, 0, 0);
}

static void work_for_three_ops(void)
{
    work(3, 0, 0);
}

static void work_for_call_and_signal(void)
{
    work(0, 1, BATCH__SIGNAL_CANCEL);
}

static void work_for_op_and_call(void)
{
    work(1, 1, 0);
}

static void work_for_signals(void)
{
    work(0, 0, BATCH__SIGNAL_CANCEL | BATCH__SIGNAL_STOP);
}

static void push_call_0(void)
{
    push_call(0);
}

static void push_calls(void)
{
    push_call(0);
    push_call(1);
}

static void signal_cancel(void)
{
    batch__inbox_signal_mp(&inbox, BATCH__SIGNAL_CANCEL);
}

static void signal_stop(void)
{
    batch__inbox_signal_mp(&inbox, BATCH__SIGNAL_STOP);
}

/* Calls and signals end a nap, were it for ever; operations need not. */
static void nap_for_call_and_signal(void)
{
    for (look(); !has_all(0, 1, BATCH__SIGNAL_STOP); look())
        batch__inbox_rest_sc(&inbox, BATCH__NAPPING, UINT64_MAX);
}

static void nap_for_calls(void)
{
    for (look(); !has_all(0, 2, 0); look())
        batch__inbox_rest_sc(&inbox, BATCH__NAPPING, UINT64_MAX);
}

static void push_op_and_call(void)
{
    push(0, 1);
    push_call(0);
}

/* As the worker does: nap for a while when operations keep coming, else sleep. */
static void nap_then_sleep(void)
{
    bool has_traffic = false;
    for (;;) {
        uint32_t had = ops_taken;
        look();
        if (has_all(1, 0, BATCH__SIGNAL_STOP))
            return;
        has_traffic = has_traffic || ops_taken > had;
        if (ops_taken > had)
            continue;
        if (has_traffic)
            batch__inbox_rest_sc(&inbox, BATCH__NAPPING, 1);
        else
            batch__inbox_rest_sc(&inbox, BATCH__ASLEEP, UINT64_MAX);
        has_traffic = false;
    }
}

static void end_two_calls(void)
{
    explorer_check(calls_taken == 2);
    end_taken();
}

const struct explorer_scenario inbox_scenarios[] = {
    {.name = "push-take",
     .begin = begin,
     .threads = {push_0_1, push_chain_2_3, take_twice},
     .end = end_take,
     .whims = 1},
    {.name = "push-three",
     .begin = begin,
     .threads = {push_0, push_1, push_2},
     .end = end_take_three},
    {.name = "push-close",
     .begin = begin,
     .threads = {push_0_1, push_chain_2_3, close_between},
     .end = end_taken},
    {.name = "close-three",
     .begin = begin,
     .threads = {push_0, push_1, push_2, close_at_once},
     .end = end_taken},
    {.name = "sleep-ops",
     .begin = begin,
     .threads = {push_0, push_1, work_for_two_ops},
     .end = end_taken},
    {.name = "sleep-many-ops",
     .begin = begin,
     .threads = {push_0_1, push_2, work_for_three_ops},
     .end = end_taken,
     .runs = 300000,
     .whims = 1},
    {.name = "sleep-call-signal",
     .begin = begin,
     .threads = {push_call_0, signal_cancel, work_for_call_and_signal},
     .end = end_taken},
    {.name = "sleep-op-call",
     .begin = begin,
     .threads = {push_0, push_call_0, work_for_op_and_call},
     .end = end_taken},
    {.name = "sleep-signals",
     .begin = begin,
     .threads = {signal_stop, signal_cancel, work_for_signals},
     .end = end_taken},
    {.name = "nap-call-signal",
     .begin = begin,
     .threads = {push_op_and_call, signal_stop, nap_for_call_and_signal},
     .end = end_take},
    {.name = "nap-calls",
     .begin = begin,
     .threads = {push_calls, nap_for_calls},
     .end = end_two_calls},
    {.name = "nap-then-sleep",
     .begin = begin,
     .threads = {push_0, signal_stop, nap_then_sleep},
     .end = end_taken},
};
const size_t inbox_scenarios_size = sizeof inbox_scenarios / sizeof *inbox_scenarios;
