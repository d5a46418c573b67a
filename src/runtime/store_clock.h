/* store_clock.h: the clock on which the time limits of loads and saves run.
 *
 * It is the monotonic clock, less the time for which the worker stood still: the process was
 * stopped, or its machine suspended, or its processor was needed elsewhere, or a callback took
 * long. Meanwhile a store could not act, or nobody could have been told, so no call is late for it.
 *
 * The worker beats in every iteration, and while keys have work it rests no longer than until
 * batch__store_clock_due_ns. From one beat to the next the clock runs on for gap_max_ns at most: a
 * sixteenth of a time limit, and more than what the scheduler takes now and then. So
 *
 *     at(later) - at(earlier) <= later - earlier, and it never runs backwards
 *
 * Threads: one beats; any asks.
 */
#ifndef BATCH_RUNTIME_STORE_CLOCK_H
#define BATCH_RUNTIME_STORE_CLOCK_H

#include "../base/atomics.h"
#include "../base/check.h"

#include <stdint.h>

struct batch__store_clock {
    uint64_t gap_max_ns; /* fixed */
    uint64_t xbeat_ns;   /* the latest beat */
    uint64_t xlost_ns;   /* by how much it was slow then; UINT64_MAX: both are changing */
};

void batch__store_clock_init(struct batch__store_clock *clock, uint64_t deadline_ns,
                             uint64_t now_ns);

/* The beat before was too long ago. */
void batch__store_clock_stood_still(struct batch__store_clock *clock, uint64_t now_ns);

static inline void batch__store_clock_beat(struct batch__store_clock *clock, uint64_t now_ns)
{
    uint64_t beat_ns = batch__load_relaxed(&clock->xbeat_ns);
    if (now_ns > beat_ns && now_ns - beat_ns > clock->gap_max_ns)
        batch__store_clock_stood_still(clock, now_ns);
    else if (now_ns > beat_ns)
        batch__store_release(&clock->xbeat_ns, now_ns);
}

/* What it shows at `now_ns` of the monotonic clock. */
uint64_t batch__store_clock_at(const struct batch__store_clock *clock, uint64_t now_ns);
/* By how much it was slow at the latest beat. */
uint64_t batch__store_clock_lost_ns(const struct batch__store_clock *clock);

/* The worker only. When it has to beat again, while a call may be at the store. */
static inline uint64_t batch__store_clock_due_ns(const struct batch__store_clock *clock)
{
    return batch__load_relaxed(&clock->xbeat_ns) + clock->gap_max_ns / 2;
}

#endif
