/* postgres_fixture.h: a table "batch" of a PostgreSQL server for the suite, and a plain connection
 * to it, as another program would have. */
#ifndef BATCH_TEST_STORE_POSTGRES_FIXTURE_H
#define BATCH_TEST_STORE_POSTGRES_FIXTURE_H

#include <batch/postgres.h>

#include "postgres_place.h"
#include "postgres_server.h"
#include "suite.h"

struct postgres_fixture {
    struct postgres_server *server;
    const struct postgres_place *place;
    unsigned port; /* by which the store gets there */
    PGconn *conn;
    pthread_mutex_t lock; /* guards the connection */
};

/* A fixture for the suite; its context is `postgres`, whose first three members are set. The place
 * has been made. */
struct store_fixture postgres_fixture(struct postgres_fixture *postgres);

#endif
