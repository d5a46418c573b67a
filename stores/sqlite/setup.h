/* setup.h: a connection to the file, set up. */
#ifndef BATCH_SQLITE_SETUP_H
#define BATCH_SQLITE_SETUP_H

#include <batch/sqlite.h>

#include <sqlite3.h>

enum {
    BATCH__SQLITE_LOG_SIZE_MAX = 32 * 1024 * 1024 /* that a log keeps when it restarts */
};

/* Wait a little before the next try. False: the time is over. */
typedef bool batch__sqlite_wait_fn(void *arg);

/* Connect and set up; `*ret_db` is to be closed even if that failed. BATCH_OK, or a status and
 * *reterr filled. */
int batch__sqlite_connect(const char *path, bool may_create, sqlite3 **ret_db,
                          batch_result *reterr);
int batch__sqlite_set_up(sqlite3 *db, batch_sqlite_durability durability,
                         batch__sqlite_wait_fn *wait, void *wait_arg, batch_result *reterr);

#endif
