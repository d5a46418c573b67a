#include "store_clock.h"

#include "../platform/platform.h"

enum {
    GAP_SHARE = 16,              /* of a time limit */
    GAP_MIN_NS = 5 * 1000 * 1000 /* what the scheduler may take */
};

void batch__store_clock_init(struct batch__store_clock *clock, uint64_t deadline_ns,
                             uint64_t now_ns)
{
    uint64_t gap_ns = deadline_ns / GAP_SHARE;
    clock->gap_max_ns = gap_ns > GAP_MIN_NS ? gap_ns : GAP_MIN_NS;
    clock->xbeat_ns = now_ns;
    clock->xlost_ns = 0;
}

void batch__store_clock_stood_still(struct batch__store_clock *clock, uint64_t now_ns)
{
    uint64_t lost_ns = batch__load_relaxed(&clock->xlost_ns);
    uint64_t gap_ns = now_ns - batch__load_relaxed(&clock->xbeat_ns);
    batch__check(gap_ns > clock->gap_max_ns);
    batch__check(lost_ns != UINT64_MAX);
    batch__store_release(&clock->xlost_ns, UINT64_MAX);
    batch__store_release(&clock->xbeat_ns, now_ns);
    batch__store_release(&clock->xlost_ns, lost_ns + (gap_ns - clock->gap_max_ns));
}

/* Both as they were at one moment: what has been lost changes with a beat, and is marked before. */
static uint64_t read_both(const struct batch__store_clock *clock, uint64_t *ret_beat_ns)
{
    for (;;) {
        uint64_t lost_ns = batch__load_acquire(&clock->xlost_ns);
        if (lost_ns == UINT64_MAX) {
            batch__thread_yield(); /* the worker is between the two */
            continue;
        }
        *ret_beat_ns = batch__load_acquire(&clock->xbeat_ns);
        if (lost_ns == batch__load_acquire(&clock->xlost_ns))
            return lost_ns;
    }
}

uint64_t batch__store_clock_at(const struct batch__store_clock *clock, uint64_t now_ns)
{
    uint64_t beat_ns;
    uint64_t lost_ns = read_both(clock, &beat_ns);
    uint64_t gap_ns = now_ns > beat_ns ? now_ns - beat_ns : 0;
    batch__check(lost_ns <= beat_ns);
    return beat_ns - lost_ns + (gap_ns < clock->gap_max_ns ? gap_ns : clock->gap_max_ns);
}

uint64_t batch__store_clock_lost_ns(const struct batch__store_clock *clock)
{
    uint64_t beat_ns;
    return read_both(clock, &beat_ns);
}
