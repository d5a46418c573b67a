/* target_postgres.h: a PostgreSQL server as a target. */
#ifndef BENCH_STORE_TARGET_POSTGRES_H
#define BENCH_STORE_TARGET_POSTGRES_H

#include "target.h"

/* NULL, having printed why. */
struct target *target_postgres_open(const struct settings *settings, const char *conninfo);

#endif
