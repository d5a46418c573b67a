/* core.h: the state machine of one shard. Everything hard about batching is an ordering, and every
 * ordering is decided here.
 *
 * Pure: no thread, clock, lock, I/O or user callback; memory only from the allocator in its
 * configuration. Time is the last argument of every event and never runs backwards. Not
 * thread-safe: one owner.
 *
 * Protocol. Put an event in (batch__core_submit, _cancel, _loaded, _ran, _saved, _expire, _flush,
 * _stop), then take actions out with batch__core_next until there is none, performing each. An
 * owner who must not be kept from new events by operations that run takes out all but RUN
 * (batch__core_next_but_run), and goes on with RUN later.
 *
 *   LOAD     load the resource of `batch`, now or later; then batch__core_loaded
 *   RUN      run `op` on the resource at once; then batch__core_ran, before anything else. After
 *            a conflict, with replays_max, or with cached resources, an operation may RUN again
 *   RUN_TRANSACTION  the same for that of which `op` is a leg, on the resources of private_batch
 *            in each of its parts; then batch__core_ran_transaction
 *   SAVE     save the resource of `batch`, now or later, with those that transactions have tied to
 *            it (batch__unit_next), all or none; then batch__core_saved for each
 *   DONE     complete `count` operations chained from `op`: with `batch->status` if there is a
 *            batch, else each with its own private_status. From here on they are the caller's
 *   METRIC   `batch` has ended; its times and counts are valid until the next batch__core_next
 *   FREE_RESOURCE  free what the resource of `batch` holds; the batch may then LOAD again
 *
 * Several events may be put in before actions are taken (all but batch__core_ran, which belongs to
 * a RUN). Call batch__core_expire when batch__core_deadline_ns has come: windows end then, not by
 * themselves, so what has been submitted before it still joins. Earlier or later calls are
 * harmless.
 *
 * Only submit can fail, and it returns the failure by a DONE: it reserves all that later steps
 * need, so from then on nothing can be lost for lack of memory.
 */
#ifndef BATCH_CORE_CORE_H
#define BATCH_CORE_CORE_H

#include "state.h"
#include "unit.h"

enum batch__action_kind {
    BATCH__LOAD,
    BATCH__RUN,
    BATCH__RUN_TRANSACTION,
    BATCH__SAVE,
    BATCH__DONE,
    BATCH__METRIC,
    BATCH__FREE_RESOURCE
};

struct batch__action {
    enum batch__action_kind kind;
    struct batch__batch *batch; /* NULL for a DONE of operations that were in no batch */
    batch_op *op;               /* RUN, RUN_TRANSACTION, DONE */
    uint64_t count;             /* DONE */
};

void batch__core_init(struct batch__core *core, const struct batch__core_config *config);
/* Only when batch__core_is_idle. */
void batch__core_destroy(struct batch__core *core);

void batch__core_submit(struct batch__core *core, batch_op *op, uint64_t now_ns);
/* Keys, hashes and start_by_ns are in the legs; each leg counts as an operation. */
void batch__core_submit_transaction(struct batch__core *core, batch_transaction *transaction,
                                    uint64_t now_ns);
/* Some operation's private_canceled has been set, or some transaction's. */
void batch__core_cancel(struct batch__core *core, uint64_t now_ns);
/* `status`: BATCH_OK or BATCH_LOAD_FAILED. `finished_ns`: when the load ended; what it found is not
 * older than the load, so what it found ages from then on. */
void batch__core_loaded(struct batch__core *core, struct batch__batch *batch, int status,
                        uint64_t finished_ns, uint64_t now_ns);
/* `now_ns` may be 0 if the operation took hardly any time: reading a clock for each would cost. */
void batch__core_ran(struct batch__core *core, batch_verdict verdict, uint64_t now_ns);
/* Which resources it changed is in its parts. */
void batch__core_ran_transaction(struct batch__core *core, uint64_t now_ns);
/* `status`: BATCH_OK, BATCH_CONFLICT, BATCH_SAVE_FAILED or BATCH_UNKNOWN; of a unit, once for each
 * of its batches. */
void batch__core_saved(struct batch__core *core, struct batch__batch *batch, int status,
                       uint64_t now_ns);
void batch__core_expire(struct batch__core *core, uint64_t now_ns);
/* With BATCH_WINDOW_NONE: the store is free to save `calls_max` batches. Of those that changed
 * nothing, and so need no save, all close. How many batches close, now or when what has come for
 * them has run. */
uint64_t batch__core_flush(struct batch__core *core, uint64_t calls_max, uint64_t now_ns);
/* Close every window, from now on at once. Later operations are refused with BATCH_STOPPED. */
void batch__core_stop(struct batch__core *core, uint64_t now_ns);

bool batch__core_next(struct batch__core *core, struct batch__action *ret_action);
bool batch__core_next_but_run(struct batch__core *core, struct batch__action *ret_action);

/* ---- Questions ------------------------------------------------------------------------------ */

/* When batch__core_expire is next needed; UINT64_MAX: not before another event. */
uint64_t batch__core_deadline_ns(const struct batch__core *core);
/* The same where more operations have come and are not submitted yet: windows stay open for them,
 * but for config.late_max_ns at most. So under load batches grow, and still end. */
uint64_t batch__core_backlog_deadline_ns(const struct batch__core *core);
/* Keys that have work; resources that are cached for keys that have none. */
uint64_t batch__core_open(const struct batch__core *core);
uint64_t batch__core_cached(const struct batch__core *core);
/* The time of the latest event. */
uint64_t batch__core_now_ns(const struct batch__core *core);
/* There is a batch that batch__core_flush, or expire with time, would close. */
bool batch__core_has_due(const struct batch__core *core);
/* There are operations to RUN. */
bool batch__core_has_turns(const struct batch__core *core);
/* How long one waits behind others of the key (one key) with this hash; UINT64_MAX: it is full. */
uint64_t batch__core_backlog_ns(const struct batch__core *core, uint32_t hash);
bool batch__core_is_full(const struct batch__core *core); /* ops_waiting_max is reached */
/* No key has work, no resource is cached, and no operation is left. */
bool batch__core_is_idle(const struct batch__core *core);

/* How many keys may be in a unit now, and what has become of units. */
struct batch__core_units batch__core_units(const struct batch__core *core);

/* Every relation that is stated in these headers, checked over the whole state; panics if one is
 * broken. Where BATCH_DEBUG_CHECKS is defined, events do it themselves: each of them while the
 * state is small, otherwise at intervals that keep the cost in proportion. */
void batch__core_check(const struct batch__core *core);

#endif
