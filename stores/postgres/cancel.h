/* cancel.h: cancel a statement that takes too long.
 *
 * By a CancelRequest of the protocol: 16 bytes with the key of the connection (key.h), sent through
 * a socket of their own to where the connection leads. No login, and no encryption: servers and
 * poolers accept such a request even where they require TLS. The socket never blocks. The
 * request and the statement together have half a second, until `until_ns`; whether it had an effect
 * is seen on the connection, in how the statement ends.
 *
 * A request that was sent is left to the other side to close, as libpq does, also when the
 * statement has ended by then: pgbouncer 1.18 may end with a fatal error, and with it all its
 * connections, if the client closes while the request is being forwarded.
 *
 * Use: an object of zeros; begin once; until the time is over, wait for batch__postgres_cancel_fd
 * and advance when it is ready; end.
 */
#ifndef BATCH_POSTGRES_CANCEL_H
#define BATCH_POSTGRES_CANCEL_H

#include "key.h"

#include <poll.h>

enum { BATCH__POSTGRES_CANCEL_SIZE = 16 };

struct batch__postgres_cancel {
    bool is_begun;
    bool is_open; /* there is a socket */
    int socket;
    size_t sent; /* bytes of the request */
    unsigned char request[BATCH__POSTGRES_CANCEL_SIZE];
    uint64_t until_ns;
};

/* Of what `conn`, which has this key, is doing. */
void batch__postgres_cancel_begin(struct batch__postgres_cancel *cancel,
                                  const struct batch__postgres_key *key, const PGconn *conn);

/* What to wait for; a descriptor of -1 if nothing is under way. */
struct pollfd batch__postgres_cancel_fd(const struct batch__postgres_cancel *cancel);

/* Its descriptor is ready. */
void batch__postgres_cancel_advance(struct batch__postgres_cancel *cancel);

/* Waits until the other side has closed, if it has got any of the request: at most `until_ns`. */
void batch__postgres_cancel_end(struct batch__postgres_cancel *cancel);

#endif
