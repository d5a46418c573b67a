/* direct.c: serves requests without libbatch, one SQLite transaction for each: what --direct
 * compares with.
 *
 * This is the program one would write otherwise, and written with care: a few threads, each with a
 * connection of its own and prepared statements, WAL with synchronous=FULL as libbatch's store has
 * it, BEGIN IMMEDIATE so that nobody has to start again, and a long busy timeout so that nobody is
 * told "database is locked". The table is that of libbatch's store, so that the files can be
 * exchanged.
 *
 * Threads: serve() on the threads of the HTTP server, which it blocks; each opens its connection
 * with its first request, and closes it when it ends. */
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "answer.h"
#include "options.h"
#include "train_codec.h"

#define BUSY_TIMEOUT_MS 60000

enum statement { BEGIN_WRITE, SELECT, UPSERT, COMMIT, ROLLBACK, STATEMENTS };

static const char *const statements_sql[STATEMENTS] = {
    [BEGIN_WRITE] = "BEGIN IMMEDIATE",
    [SELECT] = "SELECT version, state FROM batch WHERE key = ?1",
    [UPSERT] = ("INSERT INTO batch VALUES (?1, ?2, ?3) "
                "ON CONFLICT DO UPDATE SET version = excluded.version, state = excluded.state"),
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
};

/* The connection of one thread. */
struct session {
    sqlite3 *database;
    sqlite3_stmt *statements[STATEMENTS];
};

struct direct {
    struct service service; /* first, so that a service is a direct */
    const char *path;
    uint32_t seats; /* of a new train */
    pthread_key_t session_key;
    atomic_uint_fast64_t xtransactions;
    atomic_uint_fast64_t xcommits;
    atomic_uint_fast64_t xcommit_ns;
};

/* ---- Sessions -------------------------------------------------------------------------------- */

static void session_close(void *arg)
{
    struct session *session = arg;
    for (int i = 0; i < STATEMENTS; i++)
        sqlite3_finalize(session->statements[i]);
    sqlite3_close(session->database);
    free(session);
}

static int session_prepare(struct session *session)
{
    int code = sqlite3_busy_timeout(session->database, BUSY_TIMEOUT_MS);
    if (code == SQLITE_OK) {
        code =
            sqlite3_exec(session->database,
                         "PRAGMA journal_mode=WAL;"
                         "PRAGMA synchronous=FULL;"
                         "CREATE TABLE IF NOT EXISTS \"batch\" (\"key\" BLOB NOT NULL PRIMARY KEY,"
                         " \"version\" INTEGER NOT NULL, \"state\" BLOB NOT NULL)",
                         NULL, NULL, NULL);
    }
    for (int i = 0; code == SQLITE_OK && i < STATEMENTS; i++) {
        code = sqlite3_prepare_v3(session->database, statements_sql[i], -1,
                                  SQLITE_PREPARE_PERSISTENT, &session->statements[i], NULL);
    }
    return code;
}

/* NULL: *reterr, of BATCH_MESSAGE_SIZE bytes, says why. */
static struct session *session_open(const char *path, char *reterr)
{
    struct session *session = calloc(1, sizeof *session);
    if (session == NULL) {
        snprintf(reterr, BATCH_MESSAGE_SIZE, "out of memory");
        return NULL;
    }
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(path, &session->database, flags, NULL);
    if (code == SQLITE_OK)
        code = session_prepare(session);
    if (code != SQLITE_OK) {
        snprintf(reterr, BATCH_MESSAGE_SIZE, "%s", sqlite3_errmsg(session->database));
        session_close(session);
        return NULL;
    }
    return session;
}

/* The session of the calling thread, opened if it has none. */
static struct session *session_here(struct direct *direct, char *reterr)
{
    struct session *session = pthread_getspecific(direct->session_key);
    if (session == NULL) {
        session = session_open(direct->path, reterr);
        if (session != NULL && pthread_setspecific(direct->session_key, session) != 0) {
            session_close(session);
            snprintf(reterr, BATCH_MESSAGE_SIZE, "out of memory");
            session = NULL;
        }
    }
    return session;
}

/* Run a statement that gives no rows. False: the request has the reason. */
static bool session_run(struct session *session, enum statement which, struct request *request)
{
    sqlite3_stmt *statement = session->statements[which];
    int code = sqlite3_step(statement);
    if (code != SQLITE_DONE) {
        snprintf(request->message, sizeof request->message, "%s: %s", statements_sql[which],
                 sqlite3_errmsg(session->database));
    }
    sqlite3_reset(statement);
    return code == SQLITE_DONE;
}

/* ---- One request ----------------------------------------------------------------------------- */

static bool load(struct direct *direct, struct session *session, struct request *request,
                 struct train *train, sqlite3_int64 *ret_version)
{
    sqlite3_stmt *select = session->statements[SELECT];
    sqlite3_bind_blob(select, 1, request->target.train, (int)request->target.train_size,
                      SQLITE_STATIC);
    int code = sqlite3_step(select);
    const char *wrong = NULL;
    *ret_version = 0;
    if (code == SQLITE_ROW) {
        *ret_version = sqlite3_column_int64(select, 0);
        const void *json = sqlite3_column_blob(select, 1);
        wrong = train_decode(train, json != NULL ? json : "",
                             (size_t)sqlite3_column_bytes(select, 1), direct->seats);
    } else if (code == SQLITE_DONE) {
        wrong = train_decode(train, NULL, 0, direct->seats);
    } else {
        wrong = sqlite3_errmsg(session->database);
    }
    if (wrong != NULL) {
        request->status = BATCH_LOAD_FAILED;
        snprintf(request->message, sizeof request->message, "%s", wrong);
    }
    sqlite3_reset(select);
    return wrong == NULL;
}

static bool save(struct session *session, struct request *request, struct train *train,
                 sqlite3_int64 version)
{
    size_t json_size;
    const char *json = train_encode(train, &json_size);
    if (json == NULL) {
        snprintf(request->message, sizeof request->message, "out of memory");
        return false;
    }
    sqlite3_stmt *upsert = session->statements[UPSERT];
    sqlite3_bind_blob(upsert, 1, request->target.train, (int)request->target.train_size,
                      SQLITE_STATIC);
    sqlite3_bind_int64(upsert, 2, version);
    sqlite3_bind_blob(upsert, 3, json, (int)json_size, SQLITE_STATIC);
    bool saved = session_run(session, UPSERT, request);
    sqlite3_clear_bindings(upsert);
    return saved;
}

static bool commit(struct direct *direct, struct session *session, struct request *request)
{
    uint64_t begin_ns = batch_now_ns();
    bool committed = session_run(session, COMMIT, request);
    atomic_fetch_add_explicit(&direct->xcommit_ns, batch_now_ns() - begin_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&direct->xcommits, 1, memory_order_relaxed);
    return committed;
}

/* Within a write transaction: load, decide, save. True: commit it. */
static bool book(struct direct *direct, struct session *session, struct request *request)
{
    const struct target *target = &request->target;
    struct train train;
    sqlite3_int64 version;
    if (!load(direct, session, request, &train, &version))
        return false;
    request->answer = train_book(&train, target->seat, target->person, target->person_size);
    bool saved = false;
    request->status = BATCH_OK;
    if (request->answer == TRAIN_BOOKED) {
        saved = save(session, request, &train, version + 1);
        request->status = saved ? BATCH_OK : BATCH_SAVE_FAILED;
    }
    train_release(&train);
    return saved;
}

static void serve_book(struct direct *direct, struct session *session, struct request *request)
{
    if (!session_run(session, BEGIN_WRITE, request)) {
        request->status = BATCH_BUSY;
        return;
    }
    if (book(direct, session, request)) {
        if (commit(direct, session, request))
            return;
        request->status = BATCH_UNKNOWN;
    }
    if (sqlite3_get_autocommit(session->database) == 0) {
        sqlite3_step(session->statements[ROLLBACK]);
        sqlite3_reset(session->statements[ROLLBACK]);
    }
}

static void serve_look(struct direct *direct, struct session *session, struct request *request)
{
    struct train train;
    sqlite3_int64 version;
    if (load(direct, session, request, &train, &version)) {
        answer_keep_train(request, &train);
        request->status = BATCH_OK;
        train_release(&train);
    }
}

/* ---- The service ----------------------------------------------------------------------------- */

static void serve(struct service *service, struct request *request)
{
    struct direct *direct = (struct direct *)service;
    struct session *session = session_here(direct, request->message);
    if (session == NULL) {
        request->status = BATCH_LOAD_FAILED;
        return;
    }
    atomic_fetch_add_explicit(&direct->xtransactions, 1, memory_order_relaxed);
    if (request->target.kind == TARGET_BOOK)
        serve_book(direct, session, request);
    else
        serve_look(direct, session, request);
}

static void totals(struct service *service, struct service_totals *ret_totals)
{
    struct direct *direct = (struct direct *)service;
    uint64_t transactions = atomic_load_explicit(&direct->xtransactions, memory_order_relaxed);
    uint64_t commits = atomic_load_explicit(&direct->xcommits, memory_order_relaxed);
    *ret_totals = (struct service_totals){
        .batches = transactions,
        .operations = transactions,
        .commits = commits,
        .saves = commits,
        .save_ns = atomic_load_explicit(&direct->xcommit_ns, memory_order_relaxed),
    };
}

/* Requests are served while the HTTP server waits: once it has no more, all is done. */
static bool stop(struct service *service, uint64_t timeout_ns)
{
    (void)service;
    (void)timeout_ns;
    return true;
}

static void close_service(struct service *service)
{
    struct direct *direct = (struct direct *)service;
    pthread_key_delete(direct->session_key);
    free(direct);
}

struct service *direct_open(const struct options *options)
{
    struct direct *direct = calloc(1, sizeof *direct);
    if (direct == NULL || pthread_key_create(&direct->session_key, session_close) != 0) {
        fputs("train-server: out of memory\n", stderr);
        free(direct);
        return NULL;
    }
    direct->service = (struct service){false, NULL, serve, totals, stop, close_service};
    direct->path = options->store_path;
    direct->seats = options->seats;

    /* Make the table now, and find out now if that cannot be done. */
    char error[BATCH_MESSAGE_SIZE];
    struct session *session = session_open(direct->path, error);
    if (session == NULL) {
        fprintf(stderr, "train-server: cannot keep trains: %s: %s\n", direct->path, error);
        close_service(&direct->service);
        return NULL;
    }
    session_close(session);
    return &direct->service;
}
