/* shard.h: a worker thread, its inbox and its core: one share of the keys.
 *
 * The worker repeats a turn: take what the inbox holds, read the clock, put it into the core,
 * perform the core's actions, hand calls to the store in groups; and sleeps when a turn found
 * nothing and no deadline is due. Only the worker touches anything here but the inbox and the
 * fields that begin with x.
 */
#ifndef BATCH_RUNTIME_SHARD_H
#define BATCH_RUNTIME_SHARD_H

#include "../core/core.h"
#include "../metrics/counters.h"
#include "../platform/platform.h"
#include "answers.h"
#include "call.h"
#include "inbox.h"
#include "io_queue.h"

struct batch__session;

enum { BATCH__CACHE_LINE = 64 };

struct batch__shard {
    /* Written by submitters. */
    struct batch__inbox inbox;
    char apart[BATCH__CACHE_LINE];

    /* Read by submitters, seldom written: the limit is reached. */
    uint32_t xis_full;
    struct batch_processor *processor;
    struct batch__thread thread;
    char apart_too[BATCH__CACHE_LINE];

    /* The worker's. */
    struct batch__core core;
    batch_op *pending;            /* taken from the inbox, oldest first, not yet in the core */
    struct batch__calls finished; /* by the store, on this very thread */
    struct batch__calls calls[BATCH__IO_KINDS]; /* to be handed over at the end of the turn */
    struct batch__session *session;             /* sessions = 0: the worker's own; else NULL */
    bool has_window;
    bool has_resource; /* its size is not 0 */
    bool is_closed;    /* the inbox is */
    uint64_t ticks_ns; /* of the kernel, after the latest operation that ran */
    uint64_t turn_ops; /* operations that the latest turn took in */
    struct batch__answers answers;
    struct batch__counters counters;
};

/* NULL if there is no memory or no lock. */
struct batch__shard *batch__shard_new(struct batch_processor *processor);
void batch__shard_free(struct batch__shard *shard);

/* The thread of the worker; `shard` is a struct batch__shard. Ends when a stop has been signaled
 * and everything is answered. */
void batch__shard_main(void *shard);

/* perform.c: take and perform the core's actions until there is none. */
void batch__shard_perform(struct batch__shard *shard);

#endif
