/* store_open_postgres.c: see store_open.h. */
#include <batch/postgres.h>

#include "postgres.h"
#include "store_open.h"

int store_open_postgres(batch_store **ret_store, bool *ret_names_are_text,
                        const struct store_options *options, batch_result *reterr)
{
    struct pg_conn *connection = postgres_connect(options, reterr->message);
    if (connection == NULL)
        return BATCH_STORE_FAILED;
    bool made = postgres_make_table(connection, options, ret_names_are_text, reterr->message);
    postgres_disconnect(connection);
    if (!made)
        return BATCH_STORE_FAILED;
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    table.table = options->table;
    table.key_column = options->key_column;
    table.version_column = options->version_column;
    table.state_column = options->state_column;
    return batch_postgres_open(ret_store, options->where, &table, reterr);
}
