/* sqlite.h: keep resources in a SQLite file.
 *
 * Each group of saves is one write transaction, with a version check for every key inside it; each
 * session has a connection of its own. The store sets WAL mode and `synchronous=EXTRA` itself and
 * checks that both took, so that BATCH_OK survives power loss as far as the disk keeps its word.
 * Several processors and processes may share a file. Open one store for a file in a process and
 * share it: its writers take turns in order, and nobody is told that the file is busy. With other
 * stores and processes a save waits for its turn until the deadline of its batch.
 *
 * Link with batch-sqlite (pkg-config batch-sqlite, CMake batch::sqlite).
 */
#ifndef BATCH_SQLITE_H
#define BATCH_SQLITE_H

#include <batch/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How much a commit waits for the disk. */
typedef enum batch_sqlite_durability {
    BATCH_SQLITE_FULL = 0,                 /* synced before BATCH_OK */
    BATCH_SQLITE_MAY_LOSE_LAST_COMMITS = 1 /* synchronous=NORMAL: a power cut may undo what was
                                              answered BATCH_OK; a killed process loses nothing */
} batch_sqlite_durability;

/* Zero or NULL means the default. Strings are copied. */
typedef struct batch_sqlite_options {
    size_t size;                /* sizeof(batch_sqlite_options) */
    const char *table;          /* default "batch"; created if missing */
    const char *key_column;     /* default "key": BLOB, primary key */
    const char *version_column; /* default "version": INTEGER */
    const char *state_column;   /* default "state": BLOB */
    batch_sqlite_durability durability;
} batch_sqlite_options;

#define BATCH_SQLITE_OPTIONS_INIT                                                                  \
    {                                                                                              \
        sizeof(batch_sqlite_options), NULL, NULL, NULL, NULL, BATCH_SQLITE_FULL                    \
    }

/* Open a store on the file `path`, created if missing. Blocks on the disk. `options` and `reterr`
 * may be NULL; names may hold any characters.
 * BATCH_OK            *ret_store is yours: close it with batch_store_close
 * BATCH_INVALID       an argument is not valid (an empty path or name, ":memory:")
 * BATCH_STORE_FAILED  SQLite refused; reterr has its code and text
 * BATCH_NO_MEMORY */
BATCH_API int batch_sqlite_open(batch_store **ret_store, const char *path,
                                const batch_sqlite_options *options, batch_result *reterr);

#ifdef __cplusplus
}
#endif

#endif
