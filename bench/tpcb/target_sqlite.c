/* target_sqlite.c: rows in a SQLite file; and direct on it.
 *
 * Direct is one connection per thread with prepared statements: BEGIN IMMEDIATE, a SELECT and an
 * UPDATE for each row, COMMIT, in WAL mode with synchronous=FULL, as the store of libbatch has it.
 * One thread writes at a time anyway; a lock in the program spares the others the sleep between
 * retries. */
#include "target_sqlite.h"

#include "common/say.h"
#include "common/sqlite.h"

#include <batch/sqlite.h>

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct sqlite {
    struct target base;
    const char *path;
    sqlite3 *db;
    batch_store *store;
    pthread_mutex_t writing;
};

/* ---- Rows ----------------------------------------------------------------------------------- */

static bool insert_rows(struct sqlite *sqlite, char kind)
{
    static const struct state empty;
    sqlite3_stmt *insert = NULL;
    int code = sqlite3_prepare_v2(sqlite->db, "INSERT INTO " BENCH_TABLE " VALUES (?1, 1, ?2)", -1,
                                  &insert, NULL);
    uint32_t size = keys_of(sqlite->base.settings, kind);
    for (uint32_t i = 0; code == SQLITE_OK && i < size; i++) {
        struct key key = key_of(kind, i);
        sqlite3_bind_blob(insert, 1, &key, KEY_SIZE, SQLITE_STATIC);
        sqlite3_bind_blob(insert, 2, &empty, sizeof empty, SQLITE_STATIC);
        sqlite3_step(insert);
        code = sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    return code == SQLITE_OK;
}

static bool sqlite_prepare(struct target *target)
{
    struct sqlite *sqlite = (struct sqlite *)target;
    sqlite->db = sqlite_connect(sqlite->path);
    if (sqlite->db == NULL)
        return false;
    bool is_made =
        sqlite3_exec(sqlite->db,
                     "BEGIN; DROP TABLE IF EXISTS " BENCH_TABLE "; CREATE TABLE " BENCH_TABLE
                     " (key BLOB NOT NULL PRIMARY KEY, version INTEGER NOT NULL, "
                     "state BLOB NOT NULL)",
                     NULL, NULL, NULL) == SQLITE_OK &&
        insert_rows(sqlite, 'a') && insert_rows(sqlite, 'b') && insert_rows(sqlite, 't') &&
        sqlite3_exec(sqlite->db, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL) ==
            SQLITE_OK;
    return is_made || sqlite_failed(sqlite->db, "cannot make the rows");
}

static batch_store *sqlite_store_open(struct target *target)
{
    struct sqlite *sqlite = (struct sqlite *)target;
    batch_sqlite_options options = BATCH_SQLITE_OPTIONS_INIT;
    options.table = BENCH_TABLE;
    batch_result error;
    if (batch_sqlite_open(&sqlite->store, sqlite->path, &options, &error) == BATCH_OK)
        return sqlite->store;
    say("%s", error.message);
    return NULL;
}

static bool sqlite_sum(struct target *target, struct totals *totals)
{
    struct sqlite *sqlite = (struct sqlite *)target;
    sqlite3_stmt *select = NULL;
    int code =
        sqlite3_prepare_v2(sqlite->db, "SELECT key, state FROM " BENCH_TABLE, -1, &select, NULL);
    while (code == SQLITE_OK && (code = sqlite3_step(select)) == SQLITE_ROW) {
        struct state state;
        code = SQLITE_OK;
        if (sqlite3_column_bytes(select, 1) != sizeof state)
            break;
        memcpy(&state, sqlite3_column_blob(select, 1), sizeof state);
        totals_add(totals, *(const char *)sqlite3_column_blob(select, 0), &state);
    }
    sqlite3_finalize(select);
    return code == SQLITE_DONE || sqlite_failed(sqlite->db, "cannot read the rows");
}

static void sqlite_close(struct target *target)
{
    struct sqlite *sqlite = (struct sqlite *)target;
    batch_store_close(sqlite->store);
    if (sqlite->db != NULL)
        sqlite3_exec(sqlite->db, "DROP TABLE IF EXISTS " BENCH_TABLE, NULL, NULL, NULL);
    sqlite3_close(sqlite->db);
    pthread_mutex_destroy(&sqlite->writing);
    free(sqlite);
}

/* ---- Direct --------------------------------------------------------------------------------- */

enum statement { BEGIN, SELECT, UPDATE, COMMIT, ROLLBACK, STATEMENTS };

struct session {
    struct sqlite *sqlite;
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENTS];
};

static void session_close(void *opened)
{
    struct session *session = opened;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(session->statements[i]);
    sqlite3_close(session->db);
    free(session);
}

static void *session_open(struct target *target, enum direct_by by)
{
    static const char *const sql[STATEMENTS] = {
        [BEGIN] = "BEGIN IMMEDIATE",
        [SELECT] = "SELECT state FROM " BENCH_TABLE " WHERE key = ?1",
        [UPDATE] = "UPDATE " BENCH_TABLE " SET version = version + 1, state = ?2 WHERE key = ?1",
        [COMMIT] = "COMMIT",
        [ROLLBACK] = "ROLLBACK"};
    struct session *session = calloc(1, sizeof *session);
    (void)by; /* the file is locked as a whole */
    if (session == NULL)
        return NULL;
    session->sqlite = (struct sqlite *)target;
    session->db = sqlite_connect(session->sqlite->path);
    bool is_open = session->db != NULL;
    for (int i = 0; is_open && i < STATEMENTS; i++)
        is_open = sqlite3_prepare_v3(session->db, sql[i], -1, SQLITE_PREPARE_PERSISTENT,
                                     &session->statements[i], NULL) == SQLITE_OK ||
                  sqlite_failed(session->db, sql[i]);
    if (is_open)
        return session;
    session_close(session);
    return NULL;
}

static bool run(struct session *session, enum statement statement)
{
    sqlite3_step(session->statements[statement]);
    return sqlite3_reset(session->statements[statement]) == SQLITE_OK;
}

static bool change_row(struct session *session, const struct key *key, int64_t amount)
{
    struct state state;
    sqlite3_stmt *select = session->statements[SELECT], *update = session->statements[UPDATE];
    sqlite3_bind_blob(select, 1, key, KEY_SIZE, SQLITE_STATIC);
    bool is_read =
        sqlite3_step(select) == SQLITE_ROW && sqlite3_column_bytes(select, 0) == sizeof state;
    if (is_read)
        memcpy(&state, sqlite3_column_blob(select, 0), sizeof state);
    sqlite3_reset(select);
    if (!is_read)
        return false;
    state_move(&state, amount);
    sqlite3_bind_blob(update, 1, key, KEY_SIZE, SQLITE_STATIC);
    sqlite3_bind_blob(update, 2, &state, sizeof state, SQLITE_STATIC);
    return run(session, UPDATE);
}

static int session_run(void *opened, const struct movement *movement, uint64_t *ret_retries)
{
    struct session *session = opened;
    (void)ret_retries; /* nobody else writes meanwhile */
    int status = BATCH_SAVE_FAILED;
    pthread_mutex_lock(&session->sqlite->writing);
    bool goes_on = run(session, BEGIN);
    for (uint32_t i = 0; goes_on && i < movement->size; i++)
        goes_on = change_row(session, &movement->keys[i], movement->amounts[i]);
    if (goes_on)
        status = run(session, COMMIT) ? BATCH_OK : BATCH_UNKNOWN;
    if (!sqlite3_get_autocommit(session->db))
        run(session, ROLLBACK);
    pthread_mutex_unlock(&session->sqlite->writing);
    return status;
}

struct target *target_sqlite_open(const struct settings *settings, const char *path)
{
    struct sqlite *sqlite = calloc(1, sizeof *sqlite);
    if (sqlite == NULL) {
        say("no memory");
        return NULL;
    }
    sqlite->path = path;
    pthread_mutex_init(&sqlite->writing, NULL);
    sqlite->base = (struct target){.name = "sqlite",
                                   .settings = settings,
                                   .batched_sessions = 2,
                                   .prepare = sqlite_prepare,
                                   .store_open = sqlite_store_open,
                                   .sum = sqlite_sum,
                                   .session_open = session_open,
                                   .session_run = session_run,
                                   .session_close = session_close,
                                   .close = sqlite_close};
    return &sqlite->base;
}
