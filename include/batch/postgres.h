/* postgres.h: keep resources in a table of PostgreSQL.
 *
 * A group of loads is one statement; a group of saves is one statement and one commit, in which
 * every key has an outcome of its own: saved, conflict, or refused. Each session has a connection
 * of its own, opened again by itself when it is lost. Any number of processors and processes, and
 * programs that are not libbatch, may share a table: who writes a row adds 1 to its version.
 *
 * Every call ends by the deadline of its batches (a group by the last of them): then a cancel is
 * sent, and if that does not help within half a second, the connection is dropped. BATCH_UNKNOWN is
 * said when the connection is lost, or time runs out, after a save was sent and before its commit
 * was seen, and when the server gave up waiting for a synchronous standby. What the server says was
 * rolled back for others' sake (SQLSTATE 40001, 40P01) is sent again, inside the deadline, and so
 * is what could not be sent. A row that others have locked is waited for until the deadline; the
 * other keys of its group are answered meanwhile. The isolation level is the user's default.
 *
 * What a row must be like. The version may be any number but the least bigint; a writer adds 1 and
 * lets it wrap around. A new row begins at a random version (of 52 bits in a bigint, 30 in an
 * integer, 14 in a smallint), so that a key that was deleted and made again meanwhile is a
 * conflict: in a smallint this may fail once in 16,384 times, and a row that others save 65,536
 * times between a load and a save looks unchanged. In a table that the store has made, keys above
 * 2,000 bytes are stored as a digest, as long ones do not fit in an index; in SQL the stored key is
 *     CASE WHEN octet_length(k) > 2000 THEN substr(k, 1, 1969) || sha256(k) ELSE k END
 * It does so wherever the table has a constraint named batch_long_keys; elsewhere such a key is
 * refused, alone, once the index does not take it.
 *
 * A connection pool in between must keep a server connection for each of ours ("session pooling").
 *
 * Link with batch-postgres (pkg-config batch-postgres, CMake batch::postgres).
 */
#ifndef BATCH_POSTGRES_H
#define BATCH_POSTGRES_H

#include <batch/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The type of the key and of the state column. */
typedef enum batch_postgres_type {
    BATCH_POSTGRES_AS_IT_IS = 0, /* whichever of these the table has; BYTEA if it is made */
    BATCH_POSTGRES_BYTEA = 1,    /* any bytes */
    BATCH_POSTGRES_TEXT = 2,     /* text or varchar: no NUL, valid in the encoding of the database
                                    (sent as UTF-8); a key or state that is not fails alone */
    BATCH_POSTGRES_JSONB = 3     /* for the state only: JSON in UTF-8; comes back as PostgreSQL
                                    writes it, not byte for byte */
} batch_postgres_type;

/* How much a commit waits for. The store sets synchronous_commit itself, in every connection. */
typedef enum batch_postgres_durability {
    BATCH_POSTGRES_ON = 0, /* on: flushed here, and by the synchronous standbys if there are any.
                              Refuses a server with fsync off, and an unlogged table */
    BATCH_POSTGRES_REMOTE_APPLY = 1,         /* and visible on the synchronous standbys */
    BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS = 2 /* off: what was answered BATCH_OK may be undone by a
                                                crash of the server. Refuses nothing */
} batch_postgres_durability;

/* Zero or NULL means the default. Strings are copied. Names may hold any characters but NUL, and
 * have at most 63 bytes. The table may be partitioned, not a view or a foreign table. */
typedef struct batch_postgres_options {
    size_t size;                /* sizeof(batch_postgres_options) */
    const char *schema;         /* default: the first of the search_path that has the table */
    const char *table;          /* default "batch"; created if missing */
    const char *key_column;     /* default "key": primary key, or unique and not null */
    const char *version_column; /* default "version": smallint, integer or bigint (when created) */
    const char *state_column;   /* default "state": not null */
    batch_postgres_type key_type;
    batch_postgres_type state_type;
    batch_postgres_durability durability;
} batch_postgres_options;

#define BATCH_POSTGRES_OPTIONS_INIT                                                                \
    {                                                                                              \
        sizeof(batch_postgres_options), NULL, NULL, NULL, NULL, NULL, BATCH_POSTGRES_AS_IT_IS,     \
            BATCH_POSTGRES_AS_IT_IS, BATCH_POSTGRES_ON                                             \
    }

/* Open a store. `conninfo` is what libpq takes, "host=a,b dbname=trains" or a URI; several hosts
 * are tried in turn, and only one that takes writes is used. What it leaves open is set:
 * connect_timeout (for each host 10 s, or 2 s if there are several), keepalives, tcp_user_timeout,
 * application_name. Connects once, to make the table if it is missing and to check its columns.
 * Blocks on that at most for connect_timeout for each host; names of hosts are looked up by the
 * system's resolver, which keeps its own time: use hostaddr where that matters.
 * `options` and `reterr` may be NULL. No message ever holds a password.
 *
 * BATCH_OK            *ret_store is yours: close it with batch_store_close
 * BATCH_INVALID       an argument is not valid; reterr->message says which
 * BATCH_STORE_FAILED  no connection, or the server or the table is not fit; reterr->message has the
 *                     server's words, reterr->store_code its SQLSTATE packed as
 *                     batch_postgres_sqlstate() takes it, or 0
 * BATCH_NO_MEMORY */
BATCH_API int batch_postgres_open(batch_store **ret_store, const char *conninfo,
                                  const batch_postgres_options *options, batch_result *reterr);

/* The SQLSTATE behind a store_code of this store, five characters and a NUL: "23514". "" if there
 * is none (the connection failed, or the store itself refused). */
BATCH_API void batch_postgres_sqlstate(int store_code, char ret_sqlstate[6]);

#ifdef __cplusplus
}
#endif

#endif
