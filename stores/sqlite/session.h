/* session.h: a session: a connection to the file, with its statements and how long it waits. */
#ifndef BATCH_SQLITE_SESSION_H
#define BATCH_SQLITE_SESSION_H

#include "items.h"
#include "table.h"

#include <batch/sqlite.h>

/* What all sessions of a store are opened with; read-only while there are any. */
struct batch__sqlite_settings {
    char *path; /* absolute, once the file has been opened */
    batch_sqlite_durability durability;
    struct batch__sqlite_table table;
};

struct batch__sqlite_session {
    const struct batch__sqlite_settings *settings;
    sqlite3 *db;
    sqlite3_stmt *statements[BATCH__SQLITE_STATEMENTS];

    /* How long to wait while another connection has the file. */
    uint64_t busy_until_ns;
    const batch_call *busy_call; /* and no longer than until this one is canceled; or NULL */

    struct batch__sqlite_items items; /* the group being loaded or saved */
    int log_frames; /* pages in the write-ahead log after the last commit of this session */
};

/* Open a connection with its settings verified, and, if `may_create`, the file and table created
 * where missing. BATCH_OK, or a status and *reterr filled. */
int batch__sqlite_session_open(const struct batch__sqlite_settings *settings, bool may_create,
                               struct batch__sqlite_session **ret_session, batch_result *reterr);
void batch__sqlite_session_close(struct batch__sqlite_session *session);

/* Step a statement that returns no rows, and reset it. SQLITE_OK or an extended error code. */
int batch__sqlite_run(struct batch__sqlite_session *session,
                      enum batch__sqlite_statement statement);

/* Bind bytes, which must stay; an empty value is an empty blob, not NULL. */
int batch__sqlite_bind(sqlite3_stmt *statement, int index, const void *bytes, size_t size);

/* From now on wait for the file until `call` is canceled. Before that call is finished set
 * busy_call to NULL: from then on only its deadline counts. */
void batch__sqlite_busy_until(struct batch__sqlite_session *session, const batch_call *call);

/* Sleep a little before the next try. False: the time is over. */
bool batch__sqlite_busy_wait(struct batch__sqlite_session *session);

#endif
