/* target.c: which store.
 *
 * BENCH_SQLITE and BENCH_POSTGRES are 1 or 0: whether that store is built. The file of one that is
 * not is not there, and the compiler leaves out the call of it.
 */
#include "target.h"

#include "common/say.h"
#include "target_memory.h"
#include "target_postgres.h"
#include "target_sqlite.h"

#include <string.h>

/* What follows "name:"; NULL if it is another name. */
static const char *after(const char *store, const char *name)
{
    size_t size = strlen(name);
    return strncmp(store, name, size) == 0 && store[size] == ':' ? store + size + 1 : NULL;
}

static struct target *refuse(const char *what)
{
    say("--store: %s", what);
    return NULL;
}

struct target *target_open(const struct settings *settings)
{
    const char *path = after(settings->store, "sqlite");
    const char *conninfo = after(settings->store, "postgres");
    if (strcmp(settings->store, "memory") == 0)
        return target_memory_open(settings);
    if (path != NULL && path[0] != '\0') {
        if (BENCH_SQLITE)
            return target_sqlite_open(settings, path);
        return refuse("this build is without SQLite (BATCH_SQLITE)");
    }
    if (conninfo != NULL) {
        if (BENCH_POSTGRES)
            return target_postgres_open(settings, conninfo);
        return refuse("this build is without PostgreSQL (BATCH_POSTGRES)");
    }
    return refuse("give memory, sqlite:PATH or postgres:CONNINFO");
}
