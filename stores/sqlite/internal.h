/* internal.h: what the files of the SQLite store share.
 *
 *   sqlite.c   the store: its options, opening and closing
 *   table.c    the table: created, checked, and the SQL for it
 *   session.c  a session: one connection, its settings, statements, errors and waiting
 *   items.c    a group, in the order of its keys
 *   load.c     a group of loads: one read transaction
 *   save.c     a group of saves: one write transaction
 *   turn.c     one writer at a time in this process, first come, first served
 */
#ifndef BATCH_SQLITE_INTERNAL_H
#define BATCH_SQLITE_INTERNAL_H

#include <batch/sqlite.h>

#include <pthread.h>
#include <sqlite3.h>

/* ---- turn.c --------------------------------------------------------------------------------- */

/* A place in the queue of those who want to write; the first in it may. */
struct batch__sqlite_place {
    struct batch__sqlite_place *next;
};

struct batch__sqlite_turn {
    pthread_mutex_t lock; /* guards the queue */
    pthread_cond_t changed;
    struct batch__sqlite_place *first; /* NULL: nobody writes or waits */
};

bool batch__sqlite_turn_init(struct batch__sqlite_turn *turn);
void batch__sqlite_turn_destroy(struct batch__sqlite_turn *turn);

/* Wait for one's turn until `call` is canceled. True: it is one's turn, to be given back; `place`
 * stays until then. */
bool batch__sqlite_turn_take(struct batch__sqlite_turn *turn, struct batch__sqlite_place *place,
                             const batch_call *call);
void batch__sqlite_turn_give(struct batch__sqlite_turn *turn);

/* ---- The store ------------------------------------------------------------------------------ */

struct batch__sqlite_store {
    batch_store base; /* first */
    char *path;       /* from the root, once the file has been opened */
    char *table;
    char *key_column;
    char *version_column;
    char *state_column;
    batch_sqlite_durability durability;
    struct batch__sqlite_turn turn;
};

/* ---- session.c ------------------------------------------------------------------------------ */

enum batch__sqlite_statement {
    BATCH__SQLITE_BEGIN_READ,
    BATCH__SQLITE_BEGIN_WRITE,
    BATCH__SQLITE_COMMIT,
    BATCH__SQLITE_ROLLBACK,
    BATCH__SQLITE_SELECT, /* key -> version, state */
    BATCH__SQLITE_INSERT, /* key, new version, state */
    BATCH__SQLITE_UPDATE, /* the same, and the version that must be there */
    BATCH__SQLITE_STATEMENTS
};

/* One call of a group. */
struct batch__sqlite_item {
    batch_call *call;
    const void *key;
    size_t key_size;

    /* The rest is for saves. */
    const void *state; /* as encoded */
    size_t state_size;
    uint64_t version_new; /* what is, or would be, written */
    int status;           /* once is_decided: what to finish the call with */
    bool is_decided;
};

struct batch__sqlite_session {
    struct batch__sqlite_store *store;
    sqlite3 *db;
    sqlite3_stmt *statements[BATCH__SQLITE_STATEMENTS];

    /* How long to wait while another connection has the file. */
    uint64_t busy_until_ns;
    const batch_call *busy_call; /* and no longer than until this one is canceled; or NULL */

    struct batch__sqlite_place place;
    struct batch__sqlite_item *items; /* room for a group */
    size_t items_capacity;
    int log_frames; /* pages in the write-ahead log after the last commit of this session */
};

#define BATCH__SQLITE_TEXT_SIZE 200

/* Open a connection with its settings verified, and, if `is_first`, the file and table created
 * where missing. BATCH_OK, or a status and *reterr filled. */
int batch__sqlite_session_open(struct batch__sqlite_store *store, bool is_first,
                               struct batch__sqlite_session **ret_session, batch_result *reterr);
void batch__sqlite_session_close(struct batch__sqlite_session *session);

/* Step a statement that gives no rows, and reset it. SQLITE_OK or an extended error code. */
int batch__sqlite_run(struct batch__sqlite_session *session,
                      enum batch__sqlite_statement statement);

/* Bind bytes, which must stay; an empty value is an empty blob, not NULL. */
int batch__sqlite_bind(sqlite3_stmt *statement, int index, const void *bytes, size_t size);

/* "what: SQLite's text for the last error". */
void batch__sqlite_describe(struct batch__sqlite_session *session, const char *what, char *ret_text,
                            size_t text_size);

/* From now on wait for the file until `call` is canceled; its deadline outlives it. */
void batch__sqlite_wait_for(struct batch__sqlite_session *session, const batch_call *call);

/* Sleep a little before trying again. False: it has been long enough. */
bool batch__sqlite_wait(struct batch__sqlite_session *session);

/* Say in a call's error that it came too late. */
void batch__sqlite_set_late(batch_call *call);

/* Fill an error and return `status`. */
int batch__sqlite_fail(batch_result *reterr, int status, int store_code, const char *text);

/* ---- table.c -------------------------------------------------------------------------------- */

/* Create the table if it is missing. */
int batch__sqlite_table_create(struct batch__sqlite_session *session, batch_result *reterr);

/* Check its columns and prepare the statements. */
int batch__sqlite_table_prepare(struct batch__sqlite_session *session, batch_result *reterr);

/* ---- items.c -------------------------------------------------------------------------------- */

/* The items of a group, valid until the next group; NULL: no memory. */
struct batch__sqlite_item *batch__sqlite_items(struct batch__sqlite_session *session,
                                               batch_call *const *calls, size_t calls_size);

/* ---- load.c, save.c: as in struct batch_store ----------------------------------------------- */

void batch__sqlite_load(batch_store *store, void *session, batch_call *const *calls,
                        size_t calls_size);
void batch__sqlite_save(batch_store *store, void *session, batch_call *const *calls,
                        size_t calls_size);

#endif
