/* session.c: one connection to the file, for one session.
 *
 * The connection has no mutex, since a session is never used by two threads at a time.
 *
 * Each transaction begins with two questions, whatever has been found before: do the names of the
 * files still lead to those that are open here (files.c), and is the schema still the one that the
 * statements were prepared for? If the schema has changed, the table is examined again, within the
 * transaction, so that what is found holds until its end. A problem found then concerns the whole
 * table and costs no statement per key; the next transaction examines the table again.
 *
 * The write-ahead log is checkpointed after a commit, as SQLite does by itself, once it has
 * CHECKPOINT_FRAMES pages. A passive checkpoint keeps no other process from writing, so with two
 * that always write the log would never be empty and grow for ever (three of them: 530 MiB in 8 s).
 * So once in LOG_FRAMES_MAX pages the checkpoint takes the writers' lock, and waits a little for
 * readers, to restart the log (then 37 MiB). It runs before the group is completed, while the
 * session is the store's writer: later, the next session would already be writing. It does not run
 * in SQLite's hook, where it would copy the log into a file that is no longer the one it belongs
 * to.
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
#include "setup.h"

#include <batch/metrics.h>

#include <stdlib.h>
#include <time.h>

#define OPEN_WAIT_NS 10000000000u /* for other processes that open, close or convert the file */

enum {
    CHECK_AGE_MAX_NS = 1000 * 1000, /* nobody replaces a file, opens it, commits to it in less */
    CHECKPOINT_FRAMES = 1000,
    LOG_FRAMES_MAX = 8000, /* 32 MiB */
    CHECKPOINT_WAIT_NS = 100 * 1000 * 1000,
    WAIT_LOGGED_NS = 100 * 1000 * 1000,
    WAIT_SHORT_NS = 100 * 1000,
    WAIT_LONG_NS = 500 * 1000,
    WAITS_SHORT = 100 /* then long ones */
};

/* ---- Waiting -------------------------------------------------------------------------------- */

/* Another process holds the lock for longer than its commits should take: that is logged, once for
 * each wait. */
static void note_wait(struct batch__sqlite_session *session, uint64_t now_ns)
{
    if (session->waiting_from_ns == 0)
        session->waiting_from_ns = now_ns;
    if (session->busy_call == NULL || session->is_wait_logged ||
        now_ns - session->waiting_from_ns < WAIT_LOGGED_NS)
        return;
    session->is_wait_logged = true;
    batch_call_log(session->busy_call, BATCH_EVENT_LOCK_WAIT,
                   "another connection holds the lock of the file");
}

static bool wait_ns(struct batch__sqlite_session *session, long time_ns)
{
    uint64_t now_ns = batch_now_ns();
    bool is_over = session->busy_call != NULL ? batch_call_is_canceled(session->busy_call)
                                              : now_ns >= session->busy_until_ns;
    if (is_over)
        return false;
    note_wait(session, now_ns);
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

static bool busy_wait(void *session)
{
    return batch__sqlite_busy_wait(session);
}

void batch__sqlite_busy_until(struct batch__sqlite_session *session, const batch_call *call)
{
    batch__check(call != NULL);
    session->busy_call = call;
    session->busy_until_ns = batch_call_deadline_ns(call);
    session->waiting_from_ns = 0;
    session->is_wait_logged = false;
}

/* ---- Commands ------------------------------------------------------------------------------- */

static int prepare_commands(struct batch__sqlite_session *session, batch_result *reterr)
{
    static const char *const sql[BATCH__SQLITE_COMMANDS] = {
        [BATCH__SQLITE_BEGIN_READ] = "BEGIN",
        [BATCH__SQLITE_BEGIN_WRITE] = "BEGIN IMMEDIATE",
        [BATCH__SQLITE_COMMIT] = "COMMIT",
        [BATCH__SQLITE_ROLLBACK] = "ROLLBACK",
        [BATCH__SQLITE_SAVEPOINT] = "SAVEPOINT row",
        [BATCH__SQLITE_UNDO] = "ROLLBACK TO row",
        [BATCH__SQLITE_RELEASE] = "RELEASE row",
        [BATCH__SQLITE_SCHEMA_VERSION] = "PRAGMA main.schema_version",
    };
    for (int i = 0; i < BATCH__SQLITE_COMMANDS; i++) {
        if (sqlite3_prepare_v3(session->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                               &session->commands[i], NULL) != SQLITE_OK)
            return batch__sqlite_fail_last(session->db, sql[i], reterr);
    }
    return BATCH_OK;
}

int batch__sqlite_run(struct batch__sqlite_session *session, enum batch__sqlite_command command)
{
    sqlite3_stmt *prepared = session->commands[command];
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

/* ---- Transactions --------------------------------------------------------------------------- */

void batch__sqlite_roll_back(struct batch__sqlite_session *session)
{
    if (!sqlite3_get_autocommit(session->db))
        batch__sqlite_run(session, BATCH__SQLITE_ROLLBACK);
}

/* Examine the table, if it may have changed. */
static bool check_table(struct batch__sqlite_session *session,
                        struct batch__sqlite_problem *ret_problem)
{
    sqlite3_stmt *statement = session->commands[BATCH__SQLITE_SCHEMA_VERSION];
    struct batch__sqlite_found *found = &session->found;
    sqlite3_step(statement);
    int64_t schema_version = sqlite3_column_int64(statement, 0);
    if (sqlite3_reset(statement) != SQLITE_OK) {
        batch__sqlite_problem_set_last(ret_problem, session->db, "cannot begin");
        return false;
    }
    if (!found->is_known || found->schema_version != schema_version) {
        batch__sqlite_table_look(&session->settings->table, session->db, found);
        found->schema_version = schema_version;
    }
    if (found->unfit.code == SQLITE_OK)
        return true;
    *ret_problem = found->unfit;
    return false;
}

bool batch__sqlite_begin(struct batch__sqlite_session *session, enum batch__sqlite_command begin,
                         struct batch__sqlite_problem *ret_problem)
{
    if (batch__sqlite_run(session, begin) != SQLITE_OK) {
        batch__sqlite_problem_set_last(ret_problem, session->db, "cannot begin");
        return false;
    }
    if (check_table(session, ret_problem) &&
        batch__sqlite_files_check(&session->files, CHECK_AGE_MAX_NS, ret_problem))
        return true;
    batch__sqlite_roll_back(session);
    return false;
}

/* ---- The log -------------------------------------------------------------------------------- */

/* Called by SQLite after a commit, with the pages that are now in the log. */
static int note_log(void *opened, sqlite3 *db, const char *name, int log_frames)
{
    struct batch__sqlite_session *session = opened;
    (void)name;
    batch__check(db == session->db);
    batch__check(log_frames >= 0);
    session->is_checkpoint_due = log_frames >= CHECKPOINT_FRAMES;
    session->is_checkpoint_long =
        log_frames / LOG_FRAMES_MAX > session->log_frames / LOG_FRAMES_MAX;
    session->log_frames = log_frames;
    return SQLITE_OK;
}

void batch__sqlite_checkpoint(struct batch__sqlite_session *session)
{
    if (!session->is_checkpoint_due)
        return;
    const batch_call *busy_call = session->busy_call;
    uint64_t busy_until_ns = session->busy_until_ns;
    session->is_checkpoint_due = false;
    session->busy_call = NULL;
    session->busy_until_ns = batch_now_ns() + CHECKPOINT_WAIT_NS;
    sqlite3_wal_checkpoint_v2(session->db, "main",
                              session->is_checkpoint_long ? SQLITE_CHECKPOINT_RESTART
                                                          : SQLITE_CHECKPOINT_PASSIVE,
                              NULL, NULL);
    session->busy_call = busy_call;
    session->busy_until_ns = busy_until_ns;
}

/* ---- Opening -------------------------------------------------------------------------------- */

static int open_file(struct batch__sqlite_session *session, bool may_create, batch_result *reterr)
{
    const struct batch__sqlite_settings *settings = session->settings;
    int status = batch__sqlite_connect(settings->path, may_create, &session->db, reterr);
    if (status != BATCH_OK)
        return status;
    sqlite3_busy_handler(session->db, busy_handler, session);
    sqlite3_wal_hook(session->db, note_log, session);
    status = batch__sqlite_set_up(session->db, settings->durability, busy_wait, session, reterr);
    if (status == BATCH_OK && may_create)
        status = batch__sqlite_table_create(&settings->table, session->db, reterr);
    struct batch__sqlite_problem problem = {0};
    if (status == BATCH_OK && !batch__sqlite_files_open(&session->files, session->db,
                                                        settings->path, settings->watch, &problem))
        return batch__sqlite_fail_by(&problem, reterr);
    return status;
}

/* Begin and end a transaction, to see that the table is suitable for everything. */
static int verify_table(struct batch__sqlite_session *session, batch_result *reterr)
{
    struct batch__sqlite_problem problem = {0};
    if (!batch__sqlite_begin(session, BATCH__SQLITE_BEGIN_READ, &problem))
        return batch__sqlite_fail_by(&problem, reterr);
    batch__sqlite_roll_back(session);
    if (session->found.insert.code != SQLITE_OK)
        return batch__sqlite_fail_by(&session->found.insert, reterr);
    if (session->found.update.code != SQLITE_OK)
        return batch__sqlite_fail_by(&session->found.update, reterr);
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
    int status = open_file(session, may_create, reterr);
    if (status == BATCH_OK)
        status = prepare_commands(session, reterr);
    if (status == BATCH_OK)
        status = verify_table(session, reterr);
    if (status != BATCH_OK) {
        batch__sqlite_session_close(session);
        return status;
    }
    *ret_session = session;
    return BATCH_OK;
}

/* The last connection copies the log to the file and removes it, by its name. Under that name
 * there may be another one now, which is not ours. */
static void leave_files_alone(struct batch__sqlite_session *session)
{
    struct batch__sqlite_problem problem;
    if (session->db != NULL && !batch__sqlite_files_check(&session->files, 0, &problem))
        sqlite3_db_config(session->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, (int *)NULL);
}

void batch__sqlite_session_close(struct batch__sqlite_session *session)
{
    leave_files_alone(session);
    batch__sqlite_table_forget(&session->found);
    for (int i = 0; i < BATCH__SQLITE_COMMANDS; i++)
        sqlite3_finalize(session->commands[i]);
    sqlite3_close(session->db);
    batch__sqlite_files_close(&session->files);
    batch__sqlite_items_free(&session->items);
    free(session);
}
