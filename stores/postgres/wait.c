#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include "wait.h"

#include "../check.h"

#include <sys/random.h>
#include <time.h>

#define SLICE_NS (20 * BATCH__POSTGRES_MS)

bool batch__postgres_is_over(const struct batch__postgres_limit *limit)
{
    if (limit->call != NULL && batch_call_is_canceled(limit->call))
        return true;
    return batch_now_ns() > limit->until_ns;
}

/* How long to wait at a time. */
static uint64_t slice_ns(const struct batch__postgres_limit *limit)
{
    uint64_t now_ns = batch_now_ns();
    if (now_ns > limit->until_ns)
        return 0;
    uint64_t left_ns = limit->until_ns - now_ns;
    uint64_t deadline_ns = limit->call != NULL ? batch_call_deadline_ns(limit->call) : UINT64_MAX;
    if (deadline_ns >= now_ns && deadline_ns - now_ns < left_ns) /* else it is about to move */
        left_ns = deadline_ns - now_ns;
    return left_ns < SLICE_NS ? left_ns + 1 : SLICE_NS; /* over means after it */
}

void batch__postgres_poll(struct pollfd *fds, size_t fds_size,
                          const struct batch__postgres_limit *limit)
{
    uint64_t wait_ms = (slice_ns(limit) + BATCH__POSTGRES_MS - 1) / BATCH__POSTGRES_MS;
    batch__check(fds != NULL || fds_size == 0);
    for (size_t i = 0; i < fds_size; i++)
        fds[i].revents = 0;
    if (poll(fds, (nfds_t)fds_size, (int)wait_ms) < 0) {
        for (size_t i = 0; i < fds_size; i++)
            fds[i].revents = 0; /* interrupted: as if the slice had passed */
    }
}

bool batch__postgres_pause(uint64_t *random, uint64_t time_ns,
                           const struct batch__postgres_limit *limit)
{
    uint64_t jitter_ns = time_ns / 2 > 0 ? batch__postgres_random(random) % (time_ns / 2) : 0;
    uint64_t until_ns = batch_now_ns() + time_ns / 2 + jitter_ns;
    for (uint64_t now_ns; (now_ns = batch_now_ns()) < until_ns;) {
        if (batch__postgres_is_over(limit))
            return false;
        uint64_t wait_ns = slice_ns(limit);
        if (until_ns - now_ns < wait_ns)
            wait_ns = until_ns - now_ns;
        batch__check(wait_ns <= SLICE_NS);
        nanosleep(&(struct timespec){0, (long)wait_ns}, NULL);
    }
    return !batch__postgres_is_over(limit);
}

uint64_t batch__postgres_random_seed(const void *owner)
{
    uint64_t seed;
    batch__check(owner != NULL);
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed)
        seed = batch_now_ns() ^ (uint64_t)(uintptr_t)owner;
    return seed;
}

/* SplitMix64: versions and pauses must differ between sessions, not be secret. */
uint64_t batch__postgres_random(uint64_t *random)
{
    *random += UINT64_C(0x9e3779b97f4a7c15);
    uint64_t number = *random;
    number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
    return number ^ number >> 31;
}
