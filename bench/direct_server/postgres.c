/* postgres.c: see database.h. The engine on PostgreSQL.
 *
 * Each thread has a connection of its own and prepared statements. The row is locked while it is
 * changed, so that no transaction has to be repeated and none waits for another train. A missing
 * row cannot be locked: it is inserted, and whoever comes second begins again. The version goes up
 * by one with each change, so that servers with libbatch may work on the same table.
 *
 * For tables whose key and state are text (or JSON); others are refused at the start. */
#include "database.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "booking/train_codec.h"
#include "http/target.h"
#include "table/postgres.h"

#define BYTEA_OID 17

enum statement { BEGIN_WRITE, LOCK, VIEW, UPDATE, INSERT, COMMIT, STATEMENTS };

static const struct {
    const char *name;
    const char *sql;
    int parameters; /* the key, and the state */
} statements[STATEMENTS] = {
    [BEGIN_WRITE] = {"begin", "BEGIN", 0},
    [LOCK] = {"lock", "SELECT %s, %k FROM %t WHERE %k = $1 FOR UPDATE", 1},
    [VIEW] = {"view", "SELECT %s, %k FROM %t WHERE %k = $1", 1},
    [UPDATE] = {"update", "UPDATE %t SET %s = $2, %v = %v + 1 WHERE %k = $1", 2},
    [INSERT] = {"insert",
                ("INSERT INTO %t (%k, %s, %v) VALUES ($1, $2, 1)"
                 " ON CONFLICT (%k) DO NOTHING"),
                2},
    [COMMIT] = {"commit", "COMMIT", 0},
};

/* ---- Sessions -------------------------------------------------------------------------------- */

static void session_close(void *session)
{
    postgres_disconnect(session);
}

/* Does a statement's result have a column that text format would not show as it is? */
static bool has_bytea(PGconn *connection, enum statement which)
{
    PGresult *result = PQdescribePrepared(connection, statements[which].name);
    bool has = false;
    for (int i = 0; i < PQnfields(result); i++)
        has = has || PQftype(result, i) == BYTEA_OID;
    PQclear(result);
    return has;
}

static bool session_prepare(PGconn *connection, const struct store_options *options, char *reterr)
{
    PGresult *result = PQexec(connection, "SET synchronous_commit = on");
    bool prepared = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    for (int i = 0; prepared && i < STATEMENTS; i++) {
        char *sql = store_options_sql(options, statements[i].sql);
        result = PQprepare(connection, statements[i].name, sql != NULL ? sql : "", 0, NULL);
        prepared = sql != NULL && PQresultStatus(result) == PGRES_COMMAND_OK;
        PQclear(result);
        free(sql);
    }
    if (!prepared) {
        postgres_message(connection, reterr);
    } else if (has_bytea(connection, VIEW)) {
        snprintf(reterr, BATCH_MESSAGE_SIZE, "direct-server needs text columns for key and state");
        prepared = false;
    }
    return prepared;
}

static void *session_open(const struct store_options *options, char *reterr)
{
    PGconn *connection = postgres_connect(options, reterr);
    if (connection != NULL && !session_prepare(connection, options, reterr)) {
        PQfinish(connection);
        connection = NULL;
    }
    return connection;
}

/* Run a statement for the booking's train. NULL: it failed, the booking has the reason. */
static PGresult *session_run(PGconn *connection, enum statement which, struct booking *booking,
                             const char *json)
{
    char name[TARGET_TRAIN_MAX + 1];
    memcpy(name, booking->train, booking->train_size);
    name[booking->train_size] = '\0';
    const char *const values[] = {name, json};
    PGresult *result = PQexecPrepared(connection, statements[which].name,
                                      statements[which].parameters, values, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return result;
    postgres_message(connection, booking->message);
    PQclear(result);
    return NULL;
}

/* ---- One booking ----------------------------------------------------------------------------- */

/* *ret_is_new: nothing is stored. */
static bool load(struct database *database, PGconn *connection, enum statement which,
                 struct booking *booking, struct train *train, bool *ret_is_new)
{
    PGresult *row = session_run(connection, which, booking, NULL);
    if (row == NULL) {
        booking->status = BATCH_LOAD_FAILED;
        return false;
    }
    *ret_is_new = PQntuples(row) == 0;
    bool loaded =
        database_decode(database, booking, train, *ret_is_new ? NULL : PQgetvalue(row, 0, 0),
                        *ret_is_new ? 0 : (size_t)PQgetlength(row, 0, 0));
    PQclear(row);
    return loaded;
}

/* What to do with the transaction. */
enum next { END, ABANDON, BEGIN_AGAIN };

static enum next save(PGconn *connection, struct booking *booking, struct train *train, bool is_new)
{
    size_t json_size;
    char *json = train_encode(train, &json_size);
    booking->status = BATCH_SAVE_FAILED;
    if (json == NULL) {
        snprintf(booking->message, sizeof booking->message, "out of memory");
        return ABANDON;
    }
    PGresult *saved = session_run(connection, is_new ? INSERT : UPDATE, booking, json);
    free(json);
    if (saved == NULL)
        return ABANDON;
    booking->status = BATCH_OK;
    bool was_there = strcmp(PQcmdTuples(saved), "0") == 0; /* by now; it was not before */
    PQclear(saved);
    return was_there ? BEGIN_AGAIN : END;
}

/* Within a transaction: lock, book, save. */
static enum next change(struct database *database, PGconn *connection, struct booking *booking)
{
    struct train train;
    bool is_new;
    if (!load(database, connection, LOCK, booking, &train, &is_new))
        return ABANDON;
    booking->result = train_book(&train, booking->seat, booking->person, booking->person_size);
    booking->status = BATCH_OK;
    enum next next = ABANDON;
    if (booking->result == TRAIN_BOOKED)
        next = save(connection, booking, &train, is_new);
    train_release(&train);
    return next;
}

/* What the server rejects is not committed; without a response the outcome is unknown. */
static void commit(struct database *database, PGconn *connection, struct booking *booking)
{
    uint64_t begin_ns = batch_now_ns();
    PGresult *committed = session_run(connection, COMMIT, booking, NULL);
    database_count_commit(database, begin_ns);
    if (committed == NULL)
        booking->status = PQstatus(connection) == CONNECTION_OK ? BATCH_SAVE_FAILED : BATCH_UNKNOWN;
    PQclear(committed);
}

static bool book(struct database *database, void *session, struct booking *booking)
{
    enum next next = BEGIN_AGAIN;
    while (next == BEGIN_AGAIN) {
        PGresult *begun = session_run(session, BEGIN_WRITE, booking, NULL);
        if (begun == NULL) {
            booking->status = BATCH_LOAD_FAILED;
            return PQstatus(session) == CONNECTION_OK;
        }
        PQclear(begun);
        next = change(database, session, booking);
        if (next == END) {
            commit(database, session, booking);
        } else {
            PQclear(PQexec(session, "ROLLBACK")); /* the booking keeps the first reason */
        }
    }
    return PQstatus(session) == CONNECTION_OK;
}

static bool view(struct database *database, void *session, struct booking *booking)
{
    struct train train;
    bool is_new;
    if (load(database, session, VIEW, booking, &train, &is_new)) {
        booking->json = train_encode(&train, &booking->json_size);
        booking->status = BATCH_OK;
        train_release(&train);
    }
    return PQstatus(session) == CONNECTION_OK;
}

const struct engine engine_postgres = {session_open, session_close, book, view};
