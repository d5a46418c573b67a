/* postgres.c: the PostgreSQL store: its options, and the store interface over the other files.
 *
 * The store itself holds no connection: opening one makes and checks the table, and closes it
 * again; each session opens its own.
 *
 * Threads: the store is read-only after batch_postgres_open.
 */
#include "internal.h"

#include <stdlib.h>

static int session_open(batch_store *base, void **ret_session, batch_result *reterr)
{
    struct batch__postgres_session *session = NULL;
    int status =
        batch__postgres_session_open((struct batch__postgres_store *)base, false, &session, reterr);
    if (status == BATCH_OK)
        *ret_session = session;
    return status;
}

static void session_close(batch_store *base, void *session)
{
    (void)base;
    batch__postgres_session_close(session);
}

static void store_close(batch_store *base)
{
    struct batch__postgres_store *store = (struct batch__postgres_store *)base;
    batch__postgres_conninfo_destroy(&store->conninfo);
    free(store->schema);
    free(store->table);
    free(store->key_column);
    free(store->version_column);
    free(store->state_column);
    free(store);
}

static int invalid(batch_result *reterr, const char *text)
{
    return batch__postgres_fail(reterr, BATCH_INVALID, 0, text);
}

static bool is_empty(const char *text)
{
    return text != NULL && text[0] == '\0';
}

static bool is_too_long(const char *text)
{
    enum { NAME_MAX_SIZE = 63 };
    return text != NULL && strlen(text) > NAME_MAX_SIZE;
}

static int check_options(const batch_postgres_options *options, batch_result *reterr)
{
    if (is_empty(options->schema) || is_empty(options->table) || is_empty(options->key_column) ||
        is_empty(options->version_column) || is_empty(options->state_column))
        return invalid(reterr, "the name of the schema, the table or a column is empty");
    if (is_too_long(options->schema) || is_too_long(options->table) ||
        is_too_long(options->key_column) || is_too_long(options->version_column) ||
        is_too_long(options->state_column))
        return invalid(reterr, "the name of the schema, the table or a column is longer than 63 "
                               "bytes, of which PostgreSQL would cut the rest");
    if ((int)options->key_type < (int)BATCH_POSTGRES_AUTO ||
        (int)options->key_type > (int)BATCH_POSTGRES_TEXT)
        return invalid(reterr, "key_type is not BATCH_POSTGRES_AUTO, _BYTEA or _TEXT");
    if ((int)options->state_type < (int)BATCH_POSTGRES_AUTO ||
        (int)options->state_type > (int)BATCH_POSTGRES_JSONB)
        return invalid(reterr, "state_type is not one of batch_postgres_type");
    if ((int)options->durability < (int)BATCH_POSTGRES_ON ||
        (int)options->durability > (int)BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS)
        return invalid(reterr, "durability is not one of batch_postgres_durability");
    return BATCH_OK;
}

static bool copy(const char *text, const char *text_default, char **ret_text)
{
    *ret_text = strdup(text != NULL ? text : text_default);
    return *ret_text != NULL;
}

static struct batch__postgres_store *store_new(const batch_postgres_options *options)
{
    struct batch__postgres_store *store = calloc(1, sizeof *store);
    if (store == NULL)
        return NULL;
    store->base.size = sizeof store->base;
    store->base.name = "postgres";
    store->base.session_open = session_open;
    store->base.session_close = session_close;
    store->base.load = batch__postgres_load;
    store->base.save = batch__postgres_save;
    store->base.close = store_close;
    store->key_type = options->key_type;
    store->state_type = options->state_type;
    store->durability = options->durability;
    bool is_copied = options->schema == NULL || copy(options->schema, NULL, &store->schema);
    if (!is_copied || !copy(options->table, "batch", &store->table) ||
        !copy(options->key_column, "key", &store->key_column) ||
        !copy(options->version_column, "version", &store->version_column) ||
        !copy(options->state_column, "state", &store->state_column)) {
        store_close(&store->base);
        return NULL;
    }
    return store;
}

int batch_postgres_open(batch_store **ret_store, const char *conninfo,
                        const batch_postgres_options *options, batch_result *reterr)
{
    batch_result ignored;
    if (reterr == NULL)
        reterr = &ignored;
    batch_postgres_options known = BATCH_POSTGRES_OPTIONS_INIT;
    if (ret_store == NULL || conninfo == NULL)
        return invalid(reterr, "ret_store or conninfo is NULL");
    if (options != NULL && options->size < sizeof options->size)
        return invalid(reterr, "options->size is not set: start from BATCH_POSTGRES_OPTIONS_INIT");
    if (options != NULL)
        memcpy(&known, options, options->size < sizeof known ? options->size : sizeof known);
    int status = check_options(&known, reterr);
    if (status != BATCH_OK)
        return status;
    if (!PQisthreadsafe())
        return batch__postgres_fail(reterr, BATCH_STORE_FAILED, 0,
                                    "libpq was built without support for threads");
    struct batch__postgres_store *store = store_new(&known);
    if (store == NULL)
        return batch__postgres_fail(reterr, BATCH_NO_MEMORY, 0, "no memory for a store");
    struct batch__postgres_session *session = NULL;
    status = batch__postgres_conninfo_init(&store->conninfo, conninfo, reterr);
    if (status == BATCH_OK)
        status = batch__postgres_session_open(store, true, &session, reterr);
    if (status != BATCH_OK) {
        store_close(&store->base);
        return status;
    }
    batch__postgres_session_close(session);
    *ret_store = &store->base;
    return BATCH_OK;
}
