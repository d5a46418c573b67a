/* sqlite.h: store resources in a SQLite file.
 *
 * Each group of saves is one write transaction, with a version check for every key in it; each
 * session has a connection of its own. The store sets WAL mode and `synchronous=EXTRA` itself and
 * verifies both, so that BATCH_OK survives power loss, provided the disk honours flushes.
 *
 * Several processors and processes may share a file. Open one store per file and process, and share
 * it: its writers queue in order, and none of them finds the file busy. With several stores or
 * processes, a save waits for the writers of the others until its deadline.
 *
 * Transactions over several keys commit together with the group they are in; what they only read is
 * compared, not written. One that changes nothing waits for no writer.
 *
 * Constraints and triggers of the table are respected: the store enables foreign keys, and a row
 * that is refused, or that a trigger changes to another key or state than was sent, fails only its
 * own key, with BATCH_SAVE_FAILED. The table may be altered while processors run; as long as it is
 * unsuitable, every load and save fails. A key that another program has stored as TEXT or as a
 * number fails to load: it must be a BLOB.
 *
 * The file, its write-ahead log ("-wal") and the index of the log ("-shm") belong together. When
 * one of them is removed, moved or replaced, gets a second name (a hard link), or is written to by
 * a program other than SQLite (such as cp), loads and saves fail, with BATCH_UNKNOWN if that is
 * detected only after a commit. Stop all processors before you restore a backup. Not detected are:
 * a restore by SQLite itself, which is a transaction like any other, although versions may then
 * repeat; a foreign write within a few milliseconds of a checkpoint; a program that uses the file
 * with synchronous=OFF, whose checkpoints may lose to a power cut what others have committed; and
 * use from several machines, which do not see each other's changes on a network file system: keep
 * the file on a local one.
 *
 * Link with batch-sqlite (pkg-config batch-sqlite, CMake batch::sqlite).
 */
#ifndef BATCH_SQLITE_H
#define BATCH_SQLITE_H

#include <batch/store.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a commit waits for. */
typedef enum batch_sqlite_durability {
    BATCH_SQLITE_FULL = 0,                 /* synced before BATCH_OK */
    BATCH_SQLITE_MAY_LOSE_LAST_COMMITS = 1 /* synchronous=NORMAL: a power cut may undo what has
                                              returned BATCH_OK; a killed process loses nothing */
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

/* BATCH_SQLITE_OPTIONS_INIT as a function, for other languages; see batch_options_init().
 * Returns BATCH_OK, or BATCH_INVALID if `ret_options` is NULL or `size` is not that of a struct.
 * Threads: any. Does not block. */
BATCH_API int batch_sqlite_options_init(batch_sqlite_options *ret_options, size_t size);

/* Open a store on the file `path`, which is created if missing.
 *
 * `options` and `reterr` may be NULL; names may hold any characters. A table that exists already
 * may have more columns, constraints and triggers; a view is not accepted.
 *
 * Returns
 * BATCH_OK            *ret_store is yours: close it with batch_store_close
 * BATCH_INVALID       an argument is not valid (an empty path or name, ":memory:")
 * BATCH_STORE_FAILED  SQLite returned an error; reterr has its code and text
 * BATCH_NO_MEMORY     out of memory
 *
 * Threads: any. Blocks on the disk. */
BATCH_API int batch_sqlite_open(batch_store **ret_store, const char *path,
                                const batch_sqlite_options *options, batch_result *reterr);

#ifdef __cplusplus
}
#endif

#endif
