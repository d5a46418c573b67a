/* sqlite_fault_test.c: every fault in turn in the SQLite store, and in what SQLite asks of the
 * system: memory and files fail below SQLite, which then says what it says. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "pass.h"
#include "scenario.h"
#include "temporary_folder.h"

#include <batch/sqlite.h>

#include <pthread.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct file {
    struct backend backend; /* first */
    char folder[64];
    char path[96];
    batch_store *store;
    batch_sqlite_durability durability;
    bool is_held_up; /* writing behind the back takes a little longer */
    bool has_rules;  /* the table has a trigger, and a row whose key is text */
    bool has_holder; /* a thread that does that now */
    pthread_t holder;
};

static void must(bool is_so, const char *what)
{
    if (is_so)
        return;
    fprintf(stderr, "SQLite: %s\n", what);
    exit(1);
}

static void file_clear(struct backend *backend)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    const struct file *file = (const struct file *)backend;
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", file->path, suffixes[i]);
        unlink(path);
    }
}

/* A connection of its own each time, so that nothing of it stays. */
static sqlite3 *connect_to(const struct file *file)
{
    sqlite3 *db = NULL;
    must(sqlite3_open(file->path, &db) == SQLITE_OK, "no plain connection");
    sqlite3_busy_timeout(db, 2000);
    return db;
}

/* By which the store opens it, in the folder of the program. */
#define LINK_NAME "link.db"

/* So that rows are read back, conflicts of new rows undone, and new keys looked for as text. */
static void give_rules(const struct file *file)
{
    faults_exempt_begin();
    sqlite3 *db = connect_to(file);
    must(sqlite3_exec(
             db,
             "CREATE TABLE IF NOT EXISTS batch (key BLOB PRIMARY KEY, version INT NOT NULL, "
             "state BLOB NOT NULL); INSERT OR IGNORE INTO batch VALUES ('text', 1, x'00'); "
             "CREATE TRIGGER IF NOT EXISTS t BEFORE INSERT ON batch BEGIN SELECT 1; END",
             NULL, NULL, NULL) == SQLITE_OK,
         sqlite3_errmsg(db));
    must(sqlite3_close(db) == SQLITE_OK, "a plain connection cannot be closed");
    unlink(LINK_NAME);
    must(symlink(file->path, LINK_NAME) == 0, "no link");
    faults_exempt_end();
}

static int file_open(struct backend *backend, batch_options *options, batch_result *reterr)
{
    struct file *file = (struct file *)backend;
    batch_sqlite_options store_options = BATCH_SQLITE_OPTIONS_INIT;
    store_options.durability = file->durability;
    if (file->has_rules)
        give_rules(file);
    const char *path = file->has_rules ? LINK_NAME : file->path;
    int status = batch_sqlite_open(&options->store, path, &store_options, reterr);
    file->store = options->store;
    return status;
}

static void file_close(struct backend *backend)
{
    struct file *file = (struct file *)backend;
    if (file->has_holder)
        pthread_join(file->holder, NULL);
    file->has_holder = false;
    must(batch_store_close(file->store) == BATCH_OK, "the store cannot be closed");
}

static int64_t file_read(struct backend *backend, const void *key, size_t key_size)
{
    sqlite3 *db = connect_to((const struct file *)backend);
    sqlite3_stmt *select = NULL;
    int64_t number = 0;
    /* Perhaps there is no table yet. */
    if (sqlite3_prepare_v2(db, "SELECT state FROM batch WHERE key = ?1", -1, &select, NULL) ==
        SQLITE_OK) {
        sqlite3_bind_blob64(select, 1, key, key_size, SQLITE_STATIC);
        int code = sqlite3_step(select);
        if (code != SQLITE_ROW && code != SQLITE_DONE)
            fprintf(stderr, "code %d\n", sqlite3_extended_errcode(db)), abort();
        if (code == SQLITE_ROW)
            memcpy(&number, sqlite3_column_blob(select, 0), sizeof number);
    }
    sqlite3_finalize(select);
    must(sqlite3_close(db) == SQLITE_OK, "a plain connection cannot be closed");
    return number;
}

/* Somebody else writes, and takes longer than it takes to look once. */
static void *hold(void *connected)
{
    sqlite3 *db = connected;
    faults_exempt_begin();
    nanosleep(&(struct timespec){0, 3000000}, NULL);
    must(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) == SQLITE_OK, sqlite3_errmsg(db));
    must(sqlite3_close(db) == SQLITE_OK, "a plain connection cannot be closed");
    faults_exempt_end();
    return NULL;
}

static void hold_up(struct file *file)
{
    sqlite3 *db = connect_to(file);
    must(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK, sqlite3_errmsg(db));
    must(pthread_create(&file->holder, NULL, hold, db) == 0, "no thread");
    file->has_holder = true;
}

static void set_held_up(struct backend *backend)
{
    struct file *file = (struct file *)backend;
    file->is_held_up = !file->is_held_up;
}

static void file_write(struct backend *backend, const void *key, size_t key_size, int64_t number)
{
    sqlite3 *db = connect_to((const struct file *)backend);
    sqlite3_stmt *insert = NULL;
    must(sqlite3_prepare_v2(db,
                            "INSERT INTO batch (key, version, state) "
                            "VALUES (?1, 1 + (random() >> 12 & 0xfffffffffffff), cast(?2 || "
                            "zeroblob(?3) as blob)) "
                            "ON CONFLICT (key) DO UPDATE "
                            "SET version = version + 1, state = excluded.state",
                            -1, &insert, NULL) == SQLITE_OK,
         sqlite3_errmsg(db));
    sqlite3_bind_blob64(insert, 1, key, key_size, SQLITE_STATIC);
    sqlite3_bind_blob64(insert, 2, &number, sizeof number, SQLITE_STATIC);
    sqlite3_bind_int64(insert, 3, (sqlite3_int64)(backend->state_size - sizeof number));
    must(sqlite3_step(insert) == SQLITE_DONE, sqlite3_errmsg(db));
    sqlite3_finalize(insert);
    must(sqlite3_close(db) == SQLITE_OK, "a plain connection cannot be closed");
    if (((struct file *)backend)->is_held_up)
        hold_up((struct file *)backend);
}

static void set_rules(struct backend *backend)
{
    ((struct file *)backend)->has_rules = true;
}

static void set_careless(struct backend *backend)
{
    ((struct file *)backend)->durability = BATCH_SQLITE_MAY_LOSE_LAST_COMMITS;
}

/* Only a COMMIT that fails leaves a doubt. (Without memory for a text there is the code alone.) */
static bool is_by_commit(const batch_result *result)
{
    bool has_text = strstr(result->message, "': ") != NULL;
    return has_text ? strstr(result->message, "COMMIT failed") != NULL : result->store_code != 0;
}

int main(int argc, char **argv)
{
    static struct file file = {.backend = {.name = "sqlite",
                                           .clear = file_clear,
                                           .open = file_open,
                                           .close = file_close,
                                           .read = file_read,
                                           .write = file_write,
                                           .may_be_unknown = is_by_commit}};
    const struct fault_case cases[] = {
        {.name = "SQLite",
         .backend = &file.backend,
         .keys = 5,
         .shards = 1,
         .cache_max = 2,
         .by_path = true},
        {.name = "SQLite, two sessions, transactions",
         .backend = &file.backend,
         .keys = 5,
         .sessions = 2,
         .shards = 1,
         .has_transactions = true,
         .has_codec = true,
         .prepare = set_held_up,
         .by_path = true},
        {.name = "SQLite, a long log",
         .prepare = set_held_up,
         .backend = &file.backend,
         .keys = 5,
         .shards = 1,
         .resource_size = 1200000,
         .by_path = true},
        {.name = "SQLite, which may lose the last commits",
         .prepare = set_careless,
         .backend = &file.backend,
         .keys = 2,
         .shards = 1,
         .by_path = true},
        {.name = "SQLite, a table with rules",
         .prepare = set_rules,
         .backend = &file.backend,
         .keys = 5,
         .shards = 1,
         .by_path = true},
    };
    (void)argc;
    faults_init();
    /* Every allocation is one of the system. */
    must(sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0) == SQLITE_OK, "lookaside");
    must(faults_hook("libsqlite3"), "it calls nothing of the system");
    bool is_in_memory = access("/dev/shm", W_OK) == 0;
    temporary_folder_make(file.folder, sizeof file.folder, is_in_memory ? "/dev/shm" : "/tmp");
    snprintf(file.path, sizeof file.path, "%s/batch.db", file.folder);
    must(chdir(file.folder) == 0, "no folder");
    scenario_sweep(cases, sizeof cases / sizeof cases[0]);
    file_clear(&file.backend);
    temporary_folder_remove(file.folder);
    pass_report(argv[0]);
    return 0;
}
