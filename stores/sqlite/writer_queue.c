/* writer_queue.c: one writer at a time among the sessions of a store, first come, first served.
 *
 * SQLite too lets one connection write at a time, but makes the others poll, so that one of them
 * may starve. Within a store they wait here instead, in a queue.
 *
 * Threads: any; each writer is used by one at a time.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* CLOCK_MONOTONIC, pthread_condattr_setclock */
#endif
#include "writer_queue.h"

#include "../check.h"

#include <time.h>

enum { POLL_NS = 50 * 1000 * 1000 }; /* how often to ask whether the call is canceled */

bool batch__sqlite_writer_queue_init(struct batch__sqlite_writer_queue *queue)
{
    queue->first = NULL;
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    bool made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(&queue->changed, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    if (!made)
        return false;
    if (pthread_mutex_init(&queue->lock, NULL) != 0) {
        pthread_cond_destroy(&queue->changed);
        return false;
    }
    return true;
}

void batch__sqlite_writer_queue_destroy(struct batch__sqlite_writer_queue *queue)
{
    batch__check(queue->first == NULL);
    pthread_mutex_destroy(&queue->lock);
    pthread_cond_destroy(&queue->changed);
}

/* Wait for a change: until the deadline of the call, or a little. With the lock held. */
static void wait_for_change(struct batch__sqlite_writer_queue *queue, const batch_call *call)
{
    uint64_t now_ns = batch_now_ns();
    uint64_t until_ns = now_ns + POLL_NS;
    uint64_t deadline_ns = batch_call_deadline_ns(call);
    if (deadline_ns >= now_ns && deadline_ns < until_ns) /* else it is about to move */
        until_ns = deadline_ns + 1;                      /* canceled means after it */
    struct timespec until = {(time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u)};
    pthread_cond_timedwait(&queue->changed, &queue->lock, &until);
}

bool batch__sqlite_writer_queue_acquire(struct batch__sqlite_writer_queue *queue,
                                        struct batch__sqlite_writer *writer, const batch_call *call)
{
    pthread_mutex_lock(&queue->lock);
    struct batch__sqlite_writer **link = &queue->first;
    for (; *link != NULL; link = &(*link)->next)
        batch__check(*link != writer);
    *link = writer;
    writer->next = NULL;

    while (queue->first != writer && !batch_call_is_canceled(call))
        wait_for_change(queue, call);

    bool is_taken = queue->first == writer;
    if (!is_taken) {
        for (link = &queue->first; *link != writer; link = &(*link)->next)
            batch__check(*link != NULL);
        *link = writer->next;
    }
    pthread_mutex_unlock(&queue->lock);
    return is_taken;
}

void batch__sqlite_writer_queue_release(struct batch__sqlite_writer_queue *queue,
                                        const struct batch__sqlite_writer *writer)
{
    pthread_mutex_lock(&queue->lock);
    batch__check(queue->first == writer);
    queue->first = writer->next;
    pthread_cond_broadcast(&queue->changed);
    pthread_mutex_unlock(&queue->lock);
}
