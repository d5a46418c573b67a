/* dispatch.c: batch_completions: open, wait, dispatch and close: what an event loop calls. What it
 * shares with the workers is in src/loop. */
#include <batch/completions.h>
#include <batch/store.h>

#include "../base/check.h"
#include "../core/op.h"
#include "../loop/loop.h"
#include "../loop/outcome.h"
#include "allocator.h"

#include <string.h>

/* The size of the struct in the first release. */
#define OPTIONS_FIRST sizeof(batch_completions_options)

static int open_queue(batch_completions **ret_completions, const batch_completions_options *options)
{
    bool has_own = options->allocator.allocate != NULL;
    batch_allocator allocator = has_own ? options->allocator : batch__default_allocator();
    batch_completions *loop = allocator.allocate(sizeof *loop, allocator.arg);
    if (loop == NULL)
        return BATCH_NO_MEMORY;
    *loop = (batch_completions){.allocator = allocator, .wake = options->wake, .arg = options->arg};
    if (!batch__loop_init(loop)) {
        allocator.release(loop, allocator.arg);
        return BATCH_SYSTEM;
    }
    *ret_completions = loop;
    return BATCH_OK;
}

int batch_completions_open(batch_completions **ret_completions,
                           const batch_completions_options *options)
{
    if (ret_completions == NULL)
        return BATCH_INVALID;
    batch_completions_options known = BATCH_COMPLETIONS_OPTIONS_INIT;
    int status = batch_struct_read(&known, options, OPTIONS_FIRST, "options", NULL);
    if (status != BATCH_OK)
        return status;
    if ((known.allocator.allocate != NULL) != (known.allocator.release != NULL))
        return BATCH_INVALID;
    int before = batch__cancel_disable(); /* the allocator is the user's */
    status = open_queue(ret_completions, &known);
    batch__cancel_restore(before);
    return status;
}

int batch_completions_fd(const batch_completions *completions)
{
    if (completions == NULL || completions->wake != NULL)
        return BATCH_INVALID;
    return completions->event.fd;
}

/* ---- Dispatch ------------------------------------------------------------------------------- */

static void set_message(batch_result *result)
{
    const char *text = batch_status_text(result->status);
    size_t size = strlen(text) + 1;
    batch__check(size <= sizeof result->message);
    memcpy(result->message, text, size);
}

/* Call `done` of what has been taken, at most `max`. Their number. */
static size_t call_done(batch_completions *loop, size_t max)
{
    batch_result result = {0};
    size_t count = 0;
    while (count < max) {
        batch_op *op = batch__loop_next_sc(loop);
        if (op == NULL)
            break;
        batch__check(op->private_state == BATCH__OP_BOUND);
        if (!batch__outcome_take(op, &result))
            set_message(&result);
        op->private_state = BATCH__OP_IDLE;
        op->done(op, &result); /* it may be gone when that returns */
        count++;
    }
    return count;
}

static uint64_t until_of(uint64_t wait_ns)
{
    uint64_t now_ns = batch__clock_now_ns();
    return wait_ns < UINT64_MAX - now_ns ? now_ns + wait_ns : UINT64_MAX;
}

/* Take what there is; wait for something if there is nothing. */
static int take(batch_completions *loop, uint64_t wait_ns)
{
    batch__loop_take_sc(loop);
    if (wait_ns == 0 || !batch__loop_is_empty_sc(loop))
        return BATCH_OK;
    if (batch__thread_is_ours())
        return BATCH_DEADLOCK;
    batch__loop_wait_sc(loop, until_of(wait_ns));
    batch__loop_take_sc(loop);
    return BATCH_OK;
}

int64_t batch_completions_dispatch(batch_completions *completions, size_t max, uint64_t wait_ns)
{
    if (completions == NULL || (wait_ns > 0 && completions->wake != NULL))
        return BATCH_INVALID;
    int before = batch__cancel_disable(); /* what has been taken must not be lost */
    int64_t dispatched = take(completions, wait_ns);
    if (dispatched == BATCH_OK) {
        size_t count = call_done(completions, max != 0 ? max : SIZE_MAX);
        if (!batch__loop_is_empty_sc(completions))
            batch__loop_rewake_sc(completions);
        if (count > 0)
            batch__loop_leave(completions, count); /* not before: until now it was in use */
        dispatched = (int64_t)count;
    }
    batch__cancel_restore(before);
    return dispatched;
}

int batch_completions_close(batch_completions *completions)
{
    if (completions == NULL)
        return BATCH_OK;
    if (batch__loop_is_used(completions))
        return BATCH_BUSY;
    int before = batch__cancel_disable(); /* the allocator is the user's */
    batch_allocator allocator = completions->allocator;
    batch__loop_destroy(completions);
    allocator.release(completions, allocator.arg);
    batch__cancel_restore(before);
    return BATCH_OK;
}
