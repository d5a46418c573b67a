/* runner.h: a way to run transactions until stopped: through libbatch (batched.c) or not
 * (direct.c). A header alone: the struct that every runner begins with. */
#ifndef BENCH_TPCB_RUNNER_H
#define BENCH_TPCB_RUNNER_H

#include "common/tally.h"

struct runner {
    const char *way;   /* of direct: how it keeps transactions apart */
    uint32_t sessions; /* connections */
    void (*read)(struct runner *runner, struct tally *sum); /* all since the start */
    void (*stop)(struct runner *runner); /* begin nothing more, wait for what is in flight */
    void (*free)(struct runner *runner);
};

#endif
