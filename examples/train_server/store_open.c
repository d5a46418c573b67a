/* store_open.c: see store_open.h. */
#include "store_open.h"

#include <batch/sqlite.h>

static int store_open_sqlite(batch_store **ret_store, const struct store_options *options,
                             batch_result *reterr)
{
    batch_sqlite_options table = BATCH_SQLITE_OPTIONS_INIT;
    table.table = options->table;
    table.key_column = options->key_column;
    table.version_column = options->version_column;
    table.state_column = options->state_column;
    return batch_sqlite_open(ret_store, options->where, &table, reterr);
}

int store_open(batch_store **ret_store, bool *ret_names_are_text,
               const struct store_options *options, batch_result *reterr)
{
    *ret_names_are_text = false;
    if (options->kind == STORE_POSTGRES)
        return store_open_postgres(ret_store, ret_names_are_text, options, reterr);
    return store_open_sqlite(ret_store, options, reterr);
}
