/* turn.c: one writer at a time in this process, first come, first served.
 *
 * SQLite too lets one connection write at a time, but makes the others try again and again, so that
 * one of them may never get its turn. Within a store they wait here instead, in a queue.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* CLOCK_MONOTONIC, pthread_condattr_setclock */
#endif
#include "internal.h"

#include <time.h>

enum { LOOK_NS = 50 * 1000 * 1000 }; /* how often to see whether the call was canceled */

bool batch__sqlite_turn_init(struct batch__sqlite_turn *turn)
{
    turn->first = NULL;
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    bool made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(&turn->changed, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    if (!made)
        return false;
    if (pthread_mutex_init(&turn->lock, NULL) != 0) {
        pthread_cond_destroy(&turn->changed);
        return false;
    }
    return true;
}

void batch__sqlite_turn_destroy(struct batch__sqlite_turn *turn)
{
    pthread_mutex_destroy(&turn->lock);
    pthread_cond_destroy(&turn->changed);
}

/* Wait for a change: until the deadline of the call, or a little. With the lock held. */
static void wait_for_change(struct batch__sqlite_turn *turn, const batch_call *call)
{
    uint64_t until_ns = batch_now_ns() + LOOK_NS;
    uint64_t deadline_ns = batch_call_deadline_ns(call);
    if (deadline_ns < until_ns)
        until_ns = deadline_ns + 1; /* canceled means after it */
    struct timespec until = {(time_t)(until_ns / 1000000000u), (long)(until_ns % 1000000000u)};
    pthread_cond_timedwait(&turn->changed, &turn->lock, &until);
}

bool batch__sqlite_turn_take(struct batch__sqlite_turn *turn, struct batch__sqlite_place *place,
                             const batch_call *call)
{
    pthread_mutex_lock(&turn->lock);
    struct batch__sqlite_place **link = &turn->first;
    while (*link != NULL)
        link = &(*link)->next;
    *link = place;
    place->next = NULL;

    while (turn->first != place && !batch_call_is_canceled(call))
        wait_for_change(turn, call);

    bool is_taken = turn->first == place;
    if (!is_taken) {
        for (link = &turn->first; *link != place;)
            link = &(*link)->next;
        *link = place->next;
    }
    pthread_mutex_unlock(&turn->lock);
    return is_taken;
}

void batch__sqlite_turn_give(struct batch__sqlite_turn *turn)
{
    pthread_mutex_lock(&turn->lock);
    turn->first = turn->first->next;
    pthread_cond_broadcast(&turn->changed);
    pthread_mutex_unlock(&turn->lock);
}
