/* error.h: what the server or libpq reports when something goes wrong: a line of text, a code, and
 * a class.
 *
 * A class is what the error itself tells, and that is not much: a SQLSTATE is only a name, which
 * any trigger may give to anything. Where it was raised tells more: what a trigger, a function or
 * the cast of a value raises has a context, and belongs to the row that set it off. The rest is
 * found out by trying: blame.h.
 *
 * Threads: any; nothing is shared.
 */
#ifndef BATCH_POSTGRES_ERROR_H
#define BATCH_POSTGRES_ERROR_H

#include <batch/store.h>

#include <libpq-fe.h>

enum { BATCH__POSTGRES_TEXT_SIZE = 200 };

struct batch__postgres_error {
    int code;         /* packed SQLSTATE; 0: none */
    bool has_context; /* raised inside a function, or by a statement for another one */
    uint32_t origin;  /* alike for errors of one place: a constraint, a line of a function */
    char text[BATCH__POSTGRES_TEXT_SIZE]; /* one line; empty: there is no error */
};

enum batch__postgres_error_class {
    BATCH__POSTGRES_ERROR_ROW,         /* of the values of a row: they fail, wherever they go */
    BATCH__POSTGRES_ERROR_ENVIRONMENT, /* of what a row needs or sets off: of one row, or of all */
    BATCH__POSTGRES_ERROR_TRANSIENT,   /* the same statement may succeed later */
    BATCH__POSTGRES_ERROR_ROW_LOCKED,  /* likewise; by another transaction */
    BATCH__POSTGRES_ERROR_STALE        /* it may succeed on a new connection, which looks at the
                                          table again */
};

enum batch__postgres_error_class batch__postgres_classify(
    const struct batch__postgres_error *error);

/* Five characters as a number; 0 if they are not a SQLSTATE. */
int batch__postgres_code(const char *sqlstate);

/* Fill from an error result: only its primary message, as details may repeat keys and states. */
void batch__postgres_describe(const PGresult *result, struct batch__postgres_error *ret_error);

/* FATAL or PANIC: the server closes the connection. */
bool batch__postgres_is_severe(const PGresult *result);

/* Copy a text of libpq as one line, truncated to fit. */
void batch__postgres_one_line(char *ret_text, size_t text_size, const char *text);

/* Fill the result of a public function, and return `status`. */
int batch__postgres_fail(batch_result *reterr, int status, int store_code, const char *text);

/* Set the error of a call that was canceled; `why` is the last error, or empty. */
void batch__postgres_set_late(batch_call *call, int store_code, const char *why);

#endif
