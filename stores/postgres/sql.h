/* sql.h: all SQL of the store, and the names of its prepared statements.
 *
 * Saving. A row that load found is written only where it still has the version of then; one that
 * load did not find is inserted only where there is none: so a row that was deleted is not created
 * again. Both are one statement, whose result has the places of the rows updated and the keys of
 * those inserted; what is in neither was not written. A single row that is there has a statement of
 * its own, which takes the server half as long.
 *
 * Locks. The keys of a statement are sorted by their bytes, and rows are locked in that order
 * because a nested loop over the sorted array is the only join left to the planner: so two groups
 * never wait for each other in a circle. SAVE waits for a locked row, but not for long
 * (lock_timeout). SAVE_SKIP_LOCKED leaves locked rows out. It has to lock first and update then,
 * which takes half as long again, so it is used only when SAVE has met a lock. A new key for which
 * another transaction holds the place cannot be left out, only waited for: it gets less time.
 *
 * Units. Everything that is there is locked first, in order, also what is only checked, if it has
 * the version that it should have. A unit of which all is found so, and nothing that should not be
 * there, is complete, and written. A row that somebody has inserted meanwhile, or that a trigger
 * leaves out, would tear it: then the statement fails. What was checked and is not there cannot be
 * locked. So such units get a transaction of two statements: the first locks their rows and,
 * instead of those that are not there, numbers made of their keys (advisory locks); the second,
 * which sees all that was committed by then, is the same as for other units. Two such transactions
 * never each miss what the other one inserts; and whoever inserts without that lock, and commits,
 * comes after. The server has no room for any number of locks: where there would be too many, one
 * stands for all, which the others share.
 *
 * Plans. The server knows neither how long the arrays are nor how large the table will be when it
 * caches a plan. Looking each key up in the index is right for all of them; whole scans, hash and
 * merge joins, and compiling, are switched off for the session. Keys are compared by "= ANY
 * (ARRAY[key])": with a plain "=" a table that has been vacuumed when it was empty is read from end
 * to end through its index, once for each key, and still is when it has a million rows.
 *
 * Names may hold any characters: they appear in SQL only as quoted by libpq. Types, functions and
 * operators are named with their schema: the search_path is left as it is, since triggers may need
 * it, and may have others of the same name.
 *
 * Guards. A statement begins with two questions: is this still the session that has our settings
 * (settings.h), and is the table still what it was when it was checked? The row of the catalog that
 * stands for a table is written anew with most changes of it, so its xmin shows them; columns, the
 * file and the index of the key are compared for the others. All of it is the table's stamp. A save
 * ends with a third one: whatever triggers have done by then, will the commit be durable? And
 * where triggers or the lengths of columns may alter what is written: is it what was sent? If not,
 * the statement fails, by asking for a setting that is not there: its name is the reason.
 */
#ifndef BATCH_POSTGRES_SQL_H
#define BATCH_POSTGRES_SQL_H

#include "settings.h"
#include "spec.h"

#include <libpq-fe.h>

/* What the errors of guards are about: SQLSTATE 42704, and one of these names in the message. */
#define BATCH__POSTGRES_RAISE_POOLING "batch.session_pooling_is_needed"
#define BATCH__POSTGRES_RAISE_CHANGED "batch.table_has_changed"
#define BATCH__POSTGRES_RAISE_ALTERED "batch.row_was_altered"
#define BATCH__POSTGRES_RAISE_TORN    "batch.unit_is_torn"
#define BATCH__POSTGRES_RAISE_FSYNC   "batch.fsync_is_off"
#define BATCH__POSTGRES_RAISE_SETTING "batch.durability_was_changed"

enum batch__postgres_statement {
    BATCH__POSTGRES_LOAD,             /* keys -> place, version, state of the rows that are there */
    BATCH__POSTGRES_RECHECK,          /* the same without states */
    BATCH__POSTGRES_SAVE,             /* waits a little for rows that others have locked */
    BATCH__POSTGRES_SAVE_ONE,         /* the same for a single row that is there */
    BATCH__POSTGRES_SAVE_SKIP_LOCKED, /* leaves out the rows that others have locked */
    BATCH__POSTGRES_SAVE_ALL,         /* all rows, or it fails: units without checks */
    BATCH__POSTGRES_SAVE_UNITS,       /* as SAVE, for units (unit.h) */
    BATCH__POSTGRES_SAVE_UNITS_SKIP_LOCKED,
    BATCH__POSTGRES_LOCK_UNITS, /* in a transaction before that, if an absence was checked */
    BATCH__POSTGRES_STATEMENTS
};

const char *batch__postgres_statement_name(enum batch__postgres_statement statement);

/* For this table, through this connection; the caller's to free. NULL: no memory, or a name that is
 * not valid UTF-8. */
char *batch__postgres_statement_sql(PGconn *conn, const struct batch__postgres_spec *spec,
                                    const struct batch__postgres_shape *shape,
                                    const struct batch__postgres_fence *fence,
                                    enum batch__postgres_statement statement);
char *batch__postgres_create_sql(PGconn *conn, const struct batch__postgres_spec *spec);

/* Schema or NULL, table, and columns for key, version, state -> what is known of them: see the
 * columns in table.c. */
extern const char *const batch__postgres_check_sql;

#endif
