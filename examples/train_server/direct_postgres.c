/* direct_postgres.c: --direct on PostgreSQL.
 *
 * This is the program one would write without libbatch, and written with care: each thread with a
 * connection of its own and prepared statements, the row locked while it is changed, so that nobody
 * has to start again, and nobody waits for what is not about the same train. A row that is missing
 * cannot be locked: it is inserted, and who comes second with that begins again. The version goes
 * up by one with each change, so that servers with libbatch may work on the same table.
 *
 * For tables whose key and state are text (or JSON); others are refused at the start. */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "direct.h"
#include "postgres.h"
#include "train_codec.h"

#define BYTEA_OID 17

enum statement { BEGIN_WRITE, LOCK, LOOK, UPDATE, INSERT, COMMIT, STATEMENTS };

static const struct {
    const char *name;
    const char *sql;
    int parameters; /* the key, and the state */
} statements[STATEMENTS] = {
    [BEGIN_WRITE] = {"begin", "BEGIN", 0},
    [LOCK] = {"lock", "SELECT %s, %k FROM %t WHERE %k = $1 FOR UPDATE", 1},
    [LOOK] = {"look", "SELECT %s, %k FROM %t WHERE %k = $1", 1},
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
    } else if (has_bytea(connection, LOOK)) {
        snprintf(reterr, BATCH_MESSAGE_SIZE, "--direct needs text columns for key and state");
        prepared = false;
    }
    return prepared;
}

static void *session_open(const struct store_options *options, bool *ret_names_are_text,
                          char *reterr)
{
    PGconn *connection = postgres_connect(options, reterr);
    if (connection != NULL &&
        !(postgres_make_table(connection, options, ret_names_are_text, reterr) &&
          session_prepare(connection, options, reterr))) {
        PQfinish(connection);
        connection = NULL;
    }
    return connection;
}

/* Run a statement for the request's train. NULL: it failed, the request has the reason. */
static PGresult *session_run(PGconn *connection, enum statement which, struct request *request,
                             const char *json)
{
    char name[TARGET_TRAIN_MAX + 1];
    memcpy(name, request->target.train, request->target.train_size);
    name[request->target.train_size] = '\0';
    const char *const values[] = {name, json};
    PGresult *result = PQexecPrepared(connection, statements[which].name,
                                      statements[which].parameters, values, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    if (status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK)
        return result;
    postgres_message(connection, request->message);
    PQclear(result);
    return NULL;
}

/* ---- One request ----------------------------------------------------------------------------- */

/* *ret_is_new: nothing is stored. */
static bool load(struct direct *direct, PGconn *connection, enum statement which,
                 struct request *request, struct train *train, bool *ret_is_new)
{
    PGresult *row = session_run(connection, which, request, NULL);
    if (row == NULL) {
        request->status = BATCH_LOAD_FAILED;
        return false;
    }
    *ret_is_new = PQntuples(row) == 0;
    bool loaded = direct_decode(direct, request, train, *ret_is_new ? NULL : PQgetvalue(row, 0, 0),
                                *ret_is_new ? 0 : (size_t)PQgetlength(row, 0, 0));
    PQclear(row);
    return loaded;
}

/* What to do with the transaction. */
enum next { END, ABANDON, BEGIN_AGAIN };

static enum next save(PGconn *connection, struct request *request, struct train *train, bool is_new)
{
    size_t json_size;
    const char *json = train_encode(train, &json_size);
    request->status = BATCH_SAVE_FAILED;
    if (json == NULL) {
        snprintf(request->message, sizeof request->message, "out of memory");
        return ABANDON;
    }
    PGresult *saved = session_run(connection, is_new ? INSERT : UPDATE, request, json);
    if (saved == NULL)
        return ABANDON;
    request->status = BATCH_OK;
    bool was_there = strcmp(PQcmdTuples(saved), "0") == 0; /* by now; it was not before */
    PQclear(saved);
    return was_there ? BEGIN_AGAIN : END;
}

/* Within a transaction: lock, decide, save. */
static enum next change(struct direct *direct, PGconn *connection, struct request *request)
{
    const struct target *target = &request->target;
    struct train train;
    bool is_new;
    if (!load(direct, connection, LOCK, request, &train, &is_new))
        return ABANDON;
    request->answer = train_book(&train, target->seat, target->person, target->person_size);
    request->status = BATCH_OK;
    enum next next = ABANDON;
    if (request->answer == TRAIN_BOOKED)
        next = save(connection, request, &train, is_new);
    train_release(&train);
    return next;
}

/* What the server refuses is not committed; without its answer nobody knows. */
static void commit(struct direct *direct, PGconn *connection, struct request *request)
{
    uint64_t begin_ns = batch_now_ns();
    PGresult *committed = session_run(connection, COMMIT, request, NULL);
    direct_count_commit(direct, begin_ns);
    if (committed == NULL)
        request->status = PQstatus(connection) == CONNECTION_OK ? BATCH_SAVE_FAILED : BATCH_UNKNOWN;
    PQclear(committed);
}

static bool book(struct direct *direct, void *session, struct request *request)
{
    enum next next = BEGIN_AGAIN;
    while (next == BEGIN_AGAIN) {
        PGresult *begun = session_run(session, BEGIN_WRITE, request, NULL);
        if (begun == NULL) {
            request->status = BATCH_LOAD_FAILED;
            return PQstatus(session) == CONNECTION_OK;
        }
        PQclear(begun);
        next = change(direct, session, request);
        if (next == END) {
            commit(direct, session, request);
        } else {
            PQclear(PQexec(session, "ROLLBACK")); /* the request keeps the first reason */
        }
    }
    return PQstatus(session) == CONNECTION_OK;
}

static bool look(struct direct *direct, void *session, struct request *request)
{
    struct train train;
    bool is_new;
    if (load(direct, session, LOOK, request, &train, &is_new)) {
        answer_keep_train(request, &train);
        request->status = BATCH_OK;
        train_release(&train);
    }
    return PQstatus(session) == CONNECTION_OK;
}

const struct direct_store direct_postgres = {session_open, session_close, book, look};
