/* ages_test.c: the age of the oldest, against a list of all that are there. */
#include "metrics_fixture.h"

#include "metrics/ages.h"
#include "random.h"

#define MILLISECOND UINT64_C(1000000)

#ifdef BATCH_DEBUG_CHECKS
enum { DAY_STEP_MS = 50 }; /* ten times faster where all is slow */
#else
enum { DAY_STEP_MS = 5 };
#endif

static struct batch__ages ages; /* each test begins with set_up */

static int set_up(void **state)
{
    (void)state;
    memset(&ages, 0, sizeof ages);
    return 0;
}

TEST_WITH(test_nothing_has_no_age, set_up, NULL)
{
    assert_int_equal(batch__ages_oldest_ns(&ages, 1000), 0);
    batch__ages_add(&ages, 0, 1); /* the clock may begin at 0 */
    assert_int_equal(batch__ages_oldest_ns(&ages, 1000), 1000);
    batch__ages_remove(&ages, 0);
    assert_int_equal(batch__ages_oldest_ns(&ages, 1000), 0);
}

TEST_WITH(test_what_comes_together_goes_one_by_one, set_up, NULL)
{
    batch__ages_add(&ages, 50, 3);
    batch__ages_add(&ages, 60 * MILLISECOND, 1);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(batch__ages_oldest_ns(&ages, 100 * MILLISECOND), 100 * MILLISECOND - 50);
        batch__ages_remove(&ages, 50);
    }
    assert_int_equal(batch__ages_oldest_ns(&ages, 100 * MILLISECOND), 40 * MILLISECOND);
}

TEST_WITH(test_an_age_read_before_it_came_is_none, set_up, NULL)
{
    batch__ages_add(&ages, 1000, 1);
    assert_int_equal(batch__ages_oldest_ns(&ages, 999), 0);
}

/* Things come and go in any order, for times from microseconds to hours. */
static void compare_with_a_list(uint64_t seed, uint64_t pause_ns)
{
    enum { PRESENT_MAX = 500, STEPS = 20000 };
    static uint64_t present[PRESENT_MAX];
    uint32_t count = 0;
    uint64_t now_ns = 1;
    struct random random = {seed};
    memset(&ages, 0, sizeof ages);
    for (int step = 0; step < STEPS; step++) {
        now_ns += random_below(&random, 1000) * pause_ns / 1000;
        if (count < PRESENT_MAX && random_below(&random, 2) == 0) {
            batch__ages_add(&ages, now_ns, 1);
            present[count++] = now_ns;
        } else if (count > 0) { /* mostly an old one */
            uint32_t at =
                (uint32_t)random_below(&random, random_below(&random, 8) ? count / 8 + 1 : count);
            batch__ages_remove(&ages, present[at]);
            memmove(&present[at], &present[at + 1], (--count - at) * sizeof present[0]);
        }
        uint64_t age_ns = batch__ages_oldest_ns(&ages, now_ns);
        uint64_t exact_ns = count > 0 ? now_ns - present[0] : 0;
        if (count == 0)
            assert_int_equal(age_ns, 0);
        assert_true(age_ns >= exact_ns);
        assert_true(age_ns <= exact_ns + exact_ns / 4 + 5 * MILLISECOND);
    }
}

TEST(test_the_oldest_is_never_too_young_and_little_too_old)
{
    for (uint64_t seed = 1; seed <= 8; seed++) {
        for (uint64_t pause_ns = 1000; pause_ns < 100000 * MILLISECOND; pause_ns *= 10)
            compare_with_a_list(seed, pause_ns);
    }
}

TEST_WITH(test_one_that_stays_for_a_day_keeps_its_age, set_up, NULL)
{
    const uint64_t day_ns = 86400 * 1000 * MILLISECOND;
    batch__ages_add(&ages, 1, 1);
    for (uint64_t now_ns = 2; now_ns < day_ns; now_ns += DAY_STEP_MS * MILLISECOND) {
        batch__ages_add(&ages, now_ns, 1);
        batch__ages_remove(&ages, now_ns);
    }
    assert_int_equal(batch__ages_oldest_ns(&ages, day_ns), day_ns - 1);
    batch__ages_add(&ages, day_ns, 1);
    batch__ages_remove(&ages, 1);
    assert_int_equal(batch__ages_oldest_ns(&ages, day_ns + 1), 1);
}
