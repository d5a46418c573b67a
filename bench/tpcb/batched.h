/* batched.h: transactions through libbatch. */
#ifndef BENCH_TPCB_BATCHED_H
#define BENCH_TPCB_BATCHED_H

#include "runner.h"
#include "target.h"

/* NULL, having printed why. */
struct runner *batched_start(const struct settings *settings, struct target *target);

#endif
