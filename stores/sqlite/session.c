/* session.c: one connection to the file, for one session.
 *
 * The connection has no mutex, since a session is never used by two threads at a time. It sets what
 * durability stands on, WAL mode and `synchronous`, reads both back, and refuses to be opened if
 * either did not take effect. Its statements are prepared once.
 *
 * The write-ahead log is checkpointed after a commit, as SQLite does by itself, once it has
 * CHECKPOINT_FRAMES pages. A passive checkpoint keeps no other process from writing, so with two
 * that always write the log would never be empty and grow for ever (three of them: 530 MiB in 8 s).
 * So once in LOG_FRAMES_MAX pages the checkpoint takes the writers' lock, and waits a little for
 * readers, to restart the log (then 37 MiB). It runs before the group is completed, while the
 * session is the store's writer: later, the next session would already be writing.
 *
 * The cache may grow to 8 MiB. With SQLite's own limit of 2, a group of 4,096 random rows would not
 * fit, so pages would go to the log before their commit and be read back.
 *
 * Waiting: SQLite calls busy_handler while another connection has the lock. It sleeps little, as
 * the gap that a busy writer in another process leaves is short.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* nanosleep */
#endif
#include "session.h"

#include "../check.h"
#include "error.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OPEN_WAIT_NS 10000000000u /* for other processes that open, close or convert the file */

enum {
    CHECKPOINT_FRAMES = 1000,
    LOG_FRAMES_MAX = 8000, /* 32 MiB */
    CHECKPOINT_WAIT_NS = 100 * 1000 * 1000,
    WAIT_SHORT_NS = 100 * 1000,
    WAIT_LONG_NS = 500 * 1000,
    WAITS_SHORT = 100 /* then long ones */
};

/* ---- Waiting -------------------------------------------------------------------------------- */

static bool wait_ns(struct batch__sqlite_session *session, long time_ns)
{
    if (batch_now_ns() >= session->busy_until_ns)
        return false;
    if (session->busy_call != NULL && batch_call_is_canceled(session->busy_call))
        return false;
    nanosleep(&(struct timespec){0, time_ns}, NULL);
    return true;
}

static int busy_handler(void *session, int waits)
{
    return wait_ns(session, waits < WAITS_SHORT ? WAIT_SHORT_NS : WAIT_LONG_NS);
}

bool batch__sqlite_busy_wait(struct batch__sqlite_session *session)
{
    return wait_ns(session, WAIT_LONG_NS);
}

void batch__sqlite_busy_until(struct batch__sqlite_session *session, const batch_call *call)
{
    batch__check(call != NULL);
    session->busy_call = call;
    session->busy_until_ns = batch_call_deadline_ns(call);
}

/* ---- Statements ----------------------------------------------------------------------------- */

int batch__sqlite_run(struct batch__sqlite_session *session, enum batch__sqlite_statement statement)
{
    sqlite3_stmt *prepared = session->statements[statement];
    batch__check(prepared != NULL && sqlite3_column_count(prepared) == 0);
    batch__check(!sqlite3_stmt_busy(prepared));
    sqlite3_step(prepared);
    return sqlite3_reset(prepared);
}

int batch__sqlite_bind(sqlite3_stmt *statement, int index, const void *bytes, size_t size)
{
    if (size == 0)
        return sqlite3_bind_zeroblob(statement, index, 0);
    batch__check(bytes != NULL);
    return sqlite3_bind_blob64(statement, index, bytes, size, SQLITE_STATIC);
}

/* ---- Settings ------------------------------------------------------------------------------- */

/* Run a pragma and compare its result, if one is expected. SQLite does not always call the busy
 * handler while the file changes its mode, so being busy is waited out here too. */
static int pragma(struct batch__sqlite_session *session, const char *sql, const char *expected,
                  const char *refusal, batch_result *reterr)
{
    sqlite3_stmt *statement = NULL;
    bool is_expected = false;
    int code;
    do {
        code = sqlite3_prepare_v2(session->db, sql, -1, &statement, NULL);
        if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
            const char *value = (const char *)sqlite3_column_text(statement, 0);
            is_expected = expected != NULL && value != NULL && strcmp(value, expected) == 0;
        }
        if (code == SQLITE_OK)
            code = sqlite3_reset(statement);
        sqlite3_finalize(statement); /* the connection keeps its error */
    } while ((code & 0xff) == SQLITE_BUSY && batch__sqlite_busy_wait(session));
    if (code != SQLITE_OK)
        return batch__sqlite_fail_last(session->db, sql, reterr);
    if (expected != NULL && !is_expected)
        return batch__sqlite_fail(reterr, BATCH_STORE_FAILED, SQLITE_ERROR, refusal);
    return BATCH_OK;
}

/* The settings that durability stands on. EXTRA is FULL, and syncs the folder when a rollback
 * journal has been deleted. There is one only when the file is put into WAL mode; if it came back
 * after a power cut, it would make the file as empty as it was then. So that is done with EXTRA in
 * any case. */
static int set_durability(struct batch__sqlite_session *session, batch_result *reterr)
{
    bool is_full = session->settings->durability == BATCH_SQLITE_FULL;
    int status = pragma(session, "PRAGMA synchronous=EXTRA", NULL, NULL, reterr);
    if (status == BATCH_OK)
        status =
            pragma(session, "PRAGMA main.journal_mode=WAL", "wal",
                   "the file cannot be in WAL mode (PRAGMA journal_mode had no effect)", reterr);
    if (status == BATCH_OK && !is_full)
        status = pragma(session, "PRAGMA synchronous=NORMAL", NULL, NULL, reterr);
    if (status == BATCH_OK)
        status = pragma(session, "PRAGMA synchronous", is_full ? "3" : "1",
                        "PRAGMA synchronous had no effect", reterr);
    return status;
}

/* Called by SQLite after a commit, with the pages that are now in the log. The commit stands,
 * however this ends. */
static int checkpoint(void *opened, sqlite3 *db, const char *name, int log_frames)
{
    struct batch__sqlite_session *session = opened;
    batch__check(db == session->db);
    batch__check(log_frames >= 0);
    bool is_long = log_frames / LOG_FRAMES_MAX > session->log_frames / LOG_FRAMES_MAX;
    session->log_frames = log_frames;
    if (log_frames < CHECKPOINT_FRAMES)
        return SQLITE_OK;
    session->busy_call = NULL;
    session->busy_until_ns = batch_now_ns() + CHECKPOINT_WAIT_NS;
    sqlite3_wal_checkpoint_v2(
        db, name, is_long ? SQLITE_CHECKPOINT_RESTART : SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return SQLITE_OK;
}

static int connect_to_file(struct batch__sqlite_session *session, bool may_create,
                           batch_result *reterr)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                (may_create ? SQLITE_OPEN_CREATE : 0);
    int code = sqlite3_open_v2(session->settings->path, &session->db, flags, NULL);
    if (session->db == NULL)
        return batch__sqlite_fail_no_memory(reterr, "no memory to open the file");
    sqlite3_extended_result_codes(session->db, 1);
    if (code != SQLITE_OK)
        return batch__sqlite_fail_last(session->db, session->settings->path, reterr);
    sqlite3_busy_handler(session->db, busy_handler, session);
    sqlite3_wal_hook(session->db, checkpoint, session);
    /* "name" must mean a column, and not be taken for text when there is none. */
    sqlite3_db_config(session->db, SQLITE_DBCONFIG_DQS_DML, 0, (int *)NULL);
    sqlite3_db_config(session->db, SQLITE_DBCONFIG_DQS_DDL, 0, (int *)NULL);
    if (sqlite3_db_readonly(session->db, "main") == 1)
        return batch__sqlite_fail(reterr, BATCH_STORE_FAILED, SQLITE_READONLY,
                                  "the file is read-only");
    return BATCH_OK;
}

int batch__sqlite_session_open(const struct batch__sqlite_settings *settings, bool may_create,
                               struct batch__sqlite_session **ret_session, batch_result *reterr)
{
    struct batch__sqlite_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return batch__sqlite_fail(reterr, BATCH_NO_MEMORY, 0, "no memory for a session");
    batch__check(settings->path != NULL);
    session->settings = settings;
    session->busy_until_ns = batch_now_ns() + OPEN_WAIT_NS;
    int status = connect_to_file(session, may_create, reterr);
    if (status == BATCH_OK)
        status = set_durability(session, reterr);
    if (status == BATCH_OK)
        status = pragma(session, "PRAGMA main.cache_size=-8192", NULL, NULL, reterr);
    if (status == BATCH_OK && may_create)
        status = batch__sqlite_table_create(&settings->table, session->db, reterr);
    if (status == BATCH_OK)
        status =
            batch__sqlite_table_prepare(&settings->table, session->db, session->statements, reterr);
    if (status != BATCH_OK) {
        batch__sqlite_session_close(session);
        return status;
    }
    *ret_session = session;
    return BATCH_OK;
}

void batch__sqlite_session_close(struct batch__sqlite_session *session)
{
    for (int i = 0; i < BATCH__SQLITE_STATEMENTS; i++)
        sqlite3_finalize(session->statements[i]);
    sqlite3_close(session->db);
    batch__sqlite_items_free(&session->items);
    free(session);
}
