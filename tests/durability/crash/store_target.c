/* store_target.c: see store_target.h. */
#include "store_target.h"

#include <batch/sqlite.h>
#ifdef CRASH_POSTGRES
#include <batch/postgres.h>
#endif

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *after(const char *text, const char *prefix)
{
    size_t size = strlen(prefix);
    return strncmp(text, prefix, size) == 0 ? text + size : NULL;
}

int target_open(batch_store **ret_store, const char *text, batch_result *reterr)
{
    const char *path = after(text, "sqlite:");
    if (path != NULL)
        return batch_sqlite_open(ret_store, path, NULL, reterr);
#ifdef CRASH_POSTGRES
    const char *conninfo = after(text, "postgres:");
    if (conninfo != NULL)
        return batch_postgres_open(ret_store, conninfo, NULL, reterr);
#endif
    fprintf(stderr, "crash: not a store: %s\n", text);
    exit(2);
}
