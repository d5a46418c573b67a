/* main.c: interleavings [--must-find TEXT] [--seed N] [SCENARIO...]
 *
 * Explores the scenarios, or those that are named. --must-find: succeed only if an execution fails
 * with a message that begins with TEXT ("race", "stuck", "wrong", "use after release", "endless").
 * --seed: one execution of a random scenario. BATCH_INTERLEAVINGS_PERCENT in the environment: so
 * many percent of the usual number of random executions. */
#include "scenarios.h"

#include <stdio.h>
#include <string.h>

enum { SCENARIOS_MAX = 64 };

static struct explorer_scenario all[SCENARIOS_MAX];
static size_t all_size;

static void add(const struct explorer_scenario *scenarios, size_t size)
{
    for (size_t i = 0; i < size && all_size < SCENARIOS_MAX; i++)
        all[all_size++] = scenarios[i];
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    add(inbox_scenarios, inbox_scenarios_size);
    add(stop_scenarios, stop_scenarios_size);
    add(whole_scenarios, whole_scenarios_size);
    add(loop_scenarios, loop_scenarios_size);
    add(transaction_scenarios, transaction_scenarios_size);
    add(clock_scenarios, clock_scenarios_size);
    add(drive_scenarios, drive_scenarios_size);
    return explorer_main(argc, argv, all, all_size);
}
