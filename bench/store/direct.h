/* direct.h: run the operations without libbatch, mode direct. */
#ifndef BENCH_STORE_DIRECT_H
#define BENCH_STORE_DIRECT_H

#include "runner.h"
#include "target.h"

/* NULL, having printed why. */
struct runner *direct_start(const struct settings *settings, struct target *target);

#endif
