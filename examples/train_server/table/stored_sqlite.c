/* stored_sqlite.c: see stored.h. */
#include "table/stored.h"

#include <batch/batch.h>

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

static int read_rows(sqlite3_stmt *rows, stored_fn each, void *arg)
{
    int code;
    while ((code = sqlite3_step(rows)) == SQLITE_ROW) {
        const void *name = sqlite3_column_blob(rows, 0);
        const void *json = sqlite3_column_blob(rows, 1);
        each(name, (size_t)sqlite3_column_bytes(rows, 0), json != NULL ? json : "",
             (size_t)sqlite3_column_bytes(rows, 1), arg);
    }
    return code;
}

bool stored_read_sqlite(const struct store_options *options, stored_fn each, void *arg,
                        char *reterr)
{
    sqlite3 *database = NULL;
    sqlite3_stmt *rows = NULL;
    char *sql = store_options_sql(options, "SELECT %k, %s FROM %t");
    int code = sqlite3_open_v2(options->where, &database, SQLITE_OPEN_READWRITE, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_prepare_v2(database, sql != NULL ? sql : "", -1, &rows, NULL);
    if (code == SQLITE_OK)
        code = read_rows(rows, each, arg);
    if (code != SQLITE_DONE) {
        snprintf(reterr, BATCH_MESSAGE_SIZE, "%s: %s", options->where,
                 sql != NULL ? sqlite3_errmsg(database) : "out of memory");
    }
    sqlite3_finalize(rows);
    sqlite3_close(database);
    free(sql);
    return code == SQLITE_DONE;
}
