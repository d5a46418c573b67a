/* postgres.h: connections to PostgreSQL that say what went wrong. */
#ifndef BENCH_COMMON_POSTGRES_H
#define BENCH_COMMON_POSTGRES_H

#include <libpq-fe.h>
#include <stdbool.h>

/* Say what went wrong. Returns false. */
bool postgres_failed(PGconn *connection, const char *what);

/* NULL if that failed, which was said. */
PGconn *postgres_connect(const char *conninfo);

/* Run a statement that returns no rows. False if that failed, which was said. */
bool postgres_command(PGconn *connection, const char *sql);

#endif
