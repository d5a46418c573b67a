/* connection.c: the connection of a session, opened and opened again, in steps that never block.
 *
 *   DOWN ──► CONNECTING ──► SETTING_UP ──► READY
 *     ▲           │              │           │
 *     └───────────┴──────────────┴───────────┘  lost, refused, or too slow
 *
 * Whoever needs the connection moves it on until it is ready or until its own time is over; the
 * next one goes on from there. So connecting may take longer than the deadline of any batch.
 *
 * Hosts are tried in turn, each with the same time limit, the one that was good last first.
 * Only a server that takes writes will do. After a round without success there is a pause, twice as
 * long each time, and never the same.
 */
#include "internal.h"

#include <poll.h>
#include <stdio.h>

#define PAUSE_MIN_NS (50 * BATCH__POSTGRES_MS)
#define PAUSE_MAX_NS (2000 * BATCH__POSTGRES_MS)

void batch__postgres_drop(struct batch__postgres_session *session)
{
    /* It says good-bye if the socket takes that at once, and does not wait. */
    PQfinish(session->conn);
    session->conn = NULL;
    session->stage = BATCH__POSTGRES_DOWN;
    session->is_doomed = false;
    memset(session->is_prepared, 0, sizeof session->is_prepared);
}

/* ---- Failures ------------------------------------------------------------------------------- */

/* The attempt failed: the next host, or a pause. */
static void attempt_failed(struct batch__postgres_session *session)
{
    batch__postgres_drop(session);
    session->host = (session->host + 1) % session->store->conninfo.hosts_size;
    session->hosts_failed++;
    if (session->hosts_failed % session->store->conninfo.hosts_size != 0)
        return;
    if (session->pause_ns < PAUSE_MIN_NS)
        session->pause_ns = PAUSE_MIN_NS;
    session->not_before_ns = batch_now_ns() + session->pause_ns / 2 +
                             batch__postgres_random(session) % (session->pause_ns / 2);
    session->pause_ns *= 2;
    if (session->pause_ns > PAUSE_MAX_NS)
        session->pause_ns = PAUSE_MAX_NS;
}

/* By what libpq says. */
static void attempt_refused(struct batch__postgres_session *session)
{
    session->error_code = 0;
    batch__postgres_conninfo_hide(&session->store->conninfo,
                                  session->conn != NULL ? PQerrorMessage(session->conn)
                                                        : "no memory for a connection",
                                  session->error_text, sizeof session->error_text);
    attempt_failed(session);
}

/* By what has been said, or else by what libpq says. */
static void attempt_ended(struct batch__postgres_session *session)
{
    if (session->error_text[0] != '\0')
        attempt_failed(session);
    else
        attempt_refused(session);
}

/* Say that it takes too long, if nothing else has been said. */
static void describe_late(struct batch__postgres_session *session)
{
    const struct batch__postgres_host *host = &session->store->conninfo.hosts[session->host];
    const char *name = host->host != NULL ? host->host : host->hostaddr;
    if (session->error_text[0] != '\0')
        return;
    session->error_code = 0;
    snprintf(session->error_text, sizeof session->error_text,
             "%.80s port %.8s does not answer within the time to connect (connect_timeout)",
             name != NULL ? name : "the default host", host->port != NULL ? host->port : "default");
}

/* ---- Steps ---------------------------------------------------------------------------------- */

static void start(struct batch__postgres_session *session)
{
    const struct batch__postgres_conninfo *conninfo = &session->store->conninfo;
    session->conn = batch__postgres_connect_start(conninfo, session->host, NULL, false);
    if (session->conn == NULL || PQstatus(session->conn) == CONNECTION_BAD) {
        attempt_refused(session);
        return;
    }
    PQsetNoticeReceiver(session->conn, batch__postgres_on_notice, session);
    session->stage = BATCH__POSTGRES_CONNECTING;
    session->polling = PGRES_POLLING_WRITING;
    session->attempt_until_ns = batch_now_ns() + conninfo->connect_ns;
}

/* Wait for the socket. False: it is not ready; the caller looks at the time. */
static bool wait_for(struct batch__postgres_session *session, short events,
                     const struct batch__postgres_limit *limit)
{
    struct pollfd fd = {.fd = PQsocket(session->conn), .events = events};
    batch__postgres_poll(&fd, 1, limit);
    return fd.revents != 0;
}

static void go_on_connecting(struct batch__postgres_session *session,
                             const struct batch__postgres_limit *limit)
{
    short events = session->polling == PGRES_POLLING_READING ? POLLIN : POLLOUT;
    if (!wait_for(session, events, limit))
        return;
    session->polling = PQconnectPoll(session->conn);
    if (session->polling == PGRES_POLLING_FAILED) {
        attempt_refused(session);
    } else if (session->polling == PGRES_POLLING_OK) {
        if (PQsetnonblocking(session->conn, 1) != 0) {
            attempt_refused(session);
            return;
        }
        session->stage = BATCH__POSTGRES_SETTING_UP;
        session->step = BATCH__POSTGRES_SET;
        session->step_is_sent = false;
    }
}

static void ready(struct batch__postgres_session *session)
{
    session->stage = BATCH__POSTGRES_READY;
    session->hosts_failed = 0;
    session->pause_ns = 0;
    session->not_before_ns = 0;
    session->is_warned = false;
    session->error_text[0] = '\0';
    session->error_code = 0;
}

/* Take all results of a step; the last one decides. False: the next step cannot be taken. */
static bool end_step(struct batch__postgres_session *session)
{
    bool is_well = true;
    bool is_any = false;
    for (PGresult *result; (result = PQgetResult(session->conn)) != NULL; PQclear(result)) {
        if (is_well)
            is_well = batch__postgres_step_end(session, result);
        is_any = true;
    }
    session->step_is_sent = false;
    return is_well && is_any;
}

static void go_on_setting_up(struct batch__postgres_session *session,
                             const struct batch__postgres_limit *limit)
{
    if (!session->step_is_sent) {
        session->error_text[0] = '\0';
        if (!batch__postgres_step_send(session)) {
            attempt_ended(session);
            return;
        }
        session->step_is_sent = true;
    }
    int unsent = PQflush(session->conn);
    if (unsent >= 0 && wait_for(session, unsent > 0 ? POLLIN | POLLOUT : POLLIN, limit) &&
        PQconsumeInput(session->conn) == 0)
        unsent = -1;
    if (unsent < 0) {
        attempt_refused(session);
        return;
    }
    if (PQisBusy(session->conn) != 0)
        return;
    if (!end_step(session)) {
        attempt_ended(session);
        return;
    }
    if (session->step == BATCH__POSTGRES_STEPS)
        ready(session);
}

static void go_on(struct batch__postgres_session *session,
                  const struct batch__postgres_limit *limit)
{
    if (session->stage == BATCH__POSTGRES_DOWN) {
        uint64_t now_ns = batch_now_ns();
        if (session->not_before_ns > now_ns) {
            struct batch__postgres_limit pause = {session->not_before_ns, limit->call};
            if (limit->until_ns < pause.until_ns)
                pause.until_ns = limit->until_ns;
            batch__postgres_poll(NULL, 0, &pause);
        } else {
            start(session);
        }
        return;
    }
    if (batch_now_ns() > session->attempt_until_ns) {
        session->error_text[0] = '\0';
        describe_late(session);
        attempt_failed(session);
        return;
    }
    struct batch__postgres_limit attempt = {session->attempt_until_ns, limit->call};
    if (limit->until_ns < attempt.until_ns)
        attempt.until_ns = limit->until_ns;
    if (session->stage == BATCH__POSTGRES_CONNECTING)
        go_on_connecting(session, &attempt);
    else
        go_on_setting_up(session, &attempt);
}

bool batch__postgres_connect(struct batch__postgres_session *session,
                             const struct batch__postgres_limit *limit, bool is_patient)
{
    if (session->stage == BATCH__POSTGRES_READY) {
        if (!session->is_doomed && !batch__postgres_is_stale(session))
            return true;
        batch__postgres_drop(session);
        snprintf(session->error_text, sizeof session->error_text, "the server ended it");
        session->error_code = 0;
    }
    size_t hosts_size = session->store->conninfo.hosts_size;
    while (session->stage != BATCH__POSTGRES_READY) {
        if (batch__postgres_is_over(limit)) {
            if (!is_patient)
                describe_late(session);
            return false;
        }
        go_on(session, limit);
        if (!is_patient && session->hosts_failed >= hosts_size)
            return false;
    }
    return true;
}
