/* error.c: see error.h. */
#include "error.h"

#include "../check.h"

#include <stdio.h>

void batch__sqlite_describe(sqlite3 *db, const char *what, char *ret_text, size_t text_size)
{
    batch__check(db != NULL); /* else SQLite would say "out of memory" */
    snprintf(ret_text, text_size, "%s: %s", what, sqlite3_errmsg(db));
}

void batch__sqlite_set_error(sqlite3 *db, batch_call *call, const char *what)
{
    char text[BATCH__SQLITE_TEXT_SIZE];
    batch__sqlite_describe(db, what, text, sizeof text);
    batch_call_set_error(call, sqlite3_extended_errcode(db), text);
}

void batch__sqlite_set_canceled(batch_call *call)
{
    bool has_passed = batch_now_ns() >= batch_call_deadline_ns(call);
    batch_call_set_error(call, 0,
                         has_passed ? "the deadline of the batch has passed"
                                    : "the processor is stopping, and its time limit has passed");
}

int batch__sqlite_fail(batch_result *reterr, int status, int store_code, const char *text)
{
    batch__check(status != BATCH_OK);
    *reterr = (batch_result){.status = status, .store_code = store_code};
    snprintf(reterr->message, sizeof reterr->message, "%s", text);
    return status;
}

int batch__sqlite_fail_no_memory(batch_result *reterr, const char *text)
{
    return batch__sqlite_fail(reterr, BATCH_NO_MEMORY, SQLITE_NOMEM, text);
}

int batch__sqlite_fail_last(sqlite3 *db, const char *what, batch_result *reterr)
{
    char text[BATCH_MESSAGE_SIZE];
    batch__sqlite_describe(db, what, text, sizeof text);
    int code = sqlite3_extended_errcode(db);
    batch__check(code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE);
    int status = (code & 0xff) == SQLITE_NOMEM ? BATCH_NO_MEMORY : BATCH_STORE_FAILED;
    return batch__sqlite_fail(reterr, status, code, text);
}
