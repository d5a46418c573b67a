/* request.h: one request from its first byte to its last, and who serves it.
 *
 * http.c makes a request and frees it; in between it belongs to the service it was given to, from
 * serve() until the request is answered. The operation that libbatch runs is a part of it, so that
 * serving a request allocates nothing more. */
#ifndef REQUEST_H
#define REQUEST_H

#include <batch/batch.h>

#include "target.h"
#include "train.h"

/* How far http.c is. */
enum request_step {
    REQUEST_HEADERS, /* the headers are here */
    REQUEST_WHOLE,   /* all of it is here */
    REQUEST_SERVED   /* given to the service; in the end the outcome is here */
};

struct service;
struct loop;

struct request {
    batch_op op; /* first, so that an operation is a request */
    struct target target;

    /* The outcome: what became of it, why, and if `status` is BATCH_OK, what to say. */
    int status; /* enum batch_status */
    char message[BATCH_MESSAGE_SIZE];
    enum train_answer answer; /* TARGET_BOOK */
    char *json;               /* TARGET_TRAIN: the saved train, of malloc */
    size_t json_size;

    struct service *service; /* that it was given to */

    /* http.c alone. */
    enum request_step step;
    bool counted;
    void *connection;
    struct loop *loop;             /* of the connection */
    struct request *next_answered; /* loop.c alone */
    char body[3 * (TARGET_TRAIN_MAX + TARGET_PERSON_MAX) + 32];
};

/* What a service has done since it was opened. */
struct service_totals {
    uint64_t batches;    /* that have ended; for --direct, transactions */
    uint64_t operations; /* in these */
    uint64_t commits;    /* write transactions */
    uint64_t saves;      /* trains saved */
    uint64_t save_ns;    /* time that the saves took, in sum */
};

/* Somebody who serves requests: batched.c or direct.c. Embedded first in a struct of its own. */
struct service {
    bool names_are_text; /* of trains: only UTF-8 without NUL can be stored */

    /* Does serve() return before the outcome is there? Then it calls `answered` once it is, on a
     * thread of its own, maybe before serve() returns. */
    bool answers_later;
    void (*answered)(struct request *request); /* set by http.c */

    /* Serve a request for TARGET_BOOK or TARGET_TRAIN: fill the outcome. Any thread. */
    void (*serve)(struct service *service, struct request *request);

    /* Read something from the store, as serve() would. False: it cannot be read, or the service has
     * stopped. Blocks; one thread, not one of the HTTP server. */
    bool (*probe)(struct service *service);

    void (*totals)(struct service *service, struct service_totals *ret_totals);

    /* Take no more (BATCH_STOPPED), answer what was taken, and wait for that. False: some of it is
     * not answered after `timeout_ns`; call again. */
    bool (*stop)(struct service *service, uint64_t timeout_ns);

    /* Free a service that has stopped. */
    void (*close)(struct service *service);
};

struct options;

/* Each opens a service on options->store. NULL: it said why on standard error. */
struct service *batched_open(const struct options *options);
struct service *direct_open(const struct options *options);

#endif
