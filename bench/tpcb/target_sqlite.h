/* target_sqlite.h: rows in a SQLite file. */
#ifndef BENCH_TPCB_TARGET_SQLITE_H
#define BENCH_TPCB_TARGET_SQLITE_H

#include "target.h"

struct target *target_sqlite_open(const struct settings *settings, const char *path);

#endif
