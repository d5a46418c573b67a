/* wait.h: waiting until something is ready or time is over, and the random numbers that keep the
 * waits of several sessions from being alike.
 *
 * A wait never lasts past its limit by more than a slice of 20 ms: a socket does not report that a
 * call was canceled, so this is checked after each slice.
 *
 * Threads: any; a limit and a random state belong to one session.
 */
#ifndef BATCH_POSTGRES_WAIT_H
#define BATCH_POSTGRES_WAIT_H

#include <batch/store.h>

#include <poll.h>

#define BATCH__POSTGRES_MS UINT64_C(1000000) /* in nanoseconds */

/* How long something may take: until then (UINT64_MAX: for ever), and no longer than until `call`
 * is canceled, if there is one. */
struct batch__postgres_limit {
    uint64_t until_ns;
    const batch_call *call;
};

bool batch__postgres_is_over(const struct batch__postgres_limit *limit);

/* Wait until one of the descriptors is ready or the limit is over; one slice at most. Their revents
 * are set, to 0 if nothing happened. */
void batch__postgres_poll(struct pollfd *fds, size_t fds_size,
                          const struct batch__postgres_limit *limit);

/* Sleep between half of `time_ns` and all of it, or until the limit. False: it is over. */
bool batch__postgres_pause(uint64_t *random, uint64_t time_ns,
                           const struct batch__postgres_limit *limit);

/* A state that differs between sessions; `owner` is an address that only one of them has. */
uint64_t batch__postgres_random_seed(const void *owner);

/* The next number, any of 64 bits. */
uint64_t batch__postgres_random(uint64_t *random);

#endif
