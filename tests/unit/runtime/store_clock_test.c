/* The clock of time limits, in the hands of a test: it knows when the worker really stood still. */
#include "random.h"
#include "runtime/store_clock.h"
#include "test.h"

#include <stdbool.h>

#define MS    UINT64_C(1000000)
#define LIMIT (1000 * MS)
#define GAP   (LIMIT / 16)
#define BEGIN (5000 * MS)

static struct batch__store_clock clock_of_limit(uint64_t limit_ns)
{
    struct batch__store_clock clock;
    batch__store_clock_init(&clock, limit_ns, BEGIN);
    return clock;
}

TEST(it_goes_with_time_while_the_worker_beats)
{
    struct batch__store_clock clock = clock_of_limit(LIMIT);
    for (uint64_t now_ns = BEGIN; now_ns < BEGIN + 100 * LIMIT; now_ns += GAP / 2) {
        batch__store_clock_beat(&clock, now_ns);
        assert_int_equal(batch__store_clock_due_ns(&clock), now_ns + GAP / 2);
        assert_int_equal(batch__store_clock_at(&clock, now_ns), now_ns);
        assert_int_equal(batch__store_clock_at(&clock, now_ns + GAP / 2), now_ns + GAP / 2);
        assert_int_equal(batch__store_clock_lost_ns(&clock), 0);
    }
}

TEST(a_gap_counts_up_to_a_sixteenth_of_a_limit)
{
    struct batch__store_clock clock = clock_of_limit(LIMIT);
    assert_int_equal(batch__store_clock_at(&clock, BEGIN + GAP), BEGIN + GAP);
    assert_int_equal(batch__store_clock_at(&clock, BEGIN + GAP + 1), BEGIN + GAP);
    assert_int_equal(batch__store_clock_at(&clock, BEGIN + 20 * LIMIT), BEGIN + GAP);
    assert_int_equal(batch__store_clock_lost_ns(&clock), 0);
    batch__store_clock_beat(&clock, BEGIN + GAP);
    assert_int_equal(batch__store_clock_lost_ns(&clock), 0);
    batch__store_clock_beat(&clock, BEGIN + 2 * GAP + 7);
    assert_int_equal(batch__store_clock_lost_ns(&clock), 7);
    assert_int_equal(batch__store_clock_at(&clock, BEGIN + 2 * GAP + 8), BEGIN + 2 * GAP + 1);
}

/* Whoever asks may have read the clock before the worker did, and be late. */
TEST(a_time_before_the_latest_beat_is_that_of_the_beat)
{
    struct batch__store_clock clock = clock_of_limit(LIMIT);
    batch__store_clock_beat(&clock, BEGIN + 20 * LIMIT);
    assert_int_equal(batch__store_clock_at(&clock, BEGIN + 1), BEGIN + GAP);
    batch__store_clock_beat(&clock, BEGIN + 1);
    assert_int_equal(batch__store_clock_at(&clock, BEGIN + 20 * LIMIT + 3), BEGIN + GAP + 3);
}

TEST(short_and_endless_limits_have_gaps_too)
{
    struct batch__store_clock clock = clock_of_limit(1);
    assert_int_equal(batch__store_clock_at(&clock, BEGIN + 5 * MS), BEGIN + 5 * MS);
    assert_int_equal(batch__store_clock_at(&clock, BEGIN + 6 * MS), BEGIN + 5 * MS);
    clock = clock_of_limit(UINT64_MAX);
    assert_int_equal(batch__store_clock_at(&clock, UINT64_MAX / 32), UINT64_MAX / 32);
    batch__store_clock_beat(&clock, UINT64_MAX);
    assert_int_equal(batch__store_clock_at(&clock, UINT64_MAX), BEGIN + UINT64_MAX / 16);
}

/* The worker beats at any time, and is asked at any time between; now and then all stand still. */
TEST(whatever_the_schedule_only_standing_still_is_lost)
{
    struct random random = {20261126};
    struct batch__store_clock clock = clock_of_limit(LIMIT);
    uint64_t now_ns = BEGIN, shown_ns = BEGIN, stood_ns = 0, stops = 0;
    for (int i = 0; i < 200000; i++) {
        bool is_stop = random_below(&random, 20) == 0;
        uint64_t step_ns = 1 + 1000 * random_below(&random, (is_stop ? 40 * GAP : GAP / 2) / 1000);
        now_ns += step_ns;
        stood_ns += is_stop ? step_ns : 0;
        stops += is_stop ? 1 : 0;
        uint64_t at_ns = batch__store_clock_at(&clock, now_ns);
        assert_true(at_ns >= shown_ns);
        assert_true(at_ns - shown_ns <= step_ns);
        assert_true(at_ns <= now_ns - stood_ns + stops * GAP);
        assert_true(at_ns >= now_ns - stood_ns);
        batch__store_clock_beat(&clock, now_ns);
        assert_int_equal(batch__store_clock_at(&clock, now_ns), at_ns);
        shown_ns = at_ns;
    }
    assert_true(stops > 1000);
}
