/* drive_scenarios.c: src/runtime/drive.c and what it needs of the inbox: a worker that goes away
 * and is told by an event; one that is driven by several threads in turn; and a whole processor,
 * with submitters, a loop that waits for the descriptor, and a stop from another thread.
 *
 * In the end the event is taken back as often as it was set: a descriptor that stays readable would
 * keep a loop busy for ever. */
#include "scenarios.h"

#include <batch/driven.h>

#include "base/atomics.h"
#include "core/op.h"
#include "runtime/call.h"
#include "runtime/inbox.h"
#include "runtime/processor.h"

enum { OPS = 4 };

static batch_op ops[OPS];

/* ---- The inbox alone ------------------------------------------------------------------------- */

static struct batch__inbox inbox;
static struct batch__event event;
static batch_call call;
static uint64_t sets; /* of the event, not taken back yet */
static uint32_t ops_taken, calls_taken;

static void begin_inbox(void)
{
    explorer_check(batch__inbox_init(&inbox));
    explorer_check(batch__event_init(&event));
    inbox.event = &event;
    sets = 0;
    ops_taken = calls_taken = 0;
    for (int i = 0; i < OPS; i++)
        ops[i] = (batch_op)BATCH_OP_INIT;
    explorer_name(&inbox.xops, "xops");
    explorer_name(&inbox.xcalls, "xcalls");
    explorer_name(&inbox.xrest, "xrest");
}

static void push_0(void)
{
    explorer_check(batch__inbox_push_ops_mp(&inbox, &ops[0], &ops[0]));
}

static void push_1(void)
{
    explorer_check(batch__inbox_push_ops_mp(&inbox, &ops[1], &ops[1]));
}

static void push_call(void)
{
    batch__inbox_push_call_mp(&inbox, &call);
}

static void take(void)
{
    for (batch_op *op = batch__inbox_take_ops_sc(&inbox, false); op != NULL; op = op->private_next)
        ops_taken++;
    for (batch_call *each = batch__inbox_take_calls_sc(&inbox); each != NULL; each = each->next)
        calls_taken++;
}

/* As a driver does it: take, go away, wait for the event, come back. */
static void await(uint32_t ops_wanted, uint32_t calls_wanted)
{
    for (;;) {
        take();
        batch__inbox_leave_sc(&inbox);
        if (ops_taken < ops_wanted || calls_taken < calls_wanted)
            batch__event_wait(&event, UINT64_MAX);
        sets += batch__inbox_return_sc(&inbox);
        if (sets > 0) {
            uint64_t cleared = batch__event_clear(&event);
            explorer_check(cleared <= sets);
            sets -= cleared;
        }
        if (ops_taken >= ops_wanted && calls_taken >= calls_wanted)
            return;
    }
}

static void await_two_ops(void)
{
    await(2, 0);
}

static void await_op_and_call(void)
{
    await(1, 1);
}

/* Nobody is about to set it any more. */
static void end_inbox(void)
{
    explorer_check(batch__event_clear(&event) == sets);
    batch__event_destroy(&event);
    batch__inbox_destroy(&inbox);
}

/* ---- A whole processor ----------------------------------------------------------------------- */

static batch_processor *processor;
static uint32_t completions[OPS]; /* by whoever drives */
static bool is_accepted[OPS];     /* each written by its submitter */

static batch_verdict run(void *resource, void *arg)
{
    (void)arg;
    ++*(uint64_t *)resource;
    return BATCH_CHANGED;
}

static void done(batch_op *op, const batch_result *result)
{
    completions[op - ops]++;
    explorer_saw((uint32_t)-result->status);
}

static int save(batch_call *saved, void *resource, void *arg)
{
    (void)saved, (void)resource, (void)arg;
    return explorer_choose(3) == 0 ? BATCH_SAVE_FAILED : BATCH_OK;
}

static void start(uint32_t sessions)
{
    batch_options options = BATCH_OPTIONS_INIT;
    options.driven = true;
    options.sessions = sessions;
    options.window_ns = BATCH_WINDOW_NONE;
    options.resource_size = sizeof(uint64_t);
    options.save = save;
    for (int i = 0; i < OPS; i++) {
        ops[i] = (batch_op)BATCH_OP_INIT;
        ops[i].key = "ab";
        ops[i].key_size = 1 + (size_t)i % 2;
        ops[i].run = run;
        ops[i].done = done;
        completions[i] = 0;
        is_accepted[i] = false;
    }
    explorer_check(batch_processor_start(&processor, &options, NULL) == BATCH_OK);
    explorer_want(1u << -BATCH_OK | 1u << -BATCH_SAVE_FAILED);
}

static void submit(int number)
{
    int status = batch_submit(processor, &ops[number]);
    explorer_check(status == BATCH_OK || status == BATCH_STOPPED);
    is_accepted[number] = status == BATCH_OK;
}

static void begin_whole(void)
{
    start(explorer_choose(3));
}

static void submit_0_1(void)
{
    submit(0);
    submit(1);
}

/* The result is the caller's, so the completion is counted here. */
static void run_2_and_stop(void)
{
    is_accepted[2] = true;
    int status = batch_run(processor, &ops[2], NULL);
    explorer_check(status == BATCH_OK || status == BATCH_SAVE_FAILED);
    completions[2]++;
    explorer_check(batch_processor_stop(processor, BATCH_FOREVER) == 0);
}

static void drive_when_readable(void)
{
    explorer_check(batch_processor_fd(processor) >= 0);
    const struct batch__event *descriptor = &processor->shared.driver.alarm.event;
    while (batch_processor_drive(processor, 0) >= 0)
        batch__event_wait(descriptor, UINT64_MAX);
}

static void end_whole(void)
{
    const struct batch__event *descriptor = &processor->shared.driver.alarm.event;
    explorer_check(batch_processor_drive(processor, 0) == BATCH_STOPPED);
    explorer_check(batch__event_clear(descriptor) == processor->shared.driver.sets);
    explorer_check(batch_processor_stop(processor, BATCH_FOREVER) == 0);
    explorer_check(batch_processor_free(processor) == BATCH_OK);
    for (int i = 0; i < OPS; i++)
        explorer_check(completions[i] == (is_accepted[i] ? 1 : 0));
}

/* ---- Several who drive ----------------------------------------------------------------------- */

static void begin_two(void)
{
    start(0);
}

static void submit_and_drive(int number)
{
    submit(number);
    for (int i = 0; i < 2; i++) {
        int64_t due_ns = batch_processor_drive(processor, 0);
        explorer_check(due_ns >= 0 || due_ns == BATCH_BUSY);
    }
}

static void submit_and_drive_0(void)
{
    submit_and_drive(0);
}

static void submit_and_drive_1(void)
{
    submit_and_drive(1);
}

static void end_two(void)
{
    explorer_check(batch_processor_drive(processor, 0) >= 0);
    explorer_check(batch_processor_stop(processor, BATCH_FOREVER) == 0);
    explorer_check(batch_processor_free(processor) == BATCH_OK);
    explorer_check(completions[0] == 1 && completions[1] == 1);
}

const struct explorer_scenario drive_scenarios[] = {
    {.name = "away-ops",
     .begin = begin_inbox,
     .threads = {push_0, push_1, await_two_ops},
     .end = end_inbox},
    {.name = "away-op-call",
     .begin = begin_inbox,
     .threads = {push_0, push_call, await_op_and_call},
     .end = end_inbox},
    {.name = "drive-two",
     .begin = begin_two,
     .threads = {submit_and_drive_0, submit_and_drive_1},
     .end = end_two,
     .runs = 1000,
     .whims = 1},
    {.name = "drive-whole",
     .begin = begin_whole,
     .threads = {submit_0_1, run_2_and_stop, drive_when_readable},
     .end = end_whole,
     .runs = 2000,
     .whims = 1},
};
const size_t drive_scenarios_size = sizeof drive_scenarios / sizeof *drive_scenarios;
