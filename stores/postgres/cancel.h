/* cancel.h: cancel a statement that takes too long, through a connection of its own.
 *
 * PQcancel would block for as long as the server does. So a second connection asks the server to
 * cancel what the first one is doing, in steps that never block. It has half a second, until
 * `until_ns`; whether it had an effect is seen on the first connection, in how the statement ends.
 *
 * Use: an object of zeros; begin once; until the time is over, wait for batch__postgres_cancel_fd
 * and advance when it is ready; end.
 */
#ifndef BATCH_POSTGRES_CANCEL_H
#define BATCH_POSTGRES_CANCEL_H

#include "conninfo.h"

#include <poll.h>

struct batch__postgres_cancel {
    PGconn *conn; /* NULL: not begun, or ended */
    PostgresPollingStatusType polling;
    int backend_pid; /* of the connection to cancel */
    bool is_begun;
    uint64_t until_ns;
};

/* `conn` is connected to this host. */
void batch__postgres_cancel_begin(struct batch__postgres_cancel *cancel,
                                  const struct batch__postgres_conninfo *conninfo, size_t host,
                                  const PGconn *conn);

/* What to wait for; a descriptor of -1 if nothing is under way. */
struct pollfd batch__postgres_cancel_fd(const struct batch__postgres_cancel *cancel);

/* Its descriptor is ready. */
void batch__postgres_cancel_advance(struct batch__postgres_cancel *cancel);

void batch__postgres_cancel_end(struct batch__postgres_cancel *cancel);

#endif
