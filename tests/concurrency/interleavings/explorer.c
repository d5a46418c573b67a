/* explorer.c: all executions of each scenario, and the arguments of the program. */
#include "explorer_engine.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double seconds(void)
{
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void begin_execution(void)
{
    memory_reset();
    platform_reset();
}

static void explore(uint64_t seed, uint64_t runs)
{
    double start = seconds();
    engine.executions = engine.cut = engine.steps = 0;
    engine.wanted = engine.seen = 0;
    engine.seed = seed;
    if (runs == 0) {
        do
            engine_execute();
        while (engine_advance());
    }
    for (uint64_t i = 0; i < runs; i++) {
        engine.seed = seed + i;
        engine_execute();
    }
    printf("%s: %llu executions%s, %llu cut short, %.1f steps each, %.2f s\n",
           engine.scenario->name, (unsigned long long)engine.executions,
           runs == 0 ? ", all there are" : " at random", (unsigned long long)engine.cut,
           (double)engine.steps / (double)(engine.executions + engine.cut), seconds() - start);
    if ((engine.wanted & ~engine.seen) != 0)
        explorer_fail("wrong: what should occur does not: bits %x", engine.wanted & ~engine.seen);
}

/* ---- The program ---------------------------------------------------------------------------- */

static uint64_t number(const char *text)
{
    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static bool is_named(int argc, char **argv, int first, const char *name)
{
    for (int i = first; i < argc; i++) {
        if (strcmp(argv[i], name) == 0)
            return true;
    }
    return first == argc;
}

int explorer_main(int argc, char **argv, const struct explorer_scenario *scenarios, size_t count)
{
    /* How many times as many random executions; and for a failure, the one that failed. */
    uint64_t percent = number(getenv("BATCH_INTERLEAVINGS_PERCENT"));
    uint64_t seed = 1;
    bool is_one = false;
    int first = 1;
    for (; first + 1 < argc && argv[first][0] == '-'; first += 2) {
        if (strcmp(argv[first], "--must-find") == 0)
            engine.must_find = argv[first + 1];
        if (strcmp(argv[first], "--seed") == 0) {
            seed = number(argv[first + 1]);
            is_one = true;
        }
    }
    engine.watchers =
        (struct engine_watchers){begin_execution, memory_tick, memory_fork, memory_join};
    engine_init();
    bool is_found = false;
    for (size_t i = 0; i < count; i++) {
        engine.scenario = &scenarios[i];
        if (!is_named(argc, argv, first, scenarios[i].name))
            continue;
        is_found = true;
        uint64_t runs = scenarios[i].runs;
        if (percent > 0 && runs > 0)
            runs = runs * percent / 100 + 1;
        explore(seed, is_one && runs > 0 ? 1 : runs);
    }
    if (!is_found || engine.must_find != NULL) {
        fprintf(stderr,
                is_found ? "the injected bug was not found\n" : "there is no such scenario\n");
        return 1;
    }
    return 0;
}
