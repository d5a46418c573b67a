/* target_postgres.h: rows in PostgreSQL. */
#ifndef BENCH_TPCB_TARGET_POSTGRES_H
#define BENCH_TPCB_TARGET_POSTGRES_H

#include "target.h"

struct target *target_postgres_open(const struct settings *settings, const char *conninfo);

#endif
