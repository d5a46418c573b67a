/* grouped.h: run the operations through libbatch, modes grouped and single. */
#ifndef BENCH_STORE_GROUPED_H
#define BENCH_STORE_GROUPED_H

#include "runner.h"
#include "target.h"

/* NULL, having printed why. */
struct runner *grouped_start(const struct settings *settings, struct target *target);

#endif
