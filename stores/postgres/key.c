#define _POSIX_C_SOURCE 200809L /* fmemopen */
#include "key.h"

#include "../check.h"

#include <inttypes.h>
#include <sodium.h>
#include <string.h>

void batch__postgres_key_begin(struct batch__postgres_key *key, PGconn *conn)
{
    batch__check(key->trace == NULL);
    batch__check(conn != NULL);
    key->is_known = false;
    key->trace = fmemopen(key->text, sizeof key->text - 1, "w"); /* a NUL stays behind it */
    if (key->trace == NULL)
        return;
    PQtrace(conn, key->trace);
#ifdef LIBPQ_HAS_TRACE_FLAGS
    PQsetTraceFlags(conn, PQTRACE_SUPPRESS_TIMESTAMPS); /* no localtime, no lock of it */
#endif
}

/* A line of the trace has a time, unless that is switched off, who sent it, the length and the name
 * of the message, and what is in it: "B<tab>12<tab>BackendKeyData<tab> 27997 -2078166187". */
void batch__postgres_key_find(struct batch__postgres_key *key, const char *trace, int process)
{
    static const char name[] = "B\t12\tBackendKeyData\t ";
    key->is_known = false;
    for (const char *at = trace; (at = strstr(at, name)) != NULL;) {
        int32_t numbers[2];
        at += sizeof name - 1;
        if (sscanf(at, "%" SCNd32 " %" SCNd32, &numbers[0], &numbers[1]) != 2 ||
            numbers[0] != process)
            continue;
        key->is_known = true;
        key->process = (uint32_t)numbers[0];
        key->secret = (uint32_t)numbers[1];
    }
}

void batch__postgres_key_end(struct batch__postgres_key *key, PGconn *conn)
{
    if (key->trace == NULL)
        return;
    PQuntrace(conn);
    fclose(key->trace);
    key->trace = NULL;
    batch__postgres_key_find(key, key->text, PQbackendPID(conn));
    sodium_memzero(key->text, sizeof key->text);
}
