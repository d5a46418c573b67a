/* error.h: errors of SQLite and of the store, as texts: for a call, and for who opens a store. */
#ifndef BATCH_SQLITE_ERROR_H
#define BATCH_SQLITE_ERROR_H

#include <batch/store.h>

#include <sqlite3.h>

#define BATCH__SQLITE_TEXT_SIZE 200

/* "what: SQLite's text for the last error of the connection". */
void batch__sqlite_describe(sqlite3 *db, const char *what, char *ret_text, size_t text_size);

/* Set a call's error: the last one of the connection. */
void batch__sqlite_set_error(sqlite3 *db, batch_call *call, const char *what);

/* Set a call's error: it was canceled, by its deadline or because the processor stops. */
void batch__sqlite_set_canceled(batch_call *call);

/* Fill an error and return its status: the one given; BATCH_NO_MEMORY; or that of the last error of
 * the connection. */
int batch__sqlite_fail(batch_result *reterr, int status, int store_code, const char *text);
int batch__sqlite_fail_no_memory(batch_result *reterr, const char *text);
int batch__sqlite_fail_last(sqlite3 *db, const char *what, batch_result *reterr);

#endif
