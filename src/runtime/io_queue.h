/* io_queue.h: calls on their way to the store, and the session threads that take them in groups.
 *
 * Whatever has become ready while all sessions were busy goes together into the next call: group
 * commit without a timer. Saves go before loads. One lock, taken once for a group.
 */
#ifndef BATCH_RUNTIME_IO_QUEUE_H
#define BATCH_RUNTIME_IO_QUEUE_H

#include "call.h"

#include "../platform/platform.h"

struct batch__io_queue {
    struct batch__lock lock;
    struct batch__calls loads; /* under lock */
    struct batch__calls saves; /* under lock */
    uint32_t idle;             /* sessions that wait; under lock */
    bool is_closed;            /* under lock */
    uint32_t xis_hungry;       /* 1: a session waits and there is nothing for it */
};

bool batch__io_queue_init(struct batch__io_queue *queue);
void batch__io_queue_destroy(struct batch__io_queue *queue);

/* Any thread. Queue all, emptying both lists. */
void batch__io_queue_push(struct batch__io_queue *queue, struct batch__calls *loads,
                          struct batch__calls *saves);

/* A session. Wait for calls and take at most `calls_max` of one stage, in the order they came,
 * into `calls`; their number, or 0 when the queue is closed and empty. `on_hungry` (may be NULL)
 * is called, without the lock, whenever the queue becomes hungry. */
size_t batch__io_queue_take(struct batch__io_queue *queue, batch_call **calls, size_t calls_max,
                            enum batch__stage *ret_stage, void (*on_hungry)(void *arg), void *arg);

/* No more calls will come: sessions end when they have taken what is there. */
void batch__io_queue_close(struct batch__io_queue *queue);

bool batch__io_queue_is_hungry(const struct batch__io_queue *queue);

#endif
