/* shard.h: a worker thread, its inbox and its core: one share of the keys.
 *
 * The worker repeats an iteration: read the clock, take what the inbox holds, put it into the core,
 * perform the core's actions, hand calls to the store in groups; and sleeps when an iteration found
 * nothing and no deadline is due. While operations are quick, each runs as it is put in, with
 * everything near. When some take long (pace.h) and others come meanwhile, all that has come is put
 * in first, and then keys take turns. Only the worker touches anything here but the inbox and the
 * fields that begin with x.
 */
#ifndef BATCH_RUNTIME_SHARD_H
#define BATCH_RUNTIME_SHARD_H

#include "../core/core.h"
#include "../metrics/counters.h"
#include "../metrics/hot.h"
#include "../platform/platform.h"
#include "call.h"
#include "completions.h"
#include "doors.h"
#include "inbox.h"
#include "io_queue.h"
#include "pace.h"
#include "store_clock.h"

struct batch__session;
struct batch__shared;

enum { BATCH__CACHE_LINE = 64 };

struct batch__shard {
    /* Written by submitters. */
    struct batch__inbox inbox;
    char apart[BATCH__CACHE_LINE];

    /* Read by submitters, seldom written: the limit is reached. */
    uint32_t xis_full;
    struct batch__doors doors;
    struct batch__shared *shared;
    struct batch__thread thread;
    char apart_too[BATCH__CACHE_LINE];

    /* Read by sessions, and written in every iteration. */
    struct batch__store_clock store_clock;
    char apart_three[BATCH__CACHE_LINE];

    /* The worker's. */
    struct batch__core core;
    batch_op *pending;            /* taken from the inbox, oldest first, not yet in the core */
    struct batch__calls finished; /* by the store, on this very thread */
    struct batch__calls calls[BATCH__IO_KINDS]; /* to be handed over at the end of the iteration */
    struct batch__session *session;             /* sessions = 0: the worker's own; else NULL */
    uint64_t called_ns;          /* when the latest call of the store by the worker returned */
    uint64_t failing_from_ns[2]; /* by stage: since then none succeeded, some took too long; or 0 */
    uint64_t slow_batch_ns;      /* from then on a batch is slow; UINT64_MAX: none is */
    bool has_window;
    bool has_resource;      /* its size is not 0 */
    bool is_closed;         /* the inbox is */
    bool has_traffic;       /* operations have come since the latest rest */
    uint64_t iteration_ops; /* operations that the latest iteration took in */
    uint64_t gather_by_ns;  /* then it saves what has run, whoever waits for a turn; 0: at once */
    struct batch__pace pace;
    struct batch__completions completions;
    struct batch__counters counters;
    struct batch__hot hot;
};

/* NULL if there is no memory or no lock. */
struct batch__shard *batch__shard_new(struct batch__shared *shared);
void batch__shard_free(struct batch__shard *shard);

/* Whether the worker has something to do. */
enum batch__left {
    BATCH__MORE,    /* at once */
    BATCH__NOTHING, /* until something comes, or a deadline */
    BATCH__FINISHED /* a stop has been signaled and everything is complete */
};

/* The worker. Iterate until nothing is left to do; at most so many times. */
enum batch__left batch__shard_work(struct batch__shard *shard, uint32_t iterations_max);
/* The worker, with NOTHING to do. Rest until that changes; until `until_ns`, or for less. */
void batch__shard_rest(struct batch__shard *shard, uint64_t until_ns);
/* The worker, which has FINISHED, once. The last thing that it does. */
void batch__shard_end(struct batch__shard *shard);

/* The thread of the worker; `shard` is a struct batch__shard. Ends when a stop has been signaled
 * and everything is complete. */
void batch__shard_main(void *shard);

#endif
