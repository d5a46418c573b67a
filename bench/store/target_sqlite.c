/* target_sqlite.c: rows in a SQLite file; and direct on it.
 *
 * Direct is one connection per thread with prepared statements: BEGIN IMMEDIATE, read, change,
 * write, COMMIT, in WAL mode with synchronous=FULL, as the store of libbatch has it. One thread
 * writes at a time anyway; a lock in the program spares the others the sleep between retries.
 */
#include "target_sqlite.h"

#include "common/say.h"
#include "common/sqlite.h"

#include <batch/sqlite.h>

#include <pthread.h>
#include <sqlite3.h>
#include <stdlib.h>

struct sqlite {
    struct target base;
    const char *path;
    sqlite3 *db;
    batch_store *store;
    pthread_mutex_t writing;
};

/* ---- Rows ----------------------------------------------------------------------------------- */

static bool insert_rows(struct sqlite *sqlite, const struct key *keys, const void *state)
{
    const struct settings *settings = sqlite->base.settings;
    sqlite3_stmt *insert = NULL;
    int code = sqlite3_prepare_v2(sqlite->db, "INSERT INTO " BENCH_TABLE " VALUES (?1, 1, ?2)", -1,
                                  &insert, NULL);
    for (uint32_t i = 0; code == SQLITE_OK && i < settings->keys; i++) {
        sqlite3_bind_blob(insert, 1, &keys[i], KEY_SIZE, SQLITE_STATIC);
        sqlite3_bind_blob(insert, 2, state, (int)settings->size, SQLITE_STATIC);
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
    struct key *keys = keys_new(target->settings->keys);
    void *state = state_new(target->settings->size);
    bool is_made =
        keys != NULL && state != NULL &&
        sqlite3_exec(sqlite->db,
                     "BEGIN; DROP TABLE IF EXISTS " BENCH_TABLE "; CREATE TABLE " BENCH_TABLE
                     " (key BLOB NOT NULL PRIMARY KEY, version INTEGER NOT NULL, "
                     "state BLOB NOT NULL)",
                     NULL, NULL, NULL) == SQLITE_OK &&
        insert_rows(sqlite, keys, state) &&
        sqlite3_exec(sqlite->db, "COMMIT; PRAGMA wal_checkpoint(TRUNCATE)", NULL, NULL, NULL) ==
            SQLITE_OK;
    free(state);
    free(keys);
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

static bool sqlite_sum(struct target *target, uint64_t *ret_sum)
{
    struct sqlite *sqlite = (struct sqlite *)target;
    sqlite3_stmt *select = NULL;
    int code = sqlite3_prepare_v2(sqlite->db, "SELECT state FROM " BENCH_TABLE, -1, &select, NULL);
    *ret_sum = 0;
    while (code == SQLITE_OK && (code = sqlite3_step(select)) == SQLITE_ROW) {
        const void *state = sqlite3_column_blob(select, 0);
        code = SQLITE_OK;
        if (state == NULL || sqlite3_column_bytes(select, 0) != (int)target->settings->size)
            break;
        *ret_sum += state_counter(state);
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
    void *state;
};

static void session_close(void *opened)
{
    struct session *session = opened;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(session->statements[i]);
    sqlite3_close(session->db);
    free(session->state);
    free(session);
}

static void *session_open(struct target *target)
{
    static const char *const sql[STATEMENTS] = {
        [BEGIN] = "BEGIN IMMEDIATE",
        [SELECT] = "SELECT version, state FROM " BENCH_TABLE " WHERE key = ?1",
        [UPDATE] = "UPDATE " BENCH_TABLE " SET version = ?2, state = ?3 WHERE key = ?1",
        [COMMIT] = "COMMIT",
        [ROLLBACK] = "ROLLBACK"};
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->sqlite = (struct sqlite *)target;
    session->state = state_new(target->settings->size);
    session->db = sqlite_connect(session->sqlite->path);
    bool is_open = session->state != NULL && session->db != NULL;
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

/* Read into session->state. */
static bool read_row(struct session *session, const struct key *key, sqlite3_int64 *ret_version)
{
    sqlite3_stmt *select = session->statements[SELECT];
    int size = (int)session->sqlite->base.settings->size;
    sqlite3_bind_blob(select, 1, key, KEY_SIZE, SQLITE_STATIC);
    bool is_read = sqlite3_step(select) == SQLITE_ROW && sqlite3_column_bytes(select, 1) == size;
    if (is_read) {
        *ret_version = sqlite3_column_int64(select, 0);
        memcpy(session->state, sqlite3_column_blob(select, 1), (size_t)size);
    }
    sqlite3_reset(select);
    return is_read;
}

static bool write_row(struct session *session, const struct key *key, sqlite3_int64 version)
{
    sqlite3_stmt *update = session->statements[UPDATE];
    sqlite3_bind_blob(update, 1, key, KEY_SIZE, SQLITE_STATIC);
    sqlite3_bind_int64(update, 2, version);
    sqlite3_bind_blob(update, 3, session->state, (int)session->sqlite->base.settings->size,
                      SQLITE_STATIC);
    return run(session, UPDATE);
}

static int session_run(void *opened, const struct key *key, uint64_t *ret_retries)
{
    struct session *session = opened;
    (void)ret_retries; /* nobody else writes meanwhile */
    int status = BATCH_SAVE_FAILED;
    sqlite3_int64 version;
    pthread_mutex_lock(&session->sqlite->writing);
    if (run(session, BEGIN)) {
        if (!read_row(session, key, &version)) {
            status = BATCH_LOAD_FAILED;
        } else {
            state_increment(session->state);
            if (write_row(session, key, version + 1))
                status = run(session, COMMIT) ? BATCH_OK : BATCH_UNKNOWN;
        }
        if (!sqlite3_get_autocommit(session->db))
            run(session, ROLLBACK);
    }
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
    sqlite->base =
        (struct target){.name = "sqlite",
                        .direct_name = "BEGIN IMMEDIATE, SELECT, UPDATE, COMMIT",
                        .settings = settings,
                        .sessions = {[MODE_DIRECT] = 1, [MODE_SINGLE] = 2, [MODE_GROUPED] = 2},
                        .prepare = sqlite_prepare,
                        .store_open = sqlite_store_open,
                        .sum = sqlite_sum,
                        .session_open = session_open,
                        .session_run = session_run,
                        .session_close = session_close,
                        .close = sqlite_close};
    return &sqlite->base;
}
