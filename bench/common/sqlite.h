/* sqlite.h: connections to a SQLite file that say what went wrong. */
#ifndef BENCH_COMMON_SQLITE_H
#define BENCH_COMMON_SQLITE_H

#include <sqlite3.h>
#include <stdbool.h>

/* Say what went wrong. Returns false. */
bool sqlite_failed(sqlite3 *db, const char *what);

/* In WAL mode, with synchronous=FULL. NULL if that failed, which was said. */
sqlite3 *sqlite_connect(const char *path);

#endif
