/* arrivals.h: a time limit for a request to arrive as a whole.
 *
 * The time limit of libmicrohttpd is for silence: a byte now and then holds a connection for ever.
 * So each connection has a time by which the next step must be seen: from its beginning until a
 * request is whole, ARRIVAL_S; after a response until the first line of the next request, as long
 * as a connection may be silent; from there until that is whole, ARRIVAL_S. A connection that is
 * late is shut down. Time in which the loop itself was blocked does not count.
 *
 * It also owns each request until libmicrohttpd does: what is made from a first line is freed by
 * libmicrohttpd's call at the end of the request only if it has handed over the headers before, and
 * not if it has refused them by itself.
 *
 * One for each loop, on its thread. */
#ifndef ARRIVALS_H
#define ARRIVALS_H

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>

#define ARRIVAL_S 10

/* Connections that are waited for, the one that is due first in front. */
struct arrivals_list {
    struct arrival *first;
    struct arrival *last;
};

struct arrivals {
    uint64_t silence_ns;
    uint64_t clock_ns; /* runs only while the loop does */
    uint64_t at_ns;    /* when that was read */
    struct arrivals_list arriving;
    struct arrivals_list silent;
};

void arrivals_init(struct arrivals *arrivals, unsigned silence_s);

/* A connection begins or ends: a MHD_NotifyConnectionCallback. */
void arrivals_connection(void *arrivals, struct MHD_Connection *connection, void **context,
                         enum MHD_ConnectionNotificationCode what);

/* The first line of a request is here. `request` is freed with the connection, unless it is
 * claimed; at once, with false, if there was no memory for the connection. */
bool arrivals_begun(struct arrivals *arrivals, struct MHD_Connection *connection, void *request);
/* All of it is here; its response is sent. From either on the request is the caller's. */
void arrivals_whole(struct arrivals *arrivals, struct MHD_Connection *connection);
void arrivals_answered(struct arrivals *arrivals, struct MHD_Connection *connection,
                       const void *request);

/* Shut down the connections that are late. To be called at least every `tick_ns`. */
void arrivals_expire(struct arrivals *arrivals, uint64_t tick_ns);

#endif
