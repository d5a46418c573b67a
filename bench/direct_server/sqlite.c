/* sqlite.c: see database.h. The engine on SQLite.
 *
 * Each thread has a connection of its own and prepared statements, WAL with synchronous=FULL as
 * libbatch's store has it, BEGIN IMMEDIATE so that no transaction has to be repeated, and a busy
 * timeout that is long enough for none to fail with "database is locked". The table is that of
 * libbatch's store, so that the files can be exchanged. */
#include "database.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include "booking/train_codec.h"

#define BUSY_TIMEOUT_MS 60000

enum statement { BEGIN_WRITE, SELECT, UPSERT, COMMIT, ROLLBACK, STATEMENTS };

static const char *const statements_sql[STATEMENTS] = {
    [BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [SELECT] = "SELECT %v, %s FROM %t WHERE %k = ?1",
    [UPSERT] = ("INSERT INTO %t (%k, %v, %s) VALUES (?1, ?2, ?3)"
                " ON CONFLICT (%k) DO UPDATE SET %v = excluded.%v, %s = excluded.%s"),
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
};

static const char setup_sql[] = "PRAGMA journal_mode=WAL;"
                                "PRAGMA synchronous=FULL;"
                                "CREATE TABLE IF NOT EXISTS %t (%k BLOB NOT NULL PRIMARY KEY,"
                                " %v INTEGER NOT NULL, %s BLOB NOT NULL)";

struct session {
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENTS];
};

/* ---- Sessions -------------------------------------------------------------------------------- */

static void session_close(void *arg)
{
    struct session *session = arg;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(session->statements[i]);
    sqlite3_close(session->database);
    free(session);
}

static int session_setup(struct session *session, const struct store_options *options)
{
    char *sql = store_options_sql(options, setup_sql);
    int code =
        sql != NULL ? sqlite3_busy_timeout(session->database, BUSY_TIMEOUT_MS) : SQLITE_NOMEM;
    if (code == SQLITE_OK)
        code = sqlite3_exec(session->database, sql, NULL, NULL, NULL);
    free(sql);
    return code;
}

static int session_prepare(struct session *session, const struct store_options *options)
{
    int code = SQLITE_OK;
    for (int i = 0; code == SQLITE_OK && i < STATEMENTS; i++) {
        char *sql = store_options_sql(options, statements_sql[i]);
        code = sql == NULL
                   ? SQLITE_NOMEM
                   : sqlite3_prepare_v3(session->database, sql, -1, SQLITE_PREPARE_PERSISTENT,
                                        &session->statements[i], NULL);
        free(sql);
    }
    return code;
}

static void *session_open(const struct store_options *options, char *reterr)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        snprintf(reterr, BATCH_MESSAGE_SIZE, "out of memory");
        return NULL;
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(options->where, &session->database, flags, NULL);
    if (code == SQLITE_OK)
        code = session_setup(session, options);
    if (code == SQLITE_OK)
        code = session_prepare(session, options);
    if (code != SQLITE_OK) {
        snprintf(reterr, BATCH_MESSAGE_SIZE, "%s: %s", options->where,
                 code == SQLITE_NOMEM ? "out of memory" : sqlite3_errmsg(session->database));
        session_close(session);
        return NULL;
    }
    return session;
}

/* Run a statement that gives no rows. False: the booking has the reason. */
static bool session_run(struct session *session, enum statement which, struct booking *booking)
{
    sqlite3_stmt *statement = session->statements[which];
    int code = sqlite3_step(statement);
    if (code != SQLITE_DONE) {
        snprintf(booking->message, sizeof booking->message, "%.6s: %s", statements_sql[which],
                 sqlite3_errmsg(session->database));
    }
    sqlite3_reset(statement);
    return code == SQLITE_DONE;
}

/* ---- One booking ----------------------------------------------------------------------------- */

static bool load(struct database *database, struct session *session, struct booking *booking,
                 struct train *train, sqlite3_int64 *ret_version)
{
    sqlite3_stmt *select = session->statements[SELECT];
    sqlite3_bind_blob(select, 1, booking->train, (int)booking->train_size, SQLITE_STATIC);
    int code = sqlite3_step(select);
    bool loaded = false;
    *ret_version = 0;
    if (code == SQLITE_ROW) {
        *ret_version = sqlite3_column_int64(select, 0);
        const void *json = sqlite3_column_blob(select, 1);
        loaded = database_decode(database, booking, train, json != NULL ? json : "",
                                 (size_t)sqlite3_column_bytes(select, 1));
    } else if (code == SQLITE_DONE) {
        loaded = database_decode(database, booking, train, NULL, 0);
    } else {
        database_fail(booking, BATCH_LOAD_FAILED, sqlite3_errmsg(session->database));
    }
    sqlite3_reset(select);
    return loaded;
}

static bool save(struct session *session, struct booking *booking, struct train *train,
                 sqlite3_int64 version)
{
    size_t json_size;
    char *json = train_encode(train, &json_size);
    if (json == NULL) {
        snprintf(booking->message, sizeof booking->message, "out of memory");
        return false;
    }
    sqlite3_stmt *upsert = session->statements[UPSERT];
    sqlite3_bind_blob(upsert, 1, booking->train, (int)booking->train_size, SQLITE_STATIC);
    sqlite3_bind_int64(upsert, 2, version);
    sqlite3_bind_blob(upsert, 3, json, (int)json_size, SQLITE_STATIC);
    bool saved = session_run(session, UPSERT, booking);
    sqlite3_clear_bindings(upsert);
    free(json);
    return saved;
}

/* Within a write transaction: load, book, save. True: commit it. */
static bool change(struct database *database, struct session *session, struct booking *booking)
{
    struct train train;
    sqlite3_int64 version;
    if (!load(database, session, booking, &train, &version))
        return false;
    booking->result = train_book(&train, booking->seat, booking->person, booking->person_size);
    bool saved = false;
    booking->status = BATCH_OK;
    if (booking->result == TRAIN_BOOKED) {
        saved = save(session, booking, &train, version + 1);
        booking->status = saved ? BATCH_OK : BATCH_SAVE_FAILED;
    }
    train_release(&train);
    return saved;
}

static bool commit(struct database *database, struct session *session, struct booking *booking)
{
    uint64_t begin_ns = batch_now_ns();
    bool committed = session_run(session, COMMIT, booking);
    database_count_commit(database, begin_ns);
    return committed;
}

static bool book(struct database *database, void *arg, struct booking *booking)
{
    struct session *session = arg;
    if (!session_run(session, BEGIN_WRITE, booking)) {
        booking->status = BATCH_BUSY;
        return true;
    }
    if (change(database, session, booking)) {
        if (commit(database, session, booking))
            return true;
        booking->status = BATCH_UNKNOWN;
    }
    if (sqlite3_get_autocommit(session->database) == 0) {
        sqlite3_step(session->statements[ROLLBACK]);
        sqlite3_reset(session->statements[ROLLBACK]);
    }
    return true;
}

static bool view(struct database *database, void *arg, struct booking *booking)
{
    struct train train;
    sqlite3_int64 version;
    if (load(database, arg, booking, &train, &version)) {
        booking->json = train_encode(&train, &booking->json_size);
        booking->status = BATCH_OK;
        train_release(&train);
    }
    return true;
}

const struct engine engine_sqlite = {session_open, session_close, book, view};
