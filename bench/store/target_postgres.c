/* target_postgres.c: rows in PostgreSQL; and direct on it.
 *
 * Direct is one connection per thread with prepared statements, in one of two ways that
 * applications use, both with the program's own code between reading and writing:
 *
 *   lock     BEGIN and SELECT ... FOR UPDATE in one round trip, UPDATE and COMMIT in a second one
 *   version  SELECT; then UPDATE ... WHERE the version is unchanged, as a transaction of its own;
 *            after a conflict it is retried from the beginning
 *
 * Round trips are saved with libpq's pipeline mode, values travel in binary.
 */
#include "target_postgres.h"

#include "common/postgres.h"
#include "common/say.h"

#include <batch/postgres.h>

#include <endian.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

/* With fewer keys most versions conflict. */
enum { LOCK_KEYS = 128 };

struct postgres {
    struct target base;
    const char *conninfo;
    PGconn *connection;
    batch_store *store;
    enum direct_by direct_by;
};

/* ---- Rows ----------------------------------------------------------------------------------- */

static bool insert_rows(const struct postgres *postgres)
{
    const struct settings *settings = postgres->base.settings;
    void *state = state_new(settings->size);
    char last[16];
    snprintf(last, sizeof last, "%u", settings->keys - 1);
    const char *values[] = {last, state};
    const int sizes[] = {0, (int)settings->size};
    const int formats[] = {0, 1};
    PGresult *result = PQexecParams(
        postgres->connection,
        "INSERT INTO " BENCH_TABLE " SELECT convert_to(lpad(i::text, 8, '0'), 'UTF8'), 1, $2::bytea"
        " FROM generate_series(0, $1::integer) i",
        2, NULL, values, sizes, formats, 0);
    bool is_done = state != NULL && PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    free(state);
    return is_done || postgres_failed(postgres->connection, "cannot make the rows");
}

static bool postgres_prepare(struct target *target)
{
    struct postgres *postgres = (struct postgres *)target;
    PGconn *connection = postgres->connection = postgres_connect(postgres->conninfo);
    if (connection == NULL)
        return false;
    if (!postgres_command(connection, "SET client_min_messages = warning") ||
        !postgres_command(connection, "DROP TABLE IF EXISTS " BENCH_TABLE) ||
        !postgres_command(connection, "CREATE TABLE " BENCH_TABLE " (key bytea PRIMARY KEY, "
                                      "version bigint NOT NULL, state bytea NOT NULL)") ||
        !insert_rows(postgres) || !postgres_command(connection, "VACUUM ANALYZE " BENCH_TABLE))
        return false;
    PQclear(PQexec(connection, "CHECKPOINT")); /* if permitted: so that none is due soon */
    return true;
}

static batch_store *postgres_store_open(struct target *target)
{
    struct postgres *postgres = (struct postgres *)target;
    batch_postgres_options options = BATCH_POSTGRES_OPTIONS_INIT;
    options.table = BENCH_TABLE;
    batch_result error;
    if (batch_postgres_open(&postgres->store, postgres->conninfo, &options, &error) == BATCH_OK)
        return postgres->store;
    say("%s", error.message);
    return NULL;
}

static bool postgres_sum(struct target *target, uint64_t *ret_sum)
{
    struct postgres *postgres = (struct postgres *)target;
    PGresult *result =
        PQexecParams(postgres->connection, "SELECT substr(state, 1, 8) FROM " BENCH_TABLE, 0, NULL,
                     NULL, NULL, NULL, 1);
    bool is_read = PQresultStatus(result) == PGRES_TUPLES_OK;
    *ret_sum = 0;
    for (int i = 0; is_read && i < PQntuples(result); i++)
        *ret_sum += state_counter(PQgetvalue(result, i, 0));
    PQclear(result);
    return is_read || postgres_failed(postgres->connection, "cannot read the rows");
}

static void postgres_close(struct target *target)
{
    struct postgres *postgres = (struct postgres *)target;
    batch_store_close(postgres->store);
    if (postgres->connection != NULL)
        postgres_command(postgres->connection, "DROP TABLE IF EXISTS " BENCH_TABLE);
    PQfinish(postgres->connection);
    free(postgres);
}

/* ---- Direct: a connection ------------------------------------------------------------------- */

struct session {
    struct postgres *postgres;
    PGconn *connection;
    void *state;
    uint64_t version; /* as read */
};

static bool prepare_statements(PGconn *connection)
{
    static const char *const statements[][2] = {
        {"begin", "BEGIN"},
        {"commit", "COMMIT"},
        {"rollback", "ROLLBACK"},
        {"read", "SELECT version, state FROM " BENCH_TABLE " WHERE key = $1"},
        {"lock", "SELECT version, state FROM " BENCH_TABLE " WHERE key = $1 FOR UPDATE"},
        {"write", "UPDATE " BENCH_TABLE " SET version = version + 1, state = $3 "
                  "WHERE key = $1 AND version = $2"}};
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        PGresult *result = PQprepare(connection, statements[i][0], statements[i][1], 0, NULL);
        bool is_prepared = PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
        if (!is_prepared)
            return postgres_failed(connection, statements[i][1]);
    }
    return PQenterPipelineMode(connection) == 1;
}

static void session_close(void *opened)
{
    struct session *session = opened;
    PQfinish(session->connection);
    free(session->state);
    free(session);
}

static void *session_open(struct target *target)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->postgres = (struct postgres *)target;
    session->state = state_new(target->settings->size);
    session->connection = postgres_connect(session->postgres->conninfo);
    if (session->state != NULL && session->connection != NULL &&
        prepare_statements(session->connection))
        return session;
    session_close(session);
    return NULL;
}

/* ---- Direct: sending and receiving ---------------------------------------------------------- */

static bool send_plain(struct session *session, const char *statement)
{
    return PQsendQueryPrepared(session->connection, statement, 0, NULL, NULL, NULL, 1) == 1;
}

static bool send_read(struct session *session, const char *statement, const struct key *key)
{
    const char *values[] = {key->digits};
    static const int sizes[] = {KEY_SIZE}, formats[] = {1};
    return PQsendQueryPrepared(session->connection, statement, 1, values, sizes, formats, 1) == 1;
}

static bool send_write(struct session *session, const struct key *key)
{
    uint64_t version = htobe64(session->version);
    const char *values[] = {key->digits, (const char *)&version, session->state};
    const int sizes[] = {KEY_SIZE, sizeof version, (int)session->postgres->base.settings->size};
    static const int formats[] = {1, 1, 1};
    return PQsendQueryPrepared(session->connection, "write", 3, values, sizes, formats, 1) == 1;
}

/* The result of the next statement in the pipeline. */
static PGresult *receive(struct session *session)
{
    PGresult *result = PQgetResult(session->connection);
    if (PQresultStatus(result) != PGRES_PIPELINE_SYNC) {
        PGresult *end = PQgetResult(session->connection); /* NULL */
        PQclear(end);
    }
    return result;
}

static bool receive_command(struct session *session, int *ret_rows)
{
    PGresult *result = receive(session);
    bool is_done = PQresultStatus(result) == PGRES_COMMAND_OK;
    if (is_done && ret_rows != NULL)
        *ret_rows = atoi(PQcmdTuples(result));
    PQclear(result);
    return is_done;
}

static bool receive_row(struct session *session)
{
    PGresult *result = receive(session);
    size_t size = session->postgres->base.settings->size;
    bool is_read = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
                   PQgetlength(result, 0, 0) == sizeof session->version &&
                   (size_t)PQgetlength(result, 0, 1) == size;
    if (is_read) {
        memcpy(&session->version, PQgetvalue(result, 0, 0), sizeof session->version);
        session->version = be64toh(session->version);
        memcpy(session->state, PQgetvalue(result, 0, 1), size);
    }
    PQclear(result);
    return is_read;
}

static bool receive_sync(struct session *session)
{
    PGresult *result = receive(session);
    bool is_sync = PQresultStatus(result) == PGRES_PIPELINE_SYNC;
    PQclear(result);
    return is_sync;
}

static bool sync_pipeline(struct session *session)
{
    return PQpipelineSync(session->connection) == 1;
}

/* ---- Direct: an operation ------------------------------------------------------------------- */

/* Replace a connection on which an operation failed. */
static void session_reset(struct session *session)
{
    PQfinish(session->connection);
    session->connection = PQconnectdb(session->postgres->conninfo);
    if (PQstatus(session->connection) == CONNECTION_OK)
        prepare_statements(session->connection);
}

static int by_lock(struct session *session, const struct key *key)
{
    int rows = 0;
    if (!send_plain(session, "begin") || !send_read(session, "lock", key) ||
        !sync_pipeline(session) || !receive_command(session, NULL) || !receive_row(session) ||
        !receive_sync(session))
        return BATCH_LOAD_FAILED;
    state_increment(session->state);
    if (!send_write(session, key) || !send_plain(session, "commit") || !sync_pipeline(session) ||
        !receive_command(session, &rows) || rows != 1 || !receive_command(session, NULL) ||
        !receive_sync(session))
        return BATCH_UNKNOWN;
    return BATCH_OK;
}

static int by_version(struct session *session, const struct key *key)
{
    int rows = 0;
    if (!send_read(session, "read", key) || !sync_pipeline(session) || !receive_row(session) ||
        !receive_sync(session))
        return BATCH_LOAD_FAILED;
    state_increment(session->state);
    if (!send_write(session, key) || !sync_pipeline(session) || !receive_command(session, &rows) ||
        !receive_sync(session))
        return BATCH_UNKNOWN;
    return rows == 1 ? BATCH_OK : BATCH_CONFLICT;
}

static int session_run(void *opened, const struct key *key, uint64_t *ret_retries)
{
    struct session *session = opened;
    int status;
    if (session->postgres->direct_by == BY_LOCK) {
        status = by_lock(session, key);
    } else {
        while ((status = by_version(session, key)) == BATCH_CONFLICT)
            ++*ret_retries;
    }
    if (status != BATCH_OK)
        session_reset(session);
    return status;
}

/* ---- The target ----------------------------------------------------------------------------- */

struct target *target_postgres_open(const struct settings *settings, const char *conninfo)
{
    struct postgres *postgres = calloc(1, sizeof *postgres);
    if (postgres == NULL) {
        say("no memory");
        return NULL;
    }
    postgres->conninfo = conninfo;
    postgres->direct_by = settings->direct_by;
    if (postgres->direct_by == BY_DEFAULT)
        postgres->direct_by = settings->keys < LOCK_KEYS ? BY_LOCK : BY_VERSION;
    postgres->base = (struct target){
        .name = "postgres",
        .direct_name = postgres->direct_by == BY_LOCK ? "SELECT ... FOR UPDATE, UPDATE"
                                                      : "SELECT, UPDATE ... WHERE version =",
        .settings = settings,
        .sessions = {[MODE_DIRECT] = 32, [MODE_SINGLE] = 16, [MODE_GROUPED] = 4},
        .prepare = postgres_prepare,
        .store_open = postgres_store_open,
        .sum = postgres_sum,
        .session_open = session_open,
        .session_run = session_run,
        .session_close = session_close,
        .close = postgres_close};
    return &postgres->base;
}
