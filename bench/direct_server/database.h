/* database.h: a transaction for each booking, on SQLite or PostgreSQL.
 *
 * An engine is one of the two. database.c has what they have in common. */
#ifndef DATABASE_H
#define DATABASE_H

#include <stdatomic.h>

#include "booking/office.h"

/* What all sessions use. */
struct database {
    const struct store_options *options;
    uint32_t seats; /* of a new train */
    atomic_uint_fast64_t xcommits;
    atomic_uint_fast64_t xcommit_ns;
};

/* A session is a connection of its own; one thread uses it. */
struct engine {
    /* NULL: `reterr`, of BATCH_MESSAGE_SIZE bytes, says why. */
    void *(*session_open)(const struct store_options *options, char *reterr);
    void (*session_close)(void *session);

    /* Book a seat, or view a train: fill the booking's outcome. False: the session is lost and must
     * be closed. */
    bool (*book)(struct database *database, void *session, struct booking *booking);
    bool (*view)(struct database *database, void *session, struct booking *booking);
};

extern const struct engine engine_sqlite;
extern const struct engine engine_postgres;

/* The booking failed. */
void database_fail(struct booking *booking, int status, const char *message);

/* Make a train of what was stored; `json` NULL: nothing. False: the booking has failed. */
bool database_decode(const struct database *database, struct booking *booking, struct train *train,
                     const void *json, size_t json_size);

/* Count a commit that began at `begin_ns` and has just ended. */
void database_count_commit(struct database *database, uint64_t begin_ns);

#endif
