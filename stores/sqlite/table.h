/* table.h: the table of a store, and the statements that read and write it. */
#ifndef BATCH_SQLITE_TABLE_H
#define BATCH_SQLITE_TABLE_H

#include <batch/store.h>

#include <sqlite3.h>

/* Any characters, none of them empty. */
struct batch__sqlite_table {
    char *name;
    char *key_column;
    char *version_column;
    char *state_column;
};

enum batch__sqlite_statement {
    BATCH__SQLITE_BEGIN_READ,
    BATCH__SQLITE_BEGIN_WRITE,
    BATCH__SQLITE_COMMIT,
    BATCH__SQLITE_ROLLBACK,
    BATCH__SQLITE_SELECT, /* key -> version, state */
    BATCH__SQLITE_INSERT, /* key, new version, state */
    BATCH__SQLITE_UPDATE, /* the same, and the version that must be there */
    BATCH__SQLITE_STATEMENTS
};

/* Create the table if it is missing. */
int batch__sqlite_table_create(const struct batch__sqlite_table *table, sqlite3 *db,
                               batch_result *reterr);

/* Check its columns and prepare the statements; those prepared must be finalized even if it
 * fails. */
int batch__sqlite_table_prepare(const struct batch__sqlite_table *table, sqlite3 *db,
                                sqlite3_stmt *ret_statements[BATCH__SQLITE_STATEMENTS],
                                batch_result *reterr);

#endif
