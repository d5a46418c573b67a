/* no_postgres.c: in place of all that needs PostgreSQL, in a build without it. */
#include <stdio.h>

#include "direct.h"
#include "store_open.h"
#include "stored.h"

static const char reason[] = "this program was built without PostgreSQL";

int store_open_postgres(batch_store **ret_store, bool *ret_names_are_text,
                        const struct store_options *options, batch_result *reterr)
{
    (void)ret_store;
    (void)ret_names_are_text;
    (void)options;
    snprintf(reterr->message, sizeof reterr->message, "%s", reason);
    return BATCH_STORE_FAILED;
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

static void *session_open(const struct store_options *options, bool *ret_names_are_text,
                          char *reterr)
{
    (void)options;
    (void)ret_names_are_text;
    snprintf(reterr, BATCH_MESSAGE_SIZE, "%s", reason);
    return NULL;
}

const struct direct_store direct_postgres = {.session_open = session_open};
