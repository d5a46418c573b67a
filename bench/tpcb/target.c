/* target.c: which store.
 *
 * BENCH_SQLITE and BENCH_POSTGRES are 1 or 0: whether that store is built. The file of one that is
 * not is not there, and the compiler leaves out the call of it. */
#include "target.h"

#include "common/say.h"
#include "target_postgres.h"
#include "target_sqlite.h"

#include <string.h>

/* What follows "name:"; NULL if it is another name. */
static const char *after(const char *store, const char *name)
{
    size_t size = strlen(name);
    return strncmp(store, name, size) == 0 && store[size] == ':' ? store + size + 1 : NULL;
}

struct target *target_open(const struct settings *settings)
{
    const char *path = after(settings->store, "sqlite");
    const char *conninfo = after(settings->store, "postgres");
    if (BENCH_SQLITE && path != NULL && path[0] != '\0')
        return target_sqlite_open(settings, path);
    if (BENCH_POSTGRES && conninfo != NULL)
        return target_postgres_open(settings, conninfo);
    say("--store: give sqlite:PATH or postgres:CONNINFO, of a store that is built");
    return NULL;
}
