/* http.h: the HTTP side of the server, on libmicrohttpd.
 *
 * Owns the requests from their first byte to their last, and the connections. A connection whose
 * booking is under way is suspended: it costs memory, but no thread. */
#ifndef HTTP_H
#define HTTP_H

#include "booking/office.h"

struct health;
struct http;

/* Requests by the class of their response, without those to /health: bookings count when they are
 * complete, whether or not the client still waits. */
struct http_totals {
    uint64_t ok;         /* 200 */
    uint64_t refused;    /* 4xx by this program */
    uint64_t failed;     /* 5xx */
    uint64_t unanswered; /* requests with the office now */
};

struct http_options {
    const char *address;
    const char *port;
    struct office *office; /* must outlive it; so must `health` */
    struct health *health;
    unsigned threads;
    bool names_are_text;   /* of trains: the store holds only UTF-8 */
    bool office_is_direct; /* its functions return with the outcome, and do not call `done` */
};

/* Listen and serve requests. NULL, having said why. */
struct http *http_open(const struct http_options *options);

unsigned http_port(const struct http *http);

struct http_totals http_totals(const struct http *http);

/* Go on serving, but report at /health that the server is stopping, and close each connection after
 * the next response on it: so that balancers send their further requests elsewhere. */
void http_leave(struct http *http);

/* Stop listening; what comes on open connections gets a 503 from now on. */
void http_stop(struct http *http);

/* Wait until every request that the office was given has its response, at most `timeout_ns`; then
 * close the connections and free it. After http_stop and office_stop. Returns the totals. */
struct http_totals http_close(struct http *http, uint64_t timeout_ns);

#endif
