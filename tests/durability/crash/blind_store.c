/* blind_store.c: the injected bug: a store that ignores versions. Before a save each call is given
 * the version that is stored just then, whatever its load found, so that nothing is a conflict.
 */
#include "store_target.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct blind_store {
    batch_store base; /* first */
    batch_store *store;
    const char *path;
};

struct blind_session {
    void *session;
    sqlite3 *db;
    sqlite3_stmt *select;
};

static struct blind_store *blind_of(batch_store *base)
{
    return (struct blind_store *)(void *)base;
}

static int session_open(batch_store *base, void **ret_session, batch_result *reterr)
{
    struct blind_store *blind = blind_of(base);
    struct blind_session *session = calloc(1, sizeof *session);
    if (session == NULL)
        abort();
    int status = blind->store->session_open(blind->store, &session->session, reterr);
    if (status != BATCH_OK) {
        free(session);
        return status;
    }
    if (sqlite3_open(blind->path, &session->db) != SQLITE_OK)
        abort();
    sqlite3_busy_timeout(session->db, 10000);
    if (sqlite3_prepare_v2(session->db, "SELECT version FROM batch WHERE key = ?1", -1,
                           &session->select, NULL) != SQLITE_OK)
        abort();
    *ret_session = session;
    return BATCH_OK;
}

static void session_close(batch_store *base, void *opened)
{
    struct blind_session *session = opened;
    blind_of(base)->store->session_close(blind_of(base)->store, session->session);
    sqlite3_finalize(session->select);
    sqlite3_close(session->db);
    free(session);
}

static void load(batch_store *base, void *opened, batch_call *const *calls, size_t calls_size)
{
    struct blind_session *session = opened;
    blind_of(base)->store->load(blind_of(base)->store, session->session, calls, calls_size);
}

static void save(batch_store *base, void *opened, batch_call *const *calls, size_t calls_size)
{
    struct blind_session *session = opened;
    for (size_t i = 0; i < calls_size; i++) {
        size_t key_size;
        const void *key = batch_call_key(calls[i], &key_size);
        sqlite3_bind_blob(session->select, 1, key, (int)key_size, SQLITE_STATIC);
        if (sqlite3_step(session->select) == SQLITE_ROW)
            batch_call_set_version(calls[i], (uint64_t)sqlite3_column_int64(session->select, 0));
        sqlite3_reset(session->select);
    }
    blind_of(base)->store->save(blind_of(base)->store, session->session, calls, calls_size);
}

static void close_store(batch_store *base)
{
    batch_store_close(blind_of(base)->store);
    free(base);
}

batch_store *blind_store_over(batch_store *store, const char *text)
{
    struct blind_store *blind = calloc(1, sizeof *blind);
    if (blind == NULL || strncmp(text, "sqlite:", strlen("sqlite:")) != 0)
        abort();
    blind->base = (batch_store)BATCH_STORE_INIT;
    blind->base.name = "blind";
    blind->base.session_open = session_open;
    blind->base.session_close = session_close;
    blind->base.load = load;
    blind->base.save = save;
    blind->base.close = close_store;
    blind->store = store;
    blind->path = text + strlen("sqlite:");
    return &blind->base;
}
