/* target_sqlite.h: a SQLite file as a target. */
#ifndef BENCH_STORE_TARGET_SQLITE_H
#define BENCH_STORE_TARGET_SQLITE_H

#include "target.h"

/* NULL, having printed why. */
struct target *target_sqlite_open(const struct settings *settings, const char *path);

#endif
