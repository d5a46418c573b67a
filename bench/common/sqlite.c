/* sqlite.c: see sqlite.h. */
#include "common/sqlite.h"

#include "common/say.h"

#include <stddef.h>

enum { BUSY_MS = 10000 };

bool sqlite_failed(sqlite3 *db, const char *what)
{
    say("%s: %s", what, sqlite3_errmsg(db));
    return false;
}

sqlite3 *sqlite_connect(const char *path)
{
    sqlite3 *db = NULL;
    int code = sqlite3_open_v2(
        path, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
    if (code == SQLITE_OK)
        code = sqlite3_busy_timeout(db, BUSY_MS);
    if (code == SQLITE_OK)
        code =
            sqlite3_exec(db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL", NULL, NULL, NULL);
    if (code == SQLITE_OK)
        return db;
    sqlite_failed(db, path);
    sqlite3_close(db);
    return NULL;
}
