/* sqlite_fixture.h: a SQLite file in a folder of its own, and a plain connection to it. */
#ifndef BATCH_TEST_STORE_SQLITE_FIXTURE_H
#define BATCH_TEST_STORE_SQLITE_FIXTURE_H

#include <batch/sqlite.h>

#include "suite.h"
#include "test.h"

#include <pthread.h>
#include <sqlite3.h>

struct sqlite_file {
    char folder[64];
    char path[96];        /* "batch.db" in it */
    pthread_mutex_t lock; /* guards the connection */
    sqlite3 *db; /* a plain connection, as another process would have; NULL before it is needed */
};

/* Make a folder; the file itself is not made. Close the connection and remove the folder. */
void sqlite_file_init(struct sqlite_file *file);
void sqlite_file_destroy(struct sqlite_file *file);

/* A test that finds such a file in *state. */
#define SQLITE_TEST(name)                                                                          \
    TEST_ON(name, struct sqlite_file *file, sqlite_file_set_up, sqlite_file_tear_down)
int sqlite_file_set_up(void **state);
int sqlite_file_tear_down(void **state);

/* Run SQL on the plain connection; must go well. On the test's thread only. */
void sqlite_file_execute(struct sqlite_file *file, const char *sql);

/* The first column of the first row, as a number; must be there. */
int64_t sqlite_file_number(struct sqlite_file *file, const char *sql);

/* A store on the file; must go well. */
batch_store *sqlite_file_store(struct sqlite_file *file, const batch_sqlite_options *options);

/* A fixture for the suite; its context is `file`, which its functions fill. */
struct store_fixture sqlite_fixture(struct sqlite_file *file);

#endif
