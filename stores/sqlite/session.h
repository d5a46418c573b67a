/* session.h: a session: a connection to the file, its transactions, and how long it waits. */
#ifndef BATCH_SQLITE_SESSION_H
#define BATCH_SQLITE_SESSION_H

#include "files.h"
#include "items.h"
#include "table.h"

#include <batch/sqlite.h>

/* What all sessions of a store are opened with; read-only while there are any, but the watch. */
struct batch__sqlite_settings {
    char *path; /* absolute */
    batch_sqlite_durability durability;
    struct batch__sqlite_table table;
    struct batch__sqlite_watch *watch;
};

enum batch__sqlite_command {
    BATCH__SQLITE_BEGIN_READ,
    BATCH__SQLITE_BEGIN_WRITE,
    BATCH__SQLITE_COMMIT,
    BATCH__SQLITE_ROLLBACK,
    BATCH__SQLITE_SAVEPOINT,
    BATCH__SQLITE_UNDO, /* back to the savepoint */
    BATCH__SQLITE_RELEASE,
    BATCH__SQLITE_SCHEMA_VERSION, /* -> number */
    BATCH__SQLITE_COMMANDS
};

struct batch__sqlite_session {
    const struct batch__sqlite_settings *settings;
    sqlite3 *db;
    sqlite3_stmt *commands[BATCH__SQLITE_COMMANDS];
    struct batch__sqlite_found found;
    struct batch__sqlite_files files;

    /* How long to wait while another connection has the file. */
    uint64_t busy_until_ns;
    const batch_call *busy_call; /* and no longer than until this one is canceled; or NULL */
    uint64_t waiting_from_ns;    /* since when it has been waiting; 0: it has not */
    bool is_wait_logged;

    struct batch__sqlite_items items; /* the group being loaded or saved */
    int log_frames;         /* pages in the write-ahead log after the last commit of this session */
    bool is_checkpoint_due; /* and when that became a reason to copy them to the file */
    bool is_checkpoint_long;
};

/* Open a connection with its settings verified, and, if `may_create`, the file and table created
 * where missing. BATCH_OK, or a status and *reterr filled. */
int batch__sqlite_session_open(const struct batch__sqlite_settings *settings, bool may_create,
                               struct batch__sqlite_session **ret_session, batch_result *reterr);
void batch__sqlite_session_close(struct batch__sqlite_session *session);

/* Begin a transaction, in which the file is the one that its name leads to, and the table is as it
 * must be. False: it has not begun, *ret_problem says why. */
bool batch__sqlite_begin(struct batch__sqlite_session *session, enum batch__sqlite_command begin,
                         struct batch__sqlite_problem *ret_problem);

/* Roll the transaction back, if there is one. */
void batch__sqlite_roll_back(struct batch__sqlite_session *session);

/* Run a command that returns no rows. SQLITE_OK or an extended error code. */
int batch__sqlite_run(struct batch__sqlite_session *session, enum batch__sqlite_command command);

/* Copy the log to the file if that is due after a commit. The commit stands, however this ends. */
void batch__sqlite_checkpoint(struct batch__sqlite_session *session);

/* Bind bytes, which must stay; an empty value is an empty blob, not NULL. */
int batch__sqlite_bind(sqlite3_stmt *statement, int index, const void *bytes, size_t size);

/* From now on wait for the file until `call` is canceled. Before that call is finished set
 * busy_call to NULL: from then on only its deadline counts. */
void batch__sqlite_busy_until(struct batch__sqlite_session *session, const batch_call *call);

/* Sleep a little before the next try. False: the time is over. */
bool batch__sqlite_busy_wait(struct batch__sqlite_session *session);

#endif
