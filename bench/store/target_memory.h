/* target_memory.h: the store in memory as a target. */
#ifndef BENCH_STORE_TARGET_MEMORY_H
#define BENCH_STORE_TARGET_MEMORY_H

#include "target.h"

/* NULL, having printed why. */
struct target *target_memory_open(const struct settings *settings);

#endif
