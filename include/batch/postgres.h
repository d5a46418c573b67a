/* postgres.h: store resources in a table of PostgreSQL.
 *
 * A group of loads is one statement; a group of saves is one statement and one commit, in which
 * every key has an outcome of its own: saved, conflict, or failed. Each session has a connection of
 * its own, which is reopened when it is lost. Any number of processors and processes may share a
 * table, and so may programs that do not use libbatch: whoever writes a row adds 1 to its version.
 *
 * Every call ends by the deadline of its batches (a group by the latest of them): then a cancel
 * request is sent (with libpq 14 or later), and if that has no effect within half a second, the
 * connection is dropped. A save ends in BATCH_UNKNOWN when the connection is lost, or the deadline
 * passes, after the save was sent and before its commit was confirmed, and when the server stopped
 * waiting for a synchronous standby. Serialization failures and deadlocks (SQLSTATE 40001, 40P01)
 * are retried until the deadline, and so are statements that could not be sent.
 *
 * A save waits until the deadline for a row that another client has locked. The other keys of its
 * group complete meanwhile, but the session waits with it. As one session is never in a save, n - 1
 * such rows in different groups hold up all other saves of n sessions, for as long as a deadline;
 * after that, those keys share one session (of four or more: a quarter) until they are quick again.
 * So with two sessions one row is enough; use three or more where other programs lock rows.
 *
 * Settings. The server, the database and the role may have any defaults: each connection sets what
 * the store relies on (timeouts, planner, row_security, synchronous_commit and others) and reads it
 * back. The isolation level is the user's default. Each statement verifies that the connection
 * still has these settings and that the table has not been changed since it was checked; a changed
 * table is checked again, and no restart is needed. A load fails if a row-level security policy
 * might hide its row.
 *
 * What is durable. BATCH_OK means that the server confirmed the commit as batch_postgres_durability
 * says. A save fails if fsync was turned off meanwhile, or if a trigger has changed
 * synchronous_commit or client_min_messages. What cannot be detected: that an AFTER trigger or a
 * deferred one does so; that full_page_writes is off on a file system that needs it; that a disk
 * does not honour flushes; and that a standby took over without having received the last commits,
 * as an asynchronous one may. Stop all processors before a backup is restored: one that continues
 * with cached resources may find versions that it knows, with other states.
 *
 * A text key is found by an index, in the order of its collation. When an upgrade of the operating
 * system changes that order, PostgreSQL warns, and until REINDEX a stored key may be mistaken for
 * a missing one. COLLATE "C" never changes.
 *
 * An error belongs to the key whose row raises it, whatever its SQLSTATE; the others are saved. It
 * is taken for that of the whole table if a statement without rows meets it, or if single rows all
 * over the group do and none has gone well: 16, or 64 where a trigger or function has raised it, or
 * 256 where it is about values (classes 22, 23, P0 and codes of one's own) and comes from one
 * place, such as a constraint. So in a group of more than 256 keys of which nearly all are rejected
 * for their values, a good one may fail with them: its message says that it was not tried.
 *
 * What is stored is what was sent, byte for byte: if a trigger, or the length of a column, would
 * change a key, a version or a state, the save fails, and nothing of it is stored. Not detected:
 * what an AFTER trigger makes of the row; and a database in another encoding than UTF-8 that has
 * two codes for a character, and returns the other one.
 *
 * Transactions. Keys that transactions have tied together are stored by one statement, or not at
 * all. What a transaction only read is locked until the commit as if it were written, so that
 * nobody changes it. A row that was read and is not there cannot be locked: then the save takes
 * four round trips instead of one, at READ COMMITTED, and takes advisory locks (of 64 bits, made of
 * the keys; 257 at most) that other processors heed. A program that does not use libbatch takes
 * part in this order if it locks the rows that it reads. When a row is rejected, the rows of its
 * transaction are tried separately, and rolled back, so that the message can name the key.
 *
 * Requirements of a row. The version may be any number but the smallest bigint; a writer adds 1 and
 * lets it wrap around. A new row begins at a random version (of 52 bits in a bigint, 30 in an
 * integer, 14 in a smallint), so that a key that was deleted and created again meanwhile is a
 * conflict. In a smallint this is missed once in 16,384 times, and a row that others save 65,536
 * times between a load and a save looks unchanged. In a table that the store has created,
 * keys above 2,000 bytes are stored as a digest, because long ones do not fit in an index; in SQL
 * the stored key is
 *
 *     CASE WHEN octet_length(k) > 2000
 *          THEN substr(k, 1, 1969) || sha256(k) ELSE k END
 *
 * It does so wherever the table has a constraint named batch_long_keys. Elsewhere such a key fails,
 * alone, if the index does not accept it.
 *
 * A connection pool in between must keep one server connection per client connection, and reset it
 * afterwards (pgbouncer: pool_mode = session, server_reset_query = DISCARD ALL). Others are
 * refused; if a pool becomes one of them later, loads and saves fail.
 *
 * PostgreSQL and libpq must be version 12 or later. The store prints nothing; libpq prints a
 * warning to standard error if others may read the password file.
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
    BATCH_POSTGRES_AUTO = 0,  /* whichever of these the table has; BYTEA if it is created */
    BATCH_POSTGRES_BYTEA = 1, /* any bytes */
    BATCH_POSTGRES_TEXT = 2,  /* text or varchar: no NUL, valid in the encoding of the database
                                 (sent as UTF-8); a key or state that is not, fails alone */
    BATCH_POSTGRES_JSONB = 3  /* for the state only: JSON in UTF-8; comes back with the same
                                 value, as PostgreSQL writes it, not byte for byte */
} batch_postgres_type;

/* What a commit waits for. The store sets synchronous_commit itself, in every connection. */
typedef enum batch_postgres_durability {
    BATCH_POSTGRES_ON = 0, /* on: flushed here, and by the synchronous standbys if there are any.
                              Rejects a server with fsync off, and an unlogged table
                              or partition */
    BATCH_POSTGRES_REMOTE_APPLY = 1,         /* and visible on the synchronous standbys */
    BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS = 2 /* off: what has returned BATCH_OK may be undone by a
                                                crash of the server. Rejects nothing */
} batch_postgres_durability;

/* Zero or NULL means the default. Strings are copied. Names may hold any characters but NUL, and
 * have at most 63 bytes. The table may be partitioned; it may not be a view or a foreign table, nor
 * have tables that inherit from it. */
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
        sizeof(batch_postgres_options), NULL, NULL, NULL, NULL, NULL, BATCH_POSTGRES_AUTO,         \
            BATCH_POSTGRES_AUTO, BATCH_POSTGRES_ON                                                 \
    }

/* BATCH_POSTGRES_OPTIONS_INIT as a function, for other languages; see batch_options_init().
 * Returns BATCH_OK, or BATCH_INVALID if `ret_options` is NULL or `size` is not that of a struct.
 * Threads: any. Does not block. */
BATCH_API int batch_postgres_options_init(batch_postgres_options *ret_options, size_t size);

/* Open a store.
 *
 * `conninfo` is what libpq takes, "host=a,b dbname=trains" or a URI; several hosts, and the
 * addresses of each, are tried in turn, and only one that accepts writes is used: the server itself
 * is asked, whatever target_session_attrs is. What conninfo leaves open is set: connect_timeout (10
 * s, or 2 s for each of several addresses), keepalives, tcp_user_timeout, application_name.
 * Connects once, to create the table if it is missing and to check its columns. `options` and
 * `reterr` may be NULL. No message ever holds a password.
 *
 * Returns
 * BATCH_OK            *ret_store is yours: close it with batch_store_close
 * BATCH_INVALID       an argument is not valid; reterr->message says which
 * BATCH_STORE_FAILED  no connection, or the server or the table is unsuitable; reterr->message has
 *                     the server's words, reterr->store_code its SQLSTATE packed as
 *                     batch_postgres_sqlstate() takes it, or 0
 * BATCH_NO_MEMORY     out of memory
 *
 * Threads: any. Blocks for at most connect_timeout per address; names of hosts are looked up by the
 * system's resolver, which has timeouts of its own: use hostaddr where that matters. */
BATCH_API int batch_postgres_open(batch_store **ret_store, const char *conninfo,
                                  const batch_postgres_options *options, batch_result *reterr);

/* Get the SQLSTATE of a store_code of this store. It has five characters and a NUL: "23514". It is
 * "" if there is none (the connection failed, or the store itself reported the error).
 * Threads: any. Does not block. */
BATCH_API void batch_postgres_sqlstate(int store_code, char ret_sqlstate[6]);

#ifdef __cplusplus
}
#endif

#endif
