/* loop.h: the queue of an event loop: operations that are complete, until its thread has called
 * their `done`.
 *
 * A stack of chains that any thread pushes to and the loop's thread empties, whole. A chain is a
 * list of operations, oldest first, through private_next; the stack goes through private_waiter of
 * the first one of each. So what a worker has completed for a loop, however much that is, costs one
 * compare-and-exchange; and the loop turns round the chains, not the operations.
 *
 * Wake-up: who finds the stack empty wakes the loop. The loop takes the wake-up back first and
 * empties the stack afterwards: so what is pushed meanwhile is either taken, or finds the stack
 * empty and wakes again. What it has taken and leaves for later, it wakes itself for.
 *
 * A push may be read and answered, and the queue closed, while the thread that pushed is still
 * waking: `xpushers` counts those, and closing waits for them.
 *
 * An event (the end of a stop, news of a subscription) is an operation with a `done` of ours.
 */
#ifndef BATCH_LOOP_LOOP_H
#define BATCH_LOOP_LOOP_H

#include <batch/completions.h>

#include "../platform/platform.h"

enum { BATCH__LOOP_APART = 64 }; /* a line of the cache */

struct batch_completions {
    /* Fixed. */
    batch_allocator allocator;
    void (*wake)(void *arg); /* NULL: `event` is used */
    void *arg;
    struct batch__event event;
    char apart[BATCH__LOOP_APART];

    /* Written by those who push. */
    batch_op *xchains; /* the first operation of the newest chain */
    uint32_t xpushers; /* threads in batch__loop_push_mp */
    char apart_too[BATCH__LOOP_APART];

    /* What may still come, or is being dispatched: operations, events, subscriptions. */
    uint64_t xusers;

    /* The loop's. */
    batch_op *chain;  /* what is left of the chain that it has begun */
    batch_op *chains; /* taken and not begun, oldest first, through private_waiter */
    batch_op *chains_last;
};

/* False if the system has no event. `loop` is zeroed but for what is fixed. */
bool batch__loop_init(batch_completions *loop);
/* Nothing is in it; waits for threads that are still waking. */
void batch__loop_destroy(batch_completions *loop);

/* Any thread. `count` more may come; or fewer: they were not accepted, or have been dispatched. */
void batch__loop_use(batch_completions *loop, uint64_t count);
void batch__loop_leave(batch_completions *loop, uint64_t count);
bool batch__loop_is_used(const batch_completions *loop);

/* Any thread. Push a chain, whose last operation has no next; wake the loop if it may sleep. The
 * operations may be dispatched before this returns. */
void batch__loop_push_mp(batch_completions *loop, batch_op *first);

/* Any thread. Push an event, which must not be in a queue and is counted by batch__loop_use: its
 * `done` is called on the loop. */
void batch__loop_push_event_mp(batch_completions *loop, batch_op *event);

/* The loop. Take what was pushed; then the next of what was taken, oldest first, or NULL. */
void batch__loop_take_sc(batch_completions *loop);
batch_op *batch__loop_next_sc(batch_completions *loop);
bool batch__loop_is_empty_sc(const batch_completions *loop); /* of what was taken */

/* The loop. It leaves what it has taken for later: wake it again. */
void batch__loop_rewake_sc(const batch_completions *loop);

/* The loop. Wait for a push; until `until_ns`, or for less. Not with a wake function. */
void batch__loop_wait_sc(const batch_completions *loop, uint64_t until_ns);

#endif
