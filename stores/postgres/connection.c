#include "connection.h"

#include "../../src/base/atomics.h"
#include "../check.h"

#include <stdio.h>
#include <string.h>

/* Once the table was found unchanged, errors are not attributed to a change of it for this long. */
#define TRUST_NS (1000 * BATCH__POSTGRES_MS)

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
                                     struct batch__postgres_spec *spec, bool may_create,
                                     uint64_t *xreconnects)
{
    batch__check(may_create || spec->schema != NULL);
    *connection = (struct batch__postgres_connection){
        .conninfo = conninfo,
        .table = {.spec = spec, .may_create = may_create},
        .xreconnects = xreconnects,
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
    batch__postgres_key_end(&connection->key, connection->conn);
    /* Sends Terminate if the socket accepts it at once, and does not wait. */
    PQfinish(connection->conn);
    connection->conn = NULL;
    connection->stage = BATCH__POSTGRES_DOWN;
    connection->is_connected = false;
    connection->is_closing = false;
    connection->is_suspect = false;
    memset(connection->is_prepared, 0, sizeof connection->is_prepared);
    batch__check(is_valid(connection));
}

/* ---- What the server sends unasked ---------------------------------------------------------- */

static bool is_field(const PGresult *notice, int field, const char *value)
{
    const char *text = PQresultErrorField(notice, field);
    return text != NULL && strcmp(text, value) == 0;
}

/* One of the two warnings of a commit that stopped waiting for a standby, because it was canceled
 * or because the server is shutting down. Any function may raise a warning, with any code and text,
 * but it cannot set the location in the server's source that the warning names. */
static bool is_of_standby(const PGresult *notice)
{
    return is_field(notice, PG_DIAG_SEVERITY_NONLOCALIZED, "WARNING") &&
           is_field(notice, PG_DIAG_SOURCE_FUNCTION, "SyncRepWaitForLSN") &&
           (is_field(notice, PG_DIAG_SQLSTATE, "01000") ||
            is_field(notice, PG_DIAG_SQLSTATE, "57P01"));
}

/* For PQsetNoticeReceiver. */
static void on_notice(void *arg, const PGresult *notice)
{
    struct batch__postgres_connection *connection = arg;
    connection->is_warned |= is_of_standby(notice);
    if (batch__postgres_is_severe(notice) && !connection->is_closing) {
        connection->is_closing = true;
        batch__postgres_describe(notice, &connection->last_words);
    }
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
    if (connection->is_refused)
        connection->hosts.pause_ns = 0; /* tables come back as suddenly as they go */
    if (!batch__postgres_addresses_next(&connection->addresses))
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
    const char *address = batch__postgres_addresses_current(&connection->addresses);
    if (connection->error.text[0] != '\0')
        return;
    connection->error.code = 0;
    snprintf(connection->error.text, sizeof connection->error.text,
             "%.80s%s%.64s port %.8s does not respond within connect_timeout",
             name != NULL ? name : "the default host", address != NULL ? " at " : "",
             address != NULL ? address : "", host->port != NULL ? host->port : "default");
}

/* ---- Steps ---------------------------------------------------------------------------------- */

static void start(struct batch__postgres_connection *connection)
{
    const struct batch__postgres_conninfo *conninfo = connection->conninfo;
    struct batch__postgres_addresses *addresses = &connection->addresses;
    size_t host = connection->hosts.current;
    batch__check(connection->stage == BATCH__POSTGRES_DOWN);
    batch__check(connection->conn == NULL);
    connection->is_refused = false;
    if (addresses->size == 0 &&
        !batch__postgres_addresses_find(addresses, &conninfo->hosts[host], &connection->error)) {
        attempt_failed(connection);
        return;
    }
    connection->conn =
        batch__postgres_connect_start(conninfo, host, batch__postgres_addresses_current(addresses));
    if (connection->conn == NULL || PQstatus(connection->conn) == CONNECTION_BAD) {
        attempt_refused(connection);
        return;
    }
    PQsetNoticeReceiver(connection->conn, on_notice, connection);
    batch__postgres_key_begin(&connection->key, connection->conn);
    connection->stage = BATCH__POSTGRES_CONNECTING;
    connection->polling = PGRES_POLLING_WRITING;
    connection->attempt_until_ns =
        batch_now_ns() + batch__postgres_connect_ns(conninfo, addresses->size);
}

/* Wait for the socket. False: it is not ready; the caller checks the time. */
static bool wait_for(struct batch__postgres_connection *connection, short events,
                     const struct batch__postgres_limit *limit)
{
    struct pollfd fd = {.fd = PQsocket(connection->conn), .events = events};
    batch__postgres_poll(&fd, 1, limit);
    return fd.revents != 0;
}

static void connected(struct batch__postgres_connection *connection)
{
    int version = PQserverVersion(connection->conn);
    batch__postgres_key_end(&connection->key, connection->conn);
    if (version < BATCH__POSTGRES_SERVER_MIN) {
        connection->error.code = 0;
        snprintf(connection->error.text, sizeof connection->error.text,
                 "the server is PostgreSQL %d.%d, but 12 or newer is needed", version / 10000,
                 version >= 100000 ? version % 10000 : version / 100 % 100);
        attempt_failed(connection);
        return;
    }
    if (PQsetnonblocking(connection->conn, 1) != 0) {
        attempt_refused(connection);
        return;
    }
    connection->stage = BATCH__POSTGRES_SETTING_UP;
    connection->is_step_sent = false;
    batch__postgres_table_begin(&connection->table);
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
        connected(connection);
    }
}

static void become_ready(struct batch__postgres_connection *connection)
{
    batch__check(connection->stage == BATCH__POSTGRES_SETTING_UP);
    connection->stage = BATCH__POSTGRES_READY;
    connection->is_prepared[BATCH__POSTGRES_SAVE] = connection->table.is_save_prepared;
    connection->encoding = PQclientEncoding(connection->conn);
    connection->is_warned = false;
    connection->is_suspect = false;
    connection->error = (struct batch__postgres_error){.code = 0};
    connection->trusted_until_ns = connection->table.is_unchanged ? batch_now_ns() + TRUST_NS : 0;
    batch__postgres_hosts_succeeded(&connection->hosts);
    batch__postgres_addresses_succeeded(&connection->addresses);
    if (!connection->is_connected && connection->was_ready) {
        batch__add_relaxed(connection->xreconnects, 1);
        connection->is_back = true;
    }
    connection->is_connected = connection->was_ready = true;
    batch__check(is_valid(connection));
}

/* The pooler is to give another one: whether it remembers this one shows its kind. */
static void start_over(struct batch__postgres_connection *connection)
{
    batch__check(connection->stage == BATCH__POSTGRES_SETTING_UP);
    batch__postgres_drop(connection);
    start(connection);
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

/* Something is wrong that patience does not help; a standby may be the primary soon. */
static bool is_refusal(const struct batch__postgres_connection *connection)
{
    const struct batch__postgres_error *error = &connection->error;
    return connection->table.step != BATCH__POSTGRES_SET &&
           PQstatus(connection->conn) == CONNECTION_OK &&
           error->code != batch__postgres_code("57P03") &&
           batch__postgres_classify(error) != BATCH__POSTGRES_ERROR_TRANSIENT;
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
        connection->is_refused = is_refusal(connection);
        attempt_ended(connection);
        return;
    }
    if (batch__postgres_table_is_ready(&connection->table))
        become_ready(connection);
    else if (batch__postgres_table_wants_another(&connection->table))
        start_over(connection);
}

bool batch__postgres_suspect(struct batch__postgres_connection *connection)
{
    if (batch_now_ns() < connection->trusted_until_ns)
        return false;
    connection->is_suspect = true;
    return true;
}

/* Check the table again, and prepare all statements anew. */
static void check_again(struct batch__postgres_connection *connection)
{
    batch__check(connection->stage == BATCH__POSTGRES_READY);
    memset(connection->is_prepared, 0, sizeof connection->is_prepared);
    connection->stage = BATCH__POSTGRES_SETTING_UP;
    connection->is_step_sent = false;
    connection->attempt_until_ns = batch_now_ns() + connection->conninfo->connect_ns;
    batch__postgres_table_begin_again(&connection->table);
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

/* The server has closed it; perhaps it said why. */
static void closed(struct batch__postgres_connection *connection)
{
    bool has_said_why = connection->is_closing;
    batch__postgres_drop(connection);
    if (has_said_why)
        connection->error = connection->last_words;
    else
        connection->error = (struct batch__postgres_error){.text = "the server closed it"};
}

bool batch__postgres_connect(struct batch__postgres_connection *connection,
                             const struct batch__postgres_limit *limit, bool is_patient)
{
    batch__check(is_valid(connection));
    if (connection->stage == BATCH__POSTGRES_READY) {
        if (connection->is_closing || is_stale(connection))
            closed(connection);
        else if (connection->is_suspect)
            check_again(connection);
    }
    size_t failures = connection->hosts.failures;
    while (connection->stage != BATCH__POSTGRES_READY) {
        if (batch__postgres_is_over(limit)) {
            if (!is_patient)
                describe_late(connection);
            return false;
        }
        advance(connection, limit);
        if (!is_patient && batch__postgres_hosts_all_failed(&connection->hosts))
            return false;
        bool has_tried_all = connection->hosts.failures - failures >= connection->hosts.size;
        if (connection->is_refused && has_tried_all)
            return false;
    }
    return true;
}
