/* error.c: see error.h. */
#include "error.h"

#include "../check.h"

#include <stdio.h>

void batch__sqlite_problem_set(struct batch__sqlite_problem *problem, int code, const char *text)
{
    batch__check(code != SQLITE_OK && code != SQLITE_ROW && code != SQLITE_DONE);
    problem->code = code;
    snprintf(problem->text, sizeof problem->text, "%s", text);
}

void batch__sqlite_problem_set_last(struct batch__sqlite_problem *problem, sqlite3 *db,
                                    const char *what)
{
    batch__check(db != NULL); /* else SQLite would say "out of memory" */
    problem->code = sqlite3_extended_errcode(db);
    batch__check(problem->code != SQLITE_OK && problem->code != SQLITE_ROW &&
                 problem->code != SQLITE_DONE);
    snprintf(problem->text, sizeof problem->text, "%s: %s", what, sqlite3_errmsg(db));
}

void batch__sqlite_set_problem(batch_call *call, const struct batch__sqlite_problem *problem)
{
    batch__check(problem->code != SQLITE_OK);
    batch_call_set_error(call, problem->code, problem->text);
}

void batch__sqlite_set_error(sqlite3 *db, batch_call *call, const char *what)
{
    struct batch__sqlite_problem problem;
    batch__sqlite_problem_set_last(&problem, db, what);
    batch__sqlite_set_problem(call, &problem);
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

int batch__sqlite_fail_by(const struct batch__sqlite_problem *problem, batch_result *reterr)
{
    bool is_memory = (problem->code & 0xff) == SQLITE_NOMEM;
    return batch__sqlite_fail(reterr, is_memory ? BATCH_NO_MEMORY : BATCH_STORE_FAILED,
                              problem->code, problem->text);
}

int batch__sqlite_fail_last(sqlite3 *db, const char *what, batch_result *reterr)
{
    struct batch__sqlite_problem problem;
    batch__sqlite_problem_set_last(&problem, db, what);
    return batch__sqlite_fail_by(&problem, reterr);
}
