/* internal.h: what the files of the PostgreSQL store share.
 *
 *   postgres.c    the store: its options, opening and closing
 *   conninfo.c    the hosts in a connection string, and the parameters for one of them
 *   session.c     a session: memory, waiting, random numbers, error texts
 *   connection.c  its connection: opened and opened again, in steps that never block
 *   wire.c        one statement there and its answer back, by a deadline; the cancel
 *   table.c       a connection made ready: its settings, and the table
 *   sql.c         all SQL
 *   values.c      values in PostgreSQL's binary form; keys, versions and texts that it can keep
 *   trouble.c     what an error of the server means
 *   group.c       what loads and saves have in common: parts of a group, tried until decided
 *   load.c        a group of loads: one statement
 *   save.c        a group of saves: one statement, one commit
 */
#ifndef BATCH_POSTGRES_INTERNAL_H
#define BATCH_POSTGRES_INTERNAL_H

#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* strdup, strndup, nanosleep */
#endif
#include <batch/postgres.h>

#include <libpq-fe.h>
#include <string.h>

/* ---- The store ------------------------------------------------------------------------------ */

enum {
    BATCH__POSTGRES_TEXT_SIZE = 200,
    BATCH__POSTGRES_HOSTS_MAX = 32,
    BATCH__POSTGRES_PARAMS_MAX = 64,
    BATCH__POSTGRES_BYTES_MAX = 32 * 1024 * 1024,  /* of keys and states in one statement */
    BATCH__POSTGRES_VALUE_MAX = 1000 * 1024 * 1024 /* bytes of a state; the server takes 1 GiB */
};

/* Milliseconds and nanoseconds. */
#define BATCH__POSTGRES_MS UINT64_C(1000000)

/* A place to connect to; NULL is what libpq takes for it. */
struct batch__postgres_host {
    char *host;
    char *hostaddr;
    char *port;
};

/* What a connection string says, and the environment where that leaves something open. */
struct batch__postgres_conninfo {
    PQconninfoOption *options;
    struct batch__postgres_host hosts[BATCH__POSTGRES_HOSTS_MAX];
    size_t hosts_size;
    uint64_t connect_ns; /* for one host */
};

struct batch__postgres_store {
    batch_store base; /* first */
    struct batch__postgres_conninfo conninfo;
    char *schema; /* NULL until the table has been found */
    char *table;
    char *key_column;
    char *version_column;
    char *state_column;
    batch_postgres_type key_type;   /* as asked for */
    batch_postgres_type state_type; /* the same */
    batch_postgres_durability durability;
};

/* ---- The table ------------------------------------------------------------------------------ */

/* What a table turned out to be. */
struct batch__postgres_shape {
    batch_postgres_type key_type;
    batch_postgres_type state_type;
    int version_size;   /* bytes: 2, 4 or 8 */
    bool has_long_keys; /* those that are too long for an index are kept as digests */
    bool is_utf8;       /* texts must be valid UTF-8 */
};

enum batch__postgres_statement {
    BATCH__POSTGRES_LOAD,          /* keys -> place, version, state of those that are there */
    BATCH__POSTGRES_LOOK,          /* the same without states */
    BATCH__POSTGRES_SAVE,          /* waits a little for rows that others have locked */
    BATCH__POSTGRES_SAVE_UNLOCKED, /* leaves out the rows that others have locked */
    BATCH__POSTGRES_STATEMENTS
};

/* ---- The session ---------------------------------------------------------------------------- */

/* Until when something may take: no longer than until `call` is canceled, if there is one. */
struct batch__postgres_limit {
    uint64_t until_ns;
    const batch_call *call;
};

enum batch__postgres_stage {
    BATCH__POSTGRES_DOWN,
    BATCH__POSTGRES_CONNECTING,
    BATCH__POSTGRES_SETTING_UP,
    BATCH__POSTGRES_READY
};

/* What makes a connection ready, in this order. */
enum batch__postgres_step {
    BATCH__POSTGRES_SET,
    BATCH__POSTGRES_CHECK,
    BATCH__POSTGRES_CREATE,  /* only if the table is missing and may be made; then CHECK again */
    BATCH__POSTGRES_PREPARE, /* the statement for saves; if the table is not locked for writing */
    BATCH__POSTGRES_STEPS
};

/* One call of a group. */
struct batch__postgres_item {
    batch_call *call;
    const char *key;
    size_t key_size;
    char *key_own; /* what `key` points to if it is not the call's, or NULL */
    const void *state;
    size_t state_size;
    uint64_t version; /* what load found; 0: the row must not be there */
    int64_t row_old;  /* the same, as the row has it */
    int64_t row_new;
    int status; /* once is_decided: what to finish the call with */
    bool is_decided;
    bool is_finished;
    bool is_reached; /* by the last statement: the row was there, and not locked by others */
    bool is_there;   /* at the last look, with row_seen */
    bool is_locked;  /* others had it locked at the last try; to be tried after a pause */
    bool was_locked; /* at any try */
    int64_t row_seen;
};

struct batch__postgres_bytes {
    char *bytes;
    size_t capacity;
};

struct batch__postgres_session {
    struct batch__postgres_store *store;
    uint64_t random;

    /* connection.c */
    PGconn *conn; /* NULL: DOWN */
    enum batch__postgres_stage stage;
    PostgresPollingStatusType polling;
    int step;          /* enum batch__postgres_step */
    bool step_is_sent; /* its answer has not come yet */
    bool is_prepared[BATCH__POSTGRES_STATEMENTS];
    bool may_create;     /* the table */
    bool is_doomed;      /* the server said that it ends this connection, or it was canceled */
    size_t host;         /* index of the host in use, or to be tried next */
    size_t hosts_failed; /* one after the other */
    uint64_t attempt_until_ns;
    uint64_t not_before_ns; /* the next attempt */
    uint64_t pause_ns;      /* the next pause between rounds of attempts */
    int error_code;         /* why there is no connection */
    char error_text[BATCH__POSTGRES_TEXT_SIZE];

    struct batch__postgres_shape shape;
    bool is_warned; /* by a WARNING of the server; wire.c sets it back */

    uint64_t careful_until_ns;              /* save.c: rows were locked lately */
    struct batch__postgres_item *items;     /* room for a group */
    struct batch__postgres_item **pointers; /* room for twice as many */
    size_t items_capacity;
    struct batch__postgres_bytes buffer; /* room for a statement's parameters */
};

/* session.c */
int batch__postgres_session_open(struct batch__postgres_store *store, bool is_first,
                                 struct batch__postgres_session **ret_session,
                                 batch_result *reterr);
void batch__postgres_session_close(struct batch__postgres_session *session);
bool batch__postgres_reserve_items(struct batch__postgres_session *session, size_t items_size);

bool batch__postgres_is_over(const struct batch__postgres_limit *limit);

/* Wait until one of the descriptors is ready or the limit is over; a slice at most. */
struct pollfd;
void batch__postgres_poll(struct pollfd *fds, size_t fds_size,
                          const struct batch__postgres_limit *limit);

/* Sleep for about `time_ns`, or until the limit. False: it is over. */
bool batch__postgres_pause(struct batch__postgres_session *session, uint64_t time_ns,
                           const struct batch__postgres_limit *limit);

uint64_t batch__postgres_random(struct batch__postgres_session *session);

/* Fill an error and return `status`. */
int batch__postgres_fail(batch_result *reterr, int status, int store_code, const char *text);

/* Say in a call's error that it came too late; `why` has the last trouble, or is empty. */
void batch__postgres_set_late(batch_call *call, int store_code, const char *why);

/* Copy a text of libpq as one line. */
void batch__postgres_one_line(char *ret_text, size_t text_size, const char *text);

/* ---- conninfo.c ----------------------------------------------------------------------------- */

int batch__postgres_conninfo_init(struct batch__postgres_conninfo *conninfo, const char *text,
                                  batch_result *reterr);
void batch__postgres_conninfo_destroy(struct batch__postgres_conninfo *conninfo);

/* Copy a text of libpq as one line; but what may be a password, because it is a value of the
 * string, is not told. */
void batch__postgres_conninfo_hide(const struct batch__postgres_conninfo *conninfo,
                                   const char *text, char *ret_text, size_t text_size);

/* Begin to connect to a host. `address` overrides where its name leads; for the connection that
 * cancels, which any session will do for. NULL: no memory. */
PGconn *batch__postgres_connect_start(const struct batch__postgres_conninfo *conninfo, size_t host,
                                      const char *address, bool is_any);

/* ---- connection.c --------------------------------------------------------------------------- */

/* Have a connection that is ready, opening one if there is none. False: the limit is over, or,
 * unless `is_patient`, every host has been tried; error_text says why. */
bool batch__postgres_connect(struct batch__postgres_session *session,
                             const struct batch__postgres_limit *limit, bool is_patient);
void batch__postgres_drop(struct batch__postgres_session *session);

/* ---- wire.c --------------------------------------------------------------------------------- */

enum batch__postgres_reply {
    BATCH__POSTGRES_DONE,     /* committed: `rows` */
    BATCH__POSTGRES_ERROR,    /* rolled back: `trouble` */
    BATCH__POSTGRES_NOT_SENT, /* the connection was lost, or time was over, before the server had
                                 the whole of it: nothing is stored */
    BATCH__POSTGRES_DOUBT     /* it may have been committed */
};

struct batch__postgres_trouble {
    int code; /* packed SQLSTATE; 0: none */
    bool has_context;
    bool was_canceled; /* by us: the limit was over */
    char text[BATCH__POSTGRES_TEXT_SIZE];
};

struct batch__postgres_params {
    int count;
    const char *values[7];
    int sizes[7];
};

struct batch__postgres_answer {
    enum batch__postgres_reply reply;
    PGresult *rows; /* with DONE: the caller's to clear */
    struct batch__postgres_trouble trouble;
};

typedef void (*batch__postgres_row_fn)(const PGresult *rows, void *arg);

/* Run a statement, prepared once for a connection, as a transaction of its own, and wait for its
 * end. With `on_row` each
 * row is handed over as it comes, whatever the end will be, and `rows` stays NULL. When anything is
 * in doubt the connection is dropped. */
void batch__postgres_run(struct batch__postgres_session *session,
                         enum batch__postgres_statement statement,
                         const struct batch__postgres_params *params,
                         const struct batch__postgres_limit *limit, batch__postgres_row_fn on_row,
                         void *arg, struct batch__postgres_answer *ret_answer);

/* Has the connection been ended by the other side while nothing was asked of it? */
bool batch__postgres_is_stale(struct batch__postgres_session *session);

/* For PQsetNoticeReceiver. */
void batch__postgres_on_notice(void *session, const PGresult *notice);

/* Fill from an error result. */
void batch__postgres_describe(const PGresult *result, struct batch__postgres_trouble *ret_trouble);

/* ---- table.c -------------------------------------------------------------------------------- */

/* Send a step of making the connection ready. False: libpq refused, or there is no memory. */
bool batch__postgres_step_send(struct batch__postgres_session *session);

/* Look at what came back, and set the next step. False: error_text says why it will not do. */
bool batch__postgres_step_end(struct batch__postgres_session *session, const PGresult *result);

/* sql.c */
const char *batch__postgres_statement_name(enum batch__postgres_statement statement);
void batch__postgres_settings_sql(const struct batch__postgres_session *session, char *ret_sql,
                                  size_t sql_size);
char *batch__postgres_create_sql(const struct batch__postgres_session *session);
char *batch__postgres_statement_sql(const struct batch__postgres_session *session,
                                    enum batch__postgres_statement statement);
extern const char *const batch__postgres_check_sql;

/* ---- values.c ------------------------------------------------------------------------------- */

/* Set key and key_size as the table has them. False: the error of the call is set. */
bool batch__postgres_item_set_key(struct batch__postgres_session *session,
                                  struct batch__postgres_item *item);
void batch__postgres_item_free_key(struct batch__postgres_item *item);

/* Can the column keep it? NULL: yes; else what is wrong. */
const char *batch__postgres_text_fault(const struct batch__postgres_session *session,
                                       batch_postgres_type type, const void *bytes, size_t size);

/* A version of a row as the library's, and back. */
uint64_t batch__postgres_version(int64_t row_version);
int64_t batch__postgres_row_version(uint64_t version);

/* The version that follows, in a column of `size` bytes; of a new row, if there is none yet. */
int64_t batch__postgres_next_version(struct batch__postgres_session *session, uint64_t version);

/* Parameters for BATCH__POSTGRES_LOAD and _LOOK, or for _SAVE and _SAVE_UNLOCKED: of the items that
 * are not decided. Items of a save are sorted: those whose rows are there first. False: no memory.
 */
bool batch__postgres_params_of_keys(struct batch__postgres_session *session,
                                    struct batch__postgres_item *const *items, size_t items_size,
                                    struct batch__postgres_params *ret_params);
bool batch__postgres_params_of_rows(struct batch__postgres_session *session,
                                    struct batch__postgres_item *const *items, size_t items_size,
                                    struct batch__postgres_params *ret_params);

/* What a row of the table takes in a statement, in bytes. */
size_t batch__postgres_item_size(const struct batch__postgres_item *item);

/* An array that came back: element after element, NULL at the end. */
struct batch__postgres_array {
    const char *at;
    const char *end;
    int left;
};
void batch__postgres_array_init(struct batch__postgres_array *array, const PGresult *result,
                                int column);
const char *batch__postgres_array_next(struct batch__postgres_array *array, size_t *ret_size);

int64_t batch__postgres_int64(const char *bytes);

/* ---- trouble.c ------------------------------------------------------------------------------ */

enum batch__postgres_verdict {
    BATCH__POSTGRES_REFUSED, /* because of a row, perhaps: without it the others may go well */
    BATCH__POSTGRES_AGAIN,   /* it was somebody else's turn */
    BATCH__POSTGRES_LOCKED_ROW,
    BATCH__POSTGRES_LOCKED_TABLE,
    BATCH__POSTGRES_STALE, /* on another connection it may go well */
    BATCH__POSTGRES_BROKEN /* for a reason that every row will meet */
};

enum batch__postgres_verdict batch__postgres_judge(const struct batch__postgres_trouble *trouble);

/* Five characters as a number; 0 if they are not a SQLSTATE. */
int batch__postgres_code(const char *sqlstate);

/* ---- load.c, save.c: as in struct batch_store ----------------------------------------------- */

void batch__postgres_load(batch_store *store, void *session, batch_call *const *calls,
                          size_t calls_size);
void batch__postgres_save(batch_store *store, void *session, batch_call *const *calls,
                          size_t calls_size);

/* ---- group.c -------------------------------------------------------------------------------- */

/* A group of loads or of saves under way. */
struct batch__postgres_group {
    struct batch__postgres_session *session;
    struct batch__postgres_item *items;
    size_t items_size;
    struct batch__postgres_item **order; /* all items, in the order in which to send them */
    struct batch__postgres_item **part;  /* those of the statement under way */
    size_t part_size;
    size_t part_max;
    uint64_t pause_ns; /* before the next try, if one is needed */
    bool is_load;
    struct batch__postgres_trouble trouble; /* the last one that was not an end */
};

/* Make the items of a group. False: no memory; its calls are finished. */
bool batch__postgres_group_init(struct batch__postgres_group *group,
                                struct batch__postgres_session *session, bool is_load,
                                batch_call *const *calls, size_t calls_size);
void batch__postgres_group_destroy(struct batch__postgres_group *group);

void batch__postgres_decide(struct batch__postgres_item *item, int status, int store_code,
                            const char *text);

/* Decide what came too late, and finish what is decided. False: everything is. */
bool batch__postgres_group_settle(struct batch__postgres_group *group);

/* Have a connection, and choose the next part of the items that are neither decided nor locked. Its
 * limit is that of the one that may wait longest. False: look at the time; there may be no part. */
bool batch__postgres_group_next(struct batch__postgres_group *group,
                                struct batch__postgres_limit *ret_limit);

/* The statement for the part went well, or nothing of it is stored. */
void batch__postgres_group_went_well(struct batch__postgres_group *group);
void batch__postgres_group_failed(struct batch__postgres_group *group,
                                  const struct batch__postgres_answer *answer);

#endif
