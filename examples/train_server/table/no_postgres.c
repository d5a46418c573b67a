/* no_postgres.c: in a build without PostgreSQL, in place of what needs it. */
#include <batch/postgres.h>

#include <stdio.h>

#include "table/postgres.h"
#include "table/stored.h"

static const char reason[] = "this program was built without PostgreSQL";

int batch_postgres_open(batch_store **ret_store, const char *conninfo,
                        const batch_postgres_options *options, batch_result *reterr)
{
    (void)ret_store;
    (void)conninfo;
    (void)options;
    snprintf(reterr->message, sizeof reterr->message, "%s", reason);
    return BATCH_STORE_FAILED;
}

bool postgres_create_table(const struct store_options *options, bool *ret_names_are_text,
                           char *reterr)
{
    (void)options;
    (void)ret_names_are_text;
    snprintf(reterr, BATCH_MESSAGE_SIZE, "%s", reason);
    return false;
}

bool stored_read_postgres(const struct store_options *options, stored_fn each, void *arg,
                          char *reterr)
{
    (void)options;
    (void)each;
    (void)arg;
    snprintf(reterr, BATCH_MESSAGE_SIZE, "%s", reason);
    return false;
}
