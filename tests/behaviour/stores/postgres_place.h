/* postgres_place.h: a database and a role in which the store must do what it does anywhere: other
 * encodings, tables and ways to get there, and defaults of the role that are all the wrong way
 * round. */
#ifndef BATCH_TEST_STORE_POSTGRES_PLACE_H
#define BATCH_TEST_STORE_POSTGRES_PLACE_H

#include "postgres_server.h"

#include <stddef.h>

struct postgres_place {
    const char *name;
    const char *database; /* made with this encoding, unless that is NULL: then it is there */
    const char *encoding;
    const char *role;      /* "batch", a superuser; or "contrary", who is none */
    const char *table_sql; /* that makes the table "batch"; NULL: the store makes it */
    bool is_pooled;        /* through pgbouncer, in session mode */
};

/* A role "contrary": every default that it may have is the opposite of what the store wants. */
void postgres_contrary_role(struct postgres_server *server);

/* For a database of the role: its own schema is the first of its search_path, with types, functions
 * and operators that have the names of the system's, and are of no use. */
extern const char postgres_contrary_schema_sql[];

/* Make the database. */
void postgres_place_make(struct postgres_server *server, const struct postgres_place *place);

/* To connect to it on this port, as a role. */
void postgres_place_conninfo(const struct postgres_place *place, const char *role, unsigned port,
                             char ret_conninfo[POSTGRES_CONNINFO_SIZE]);

#endif
