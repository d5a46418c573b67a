/* target_postgres.c: rows in PostgreSQL; and direct on it.
 *
 * Direct is one connection per thread with prepared statements, in one of two ways that
 * applications use, both with the program's own code between reading and writing:
 *
 *   lock     BEGIN and a SELECT ... FOR UPDATE for each row, always in the same order, in one round
 *            trip; the UPDATEs and COMMIT in a second one
 *   version  the SELECTs; then BEGIN, an UPDATE ... WHERE the version is unchanged for each row,
 *            which fails the transaction if there is no such row, and COMMIT; after a conflict it
 *            is retried from the beginning
 *
 * Round trips are saved with libpq's pipeline mode, values travel in binary. */
#include "target_postgres.h"

#include "common/postgres.h"
#include "common/say.h"

#include <batch/postgres.h>

#include <endian.h>
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct postgres {
    struct target base;
    const char *conninfo;
    PGconn *connection;
    batch_store *store;
};

/* ---- Rows ----------------------------------------------------------------------------------- */

static bool insert_rows(const struct postgres *postgres, char kind)
{
    static const struct state empty;
    char letter[2] = {kind, '\0'}, size[16];
    snprintf(size, sizeof size, "%u", keys_of(postgres->base.settings, kind));
    const char *values[] = {letter, size, (const char *)&empty};
    static const int sizes[] = {0, 0, sizeof empty}, formats[] = {0, 0, 1};
    PGresult *result = PQexecParams(postgres->connection,
                                    "INSERT INTO " BENCH_TABLE
                                    " SELECT convert_to($1::text || lpad(i::text, 7, '0'), 'UTF8'),"
                                    " 1, $3::bytea FROM generate_series(0, $2::integer - 1) i",
                                    3, NULL, values, sizes, formats, 0);
    bool is_done = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
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
        !insert_rows(postgres, 'a') || !insert_rows(postgres, 't') || !insert_rows(postgres, 'b') ||
        !postgres_command(connection, "VACUUM ANALYZE " BENCH_TABLE))
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

static bool postgres_sum(struct target *target, struct totals *totals)
{
    struct postgres *postgres = (struct postgres *)target;
    PGresult *result =
        PQexecParams(postgres->connection, "SELECT key, substr(state, 1, 16) FROM " BENCH_TABLE, 0,
                     NULL, NULL, NULL, NULL, 1);
    bool is_read = PQresultStatus(result) == PGRES_TUPLES_OK;
    for (int i = 0; is_read && i < PQntuples(result); i++) {
        struct state state;
        memcpy(&state, PQgetvalue(result, i, 1), 16);
        totals_add(totals, PQgetvalue(result, i, 0)[0], &state);
    }
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
    bool by_lock;
    uint64_t versions[ROWS_MAX]; /* as read */
    struct state states[ROWS_MAX];
};

static bool prepare_statements(PGconn *connection)
{
    static const char *const statements[][2] = {
        {"begin", "BEGIN"},
        {"commit", "COMMIT"},
        {"rollback", "ROLLBACK"},
        {"read", "SELECT version, state FROM " BENCH_TABLE " WHERE key = $1"},
        {"lock", "SELECT version, state FROM " BENCH_TABLE " WHERE key = $1 FOR UPDATE"},
        {"write", "WITH w AS (UPDATE " BENCH_TABLE " SET version = version + 1, state = $3 "
                  "WHERE key = $1 AND version = $2 RETURNING 1) SELECT 1 / count(*) FROM w"},
        {"write locked", "UPDATE " BENCH_TABLE " SET version = version + 1, state = $3 "
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
    free(session);
}

static void *session_open(struct target *target, enum direct_by by)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL)
        return NULL;
    session->postgres = (struct postgres *)target;
    session->by_lock = by == BY_LOCK;
    session->connection = postgres_connect(session->postgres->conninfo);
    if (session->connection != NULL && prepare_statements(session->connection))
        return session;
    session_close(session);
    return NULL;
}

/* ---- Direct: sending and receiving ---------------------------------------------------------- */

static bool send_plain(struct session *session, const char *statement)
{
    return PQsendQueryPrepared(session->connection, statement, 0, NULL, NULL, NULL, 1) == 1;
}

static bool send_reads(struct session *session, const struct movement *movement)
{
    static const int sizes[] = {KEY_SIZE}, formats[] = {1};
    bool is_sent = true;
    for (uint32_t i = 0; is_sent && i < movement->size; i++) {
        const char *values[] = {movement->keys[i].text};
        is_sent = PQsendQueryPrepared(session->connection, session->by_lock ? "lock" : "read", 1,
                                      values, sizes, formats, 1) == 1;
    }
    return is_sent;
}

static bool send_writes(struct session *session, const struct movement *movement)
{
    static const int sizes[] = {KEY_SIZE, sizeof(uint64_t), sizeof(struct state)};
    static const int formats[] = {1, 1, 1};
    bool is_sent = true;
    for (uint32_t i = 0; is_sent && i < movement->size; i++) {
        uint64_t version = htobe64(session->versions[i]);
        state_move(&session->states[i], movement->amounts[i]);
        const char *values[] = {movement->keys[i].text, (const char *)&version,
                                (const char *)&session->states[i]};
        is_sent =
            PQsendQueryPrepared(session->connection, session->by_lock ? "write locked" : "write", 3,
                                values, sizes, formats, 1) == 1;
    }
    return is_sent;
}

static bool sync_pipeline(struct session *session)
{
    return PQpipelineSync(session->connection) == 1;
}

/* The next result in the pipeline is of one of these two kinds. */
static bool receive(struct session *session, ExecStatusType wanted, ExecStatusType or)
{
    PGresult *result = PQgetResult(session->connection);
    ExecStatusType status = PQresultStatus(result);
    PQclear(result);
    if (status != PGRES_PIPELINE_SYNC)
        PQclear(PQgetResult(session->connection)); /* NULL */
    return status == wanted || status == or ;
}

static bool receive_row(struct session *session, uint32_t index)
{
    PGresult *result = PQgetResult(session->connection);
    struct state *state = &session->states[index];
    bool is_read = PQresultStatus(result) == PGRES_TUPLES_OK && PQntuples(result) == 1 &&
                   PQgetlength(result, 0, 0) == sizeof(uint64_t) &&
                   PQgetlength(result, 0, 1) == sizeof *state;
    if (is_read) {
        memcpy(&session->versions[index], PQgetvalue(result, 0, 0), sizeof(uint64_t));
        session->versions[index] = be64toh(session->versions[index]);
        memcpy(state, PQgetvalue(result, 0, 1), sizeof *state);
    }
    PQclear(result);
    PQclear(PQgetResult(session->connection)); /* NULL */
    return is_read;
}

static bool receive_sync(struct session *session)
{
    return receive(session, PGRES_PIPELINE_SYNC, PGRES_PIPELINE_SYNC);
}

/* ---- Direct: a transaction ------------------------------------------------------------------ */

static bool read_rows(struct session *session, const struct movement *movement)
{
    bool goes_on = (!session->by_lock || send_plain(session, "begin")) &&
                   send_reads(session, movement) && sync_pipeline(session);
    if (goes_on && session->by_lock)
        goes_on = receive(session, PGRES_COMMAND_OK, PGRES_COMMAND_OK);
    for (uint32_t i = 0; goes_on && i < movement->size; i++)
        goes_on = receive_row(session, i);
    return goes_on && receive_sync(session);
}

/* After a write that has found another version the rest of the pipeline is skipped. */
static int end_conflict(struct session *session, uint32_t skipped)
{
    bool goes_on = true;
    for (; goes_on && skipped > 0; skipped--)
        goes_on = receive(session, PGRES_PIPELINE_ABORTED, PGRES_PIPELINE_ABORTED);
    goes_on = goes_on && receive_sync(session) && send_plain(session, "rollback") &&
              sync_pipeline(session) && receive(session, PGRES_COMMAND_OK, PGRES_COMMAND_OK) &&
              receive_sync(session);
    return goes_on ? BATCH_CONFLICT : BATCH_SAVE_FAILED;
}

static int write_rows(struct session *session, const struct movement *movement)
{
    if ((!session->by_lock && !send_plain(session, "begin")) || !send_writes(session, movement) ||
        !send_plain(session, "commit") || !sync_pipeline(session))
        return BATCH_UNKNOWN;
    if (!session->by_lock && !receive(session, PGRES_COMMAND_OK, PGRES_COMMAND_OK))
        return BATCH_UNKNOWN;
    for (uint32_t i = 0; i < movement->size; i++) {
        if (!receive(session, PGRES_COMMAND_OK, PGRES_TUPLES_OK)) {
            /* a conflict, unless the connection is lost */
            return session->by_lock ? BATCH_UNKNOWN : end_conflict(session, movement->size - i);
        }
    }
    bool is_done = receive(session, PGRES_COMMAND_OK, PGRES_COMMAND_OK) && receive_sync(session);
    return is_done ? BATCH_OK : BATCH_UNKNOWN;
}

/* Replace a connection on which a transaction failed. */
static void session_reset(struct session *session)
{
    PQfinish(session->connection);
    session->connection = PQconnectdb(session->postgres->conninfo);
    if (PQstatus(session->connection) == CONNECTION_OK)
        prepare_statements(session->connection);
}

static int session_run(void *opened, const struct movement *movement, uint64_t *ret_retries)
{
    struct session *session = opened;
    int status = BATCH_CONFLICT;
    while (status == BATCH_CONFLICT) {
        status = read_rows(session, movement) ? write_rows(session, movement) : BATCH_LOAD_FAILED;
        *ret_retries += status == BATCH_CONFLICT;
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
    postgres->base = (struct target){.name = "postgres",
                                     .settings = settings,
                                     .batched_sessions = 3,
                                     .has_locks = true,
                                     .prepare = postgres_prepare,
                                     .store_open = postgres_store_open,
                                     .sum = postgres_sum,
                                     .session_open = session_open,
                                     .session_run = session_run,
                                     .session_close = session_close,
                                     .close = postgres_close};
    return &postgres->base;
}
