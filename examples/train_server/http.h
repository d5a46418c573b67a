/* http.h: the HTTP side of train-server, on libmicrohttpd.
 *
 * Owns the requests from their first byte to their last, and the connections. A connection whose
 * request is with the service is suspended: it costs memory, but no thread. */
#ifndef HTTP_H
#define HTTP_H

#include "request.h"

struct http;

/* Answers given, by class; those to /health do not count. */
struct http_totals {
    uint64_t ok;         /* 200 */
    uint64_t refused;    /* 4xx by this program */
    uint64_t failed;     /* 5xx */
    uint64_t unanswered; /* with the service now */
};

/* What http_open needs. */
struct http_options {
    const char *address;
    const char *port;
    struct service *service; /* must outlive it; so must `health` */
    struct health *health;
    unsigned threads; /* each serves one request at a time, unless the service answers later */
};

/* Listen and serve requests. NULL: it said why on standard error. */
struct http *http_open(const struct http_options *options);

unsigned http_port(const struct http *http);

struct http_totals http_totals(const struct http *http);

/* Serve on, but say at /health that the server is stopping, and close each connection after the
 * next answer on it: so that balancers send elsewhere what has not been sent yet. */
void http_leave(struct http *http);

/* Stop listening; what comes on open connections is answered 503 from now on. */
void http_stop(struct http *http);

/* Wait until every request that the service was given is answered and gone, at most `timeout_ns`;
 * then close the connections and free it. After http_stop and service->stop. Returns the totals. */
struct http_totals http_close(struct http *http, uint64_t timeout_ns);

#endif
