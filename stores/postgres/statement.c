#include "statement.h"

#include "../check.h"
#include "cancel.h"

#include <batch/metrics.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Errors --------------------------------------------------------------------------------- */

static bool is_of_server(const PGresult *result)
{
    return PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL;
}

/* The connection is lost. The server's last words count, if they have come. */
static void describe_connection(const struct batch__postgres_connection *connection,
                                struct batch__postgres_error *ret_error)
{
    *ret_error = (struct batch__postgres_error){.code = 0};
    if (connection->is_closing)
        *ret_error = connection->last_words;
    else
        batch__postgres_one_line(ret_error->text, sizeof ret_error->text,
                                 PQerrorMessage(connection->conn));
    if (ret_error->text[0] == '\0')
        snprintf(ret_error->text, sizeof ret_error->text, "the connection was lost");
}

/* The first one counts, but what the server says before what libpq says. */
static void describe(const PGresult *result, struct batch__postgres_error *error)
{
    if (error->text[0] == '\0' || (error->code == 0 && is_of_server(result)))
        batch__postgres_describe(result, error);
}

/* ---- Sending -------------------------------------------------------------------------------- */

/* Send it to the last byte. */
static bool send_all(PGconn *conn, const struct batch__postgres_limit *limit)
{
    for (;;) {
        int unsent = PQflush(conn);
        if (unsent <= 0)
            return unsent == 0;
        if (batch__postgres_is_over(limit))
            return false;
        struct pollfd fd = {.fd = PQsocket(conn), .events = POLLIN | POLLOUT};
        batch__postgres_poll(&fd, 1, limit);
        if ((fd.revents & ~POLLOUT) != 0 && PQconsumeInput(conn) == 0)
            return false;
    }
}

/* Sending failed: has the server said why, before it closed the connection? */
static void describe_unsent(struct batch__postgres_connection *connection,
                            struct batch__postgres_error *ret_error)
{
    struct batch__postgres_error error = {.code = 0};
    PGresult *result;
    (void)PQconsumeInput(connection->conn);
    while (PQisBusy(connection->conn) == 0 && (result = PQgetResult(connection->conn)) != NULL) {
        if (is_of_server(result))
            describe(result, &error);
        PQclear(result);
    }
    if (error.text[0] != '\0')
        *ret_error = error;
    else
        describe_connection(connection, ret_error);
}

/* ---- Receiving ------------------------------------------------------------------------------ */

struct receiving {
    struct batch__postgres_connection *connection;
    struct batch__postgres_reply *reply;
    batch__postgres_row_fn on_row;
    void *arg;
    struct batch__postgres_cancel cancel;
    bool is_save;     /* what it has done is committed at its end */
    bool is_step;     /* of a transaction that goes on */
    bool is_complete; /* all rows have come: the statement itself succeeded */
    bool has_error;   /* reply->error */
    bool is_lost;
};

/* What has come is taken before a limit counts: we may be the ones who are late. */
static bool has_come(PGconn *conn)
{
    return PQconsumeInput(conn) == 0 /* the error is the next result */ || PQisBusy(conn) == 0;
}

/* Wait until libpq has a result, or knows that none will come. False: neither, by the end of the
 * grace. */
static bool wait_for_result(struct receiving *receiving, const struct batch__postgres_limit *limit)
{
    struct batch__postgres_connection *connection = receiving->connection;
    struct batch__postgres_cancel *cancel = &receiving->cancel;
    while (PQisBusy(connection->conn) != 0) {
        struct batch__postgres_limit grace = {cancel->until_ns, NULL};
        if (batch__postgres_is_over(cancel->is_begun ? &grace : limit)) {
            if (has_come(connection->conn))
                return true;
            if (cancel->is_begun)
                return false;
            batch__postgres_cancel_begin(cancel, &connection->key, connection->conn);
            continue;
        }
        struct pollfd fds[2] = {{.fd = PQsocket(connection->conn), .events = POLLIN},
                                batch__postgres_cancel_fd(cancel)};
        batch__postgres_poll(fds, 2, cancel->is_begun ? &grace : limit);
        if (fds[0].revents != 0 && PQconsumeInput(connection->conn) == 0)
            return true; /* the error is the next result */
        if (fds[1].revents != 0)
            batch__postgres_cancel_advance(cancel);
    }
    return true;
}

static void receive(struct receiving *receiving, PGresult *result)
{
    struct batch__postgres_reply *reply = receiving->reply;
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
        receiving->is_complete = true;
        if (receiving->on_row == NULL && reply->rows == NULL) {
            reply->rows = result;
            return;
        }
        break;
    case PGRES_SINGLE_TUPLE:
        batch__check(receiving->on_row != NULL);
        receiving->on_row(result, receiving->arg);
        break;
    case PGRES_COMMAND_OK:
        receiving->is_complete = true;
        break;
    default:
        receiving->has_error = true;
        receiving->is_lost |= batch__postgres_is_severe(result) || !is_of_server(result);
        describe(result, &reply->error);
        break;
    }
    PQclear(result);
}

/* The statement was being canceled, and succeeded: was there no standby whose confirmation it
 * should have waited for? False also if that cannot be found out in time. The question itself may
 * be canceled, once. */
static bool is_without_standbys(struct receiving *receiving)
{
    static const char sql[] = "SELECT pg_catalog.current_setting('synchronous_standby_names') "
                              "OPERATOR(pg_catalog.=) ''";
    PGconn *conn = receiving->connection->conn;
    bool is_without = false;
    for (int tries = 0; tries < 2; tries++) {
        bool is_answered = false;
        if (PQsendQuery(conn, sql) == 0 || PQflush(conn) != 0)
            return false;
        for (;;) {
            if (!wait_for_result(receiving, NULL))
                return false;
            PGresult *result = PQgetResult(conn);
            if (result == NULL)
                break;
            is_answered |= PQresultStatus(result) == PGRES_TUPLES_OK;
            is_without |= is_answered && PQgetvalue(result, 0, 0)[0] == 't';
            PQclear(result);
        }
        if (is_answered)
            break;
    }
    return is_without;
}

/* A trigger has changed the encoding for the session: texts in the result are not what was stored,
 * and the next ones would not be what is sent. The server has reported it. */
static bool is_recoded(const struct batch__postgres_connection *connection)
{
    bool has_texts = batch__postgres_shape_has_texts(&connection->table.shape);
    return has_texts && PQclientEncoding(connection->conn) != connection->encoding;
}

static enum batch__postgres_outcome outcome_of(const struct receiving *receiving)
{
    const struct batch__postgres_connection *connection = receiving->connection;
    PGTransactionStatusType wanted = !receiving->is_step    ? PQTRANS_IDLE
                                     : receiving->has_error ? PQTRANS_INERROR
                                                            : PQTRANS_INTRANS;
    if (receiving->is_lost || PQstatus(connection->conn) != CONNECTION_OK ||
        PQtransactionStatus(connection->conn) != wanted)
        return BATCH__POSTGRES_IN_DOUBT;
    if (receiving->has_error)
        return BATCH__POSTGRES_ROLLED_BACK;
    bool is_doubtful = receiving->is_save && (connection->is_warned || is_recoded(connection));
    return receiving->is_complete && !is_doubtful ? BATCH__POSTGRES_COMMITTED
                                                  : BATCH__POSTGRES_IN_DOUBT;
}

/* A save that was reported as done, while it was being canceled. */
static bool is_dubious(const struct receiving *receiving)
{
    batch_postgres_durability durability = receiving->connection->table.spec->durability;
    return receiving->is_save && receiving->cancel.sent > 0 &&
           receiving->reply->outcome == BATCH__POSTGRES_COMMITTED &&
           durability != BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS;
}

static void receive_all(struct receiving *receiving, const struct batch__postgres_limit *limit)
{
    struct batch__postgres_connection *connection = receiving->connection;
    struct batch__postgres_reply *reply = receiving->reply;
    for (;;) {
        if (!wait_for_result(receiving, limit)) {
            receiving->is_lost = true;
            if (!receiving->has_error)
                snprintf(reply->error.text, sizeof reply->error.text,
                         "the server did not respond in time, nor to the cancel request");
            break;
        }
        PGresult *result = PQgetResult(connection->conn);
        if (result == NULL)
            break;
        receive(receiving, result);
    }
    reply->outcome = outcome_of(receiving);
    bool is_unconfirmed = receiving->is_save && connection->is_warned;
    if (is_dubious(receiving) && !is_without_standbys(receiving)) {
        reply->outcome = BATCH__POSTGRES_IN_DOUBT;
        is_unconfirmed = true;
    }
    static const char unconfirmed[] =
        "committed, but the server stopped waiting for a synchronous standby";
    if (is_unconfirmed && limit->call != NULL)
        batch_call_log(limit->call, BATCH_EVENT_STANDBY_GONE, unconfirmed);
    if (reply->outcome == BATCH__POSTGRES_IN_DOUBT && reply->error.text[0] == '\0') {
        if (is_unconfirmed)
            snprintf(reply->error.text, sizeof reply->error.text, "%s", unconfirmed);
        else if (!receiving->is_lost && is_recoded(connection))
            snprintf(reply->error.text, sizeof reply->error.text,
                     "a trigger has changed client_encoding, so the result cannot be read");
        else
            describe_connection(connection, &reply->error);
    }
    batch__postgres_cancel_end(&receiving->cancel);
    if (reply->outcome == BATCH__POSTGRES_IN_DOUBT || receiving->cancel.is_begun)
        batch__postgres_drop(connection);
}

/* ---- What an error means -------------------------------------------------------------------- */

/* Nothing is stored, and the same may be tried again. */
static void set_unsent(struct batch__postgres_reply *reply, const char *text)
{
    *reply = (struct batch__postgres_reply){.outcome = BATCH__POSTGRES_NOT_SENT};
    snprintf(reply->error.text, sizeof reply->error.text, "%s", text);
}

/* The error of a guard? Then the reply is made what it stands for. */
static bool take_guard(struct batch__postgres_connection *connection,
                       struct batch__postgres_reply *reply)
{
    const char *text = reply->error.text;
    if (reply->error.code != batch__postgres_code("42704"))
        return false;
    if (strstr(text, BATCH__POSTGRES_RAISE_CHANGED) != NULL) {
        connection->is_suspect = true;
        set_unsent(reply, "the table has changed");
    } else if (strstr(text, BATCH__POSTGRES_RAISE_POOLING) != NULL) {
        set_unsent(reply, batch__postgres_pooling_text);
        batch__postgres_drop(connection);
    } else if (strstr(text, BATCH__POSTGRES_RAISE_TORN) != NULL) {
        reply->is_torn = true;
        reply->error = (struct batch__postgres_error){
            .code = batch__postgres_code("40001"),
            .text = "a transaction would have been stored in part: a row was inserted meanwhile, "
                    "or a trigger left one out"};
    } else if (strstr(text, BATCH__POSTGRES_RAISE_ALTERED) != NULL) {
        reply->error = (struct batch__postgres_error){
            .text = "the table would store another key, version or state than was sent, by a "
                    "trigger or by the type of a column; so nothing is stored"};
    } else if (strstr(text, BATCH__POSTGRES_RAISE_FSYNC) != NULL) {
        reply->error = (struct batch__postgres_error){
            .code = batch__postgres_code("58000"),
            .text = "the server runs with fsync off, so a crash may lose everything"};
    } else if (strstr(text, BATCH__POSTGRES_RAISE_SETTING) != NULL) {
        /* If that was this one, the rollback has undone it. But an AFTER trigger of the save before
         * may have done it for the session: so the same is sent once on a new connection. */
        reply->error = (struct batch__postgres_error){
            .code = batch__postgres_code("55000"),
            .text = "a trigger has changed synchronous_commit or client_min_messages"};
    } else {
        return false;
    }
    return true;
}

/* What comes when the types of columns have changed, or what was prepared is gone. */
static bool is_of_change(const struct batch__postgres_error *error)
{
    static const char *const codes[] = {"42883", "42804", "42846", "42725",
                                        "0A000", "26000", "22P03", "22003"};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (error->code == batch__postgres_code(codes[i]))
            return true;
    }
    return false;
}

static void interpret(struct batch__postgres_connection *connection,
                      struct batch__postgres_reply *reply)
{
    if (reply->outcome != BATCH__POSTGRES_ROLLED_BACK || !batch__postgres_is_ready(connection) ||
        take_guard(connection, reply))
        return;
    if (!reply->error.has_context && is_of_change(&reply->error) &&
        batch__postgres_suspect(connection))
        reply->outcome = BATCH__POSTGRES_NOT_SENT;
}

/* ---- One exchange --------------------------------------------------------------------------- */

enum exchange { EXCHANGE_ONLY_READS, EXCHANGE_SAVES, EXCHANGE_IS_STEP };

/* `is_sent`: what libpq returned when it was given what to send. */
static void exchange(struct batch__postgres_connection *connection, int is_sent, enum exchange kind,
                     const struct batch__postgres_limit *limit, batch__postgres_row_fn on_row,
                     void *arg, struct batch__postgres_reply *ret_reply)
{
    batch__check(batch__postgres_is_ready(connection));
    *ret_reply = (struct batch__postgres_reply){.outcome = BATCH__POSTGRES_NOT_SENT};
    connection->is_warned = false;
    if (is_sent == 0 || (on_row != NULL && PQsetSingleRowMode(connection->conn) == 0) ||
        !send_all(connection->conn, limit)) {
        describe_unsent(connection, &ret_reply->error);
        batch__postgres_drop(connection);
        return;
    }
    struct receiving receiving = {.connection = connection,
                                  .reply = ret_reply,
                                  .on_row = on_row,
                                  .arg = arg,
                                  .is_save = kind == EXCHANGE_SAVES,
                                  .is_step = kind == EXCHANGE_IS_STEP};
    receive_all(&receiving, limit);
    if (ret_reply->outcome != BATCH__POSTGRES_COMMITTED) {
        PQclear(ret_reply->rows);
        ret_reply->rows = NULL;
    }
    batch__check(ret_reply->rows == NULL || on_row == NULL);
    interpret(connection, ret_reply);
}

/* Only when it is needed, except for SAVE (table.h): preparing takes the lock that the statement
 * needs, and loads must not wait for that of the saves. False: `ret_reply` has the reason, and that
 * nothing is stored. */
static bool prepare(struct batch__postgres_connection *connection,
                    enum batch__postgres_statement statement,
                    const struct batch__postgres_limit *limit,
                    struct batch__postgres_reply *ret_reply)
{
    batch__check(!connection->is_prepared[statement]);
    const struct batch__postgres_table *table = &connection->table;
    const char *name = batch__postgres_statement_name(statement);
    char *sql = batch__postgres_statement_sql(connection->conn, table->spec, &table->shape,
                                              &table->fence, statement);
    int is_sent = sql != NULL ? PQsendPrepare(connection->conn, name, sql, 0, NULL) : 0;
    free(sql);
    exchange(connection, is_sent, EXCHANGE_ONLY_READS, limit, NULL, NULL, ret_reply);
    connection->is_prepared[statement] =
        ret_reply->outcome == BATCH__POSTGRES_COMMITTED && batch__postgres_is_ready(connection);
    if (ret_reply->outcome == BATCH__POSTGRES_IN_DOUBT)
        ret_reply->outcome = BATCH__POSTGRES_NOT_SENT;
    return connection->is_prepared[statement];
}

/* False: it could not be prepared. */
static bool make_prepared(struct batch__postgres_connection *connection,
                          enum batch__postgres_statement statement,
                          const struct batch__postgres_limit *limit,
                          struct batch__postgres_reply *ret_reply)
{
    batch__check((size_t)statement < BATCH__POSTGRES_STATEMENTS);
    if (connection->is_prepared[statement] || prepare(connection, statement, limit, ret_reply))
        return true;
    if (ret_reply->outcome == BATCH__POSTGRES_COMMITTED)
        ret_reply->outcome = BATCH__POSTGRES_NOT_SENT; /* prepared, but too late */
    return false;
}

/* What libpq returns. */
static int send_prepared(const struct batch__postgres_connection *connection,
                         enum batch__postgres_statement statement,
                         const struct batch__postgres_params *params)
{
    static const int formats[BATCH__POSTGRES_PARAMS_MAX] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
    batch__check(params->count > 0 && params->count <= BATCH__POSTGRES_PARAMS_MAX);
    return PQsendQueryPrepared(connection->conn, batch__postgres_statement_name(statement),
                               params->count, params->values, params->sizes, formats, 1);
}

void batch__postgres_run(struct batch__postgres_connection *connection,
                         enum batch__postgres_statement statement,
                         const struct batch__postgres_params *params,
                         const struct batch__postgres_limit *limit, batch__postgres_row_fn on_row,
                         void *arg, struct batch__postgres_reply *ret_reply)
{
    batch__check(batch__postgres_is_ready(connection));
    bool is_lookup = statement == BATCH__POSTGRES_LOAD || statement == BATCH__POSTGRES_RECHECK;
    if (make_prepared(connection, statement, limit, ret_reply))
        exchange(connection, send_prepared(connection, statement, params),
                 is_lookup ? EXCHANGE_ONLY_READS : EXCHANGE_SAVES, limit, on_row, arg, ret_reply);
}

/* ---- A transaction -------------------------------------------------------------------------- */

/* A step has failed: nothing of the transaction is stored, whatever becomes of the connection. */
static void roll_back(struct batch__postgres_connection *connection,
                      const struct batch__postgres_limit *limit,
                      struct batch__postgres_reply *reply)
{
    struct batch__postgres_reply ignored;
    PQclear(reply->rows);
    reply->rows = NULL;
    if (reply->outcome == BATCH__POSTGRES_IN_DOUBT)
        reply->outcome = BATCH__POSTGRES_NOT_SENT;
    if (!batch__postgres_is_ready(connection))
        return;
    exchange(connection, PQsendQuery(connection->conn, "ROLLBACK"), EXCHANGE_ONLY_READS, limit,
             NULL, NULL, &ignored);
    if (ignored.outcome != BATCH__POSTGRES_COMMITTED)
        batch__postgres_drop(connection);
}

static bool step(struct batch__postgres_connection *connection, int is_sent,
                 const struct batch__postgres_limit *limit, struct batch__postgres_reply *ret_reply)
{
    exchange(connection, is_sent, EXCHANGE_IS_STEP, limit, NULL, NULL, ret_reply);
    if (ret_reply->outcome == BATCH__POSTGRES_COMMITTED && batch__postgres_is_ready(connection))
        return true;
    if (ret_reply->outcome == BATCH__POSTGRES_COMMITTED)
        set_unsent(ret_reply, "the time was over before the commit");
    roll_back(connection, limit, ret_reply);
    return false;
}

void batch__postgres_run_trial(struct batch__postgres_connection *connection,
                               enum batch__postgres_statement statement,
                               const struct batch__postgres_params *params,
                               const struct batch__postgres_limit *limit,
                               struct batch__postgres_reply *ret_reply)
{
    static const char deferred_sql[] = "SET CONSTRAINTS ALL IMMEDIATE";
    batch__check(batch__postgres_is_ready(connection));
    if (!make_prepared(connection, statement, limit, ret_reply) ||
        !step(connection, PQsendQuery(connection->conn, "BEGIN"), limit, ret_reply) ||
        !step(connection, send_prepared(connection, statement, params), limit, ret_reply))
        return;
    PGresult *rows = ret_reply->rows;
    if (!step(connection, PQsendQuery(connection->conn, deferred_sql), limit, ret_reply)) {
        PQclear(rows);
        return;
    }
    roll_back(connection, limit, ret_reply);
    ret_reply->rows = rows;
}

/* The locks must be there before what is not there is looked for: so the snapshot of the second
 * statement must not be that of the first, whatever the user's default is. */
#define BEGIN_READ_COMMITTED "BEGIN ISOLATION LEVEL READ COMMITTED"
static const char begin_sql[] = BEGIN_READ_COMMITTED;
static const char begin_hurried_sql[] = BEGIN_READ_COMMITTED "; SET LOCAL lock_timeout = '10ms'";

void batch__postgres_run_locked(struct batch__postgres_connection *connection,
                                const struct batch__postgres_params *locks,
                                const struct batch__postgres_params *params, bool is_hurried,
                                const struct batch__postgres_limit *limit,
                                struct batch__postgres_reply *ret_reply)
{
    batch__check(batch__postgres_is_ready(connection));
    const char *begin = is_hurried ? begin_hurried_sql : begin_sql;
    if (!make_prepared(connection, BATCH__POSTGRES_LOCK_UNITS, limit, ret_reply) ||
        !make_prepared(connection, BATCH__POSTGRES_SAVE_UNITS, limit, ret_reply) ||
        !step(connection, PQsendQuery(connection->conn, begin), limit, ret_reply) ||
        !step(connection, send_prepared(connection, BATCH__POSTGRES_LOCK_UNITS, locks), limit,
              ret_reply))
        return;
    PQclear(ret_reply->rows);
    if (!step(connection, send_prepared(connection, BATCH__POSTGRES_SAVE_UNITS, params), limit,
              ret_reply))
        return;
    PGresult *rows = ret_reply->rows;
    exchange(connection, PQsendQuery(connection->conn, "COMMIT"), EXCHANGE_SAVES, limit, NULL, NULL,
             ret_reply);
    if (ret_reply->outcome == BATCH__POSTGRES_COMMITTED)
        ret_reply->rows = rows;
    else
        PQclear(rows);
}
