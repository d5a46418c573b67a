/* postgres.c: the PostgreSQL store: the interface of stores over the other files.
 *
 * The store itself holds no connection: opening it checks the table through one, creates it if it
 * is missing, and closes that connection; each session opens its own.
 *
 * Threads: the store is read-only after batch_postgres_open.
 */
#include <batch/postgres.h>

#include "../../src/base/atomics.h"
#include "conninfo.h"
#include "error.h"
#include "load.h"
#include "save.h"
#include "session.h"
#include "spec.h"

#include <pthread.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

struct store {
    batch_store base; /* first */
    struct batch__postgres_conninfo conninfo;
    struct batch__postgres_spec spec;
    uint64_t xreconnects;
};

/* ---- The interface of stores ---------------------------------------------------------------- */

static int session_open(batch_store *base, void **ret_session, batch_result *reterr)
{
    struct store *store = (struct store *)base;
    struct batch__postgres_session *session = NULL;
    int status = batch__postgres_session_open(&store->conninfo, &store->spec, false,
                                              &store->xreconnects, &session, reterr);
    if (status == BATCH_OK)
        *ret_session = session;
    return status;
}

static void session_close(batch_store *base, void *session)
{
    (void)base;
    batch__postgres_session_close(session);
}

static void load(batch_store *base, void *opened, batch_call *const *calls, size_t calls_size)
{
    struct batch__postgres_session *session = opened;
    (void)base;
    batch__postgres_load(&session->connection, &session->memory, calls, calls_size);
}

static void save(batch_store *base, void *opened, batch_call *const *calls, size_t calls_size)
{
    struct batch__postgres_session *session = opened;
    (void)base;
    batch__postgres_save(&session->save_state, &session->connection, &session->memory, calls,
                         calls_size);
}

static void stats(batch_store *base, batch_store_stats *ret_stats)
{
    struct store *store = (struct store *)base;
    if (ret_stats->size >= offsetof(batch_store_stats, reconnects) + sizeof ret_stats->reconnects)
        ret_stats->reconnects = batch__load_relaxed(&store->xreconnects);
}

static void store_close(batch_store *base)
{
    struct store *store = (struct store *)base;
    batch__postgres_conninfo_destroy(&store->conninfo);
    batch__postgres_spec_destroy(&store->spec);
    free(store);
}

/* ---- Opening -------------------------------------------------------------------------------- */

static struct store *store_new(const batch_postgres_options *options)
{
    struct store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    store->base.size = sizeof store->base;
    store->base.name = "postgres";
    store->base.session_open = session_open;
    store->base.session_close = session_close;
    store->base.load = load;
    store->base.save = save;
    store->base.close = store_close;
    store->base.stats = stats;
    store->base.saves_units = 1;
    if (!batch__postgres_spec_init(&store->spec, options)) {
        store_close(&store->base);
        return NULL;
    }
    return store;
}

static int invalid(batch_result *reterr, const char *text)
{
    return batch__postgres_fail(reterr, BATCH_INVALID, 0, text);
}

/* The size of the struct in the first release. */
#define OPTIONS_FIRST sizeof(batch_postgres_options)

static int open_store(batch_store **ret_store, const char *conninfo,
                      const batch_postgres_options *options, batch_result *reterr)
{
    batch_result ignored;
    if (reterr == NULL)
        reterr = &ignored;
    batch_postgres_options known = BATCH_POSTGRES_OPTIONS_INIT;
    if (ret_store == NULL)
        return invalid(reterr, "ret_store is NULL");
    if (conninfo == NULL)
        return invalid(reterr, "conninfo is NULL");
    int status = batch_struct_read(&known, options, OPTIONS_FIRST, "options", reterr);
    if (status == BATCH_OK)
        status = batch__postgres_options_check(&known, reterr);
    if (status != BATCH_OK)
        return status;
    if (!PQisthreadsafe())
        return batch__postgres_fail(reterr, BATCH_STORE_FAILED, 0,
                                    "libpq was built without support for threads");
    if (PQlibVersion() < BATCH__POSTGRES_SERVER_MIN)
        return batch__postgres_fail(reterr, BATCH_STORE_FAILED, 0,
                                    "libpq is older than 12: install the one of PostgreSQL 12, or "
                                    "a newer one");
    struct store *store = store_new(&known);
    if (store == NULL)
        return batch__postgres_fail(reterr, BATCH_NO_MEMORY, 0, "no memory for a store");
    struct batch__postgres_session *session = NULL;
    status = batch__postgres_conninfo_init(&store->conninfo, conninfo, reterr);
    if (status == BATCH_OK)
        status = batch__postgres_session_open(&store->conninfo, &store->spec, true,
                                              &store->xreconnects, &session, reterr);
    if (status != BATCH_OK) {
        store_close(&store->base);
        return status;
    }
    batch__postgres_session_close(session);
    *ret_store = &store->base;
    return BATCH_OK;
}

int batch_postgres_options_init(batch_postgres_options *ret_options, size_t size)
{
    static const batch_postgres_options known = BATCH_POSTGRES_OPTIONS_INIT;
    return batch_struct_init(ret_options, size, &known);
}

int batch_postgres_open(batch_store **ret_store, const char *conninfo,
                        const batch_postgres_options *options, batch_result *reterr)
{
    int before; /* pthread_cancel of the calling thread takes effect when nothing is half done */
    pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    int status = open_store(ret_store, conninfo, options, reterr);
    pthread_setcancelstate(before, NULL);
    return status;
}
