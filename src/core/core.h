/* core.h: the state machine of one shard. Everything hard about batching is an ordering, and every
 * ordering is decided here.
 *
 * Pure: no thread, clock, lock, I/O or user callback; memory only through the allocator it is
 * given. Time is the last argument of every event and never runs backwards. Not thread-safe: one
 * owner.
 *
 * Protocol. Put an event in (batch__core_submit, _cancel, _loaded, _ran, _saved, _expire, _flush,
 * _stop), then take actions out with batch__core_next until there is none, performing each:
 *
 *   LOAD     load the resource of `batch`, now or later; then batch__core_loaded
 *   RUN      run `op` on the resource at once; then batch__core_ran, before anything else. After
 *            a conflict, with replays_max, or with kept resources, an operation may RUN again
 *   SAVE     save the resource of `batch`, now or later; then batch__core_saved
 *   DONE     answer `count` operations chained from `op`: with `batch->status` if there is a batch,
 *            else each with its own private_status. They are the caller's from here on
 *   METRIC   `batch` has ended; its times and counts are valid until the next batch__core_next
 *   FREE_RESOURCE  free what the resource of `batch` holds; the batch may then LOAD again
 *
 * Several events may be put in before actions are taken (all but batch__core_ran, which answers a
 * RUN). Call batch__core_expire when batch__core_deadline_ns has come: windows end then, not by
 * themselves, so what has been submitted before it still joins. Earlier or later calls are
 * harmless.
 *
 * Only submit can fail, and it fails into an answer: it reserves all that later steps need, so
 * from then on nothing can be lost for lack of memory.
 */
#ifndef BATCH_CORE_CORE_H
#define BATCH_CORE_CORE_H

#include "batch.h"
#include "table.h"

struct batch__core_config {
    uint64_t window_ns;   /* or BATCH_WINDOW_NONE */
    uint64_t deadline_ns; /* after the batch began */
    uint64_t ops_max;     /* operations of one batch, at least 1 */
    uint64_t ops_waiting_max;
    uint64_t key_ops_waiting_max;
    uint64_t expire_max; /* windows that end in one batch__core_expire; 0: all that have passed */
    uint64_t kept_max;   /* resources kept between batches */
    uint32_t replays_max;
    bool refuses_early; /* what will not begin by its start_by_ns, by all experience */
    size_t object_size; /* of a batch with what the runtime keeps behind it; a multiple of 64 */
    batch_allocator allocator;
};

enum batch__action_kind {
    BATCH__LOAD,
    BATCH__RUN,
    BATCH__SAVE,
    BATCH__DONE,
    BATCH__METRIC,
    BATCH__FREE_RESOURCE
};

struct batch__action {
    enum batch__action_kind kind;
    struct batch__batch *batch; /* NULL for a DONE of operations that were in no batch */
    batch_op *op;               /* RUN, DONE */
    uint64_t count;             /* DONE */
};

struct batch__core {
    struct batch__core_config config;
    uint64_t now_ns; /* of the latest event */
    bool is_stopping;

    struct batch__pool pool;
    struct batch__table table; /* every key that has work */
    /* By closes_ns: batches whose window runs, or with no window those that are open. An open batch
     * that is not here closes. */
    struct batch__list due;
    struct batch__list waiting;      /* batches with operations that cannot run now */
    struct batch__batch *todo_first; /* batches with actions to take, FIFO through todo_next */
    struct batch__batch *todo_last;
    struct batch__ops answers; /* refused: in no batch, status in each */

    /* Resources that wait for the next batch of their key, the one used longest ago first. */
    struct batch__list kept;
    uint64_t kept_size; /* at most config.kept_max */

    /* Operations accepted and not yet given out by DONE: those in `answers`, those waiting, those
     * that ran and those that will run again in every batch, and the one running. */
    uint64_t ops;
    batch_op *running; /* between RUN and batch__core_ran; its batch is todo_first */

    /* Waiting operations are swept for the canceled and the expired: not before sweep_after_ns, so
     * that sweeping takes a small part of the time however many wait. */
    bool is_sweep_wanted;
    uint64_t sweep_after_ns;
    uint64_t start_by_min_ns; /* no waiting operation has an earlier one; UINT64_MAX: none */

    /* How long loads and saves take of late: moving means, 0 before the first. */
    uint64_t load_mean_ns;
    uint64_t save_mean_ns;

#ifdef BATCH_DEBUG_CHECKS
    uint64_t check_debt; /* events since the last whole check */
#endif
};

void batch__core_init(struct batch__core *core, const struct batch__core_config *config);
/* Only when no key has work and no operation is left (table.count == 0 and ops == 0). */
void batch__core_destroy(struct batch__core *core);

void batch__core_submit(struct batch__core *core, batch_op *op, uint64_t now_ns);
/* Some operation's private_canceled has been set. */
void batch__core_cancel(struct batch__core *core, uint64_t now_ns);
/* `status`: BATCH_OK or BATCH_LOAD_FAILED. */
void batch__core_loaded(struct batch__core *core, struct batch__batch *batch, int status,
                        uint64_t now_ns);
/* `now_ns` may be 0 if the operation took hardly any time: reading a clock for each would cost. */
void batch__core_ran(struct batch__core *core, batch_verdict verdict, uint64_t now_ns);
/* `status`: BATCH_OK, BATCH_CONFLICT, BATCH_SAVE_FAILED or BATCH_UNKNOWN. */
void batch__core_saved(struct batch__core *core, struct batch__batch *batch, int status,
                       uint64_t now_ns);
void batch__core_expire(struct batch__core *core, uint64_t now_ns);
/* With BATCH_WINDOW_NONE: the store is free to take `calls_max` batches. */
void batch__core_flush(struct batch__core *core, uint64_t calls_max, uint64_t now_ns);
/* Close every window, from now on at once. Later operations are answered BATCH_STOPPED. */
void batch__core_stop(struct batch__core *core, uint64_t now_ns);

bool batch__core_next(struct batch__core *core, struct batch__action *ret_action);

/* When batch__core_expire is next needed; UINT64_MAX: not before another event. */
uint64_t batch__core_deadline_ns(const struct batch__core *core);

/* Every relation that is stated in these headers, checked over the whole state; panics if one is
 * broken. Events do it themselves where BATCH_DEBUG_CHECKS is defined: after each one while there
 * is little to look at, else as often as keeps the work in proportion. */
void batch__core_check(const struct batch__core *core);

#endif
