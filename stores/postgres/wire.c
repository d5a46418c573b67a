/* wire.c: one statement there and its answer back, by a deadline.
 *
 * What is known when. The server commits at the Sync message, the last one of a statement, and says
 * so with ReadyForQuery, the last one of the answer; rows come before that and prove nothing.
 *
 *   - libpq still holds a part of what is to be sent: no Sync, nothing is stored (NOT_SENT).
 *   - An error that leaves the connection in use: rolled back (ERROR).
 *   - ReadyForQuery without an error: committed (DONE).
 *   - An error in libpq's own words, without a SQLSTATE: it had no memory to read the answer, and
 *     says nothing of what the server did (DOUBT).
 *   - The connection ends in between, also with words of the server (a shutdown, a pooler's own
 *     errors): it may have been committed (DOUBT).
 *   - A warning that does not come from a function (those have a context): when the server stops
 *     waiting for a synchronous standby it only warns, and then reports success: committed, but not
 *     where it should be (DOUBT).
 *
 * When the time is over the statement is canceled, which takes another connection: PQcancel would
 * block for as long as the server does. Both get GRACE_NS; the truth counts, if it comes by then.
 * After that, and after every cancel, the connection is dropped; the server ends what it was doing
 * when it finds the client gone (client_connection_check_interval).
 */
#include "internal.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define GRACE_NS (500 * BATCH__POSTGRES_MS)

/* ---- Errors and notices --------------------------------------------------------------------- */

static bool is_severe(const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    return severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

static bool is_of_server(const PGresult *result)
{
    return PQresultErrorField(result, PG_DIAG_SQLSTATE) != NULL;
}

void batch__postgres_on_notice(void *opened, const PGresult *notice)
{
    struct batch__postgres_session *session = opened;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    bool has_context = PQresultErrorField(notice, PG_DIAG_CONTEXT) != NULL;
    if (severity != NULL && strcmp(severity, "WARNING") == 0 && !has_context)
        session->is_warned = true;
    if (is_severe(notice))
        session->is_doomed = true;
}

/* The primary message alone: details of the server may repeat keys and states. */
void batch__postgres_describe(const PGresult *result, struct batch__postgres_trouble *ret_trouble)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    char line[BATCH__POSTGRES_TEXT_SIZE];
    *ret_trouble = (struct batch__postgres_trouble){.code = batch__postgres_code(sqlstate)};
    ret_trouble->has_context = PQresultErrorField(result, PG_DIAG_CONTEXT) != NULL;
    batch__postgres_one_line(line, sizeof line,
                             message != NULL ? message : PQresultErrorMessage(result));
    if (ret_trouble->code != 0)
        snprintf(ret_trouble->text, sizeof ret_trouble->text, "%.180s (SQLSTATE %s)", line,
                 sqlstate);
    else
        snprintf(ret_trouble->text, sizeof ret_trouble->text, "%s", line);
}

static void describe_connection(struct batch__postgres_session *session,
                                struct batch__postgres_trouble *ret_trouble)
{
    *ret_trouble = (struct batch__postgres_trouble){0};
    batch__postgres_one_line(ret_trouble->text, sizeof ret_trouble->text,
                             PQerrorMessage(session->conn));
    if (ret_trouble->text[0] == '\0')
        snprintf(ret_trouble->text, sizeof ret_trouble->text, "the connection was lost");
}

bool batch__postgres_is_stale(struct batch__postgres_session *session)
{
    enum { READS_MAX = 16 };
    for (int i = 0; i < READS_MAX; i++) {
        struct pollfd fd = {.fd = PQsocket(session->conn), .events = POLLIN};
        if (poll(&fd, 1, 0) <= 0)
            break;
        if (PQconsumeInput(session->conn) == 0)
            return true;
    }
    (void)PQisBusy(session->conn); /* has what came looked at, perhaps by on_notice */
    return session->is_doomed || PQstatus(session->conn) != CONNECTION_OK ||
           PQtransactionStatus(session->conn) != PQTRANS_IDLE;
}

/* ---- The cancel ----------------------------------------------------------------------------- */

struct cancel {
    PGconn *conn; /* NULL: not begun, or ended */
    PostgresPollingStatusType polling;
    bool is_begun;
    uint64_t until_ns;
};

static void cancel_end(struct cancel *cancel)
{
    PQfinish(cancel->conn);
    cancel->conn = NULL;
}

static void cancel_begin(struct cancel *cancel, struct batch__postgres_session *session)
{
    const char *address = PQhostaddr(session->conn);
    cancel->is_begun = true;
    cancel->until_ns = batch_now_ns() + GRACE_NS;
    cancel->polling = PGRES_POLLING_WRITING;
    cancel->conn =
        batch__postgres_connect_start(&session->store->conninfo, session->host,
                                      address != NULL && address[0] != '\0' ? address : NULL, true);
    if (cancel->conn != NULL && PQstatus(cancel->conn) == CONNECTION_BAD)
        cancel_end(cancel);
}

static struct pollfd cancel_fd(const struct cancel *cancel)
{
    struct pollfd fd = {.fd = -1};
    if (cancel->conn != NULL) {
        fd.fd = PQsocket(cancel->conn);
        fd.events = cancel->polling == PGRES_POLLING_WRITING ? POLLOUT : POLLIN;
    }
    return fd;
}

/* Its socket is ready. */
static void cancel_go_on(struct cancel *cancel, struct batch__postgres_session *session)
{
    if (cancel->polling != PGRES_POLLING_OK) {
        cancel->polling = PQconnectPoll(cancel->conn);
        if (cancel->polling == PGRES_POLLING_OK) {
            char sql[64];
            snprintf(sql, sizeof sql, "SELECT pg_catalog.pg_cancel_backend(%d)",
                     PQbackendPID(session->conn));
            if (PQsetnonblocking(cancel->conn, 1) != 0 || PQsendQuery(cancel->conn, sql) == 0)
                cancel_end(cancel);
        } else if (cancel->polling == PGRES_POLLING_FAILED) {
            cancel_end(cancel);
        }
        return;
    }
    if (PQflush(cancel->conn) < 0 || PQconsumeInput(cancel->conn) == 0 ||
        PQisBusy(cancel->conn) == 0)
        cancel_end(cancel); /* done, or it cannot be done */
}

/* ---- There ---------------------------------------------------------------------------------- */

/* Send it to the last byte. */
static bool send_all(struct batch__postgres_session *session,
                     const struct batch__postgres_limit *limit)
{
    for (;;) {
        int unsent = PQflush(session->conn);
        if (unsent <= 0)
            return unsent == 0;
        if (batch__postgres_is_over(limit))
            return false;
        struct pollfd fd = {.fd = PQsocket(session->conn), .events = POLLIN | POLLOUT};
        batch__postgres_poll(&fd, 1, limit);
        if ((fd.revents & ~POLLOUT) != 0 && PQconsumeInput(session->conn) == 0)
            return false;
    }
}

/* ---- And back ------------------------------------------------------------------------------- */

/* Wait until libpq has a result, or knows that none will come. False: neither, by the end of the
 * grace. */
static bool wait_for_result(struct batch__postgres_session *session,
                            const struct batch__postgres_limit *limit, struct cancel *cancel)
{
    while (PQisBusy(session->conn) != 0) {
        if (!cancel->is_begun && batch__postgres_is_over(limit))
            cancel_begin(cancel, session);
        struct batch__postgres_limit grace = {cancel->until_ns, NULL};
        if (cancel->is_begun && batch__postgres_is_over(&grace))
            return false;
        struct pollfd fds[2] = {{.fd = PQsocket(session->conn), .events = POLLIN},
                                cancel_fd(cancel)};
        batch__postgres_poll(fds, 2, cancel->is_begun ? &grace : limit);
        if (fds[0].revents != 0 && PQconsumeInput(session->conn) == 0)
            return true; /* what is wrong is the next result */
        if (fds[1].revents != 0)
            cancel_go_on(cancel, session);
    }
    return true;
}

struct receiving {
    struct batch__postgres_answer *answer;
    batch__postgres_row_fn on_row;
    void *arg;
    bool is_whole;  /* all rows have come: the statement itself went well */
    bool has_error; /* answer->trouble */
    bool is_lost;
};

static void receive(struct receiving *receiving, PGresult *result)
{
    switch (PQresultStatus(result)) {
    case PGRES_TUPLES_OK:
        receiving->is_whole = true;
        if (receiving->on_row == NULL && receiving->answer->rows == NULL) {
            receiving->answer->rows = result;
            return;
        }
        break;
    case PGRES_SINGLE_TUPLE:
        receiving->on_row(result, receiving->arg);
        break;
    case PGRES_COMMAND_OK:
        receiving->is_whole = true;
        break;
    default:
        receiving->has_error = true;
        receiving->is_lost |= is_severe(result) || !is_of_server(result);
        batch__postgres_describe(result, &receiving->answer->trouble);
        break;
    }
    PQclear(result);
}

static enum batch__postgres_reply reply_of(const struct receiving *receiving,
                                           const struct batch__postgres_session *session)
{
    if (receiving->is_lost || PQstatus(session->conn) != CONNECTION_OK ||
        PQtransactionStatus(session->conn) != PQTRANS_IDLE)
        return BATCH__POSTGRES_DOUBT;
    if (receiving->has_error)
        return BATCH__POSTGRES_ERROR;
    return receiving->is_whole && !session->is_warned ? BATCH__POSTGRES_DONE
                                                      : BATCH__POSTGRES_DOUBT;
}

static void receive_all(struct receiving *receiving, struct batch__postgres_session *session,
                        const struct batch__postgres_limit *limit)
{
    struct batch__postgres_answer *answer = receiving->answer;
    struct cancel cancel = {NULL, PGRES_POLLING_WRITING, false, 0};
    for (;;) {
        if (!wait_for_result(session, limit, &cancel)) {
            receiving->is_lost = true;
            if (!receiving->has_error)
                snprintf(answer->trouble.text, sizeof answer->trouble.text,
                         "the server did not answer in time, nor when it was told to cancel");
            break;
        }
        PGresult *result = PQgetResult(session->conn);
        if (result == NULL)
            break;
        receive(receiving, result);
    }
    answer->reply = reply_of(receiving, session);
    answer->trouble.was_canceled = cancel.is_begun;
    if (answer->reply == BATCH__POSTGRES_DOUBT && answer->trouble.text[0] == '\0') {
        if (session->is_warned)
            snprintf(answer->trouble.text, sizeof answer->trouble.text,
                     "the server warned while it committed (a wait for a standby was given up?)");
        else
            describe_connection(session, &answer->trouble);
    }
    cancel_end(&cancel);
    if (answer->reply == BATCH__POSTGRES_DOUBT || cancel.is_begun)
        batch__postgres_drop(session);
}

/* `is_sent`: what libpq said when it was given what to send. */
static void exchange(struct batch__postgres_session *session, int is_sent,
                     const struct batch__postgres_limit *limit, batch__postgres_row_fn on_row,
                     void *arg, struct batch__postgres_answer *ret_answer)
{
    *ret_answer = (struct batch__postgres_answer){.reply = BATCH__POSTGRES_NOT_SENT};
    session->is_warned = false;
    if (is_sent == 0 || (on_row != NULL && PQsetSingleRowMode(session->conn) == 0) ||
        !send_all(session, limit)) {
        describe_connection(session, &ret_answer->trouble);
        batch__postgres_drop(session);
        return;
    }
    struct receiving receiving = {.answer = ret_answer, .on_row = on_row, .arg = arg};
    receive_all(&receiving, session, limit);
    if (ret_answer->reply != BATCH__POSTGRES_DONE) {
        PQclear(ret_answer->rows);
        ret_answer->rows = NULL;
    }
}

/* Only when it is needed, except for SAVE, if that can be had at once: preparing takes the lock
 * that the statement needs, and loads must not wait for that of the saves. False: `ret_answer` says
 * why, and that nothing is stored. */
static bool prepare(struct batch__postgres_session *session,
                    enum batch__postgres_statement statement,
                    const struct batch__postgres_limit *limit,
                    struct batch__postgres_answer *ret_answer)
{
    char *sql = batch__postgres_statement_sql(session, statement);
    int is_sent =
        sql != NULL
            ? PQsendPrepare(session->conn, batch__postgres_statement_name(statement), sql, 0, NULL)
            : 0;
    free(sql);
    exchange(session, is_sent, limit, NULL, NULL, ret_answer);
    session->is_prepared[statement] = ret_answer->reply == BATCH__POSTGRES_DONE;
    if (ret_answer->reply == BATCH__POSTGRES_DOUBT)
        ret_answer->reply = BATCH__POSTGRES_NOT_SENT;
    return session->is_prepared[statement] && session->stage == BATCH__POSTGRES_READY;
}

void batch__postgres_run(struct batch__postgres_session *session,
                         enum batch__postgres_statement statement,
                         const struct batch__postgres_params *params,
                         const struct batch__postgres_limit *limit, batch__postgres_row_fn on_row,
                         void *arg, struct batch__postgres_answer *ret_answer)
{
    static const int formats[7] = {1, 1, 1, 1, 1, 1, 1};
    if (!session->is_prepared[statement] && !prepare(session, statement, limit, ret_answer)) {
        if (ret_answer->reply == BATCH__POSTGRES_DONE)
            ret_answer->reply = BATCH__POSTGRES_NOT_SENT; /* prepared, but too late */
        return;
    }
    int is_sent = PQsendQueryPrepared(session->conn, batch__postgres_statement_name(statement),
                                      params->count, params->values, params->sizes, formats, 1);
    exchange(session, is_sent, limit, on_row, arg, ret_answer);
}
