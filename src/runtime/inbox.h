/* inbox.h: what other threads hand to a shard's worker, and how they wake it.
 *
 * Two stacks that any thread pushes to and only the worker empties, whole: operations, and calls
 * that a store has finished; and a word of signals. A push is one compare-and-exchange, whatever
 * the number of operations chained; the worker takes everything with one exchange and reverses
 * it.
 *
 * Sleep and wake: the worker announces that it sleeps and then checks once more; a thread that
 * pushes checks afterwards whether the worker sleeps. Both are sequentially consistent, so one of
 * the two sees the other and no push is slept through. Only the push that finds a stack empty
 * needs to check.
 *
 * A nap is a short sleep that operations do not end: they are left to gather, and their submitters
 * pay for no wake-up. Calls and signals end it.
 *
 * A worker that is driven by its caller does not always sleep here: it goes away, and is told by an
 * event that something has come. Each time it goes, the event is set at most once.
 *
 * Closing puts a mark in place of the operations: from then on a push of operations fails, and
 * what came before it is taken. That one exchange decides, for every operation, whether it came
 * before the stop.
 */
#ifndef BATCH_RUNTIME_INBOX_H
#define BATCH_RUNTIME_INBOX_H

#include <batch/batch.h>

#include "../platform/platform.h"

enum batch__signal {
    BATCH__SIGNAL_CANCEL = 1,    /* some operation has been canceled */
    BATCH__SIGNAL_STOP = 2,      /* close the inbox and finish */
    BATCH__SIGNAL_STORE_IDLE = 4 /* a session waits for work (natural batching) */
};

enum batch__rest { BATCH__AWAKE, BATCH__NAPPING, BATCH__ASLEEP, BATCH__AWAY };

struct batch__inbox {
    batch_op *xops; /* newest first; or the inbox's own address: closed */
    batch_call *xcalls;
    uint32_t xsignals;
    uint32_t xrest; /* enum batch__rest */

    const struct batch__event *event; /* fixed; of a worker that goes away */
    struct batch__lock lock;
    bool is_woken; /* under lock */
};

bool batch__inbox_init(struct batch__inbox *inbox);
void batch__inbox_destroy(struct batch__inbox *inbox);

/* Any thread. Push a chain of operations, newest first: `newest` … `oldest`. False: closed, not
 * pushed. The operations may complete before this returns. */
bool batch__inbox_push_ops_mp(struct batch__inbox *inbox, batch_op *newest, batch_op *oldest);
void batch__inbox_push_call_mp(struct batch__inbox *inbox, batch_call *call);
void batch__inbox_signal_mp(struct batch__inbox *inbox, enum batch__signal signal);

/* The worker only. What was pushed, oldest first, or NULL. `close` also closes the inbox. */
batch_op *batch__inbox_take_ops_sc(struct batch__inbox *inbox, bool close);
batch_call *batch__inbox_take_calls_sc(struct batch__inbox *inbox);
uint32_t batch__inbox_take_signals_sc(struct batch__inbox *inbox);
bool batch__inbox_has_ops_sc(const struct batch__inbox *inbox);
bool batch__inbox_is_empty_sc(const struct batch__inbox *inbox); /* of signals too */

/* The worker only. Rest until something is pushed or signaled, but for operations during a nap; or
 * until `until_ns`; or for less. */
void batch__inbox_rest_sc(struct batch__inbox *inbox, enum batch__rest rest, uint64_t until_ns);

/* The worker only. It goes away: from now on the event is set when something is pushed or signaled,
 * and also if something is there already. Then it comes back. True: the event has been set, or is
 * about to be. */
void batch__inbox_leave_sc(struct batch__inbox *inbox);
bool batch__inbox_return_sc(struct batch__inbox *inbox);

#endif
