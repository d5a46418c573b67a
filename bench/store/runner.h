/* runner.h: a way to run operations until stopped: through libbatch (grouped.c) or not (direct.c).
 * A header alone: the struct that every runner begins with. */
#ifndef BENCH_STORE_RUNNER_H
#define BENCH_STORE_RUNNER_H

#include "common/tally.h"

struct runner {
    void (*read)(struct runner *runner, struct tally *sum); /* all since the start, but cpu_ns */
    void (*stop)(struct runner *runner); /* submit nothing more, wait for what is in flight */
    void (*free)(struct runner *runner);
};

#endif
