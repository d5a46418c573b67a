/* direct.h: serving requests without libbatch, one transaction for each: what --direct compares
 * with.
 *
 * direct.c has what is the same for every store: the sessions, one for each thread of the HTTP
 * server, and the service around them. A direct_store is the rest. */
#ifndef DIRECT_H
#define DIRECT_H

#include <pthread.h>
#include <stdatomic.h>

#include "options.h"
#include "request.h"

struct direct_store;

struct direct {
    struct service service; /* first, so that a service is a direct */
    const struct direct_store *store;
    const struct store_options *options;
    uint32_t seats; /* of a new train */
    pthread_key_t session_key;
    atomic_uint_fast64_t xtransactions;
    atomic_uint_fast64_t xcommits;
    atomic_uint_fast64_t xcommit_ns;
};

/* A session is a connection of its own; one thread uses it. */
struct direct_store {
    /* Open a session, and make the table if it is missing. *ret_names_are_text: must keys be UTF-8
     * without NUL? NULL: `reterr`, of BATCH_MESSAGE_SIZE bytes, says why. */
    void *(*session_open)(const struct store_options *options, bool *ret_names_are_text,
                          char *reterr);
    void (*session_close)(void *session);

    /* Serve a request for TARGET_BOOK or TARGET_TRAIN: fill the outcome. False: the session is lost
     * and must be closed. */
    bool (*book)(struct direct *direct, void *session, struct request *request);
    bool (*look)(struct direct *direct, void *session, struct request *request);
};

extern const struct direct_store direct_sqlite;
extern const struct direct_store direct_postgres;

/* Say how a request failed. */
void direct_fail(struct request *request, int status, const char *message);

/* Make a train of what was stored; `json` NULL: nothing. False: the request says why. */
bool direct_decode(struct direct *direct, struct request *request, struct train *train,
                   const void *json, size_t json_size);

/* Count a commit that began at `begin_ns` and has just ended. */
void direct_count_commit(struct direct *direct, uint64_t begin_ns);

#endif
