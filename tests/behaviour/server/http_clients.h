/* http_clients.h: many clients that book seats at once, on a connection each, from one thread.
 *
 * For each seat two persons compete: whoever is answered 200 has it. Each client sends a booking,
 * waits for its response, and sends the next. The bodies of all responses 200 are written to a
 * file, as train-audit reads it. Bookings whose outcome is not known, or that failed for now, are
 * retried in the next round, as a careful client would do. */
#ifndef HTTP_CLIENTS_H
#define HTTP_CLIENTS_H

#include "server_harness.h"

#include <stdint.h>
#include <stdio.h>

struct http_clients;

struct clients_counts {
    uint64_t ok;      /* answered 200 */
    uint64_t refused; /* answered 400 */
    uint64_t busy;    /* answered 503: nothing was changed */
    uint64_t unknown; /* answered 504: may or may not be saved */
    uint64_t other;   /* answered anything else */
    uint64_t lost;    /* the connection ended before the response */
};

/* `answers` is written to, and stays the caller's. They book in one train after the other. */
struct http_clients *clients_make(size_t connections, FILE *answers);
void clients_free(struct http_clients *clients);

/* From the beginning: book in so many trains at a time. */
void clients_spread(struct http_clients *clients, uint64_t trains);

/* Connect, and book until `answers_max` more responses have come. The rest stays in flight: this is
 * the moment to end the server. Must be followed by clients_drain or clients_finish. With
 * several servers, every one has an equal part of the connections. */
void clients_book(struct http_clients *clients, const struct server *server, uint64_t answers_max);
void clients_book_at(struct http_clients *clients, const struct server *servers,
                     size_t servers_size, uint64_t answers_max);

/* Send no more; take the responses that come until the server has closed every connection. */
void clients_drain(struct http_clients *clients);

/* Send no more; take the responses to all that was sent, then close the connections. */
void clients_finish(struct http_clients *clients);

/* Since they were made. */
struct clients_counts clients_counts(const struct http_clients *clients);

/* Clients with a store of their own, and a file for the bodies of their responses; the folder is
 * made before. */
struct bookings {
    struct folder folder;
    FILE *answers;
    struct http_clients *clients;
};

void bookings_begin(struct bookings *bookings, size_t connections);
/* What train-audit makes of it all, which is printed: its exit code. `option` may be NULL. */
int bookings_audit(struct bookings *bookings, const char *option);
/* Their counts; no more clients, and no folder. */
struct clients_counts bookings_end(struct bookings *bookings);

#endif
