/* postgres_fixture.h: a table "batch" of a PostgreSQL server for the suite, and a plain connection
 * to it, as another program would have. */
#ifndef BATCH_TEST_STORE_POSTGRES_FIXTURE_H
#define BATCH_TEST_STORE_POSTGRES_FIXTURE_H

#include <batch/postgres.h>

#include "postgres_server.h"
#include "suite.h"

struct postgres_fixture {
    struct postgres_server *server;
    PGconn *conn;
    pthread_mutex_t lock; /* guards the connection */
};

/* A fixture for the suite; its context is `postgres`, which its functions fill. The server runs. */
struct store_fixture postgres_fixture(struct postgres_fixture *postgres,
                                      struct postgres_server *server);

#endif
