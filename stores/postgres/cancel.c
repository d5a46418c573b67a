#include "cancel.h"

#include "../check.h"
#include "wait.h"

#include <stdio.h>

#define GRACE_NS (500 * BATCH__POSTGRES_MS)

void batch__postgres_cancel_end(struct batch__postgres_cancel *cancel)
{
    PQfinish(cancel->conn);
    cancel->conn = NULL;
}

void batch__postgres_cancel_begin(struct batch__postgres_cancel *cancel,
                                  const struct batch__postgres_conninfo *conninfo, size_t host,
                                  const PGconn *conn)
{
    const char *address = PQhostaddr(conn);
    batch__check(!cancel->is_begun);
    batch__check(cancel->conn == NULL);
    cancel->is_begun = true;
    cancel->until_ns = batch_now_ns() + GRACE_NS;
    cancel->backend_pid = PQbackendPID(conn);
    cancel->polling = PGRES_POLLING_WRITING;
    cancel->conn = batch__postgres_connect_start(
        conninfo, host, address != NULL && address[0] != '\0' ? address : NULL, true);
    if (cancel->conn != NULL && PQstatus(cancel->conn) == CONNECTION_BAD)
        batch__postgres_cancel_end(cancel);
}

struct pollfd batch__postgres_cancel_fd(const struct batch__postgres_cancel *cancel)
{
    struct pollfd fd = {.fd = -1};
    if (cancel->conn != NULL) {
        fd.fd = PQsocket(cancel->conn);
        fd.events = cancel->polling == PGRES_POLLING_WRITING ? POLLOUT : POLLIN;
    }
    return fd;
}

void batch__postgres_cancel_advance(struct batch__postgres_cancel *cancel)
{
    batch__check(cancel->conn != NULL);
    if (cancel->polling != PGRES_POLLING_OK) {
        cancel->polling = PQconnectPoll(cancel->conn);
        if (cancel->polling == PGRES_POLLING_OK) {
            char sql[64];
            snprintf(sql, sizeof sql, "SELECT pg_catalog.pg_cancel_backend(%d)",
                     cancel->backend_pid);
            if (PQsetnonblocking(cancel->conn, 1) != 0 || PQsendQuery(cancel->conn, sql) == 0)
                batch__postgres_cancel_end(cancel);
        } else if (cancel->polling == PGRES_POLLING_FAILED) {
            batch__postgres_cancel_end(cancel);
        }
        return;
    }
    if (PQflush(cancel->conn) < 0 || PQconsumeInput(cancel->conn) == 0 ||
        PQisBusy(cancel->conn) == 0)
        batch__postgres_cancel_end(cancel); /* sent and processed, or it failed */
}
