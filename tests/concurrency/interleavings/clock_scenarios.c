/* clock_scenarios.c: src/runtime/store_clock.c: a worker that goes on after it has stood still, and
 * a session that asks meanwhile. */
#include "scenarios.h"

#include "runtime/store_clock.h"

enum { BEGIN = 1000, GAP = 100, STILL = 10000, LATER = 20000 };

static struct batch__store_clock the_clock;

static void begin(void)
{
    the_clock = (struct batch__store_clock){.gap_max_ns = GAP, .xbeat_ns = BEGIN};
    explorer_name(&the_clock.xbeat_ns, "xbeat_ns");
    explorer_name(&the_clock.xlost_ns, "xlost_ns");
}

static void stand_still_twice(void)
{
    batch__store_clock_beat(&the_clock, STILL);
    batch__store_clock_beat(&the_clock, LATER);
}

/* It never runs backwards, and shows nothing that it should not. */
static void ask(void)
{
    uint64_t first = batch__store_clock_at(&the_clock, STILL + 2);
    explorer_check(first >= BEGIN + GAP && first <= BEGIN + 2 * GAP);
    uint64_t second = batch__store_clock_at(&the_clock, LATER + 1);
    explorer_check(second >= first && second <= BEGIN + 2 * GAP + 1);
}

static void end(void)
{
    explorer_check(batch__store_clock_at(&the_clock, LATER) == BEGIN + 2 * GAP);
    explorer_check(batch__store_clock_lost_ns(&the_clock) == LATER - BEGIN - 2 * GAP);
}

const struct explorer_scenario clock_scenarios[] = {
    {.name = "store-clock", .begin = begin, .threads = {stand_still_twice, ask}, .end = end},
};
const size_t clock_scenarios_size = sizeof clock_scenarios / sizeof *clock_scenarios;
