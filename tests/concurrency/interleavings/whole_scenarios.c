/* whole_scenarios.c: a whole processor, as it is: submitters, the worker, a session, and a stop, at
 * random. Here the plain fields of everything are watched: operations, batches, calls, resources,
 * the waiter on a caller's stack. */
#include "scenarios.h"

#include <batch/batch.h>
#include <batch/store.h>

enum { OPS = 5, KEYS = 2, RESULT_BITS = 16, WINDOW_NS = 1000000 };

static batch_processor *processor;
static batch_op ops[OPS];
static bool is_accepted[OPS]; /* each written by its submitter */
static uint32_t runs[OPS];    /* by the worker */
static uint32_t completions[OPS];
static int statuses[OPS];
static uint64_t stored[KEYS]; /* by the store */
static const char keys[KEYS] = {'a', 'b'};

static batch_verdict run(void *resource, void *arg)
{
    uint64_t *count = resource;
    ++*count;
    ++*(uint32_t *)arg;
    return BATCH_CHANGED;
}

static void done(batch_op *op, const batch_result *result)
{
    completions[op - ops]++;
    statuses[op - ops] = result->status;
}

static int key_of(const batch_call *call)
{
    size_t size;
    const char *key = batch_call_key(call, &size);
    explorer_check(size == 1);
    return *key == keys[0] ? 0 : 1;
}

static int load(batch_call *call, void *resource, void *arg)
{
    (void)arg;
    *(uint64_t *)resource = stored[key_of(call)];
    return BATCH_OK;
}

static int save(batch_call *call, void *resource, void *arg)
{
    (void)arg;
    if (explorer_choose(4) == 0) {
        batch_call_set_error(call, 28, "no room");
        return BATCH_SAVE_FAILED;
    }
    stored[key_of(call)] = *(uint64_t *)resource;
    return BATCH_OK;
}

static void begin(void)
{
    batch_options options = BATCH_OPTIONS_INIT;
    options.sessions = explorer_choose(3);
    options.window_ns = explorer_choose(2) == 0 ? WINDOW_NS : BATCH_WINDOW_NONE;
    options.resource_size = sizeof(uint64_t);
    options.load = load;
    options.save = save;
    options.ops_max = 3;
    for (int i = 0; i < OPS; i++) {
        ops[i] = (batch_op)BATCH_OP_INIT;
        ops[i].key = &keys[i == OPS - 1 ? 1 : 0];
        ops[i].key_size = 1;
        ops[i].run = run;
        ops[i].done = done;
        ops[i].arg = &runs[i];
        is_accepted[i] = false;
        runs[i] = completions[i] = 0;
        statuses[i] = 1;
    }
    stored[0] = stored[1] = 0;
    explorer_check(batch_processor_start(&processor, &options, NULL) == BATCH_OK);
}

/* What was reported is what is stored. */
static void check_answers(void)
{
    uint64_t certain[KEYS] = {0, 0};
    for (int i = 0; i < OPS; i++) {
        if (completions[i] != (is_accepted[i] ? 1 : 0))
            explorer_fail("wrong: operation %d has %u completions, the last %d", i, completions[i],
                          statuses[i]);
        explorer_check(runs[i] <= 1);
        if (!is_accepted[i])
            continue;
        explorer_check(statuses[i] != BATCH_OK || runs[i] == 1);
        explorer_check(statuses[i] != BATCH_CANCELED || runs[i] == 0);
        explorer_saw((uint32_t)-statuses[i]);
        certain[i == OPS - 1] += statuses[i] == BATCH_OK;
    }
    explorer_check(stored[0] == certain[0] && stored[1] == certain[1]);
}

static void stop_it(void)
{
    explorer_check(batch_processor_stop(processor, BATCH_FOREVER) == 0);
}

static void end(void)
{
    stop_it();
    explorer_check(batch_processor_free(processor) == BATCH_OK);
    check_answers();
}

static void submit(int number)
{
    int status = batch_submit(processor, &ops[number]);
    is_accepted[number] = status == BATCH_OK;
    explorer_check(status == BATCH_OK || status == BATCH_STOPPED);
    if (status == BATCH_STOPPED)
        explorer_saw(RESULT_BITS);
}

/* The result is the caller's, so the completion is counted here. */
static void run_and_wait(int number)
{
    batch_result result;
    int status = batch_run(processor, &ops[number], &result);
    explorer_check(status == result.status);
    is_accepted[number] = status != BATCH_STOPPED;
    if (is_accepted[number])
        completions[number]++;
    statuses[number] = status;
    explorer_check(runs[number] == 1 || !is_accepted[number]);
}

static void submit_and_run(void)
{
    submit(0);
    run_and_wait(1);
}

static void submit_many_and_cancel(void)
{
    batch_op *const some[] = {&ops[2], &ops[3], &ops[4]};
    int status = batch_submit_many(processor, some, 3);
    explorer_check(status == BATCH_OK || status == BATCH_STOPPED);
    for (int i = 2; i < OPS; i++)
        is_accepted[i] = status == BATCH_OK;
    if (status == BATCH_OK)
        explorer_check(batch_cancel(processor, &ops[3]) == BATCH_OK);
}

/* batch_run may be refused by a shard that has closed after the look at the processor. */
static void begin_stopped(void)
{
    begin();
    explorer_want(1u << RESULT_BITS | 1u << -BATCH_OK | 1u << -BATCH_SAVE_FAILED);
}

static void begin_completed(void)
{
    begin();
    explorer_want(1u << -BATCH_OK | 1u << -BATCH_SAVE_FAILED | 1u << -BATCH_CANCELED);
}

const struct explorer_scenario whole_scenarios[] = {
    {.name = "whole-completions",
     .begin = begin_completed,
     .threads = {submit_and_run, submit_many_and_cancel},
     .end = end,
     .runs = 2000,
     .whims = 2},
    {.name = "whole-stop",
     .begin = begin_stopped,
     .threads = {submit_and_run, submit_many_and_cancel, stop_it},
     .end = end,
     .runs = 2000,
     .whims = 2},
};
const size_t whole_scenarios_size = sizeof whole_scenarios / sizeof *whole_scenarios;
