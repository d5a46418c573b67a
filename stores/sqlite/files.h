/* files.h: whether the names of a database still lead to the files that SQLite has open. */
#ifndef BATCH_SQLITE_FILES_H
#define BATCH_SQLITE_FILES_H

#include "error.h"

#include <pthread.h>
#include <stdint.h>

enum batch__sqlite_file {
    BATCH__SQLITE_FILE_GIVEN, /* the database, by the name that the user gave: perhaps a link */
    BATCH__SQLITE_FILE_MAIN,  /* the database, by the name that SQLite found */
    BATCH__SQLITE_FILE_LOG,   /* its "-wal" */
    BATCH__SQLITE_FILE_INDEX, /* its "-shm" */
    BATCH__SQLITE_FILES
};

/* The state of the log, according to its index. */
struct batch__sqlite_log {
    uint32_t page_size;
    uint32_t frames; /* pages in the log */
    uint32_t salt[2];
    uint32_t copied;  /* of them, to the database, by checkpoints that have ended */
    uint32_t copying; /* of them, by checkpoints that have begun */
};

/* What is known of the files by all connections of a store. */
struct batch__sqlite_watch {
    uint64_t xright_ns;                   /* when nothing was wrong last; 0: something is */
    pthread_mutex_t lock;                 /* guards the rest, and writes to xright_ns */
    unsigned users;                       /* connections that are open */
    struct batch__sqlite_problem foreign; /* a foreign write to a file: permanent */

    /* The database when it was last seen while no checkpoint was at work. */
    bool is_seen;
    struct batch__sqlite_log log;
    int64_t time_s; /* of its last change */
    uint32_t time_ns;
    uint64_t size;
};

/* False: out of resources. */
bool batch__sqlite_watch_init(struct batch__sqlite_watch *watch);
void batch__sqlite_watch_destroy(struct batch__sqlite_watch *watch);

/* What identifies a file on this machine. */
struct batch__sqlite_identity {
    uint32_t device_major;
    uint32_t device_minor;
    uint64_t inode;
};

/* The files of one connection; begins as zeros. */
struct batch__sqlite_files {
    char *names[BATCH__SQLITE_FILES];
    struct batch__sqlite_identity identities[BATCH__SQLITE_FILES];
    sqlite3 *db;
    sqlite3_file *main;                /* the database, as SQLite has it open */
    struct batch__sqlite_watch *watch; /* NULL: they are not files of the system */
};

/* Note which files the connection has open, once it is in WAL mode. `given` must stay. False: they
 * are not to be used, or there is no memory; *ret_problem says which. */
bool batch__sqlite_files_open(struct batch__sqlite_files *files, sqlite3 *db, const char *given,
                              struct batch__sqlite_watch *watch,
                              struct batch__sqlite_problem *ret_problem);
void batch__sqlite_files_close(struct batch__sqlite_files *files);

/* Will the next process that opens the database find what is written now? A check by any connection
 * of the store at most `age_max_ns` ago counts. False: *ret_problem says why not. */
bool batch__sqlite_files_check(const struct batch__sqlite_files *files, uint64_t age_max_ns,
                               struct batch__sqlite_problem *ret_problem);

#endif
