#include "connection.h"

#include "../check.h"

#include <stdio.h>
#include <string.h>

static bool is_valid(const struct batch__postgres_connection *connection)
{
    bool is_any_prepared = false;
    for (int i = 0; i < BATCH__POSTGRES_STATEMENTS; i++)
        is_any_prepared |= connection->is_prepared[i];
    return (connection->conn == NULL) == (connection->stage == BATCH__POSTGRES_DOWN) &&
           (!is_any_prepared || connection->stage == BATCH__POSTGRES_READY);
}

void batch__postgres_connection_init(struct batch__postgres_connection *connection,
                                     const struct batch__postgres_conninfo *conninfo,
                                     struct batch__postgres_spec *spec, bool may_create)
{
    batch__check(may_create || spec->schema != NULL);
    *connection = (struct batch__postgres_connection){
        .conninfo = conninfo,
        .table = {.spec = spec, .may_create = may_create},
    };
    batch__postgres_hosts_init(&connection->hosts, conninfo->hosts_size);
    batch__check(is_valid(connection));
}

bool batch__postgres_is_ready(const struct batch__postgres_connection *connection)
{
    return connection->stage == BATCH__POSTGRES_READY;
}

void batch__postgres_drop(struct batch__postgres_connection *connection)
{
    /* Sends Terminate if the socket accepts it at once, and does not wait. */
    PQfinish(connection->conn);
    connection->conn = NULL;
    connection->stage = BATCH__POSTGRES_DOWN;
    connection->is_closing = false;
    memset(connection->is_prepared, 0, sizeof connection->is_prepared);
    batch__check(is_valid(connection));
}

/* ---- What the server sends unasked ---------------------------------------------------------- */

/* For PQsetNoticeReceiver. */
static void on_notice(void *arg, const PGresult *notice)
{
    struct batch__postgres_connection *connection = arg;
    const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
    bool has_context = PQresultErrorField(notice, PG_DIAG_CONTEXT) != NULL;
    if (severity != NULL && strcmp(severity, "WARNING") == 0 && !has_context)
        connection->is_warned = true;
    if (batch__postgres_is_severe(notice))
        connection->is_closing = true;
}

/* Has the server closed the connection while it was idle? */
static bool is_stale(struct batch__postgres_connection *connection)
{
    enum { READS_MAX = 16 };
    batch__check(connection->stage == BATCH__POSTGRES_READY);
    for (int i = 0; i < READS_MAX; i++) {
        struct pollfd fd = {.fd = PQsocket(connection->conn), .events = POLLIN};
        if (poll(&fd, 1, 0) <= 0)
            break;
        if (PQconsumeInput(connection->conn) == 0)
            return true;
    }
    (void)PQisBusy(connection->conn); /* parses what came, and may call on_notice */
    return connection->is_closing || PQstatus(connection->conn) != CONNECTION_OK ||
           PQtransactionStatus(connection->conn) != PQTRANS_IDLE;
}

/* ---- Failures ------------------------------------------------------------------------------- */

static void attempt_failed(struct batch__postgres_connection *connection)
{
    batch__check(connection->stage != BATCH__POSTGRES_READY);
    batch__postgres_drop(connection);
    batch__postgres_hosts_failed(&connection->hosts, batch_now_ns());
}

/* The attempt failed with the error of libpq. */
static void attempt_refused(struct batch__postgres_connection *connection)
{
    connection->error.code = 0;
    batch__postgres_conninfo_hide(connection->conninfo,
                                  connection->conn != NULL ? PQerrorMessage(connection->conn)
                                                           : "no memory for a connection",
                                  connection->error.text, sizeof connection->error.text);
    attempt_failed(connection);
}

/* The attempt failed with the error that is set, or else with that of libpq. */
static void attempt_ended(struct batch__postgres_connection *connection)
{
    if (connection->error.text[0] != '\0')
        attempt_failed(connection);
    else
        attempt_refused(connection);
}

/* Set the error that it takes too long, unless there is another one. */
static void describe_late(struct batch__postgres_connection *connection)
{
    batch__check(connection->hosts.current < connection->conninfo->hosts_size);
    const struct batch__postgres_host *host =
        &connection->conninfo->hosts[connection->hosts.current];
    const char *name = host->host != NULL ? host->host : host->hostaddr;
    if (connection->error.text[0] != '\0')
        return;
    connection->error.code = 0;
    snprintf(connection->error.text, sizeof connection->error.text,
             "%.80s port %.8s does not respond within connect_timeout",
             name != NULL ? name : "the default host", host->port != NULL ? host->port : "default");
}

/* ---- Steps ---------------------------------------------------------------------------------- */

static void start(struct batch__postgres_connection *connection)
{
    batch__check(connection->stage == BATCH__POSTGRES_DOWN);
    batch__check(connection->conn == NULL);
    connection->conn =
        batch__postgres_connect_start(connection->conninfo, connection->hosts.current, NULL, false);
    if (connection->conn == NULL || PQstatus(connection->conn) == CONNECTION_BAD) {
        attempt_refused(connection);
        return;
    }
    PQsetNoticeReceiver(connection->conn, on_notice, connection);
    connection->stage = BATCH__POSTGRES_CONNECTING;
    connection->polling = PGRES_POLLING_WRITING;
    connection->attempt_until_ns = batch_now_ns() + connection->conninfo->connect_ns;
}

/* Wait for the socket. False: it is not ready; the caller checks the time. */
static bool wait_for(struct batch__postgres_connection *connection, short events,
                     const struct batch__postgres_limit *limit)
{
    struct pollfd fd = {.fd = PQsocket(connection->conn), .events = events};
    batch__postgres_poll(&fd, 1, limit);
    return fd.revents != 0;
}

static void advance_connecting(struct batch__postgres_connection *connection,
                               const struct batch__postgres_limit *limit)
{
    batch__check(connection->stage == BATCH__POSTGRES_CONNECTING);
    short events = connection->polling == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (!wait_for(connection, events, limit))
        return;
    connection->polling = PQconnectPoll(connection->conn);
    if (connection->polling == PGRES_POLLING_FAILED) {
        attempt_refused(connection);
    } else if (connection->polling == PGRES_POLLING_OK) {
        if (PQsetnonblocking(connection->conn, 1) != 0) {
            attempt_refused(connection);
            return;
        }
        connection->stage = BATCH__POSTGRES_SETTING_UP;
        connection->is_step_sent = false;
        batch__postgres_table_begin(&connection->table);
    }
}

static void become_ready(struct batch__postgres_connection *connection)
{
    batch__check(connection->stage == BATCH__POSTGRES_SETTING_UP);
    connection->stage = BATCH__POSTGRES_READY;
    connection->is_prepared[BATCH__POSTGRES_SAVE] = connection->table.is_save_prepared;
    connection->is_warned = false;
    connection->error = (struct batch__postgres_error){.code = 0};
    batch__postgres_hosts_succeeded(&connection->hosts);
    batch__check(is_valid(connection));
}

/* Take all results of a step. False: one of them is an error, or there is none. */
static bool end_step(struct batch__postgres_connection *connection)
{
    bool is_well = true;
    bool is_any = false;
    for (PGresult *result; (result = PQgetResult(connection->conn)) != NULL; PQclear(result)) {
        if (is_well)
            is_well = batch__postgres_table_receive(&connection->table, result, &connection->error);
        is_any = true;
    }
    connection->is_step_sent = false;
    return is_well && is_any;
}

static void advance_setting_up(struct batch__postgres_connection *connection,
                               const struct batch__postgres_limit *limit)
{
    batch__check(connection->stage == BATCH__POSTGRES_SETTING_UP);
    if (!connection->is_step_sent) {
        connection->error = (struct batch__postgres_error){.code = 0};
        if (!batch__postgres_table_send(&connection->table, connection->conn, &connection->error)) {
            attempt_ended(connection);
            return;
        }
        connection->is_step_sent = true;
    }
    int unsent = PQflush(connection->conn);
    if (unsent >= 0 && wait_for(connection, unsent > 0 ? POLLIN | POLLOUT : POLLIN, limit) &&
        PQconsumeInput(connection->conn) == 0)
        unsent = -1;
    if (unsent < 0) {
        attempt_refused(connection);
        return;
    }
    if (PQisBusy(connection->conn) != 0)
        return;
    if (!end_step(connection)) {
        attempt_ended(connection);
        return;
    }
    if (batch__postgres_table_is_ready(&connection->table))
        become_ready(connection);
}

static struct batch__postgres_limit earlier(const struct batch__postgres_limit *limit,
                                            uint64_t until_ns)
{
    return (struct batch__postgres_limit){limit->until_ns < until_ns ? limit->until_ns : until_ns,
                                          limit->call};
}

static void advance(struct batch__postgres_connection *connection,
                    const struct batch__postgres_limit *limit)
{
    batch__check(is_valid(connection));
    if (connection->stage == BATCH__POSTGRES_DOWN) {
        uint64_t not_before_ns = connection->hosts.not_before_ns;
        if (not_before_ns > batch_now_ns()) {
            struct batch__postgres_limit pause = earlier(limit, not_before_ns);
            batch__postgres_poll(NULL, 0, &pause);
        } else {
            start(connection);
        }
        return;
    }
    if (batch_now_ns() > connection->attempt_until_ns) {
        connection->error.text[0] = '\0';
        describe_late(connection);
        attempt_failed(connection);
        return;
    }
    struct batch__postgres_limit attempt = earlier(limit, connection->attempt_until_ns);
    if (connection->stage == BATCH__POSTGRES_CONNECTING)
        advance_connecting(connection, &attempt);
    else
        advance_setting_up(connection, &attempt);
}

bool batch__postgres_connect(struct batch__postgres_connection *connection,
                             const struct batch__postgres_limit *limit, bool is_patient)
{
    batch__check(is_valid(connection));
    if (connection->stage == BATCH__POSTGRES_READY) {
        if (!connection->is_closing && !is_stale(connection))
            return true;
        batch__postgres_drop(connection);
        connection->error = (struct batch__postgres_error){.text = "the server closed it"};
    }
    while (connection->stage != BATCH__POSTGRES_READY) {
        if (batch__postgres_is_over(limit)) {
            if (!is_patient)
                describe_late(connection);
            return false;
        }
        advance(connection, limit);
        if (!is_patient && batch__postgres_hosts_all_failed(&connection->hosts))
            return false;
    }
    return true;
}
