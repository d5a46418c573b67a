/* direct.h: transactions without libbatch. */
#ifndef BENCH_TPCB_DIRECT_H
#define BENCH_TPCB_DIRECT_H

#include "runner.h"
#include "target.h"

/* NULL, having printed why. `way` and `sessions` of the settings must be chosen. */
struct runner *direct_start(const struct settings *settings, struct target *target);

#endif
