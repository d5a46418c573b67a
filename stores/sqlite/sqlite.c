/* sqlite.c: the SQLite store: its options, and the store interface over the other files.
 *
 * The store itself holds no connection: opening it verifies the file and creates the table over a
 * session that is closed again; each session has a connection of its own. So nothing is left open
 * while no processor runs.
 *
 * Threads: the store is read-only after batch_sqlite_open, except for the queue of writers and what
 * is known of the files.
 */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* getcwd */
#endif
#include "error.h"
#include "load.h"
#include "save.h"
#include "session.h"
#include "writer_queue.h"

#include <stddef.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PATH_SIZE_MAX = 4096 }; /* more than SQLite takes */

struct store {
    batch_store base; /* first */
    struct batch__sqlite_settings settings;
    struct batch__sqlite_writer_queue writers;
    struct batch__sqlite_watch watch;
    char *log_name; /* of the write-ahead log */
};

/* ---- What struct batch_store has ------------------------------------------------------------ */

static int session_open(batch_store *base, void **ret_session, batch_result *reterr)
{
    struct batch__sqlite_session *session = NULL;
    const struct store *store = (struct store *)base;
    int status = batch__sqlite_session_open(&store->settings, false, &session, reterr);
    if (status == BATCH_OK)
        *ret_session = session;
    return status;
}

static void session_close(batch_store *base, void *session)
{
    (void)base;
    batch__sqlite_session_close(session);
}

static void load(batch_store *base, void *session, batch_call *const *calls, size_t calls_size)
{
    (void)base;
    batch__sqlite_load(session, calls, calls_size);
}

static void save(batch_store *base, void *session, batch_call *const *calls, size_t calls_size)
{
    batch__sqlite_save(session, &((struct store *)base)->writers, calls, calls_size);
}

/* By its name and without a lock, which a session may hold while it waits for the disk. */
static void stats(batch_store *base, batch_store_stats *ret_stats)
{
    const struct store *store = (struct store *)base;
    struct stat status;
    size_t end = offsetof(batch_store_stats, wal_bytes) + sizeof ret_stats->wal_bytes;
    if (ret_stats->size >= end && stat(store->log_name, &status) == 0)
        ret_stats->wal_bytes = (uint64_t)status.st_size;
}

static void store_free(struct store *store)
{
    struct batch__sqlite_settings *settings = &store->settings;
    sqlite3_free(store->log_name);
    sqlite3_free(settings->path);
    sqlite3_free(settings->table.name);
    sqlite3_free(settings->table.key_column);
    sqlite3_free(settings->table.version_column);
    sqlite3_free(settings->table.state_column);
    free(store);
}

static void store_close(batch_store *base)
{
    struct store *store = (struct store *)base;
    batch__sqlite_writer_queue_destroy(&store->writers);
    batch__sqlite_watch_destroy(&store->watch);
    store_free(store);
}

/* ---- Opening -------------------------------------------------------------------------------- */

static char *copy_of(const char *text)
{
    return sqlite3_mprintf("%s", text);
}

static bool is_empty(const char *text)
{
    return text != NULL && text[0] == '\0';
}

static int invalid(batch_result *reterr, const char *text)
{
    return batch__sqlite_fail(reterr, BATCH_INVALID, 0, text);
}

static int check_arguments(const char *path, const batch_sqlite_options *options,
                           batch_result *reterr)
{
    if (path == NULL || is_empty(path))
        return invalid(reterr, path == NULL ? "path is NULL" : "path is empty");
    if (strcmp(path, ":memory:") == 0)
        return invalid(reterr, "path must be a file: \":memory:\" is lost with its connection");
    if (is_empty(options->table))
        return invalid(reterr, "options.table is empty");
    if (is_empty(options->key_column))
        return invalid(reterr, "options.key_column is empty");
    if (is_empty(options->version_column))
        return invalid(reterr, "options.version_column is empty");
    if (is_empty(options->state_column))
        return invalid(reterr, "options.state_column is empty");
    if (options->durability != BATCH_SQLITE_FULL &&
        options->durability != BATCH_SQLITE_MAY_LOSE_LAST_COMMITS)
        return invalid(reterr, "options.durability is not one of batch_sqlite_durability");
    return BATCH_OK;
}

/* So that sessions find the same file wherever the process has gone meanwhile. It is not resolved:
 * a link leads where it leads when a session is opened. And as it begins with a slash, it is never
 * a URI, as in some builds of SQLite. NULL: no memory, or nowhere. */
static char *absolute_path(const char *path)
{
    char folder[PATH_SIZE_MAX];
    if (path[0] == '/')
        return copy_of(path);
    if (getcwd(folder, sizeof folder) == NULL)
        return NULL;
    return sqlite3_mprintf("%s/%s", folder, path);
}

static bool copy_settings(struct batch__sqlite_settings *settings, const char *path,
                          const batch_sqlite_options *options)
{
    struct batch__sqlite_table *table = &settings->table;
    settings->durability = options->durability;
    settings->path = absolute_path(path);
    table->name = copy_of(options->table != NULL ? options->table : "batch");
    table->key_column = copy_of(options->key_column != NULL ? options->key_column : "key");
    table->version_column =
        copy_of(options->version_column != NULL ? options->version_column : "version");
    table->state_column = copy_of(options->state_column != NULL ? options->state_column : "state");
    return settings->path != NULL && table->name != NULL && table->key_column != NULL &&
           table->version_column != NULL && table->state_column != NULL;
}

static struct store *store_new(const char *path, const batch_sqlite_options *options)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    store->base.size = sizeof store->base;
    store->base.name = "sqlite";
    store->base.session_open = session_open;
    store->base.session_close = session_close;
    store->base.load = load;
    store->base.save = save;
    store->base.close = store_close;
    store->base.stats = stats;
    store->base.saves_units = 1;
    store->settings.watch = &store->watch;
    store->base.saves_max = 1; /* SQLite has one writer: the others would only wait for it */
    if (copy_settings(&store->settings, path, options) &&
        batch__sqlite_writer_queue_init(&store->writers)) {
        if (batch__sqlite_watch_init(&store->watch))
            return store;
        batch__sqlite_writer_queue_destroy(&store->writers);
    }
    store_free(store);
    return NULL;
}

/* Open the file once: verify it, create the table, and learn the name of the log. */
static int store_verify(struct store *store, batch_result *reterr)
{
    struct batch__sqlite_session *session;
    int status = batch__sqlite_session_open(&store->settings, true, &session, reterr);
    if (status != BATCH_OK)
        return status;
    store->log_name = copy_of(session->files.names[BATCH__SQLITE_FILE_LOG]);
    batch__sqlite_session_close(session);
    return store->log_name != NULL ? BATCH_OK
                                   : batch__sqlite_fail_no_memory(reterr, "no memory for a name");
}

/* The size of the struct in the first release. */
#define OPTIONS_FIRST sizeof(batch_sqlite_options)

static int open_store(batch_store **ret_store, const char *path,
                      const batch_sqlite_options *options, batch_result *reterr)
{
    batch_result ignored;
    if (reterr == NULL)
        reterr = &ignored;
    batch_sqlite_options known = BATCH_SQLITE_OPTIONS_INIT;
    if (ret_store == NULL)
        return invalid(reterr, "ret_store is NULL");
    int status = batch_struct_read(&known, options, OPTIONS_FIRST, "options", reterr);
    if (status == BATCH_OK)
        status = check_arguments(path, &known, reterr);
    if (status != BATCH_OK)
        return status;
    if (!sqlite3_threadsafe())
        return batch__sqlite_fail(reterr, BATCH_STORE_FAILED, SQLITE_MISUSE,
                                  "SQLite was built without support for threads");
    struct store *store = store_new(path, &known);
    if (store == NULL)
        return batch__sqlite_fail(reterr, BATCH_NO_MEMORY, 0, "no memory for a store");
    status = store_verify(store, reterr);
    if (status != BATCH_OK) {
        store_close(&store->base);
        return status;
    }
    *ret_store = &store->base;
    return BATCH_OK;
}

int batch_sqlite_options_init(batch_sqlite_options *ret_options, size_t size)
{
    static const batch_sqlite_options known = BATCH_SQLITE_OPTIONS_INIT;
    return batch_struct_init(ret_options, size, &known);
}

int batch_sqlite_open(batch_store **ret_store, const char *path,
                      const batch_sqlite_options *options, batch_result *reterr)
{
    int before; /* pthread_cancel of the calling thread takes effect when nothing is half done */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    int status = open_store(ret_store, path, options, reterr);
    pthread_setcancelstate(before, NULL);
    return status;
}
