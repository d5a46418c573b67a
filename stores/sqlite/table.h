/* table.h: the table of a store, and the statements that read and write it. */
#ifndef BATCH_SQLITE_TABLE_H
#define BATCH_SQLITE_TABLE_H

#include "error.h"

/* Any characters, none of them empty. */
struct batch__sqlite_table {
    char *name;
    char *key_column;
    char *version_column;
    char *state_column;
};

enum batch__sqlite_statement {
    BATCH__SQLITE_SELECT,   /* key -> version, state */
    BATCH__SQLITE_INSERT,   /* key, new version, state */
    BATCH__SQLITE_UPDATE,   /* the same, and the version that must be there */
    BATCH__SQLITE_STRANGE,  /* -> a row whose key is not a BLOB */
    BATCH__SQLITE_STRANGER, /* key as text -> such a row with this key, or with a NUL behind it */
    BATCH__SQLITE_TABLE_STATEMENTS
};

/* The table as it was found last; begins as zeros. */
struct batch__sqlite_found {
    bool is_known;                       /* there was no problem */
    int64_t schema_version;              /* then */
    struct batch__sqlite_problem unfit;  /* code 0: it is suitable */
    struct batch__sqlite_problem insert; /* code 0: rows can be inserted, */
    struct batch__sqlite_problem update; /* and updated */
    bool may_alter;                      /* what is written may not be what is stored */
    sqlite3_stmt *statements[BATCH__SQLITE_TABLE_STATEMENTS]; /* none of them NULL, unless there
                                                                 is a problem with it */
};

/* Create the table if it is missing. */
int batch__sqlite_table_create(const struct batch__sqlite_table *table, sqlite3 *db,
                               batch_result *reterr);

/* Examine the table, within a transaction, and prepare the statements. Problems are noted in
 * *found. */
void batch__sqlite_table_look(const struct batch__sqlite_table *table, sqlite3 *db,
                              struct batch__sqlite_found *found);

/* Finalize the statements. */
void batch__sqlite_table_forget(struct batch__sqlite_found *found);

#endif
