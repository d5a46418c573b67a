/* conninfo.h: the hosts in a connection string, and a connection begun to one of them.
 *
 * libpq can try several hosts by itself, but when it is not to block it knows no time limit for
 * each, and one that does not respond would take all the time there is. So the lists are taken
 * apart here, and connection.c tries the hosts in turn. What else the string has goes to libpq as
 * it is; environment, service and password files work as always. (Only a list of hosts that is in a
 * service file, named in the string, is left to libpq.)
 *
 * Nothing of the string gets into a message: it may hold a password.
 *
 * Threads: read-only once it is made.
 */
#ifndef BATCH_POSTGRES_CONNINFO_H
#define BATCH_POSTGRES_CONNINFO_H

#include <batch/store.h>

#include <libpq-fe.h>

enum { BATCH__POSTGRES_HOSTS_MAX = 32 };

/* A place to connect to; NULL is what libpq takes for it. */
struct batch__postgres_host {
    char *host;
    char *hostaddr;
    char *port;
};

/* What a connection string has, and the environment where that leaves something open. */
struct batch__postgres_conninfo {
    PQconninfoOption *options;
    struct batch__postgres_host hosts[BATCH__POSTGRES_HOSTS_MAX];
    size_t hosts_size;   /* at least 1 */
    uint64_t connect_ns; /* for one host; 1 second to 1 hour */
};

/* To be destroyed also when it failed. */
int batch__postgres_conninfo_init(struct batch__postgres_conninfo *conninfo, const char *text,
                                  batch_result *reterr);
void batch__postgres_conninfo_destroy(struct batch__postgres_conninfo *conninfo);

/* Copy a text of libpq as one line; but one with a value of the string, which may be a password, is
 * replaced. */
void batch__postgres_conninfo_hide(const struct batch__postgres_conninfo *conninfo,
                                   const char *text, char *ret_text, size_t text_size);

/* Begin to connect to a host. `address` overrides where its name leads; `is_any`: to any server,
 * also one that takes no writes. Both are for canceling. NULL: no memory. */
PGconn *batch__postgres_connect_start(const struct batch__postgres_conninfo *conninfo, size_t host,
                                      const char *address, bool is_any);

#endif
