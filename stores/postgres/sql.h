/* sql.h: all SQL of the store, and the names of its prepared statements.
 *
 * Saving. A row that load found is written only where it still has the version of then; one that
 * load did not find is inserted only where there is none: so a row that was deleted is not created
 * again. Both are one statement, whose result has the places of the rows updated and the keys of
 * those inserted; what is in neither was not written.
 *
 * Locks. The keys of a statement are sorted by their bytes, and rows are locked in that order
 * because a nested loop over the sorted array is the only join left to the planner: so two groups
 * never wait for each other in a circle. SAVE waits for a locked row, but not for long
 * (lock_timeout). SAVE_SKIP_LOCKED leaves locked rows out. It has to lock first and update then,
 * which takes half as long again, so it is used only when SAVE has met a lock. A new key for which
 * another transaction holds the place cannot be left out, only waited for: it gets less time.
 *
 * Plans. The server knows neither how long the arrays are nor how large the table will be when it
 * caches a plan. Looking each key up in the index is right for all of them; whole scans, hash and
 * merge joins, and compiling, are switched off for the session. Keys are compared by "= ANY
 * (ARRAY[key])": with a plain "=" a table that has been vacuumed when it was empty is read from end
 * to end through its index, once for each key, and still is when it has a million rows.
 *
 * Names may hold any characters: they appear in SQL only as quoted by libpq. Functions and
 * operators are named with their schema: the search_path is left as it is, since triggers may need
 * it.
 */
#ifndef BATCH_POSTGRES_SQL_H
#define BATCH_POSTGRES_SQL_H

#include "spec.h"

#include <libpq-fe.h>

enum batch__postgres_statement {
    BATCH__POSTGRES_LOAD,             /* keys -> place, version, state of the rows that are there */
    BATCH__POSTGRES_RECHECK,          /* the same without states */
    BATCH__POSTGRES_SAVE,             /* waits a little for rows that others have locked */
    BATCH__POSTGRES_SAVE_SKIP_LOCKED, /* leaves out the rows that others have locked */
    BATCH__POSTGRES_STATEMENTS
};

const char *batch__postgres_statement_name(enum batch__postgres_statement statement);

/* For this table, through this connection; the caller's to free. NULL: no memory, or a name that is
 * not valid UTF-8. */
char *batch__postgres_statement_sql(PGconn *conn, const struct batch__postgres_spec *spec,
                                    const struct batch__postgres_shape *shape,
                                    enum batch__postgres_statement statement);
char *batch__postgres_create_sql(PGconn *conn, const struct batch__postgres_spec *spec);

/* One SELECT that sets everything for the session: what the store relies on, and what the defaults
 * of a role or of a database could break. It returns synchronous_commit, fsync and the encoding of
 * the database, and more. */
void batch__postgres_settings_sql(const PGconn *conn, batch_postgres_durability durability,
                                  char *ret_sql, size_t sql_size);

/* Schema or NULL, table, and columns for key, version, state -> what is known of them: see the
 * columns in table.c. */
extern const char *const batch__postgres_check_sql;

#endif
