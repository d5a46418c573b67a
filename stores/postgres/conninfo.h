/* conninfo.h: the hosts in a connection string, and how to start connecting to one of them.
 *
 * libpq can try several hosts by itself, but without blocking it has no time limit for each, and
 * one that does not respond would use up all the time. So the lists are split here, and
 * connection.c tries the hosts in turn. The rest of the string goes to libpq as it is; environment,
 * service and password files work as usual. (Only a list of hosts in a service file, named in the
 * string, is left to libpq.)
 *
 * No part of the string gets into a message: it may contain a password.
 *
 * Threads: read-only once it is made.
 */
#ifndef BATCH_POSTGRES_CONNINFO_H
#define BATCH_POSTGRES_CONNINFO_H

#include <batch/store.h>

#include <libpq-fe.h>

enum { BATCH__POSTGRES_HOSTS_MAX = 32 };

/* A place to connect to; NULL means libpq's default. */
struct batch__postgres_host {
    char *host;
    char *hostaddr;
    char *port;
};

/* A connection string, completed from the environment. */
struct batch__postgres_conninfo {
    PQconninfoOption *options;
    struct batch__postgres_host hosts[BATCH__POSTGRES_HOSTS_MAX];
    size_t hosts_size;           /* at least 1 */
    uint64_t connect_ns;         /* for one address; 1 second to 1 hour */
    uint64_t connect_several_ns; /* the same where there are several */
};

/* Must be destroyed, also if this failed. */
int batch__postgres_conninfo_init(struct batch__postgres_conninfo *conninfo, const char *text,
                                  batch_result *reterr);
void batch__postgres_conninfo_destroy(struct batch__postgres_conninfo *conninfo);

/* Copy a text of libpq as one line. A text that contains a value of the string, which may be a
 * password, is replaced. */
void batch__postgres_conninfo_hide(const struct batch__postgres_conninfo *conninfo,
                                   const char *text, char *ret_text, size_t text_size);

/* How long an attempt may take; `addresses_size`: how many the name of the host has. */
uint64_t batch__postgres_connect_ns(const struct batch__postgres_conninfo *conninfo,
                                    size_t addresses_size);

/* Start connecting to a host, at one of the addresses of its name (NULL: whatever libpq finds).
 * NULL: no memory. */
PGconn *batch__postgres_connect_start(const struct batch__postgres_conninfo *conninfo, size_t host,
                                      const char *address);

#endif
