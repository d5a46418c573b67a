/* key.h: the key of a connection, which a cancel request needs.
 *
 * The server hands out a process id and a secret when a connection begins, and whoever has both may
 * cancel what it is doing: no login is needed. libpq keeps the secret to itself, and PQcancel,
 * which uses it, blocks for as long as the network does. But PQtrace shows every message that
 * arrives: so the beginning of a connection is traced into memory, read there, and wiped. The form
 * of the trace is that of libpq 14 and later; with another one there is no key, and nothing is
 * canceled. Callers must allow for that in any case: the effect of a cancel request is never
 * certain.
 *
 * Use: an object of zeros; begin once libpq has started to connect; end when it is connected, or
 * gives up, before PQfinish.
 */
#ifndef BATCH_POSTGRES_KEY_H
#define BATCH_POSTGRES_KEY_H

#include <libpq-fe.h>

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { BATCH__POSTGRES_TRACE_SIZE = 8192 };

struct batch__postgres_key {
    bool is_known;
    uint32_t process;
    uint32_t secret;
    FILE *trace; /* while it is connecting */
    /* A few thousand bytes are usual. In a longer trace the key may be missing. */
    char text[BATCH__POSTGRES_TRACE_SIZE];
};

void batch__postgres_key_begin(struct batch__postgres_key *key, PGconn *conn);
void batch__postgres_key_end(struct batch__postgres_key *key, PGconn *conn);

/* Look for the key in a trace; process ids that libpq does not report are ignored. */
void batch__postgres_key_find(struct batch__postgres_key *key, const char *trace, int process);

#endif
