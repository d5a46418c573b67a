/* io_queue.h: calls on their way to the store, and the session threads that take them in groups.
 *
 * Whatever has become ready while all sessions were busy goes together into the next call: group
 * commit without a timer. One lock, taken once for a group.
 *
 * Nobody starves. Saves go before loads; but of two sessions or more, one is never in a load and
 * one never in a save, so that neither waits for the other, whatever hangs. The store may be able
 * to use even fewer saves at a time; what waits for them gathers into the next group.
 *
 * The time limit of a call begins when a session takes it. A call is slow if the last call of its
 * key, of the same stage, failed by its deadline. As it may be the one that held up its whole
 * group, it goes in a group of at most half the size, of slow calls only. So the culprit is found
 * by bisection and goes alone, and the others, once they are quick, return to the normal queue. The
 * stages are separate: that a save hung says nothing about the next load of the key, nor does a
 * quick load about the save. Of three sessions, one at a time takes slow calls; of four or more,
 * up to a quarter for each stage; and there is always one left for other loads and one for other
 * saves. With fewer sessions, or if the store can use only one save at a time, slow calls and
 * others alternate.
 */
#ifndef BATCH_RUNTIME_IO_QUEUE_H
#define BATCH_RUNTIME_IO_QUEUE_H

#include "call.h"

#include "../platform/platform.h"

enum batch__io_kind {
    BATCH__IO_SAVE,
    BATCH__IO_LOAD,
    BATCH__IO_SLOW_SAVE,
    BATCH__IO_SLOW_LOAD,
    BATCH__IO_KINDS,
    BATCH__IO_NONE = BATCH__IO_KINDS
};

/* What a session that waits, with nothing for it, would take at once. */
enum batch__io_idle {
    BATCH__IO_BUSY,     /* there is none */
    BATCH__IO_MAY_LOAD, /* not a save: as many as may be are under way */
    BATCH__IO_MAY_SAVE  /* or a save is next, behind a full group that is being saved */
};

struct batch__io_queue {
    struct batch__lock lock;
    uint32_t sessions;
    uint32_t saves_max; /* at a time */

    /* Under lock. */
    struct batch__calls waiting[BATCH__IO_KINDS];
    uint32_t at_work[BATCH__IO_KINDS]; /* sessions that have calls of this kind in flight */
    bool was_slow[BATCH__STAGES];      /* what was taken last of this stage; of 1 session: at all */
    bool is_save_full;                 /* the group of saves taken last was as large as may be */
    enum batch__io_kind slow_last;     /* which of the slow kinds was taken last */
    uint32_t idle;                     /* sessions that wait */
    bool is_closed;

    uint32_t xidle; /* enum batch__io_idle */

    /* Calls that wait, by stage, and more; written under lock. */
    uint64_t xloads;
    uint64_t xsaves;
    uint64_t xbusy; /* sessions that have calls in flight */
};

/* `saves_max`: how many saves at a time are of use to the store; 0: as many as there may be. False
 * if the system has no lock. */
bool batch__io_queue_init(struct batch__io_queue *queue, uint32_t sessions, uint32_t saves_max);
void batch__io_queue_destroy(struct batch__io_queue *queue);

/* The kind of a call that is about to be queued. */
enum batch__io_kind batch__io_kind_of(const batch_call *call);

/* Any thread. Queue all, by kind, emptying the lists. */
void batch__io_queue_push(struct batch__io_queue *queue,
                          struct batch__calls calls[BATCH__IO_KINDS]);

/* A session, which is done with what it took before, of kind *kind (NONE at first). Wait for calls
 * and take at most `calls_max` of one kind and stage, in the order they came, into `calls`; *kind
 * is theirs. Their number, or 0 when the queue is closed and empty. `on_idle` (may be NULL) is
 * called, without the lock, whenever the queue becomes idle, or more so. */
size_t batch__io_queue_take(struct batch__io_queue *queue, enum batch__io_kind *kind,
                            batch_call **calls, size_t calls_max, void (*on_idle)(void *arg),
                            void *arg);

/* No more calls will come: sessions end when they have taken what is there. */
void batch__io_queue_close(struct batch__io_queue *queue);

/* Any thread; may have changed on return. */
enum batch__io_idle batch__io_queue_idle(const struct batch__io_queue *queue);

#endif
