/* settings.h: what every connection is set to, in one place, and how a statement knows later that
 * it still is.
 *
 * The defaults of a server, a database or a role may be anything. So whatever the store relies on
 * is set for the session, by one statement, and read back.
 *
 * The fence. A connection pool may give the session to other clients between two transactions: then
 * the settings are theirs, and ours would be left to them. So a random token is set along with the
 * rest, as batch.fence, and every statement compares it (sql.h): it fails elsewhere. Nothing is set
 * where a token is found. Behind a pooler, detected by the process id that it makes up, only the
 * token is set first, and the connection is opened a second time: a pool in session mode has
 * forgotten it by then, and any other pool is refused before the other settings are made.
 *
 * Whether the server takes writes is asked here, too, of itself: a pooler repeats what its first
 * connection was told, even if that server has become a standby since.
 *
 * Threads: a fence belongs to one connection.
 */
#ifndef BATCH_POSTGRES_SETTINGS_H
#define BATCH_POSTGRES_SETTINGS_H

#include "error.h"

#include <batch/postgres.h>

enum {
    BATCH__POSTGRES_TOKEN_SIZE = 17,
    BATCH__POSTGRES_SETTINGS_SQL_SIZE = 8192,
    BATCH__POSTGRES_SERVER_MIN = 120000 /* 12: as PQserverVersion and PQlibVersion have it */
};

struct batch__postgres_fence {
    char token[BATCH__POSTGRES_TOKEN_SIZE]; /* of this connection */
    bool is_probing; /* the token was set alone, and then the connection was closed */
    bool is_probed;  /* what is set is forgotten when the connection is closed */
};

/* For a new connection: another token, unless the old one is being looked for. */
void batch__postgres_fence_begin(struct batch__postgres_fence *fence);

/* ---- The look: SQL that changes nothing, and its result ------------------------------------- */

/* Its own settings last as long as it does: it must not fail by those that it finds. */

enum batch__postgres_look {
    BATCH__POSTGRES_LOOK_FREE,   /* set what is wanted */
    BATCH__POSTGRES_LOOK_POOLER, /* of which it is to be found out what it remembers: probe */
    BATCH__POSTGRES_LOOK_REFUSED /* `reterr` has the reason */
};

void batch__postgres_look_sql(const PGconn *conn, const struct batch__postgres_fence *fence,
                              char ret_sql[BATCH__POSTGRES_SETTINGS_SQL_SIZE]);
enum batch__postgres_look batch__postgres_look_receive(const PGresult *result,
                                                       struct batch__postgres_fence *fence,
                                                       struct batch__postgres_error *reterr);

/* SQL that sets the token alone. */
void batch__postgres_probe_sql(const struct batch__postgres_fence *fence,
                               char ret_sql[BATCH__POSTGRES_SETTINGS_SQL_SIZE]);

/* ---- The settings --------------------------------------------------------------------------- */

/* SQL that sets everything, and reads it back with its last statement. Commands, since they need no
 * plan: not even an odd one. */
void batch__postgres_settings_sql(const PGconn *conn, batch_postgres_durability durability,
                                  const struct batch__postgres_fence *fence,
                                  char ret_sql[BATCH__POSTGRES_SETTINGS_SQL_SIZE]);

/* What was read back. *ret_is_utf8: texts of the database have an encoding. False: it is not as it
 * should be; `reterr` has the reason. */
bool batch__postgres_settings_receive(const PGresult *result, batch_postgres_durability durability,
                                      const struct batch__postgres_fence *fence, bool *ret_is_utf8,
                                      struct batch__postgres_error *reterr);

/* The value of synchronous_commit. */
const char *batch__postgres_commit_setting(batch_postgres_durability durability);

/* The reason why a pool is refused. */
extern const char batch__postgres_pooling_text[];

#endif
