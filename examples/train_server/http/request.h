/* request.h: an HTTP request from its first byte to its last.
 *
 * http.c makes a request and frees it. In between its booking belongs to the office, from
 * office_book or office_view until it is complete. */
#ifndef REQUEST_H
#define REQUEST_H

#include "booking/office.h"
#include "http/target.h"

enum request_step {
    REQUEST_HEADERS, /* the headers are here */
    REQUEST_WHOLE,   /* all of it is here */
    REQUEST_BOOKING  /* given to the office; in the end the outcome is here */
};

struct loop;

struct request {
    struct booking booking; /* first, so that a booking is a request */
    struct target target;
    enum request_step step;
    bool counted;      /* in http.c's number of unanswered requests */
    uint64_t begun_ns; /* when it was given to the office */
    void *connection;
    const char *uri; /* the raw target and its end; valid until all headers are here */
    const char *uri_end;
    struct loop *loop;              /* of the connection */
    struct request *next_completed; /* loop.c's: to be resumed */
    char body[3 * (TARGET_TRAIN_MAX + TARGET_PERSON_MAX) + 32];
};

#endif
