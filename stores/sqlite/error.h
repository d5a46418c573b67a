/* error.h: errors of SQLite and of the store, as texts: for a call, and for who opens a store. */
#ifndef BATCH_SQLITE_ERROR_H
#define BATCH_SQLITE_ERROR_H

#include <batch/store.h>

#include <sqlite3.h>

#define BATCH__SQLITE_TEXT_SIZE 200

/* Why something failed; begins as zeros: it did not. */
struct batch__sqlite_problem {
    int code; /* SQLite's extended one; 0: there is none */
    char text[BATCH__SQLITE_TEXT_SIZE];
};

/* Note a problem: a given one, or "what: SQLite's text" for the last error of the connection. */
void batch__sqlite_problem_set(struct batch__sqlite_problem *problem, int code, const char *text);
void batch__sqlite_problem_set_last(struct batch__sqlite_problem *problem, sqlite3 *db,
                                    const char *what);

/* Set a call's error: a problem, or the last error of the connection. */
void batch__sqlite_set_problem(batch_call *call, const struct batch__sqlite_problem *problem);
void batch__sqlite_set_error(sqlite3 *db, batch_call *call, const char *what);

/* Set a call's error: it was canceled, by its deadline or because the processor stops. */
void batch__sqlite_set_canceled(batch_call *call);

/* Fill an error and return its status: the one given; BATCH_NO_MEMORY; or that of a problem. */
int batch__sqlite_fail(batch_result *reterr, int status, int store_code, const char *text);
int batch__sqlite_fail_no_memory(batch_result *reterr, const char *text);
int batch__sqlite_fail_by(const struct batch__sqlite_problem *problem, batch_result *reterr);

/* The same, by the last error of the connection. */
int batch__sqlite_fail_last(sqlite3 *db, const char *what, batch_result *reterr);

#endif
