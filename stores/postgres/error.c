#include "error.h"

#include <batch/postgres.h>

#include "../check.h"

#include <stdio.h>
#include <string.h>

enum { SIXBIT = 0x3f, SIXBIT_SIZE = 6, SQLSTATE_SIZE = 5 };

/* ---- Codes ---------------------------------------------------------------------------------- */

int batch__postgres_code(const char *sqlstate)
{
    if (sqlstate == NULL || strlen(sqlstate) != SQLSTATE_SIZE)
        return 0;
    int code = 0;
    for (int i = 0; i < SQLSTATE_SIZE; i++) {
        char letter = sqlstate[i];
        if (!((letter >= '0' && letter <= '9') || (letter >= 'A' && letter <= 'Z')))
            return 0;
        code = code << SIXBIT_SIZE | ((letter - '0') & SIXBIT);
    }
    return code;
}

void batch_postgres_sqlstate(int store_code, char ret_sqlstate[6])
{
    for (int i = SQLSTATE_SIZE - 1; i >= 0; i--) {
        ret_sqlstate[i] = (char)('0' + (store_code & SIXBIT));
        store_code >>= SIXBIT_SIZE;
    }
    ret_sqlstate[SQLSTATE_SIZE] = '\0';
    if (store_code != 0 || batch__postgres_code(ret_sqlstate) == 0)
        ret_sqlstate[0] = '\0';
}

/* ---- Classes -------------------------------------------------------------------------------- */

static bool is_one_of(const char *sqlstate, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (strncmp(sqlstate, *list, strlen(*list)) == 0)
            return true;
    }
    return false;
}

/* Whatever is not listed here is taken for the error of a row: the group is bisected until the row
 * is found. If no single row is to blame, each of them fails with what the server reports. */
enum batch__postgres_error_class batch__postgres_classify(const struct batch__postgres_error *error)
{
    /* A serialization failure, a deadlock, and a cancel that is not ours. */
    static const char *const transient[] = {"40", "57014", NULL};
    /* Read only: another server is the primary now. No such prepared statement, a plan whose result
     * type has changed: somebody changed the connection or the table. */
    static const char *const connection[] = {"25006", "26000", "0A000", NULL};
    /* No such table, column or type; disk full and other limits; the server stops; I/O errors. */
    static const char *const fatal[] = {"42P01", "42703", "42704", "42804", "42P10", "531",
                                        "533",   "534",   "57P",   "58",    NULL};
    char sqlstate[6];
    batch_postgres_sqlstate(error->code, sqlstate);
    if (strcmp(sqlstate, "55P03") == 0)
        return error->has_context ? BATCH__POSTGRES_ERROR_ROW_LOCKED
                                  : BATCH__POSTGRES_ERROR_TABLE_LOCKED;
    if (is_one_of(sqlstate, transient))
        return BATCH__POSTGRES_ERROR_TRANSIENT;
    if (is_one_of(sqlstate, connection))
        return BATCH__POSTGRES_ERROR_CONNECTION;
    if (is_one_of(sqlstate, fatal))
        return BATCH__POSTGRES_ERROR_FATAL;
    return BATCH__POSTGRES_ERROR_ROW;
}

/* ---- Texts ---------------------------------------------------------------------------------- */

void batch__postgres_one_line(char *ret_text, size_t text_size, const char *text)
{
    size_t size = 0;
    batch__check(text_size > 0);
    for (; *text != '\0' && size + 1 < text_size; text++) {
        bool is_space = *text == '\n' || *text == '\t' || *text == ' ';
        if (is_space && (size == 0 || ret_text[size - 1] == ' '))
            continue;
        ret_text[size++] = is_space ? ' ' : *text;
    }
    while (size > 0 && ret_text[size - 1] == ' ')
        size--;
    batch__check(size < text_size);
    ret_text[size] = '\0';
}

bool batch__postgres_is_severe(const PGresult *result)
{
    const char *severity = PQresultErrorField(result, PG_DIAG_SEVERITY_NONLOCALIZED);
    return severity != NULL && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0);
}

void batch__postgres_describe(const PGresult *result, struct batch__postgres_error *ret_error)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    char line[BATCH__POSTGRES_TEXT_SIZE];
    batch__check(result != NULL);
    *ret_error = (struct batch__postgres_error){.code = batch__postgres_code(sqlstate)};
    ret_error->has_context = PQresultErrorField(result, PG_DIAG_CONTEXT) != NULL;
    batch__postgres_one_line(line, sizeof line,
                             message != NULL ? message : PQresultErrorMessage(result));
    if (ret_error->code != 0)
        snprintf(ret_error->text, sizeof ret_error->text, "%.180s (SQLSTATE %s)", line, sqlstate);
    else
        snprintf(ret_error->text, sizeof ret_error->text, "%s", line);
}

int batch__postgres_fail(batch_result *reterr, int status, int store_code, const char *text)
{
    batch__check(status != BATCH_OK);
    batch__check(text != NULL);
    *reterr = (batch_result){.status = status, .store_code = store_code};
    snprintf(reterr->message, sizeof reterr->message, "%s", text);
    return status;
}

void batch__postgres_set_late(batch_call *call, int store_code, const char *why)
{
    char text[BATCH_MESSAGE_SIZE];
    bool has_passed = batch_now_ns() >= batch_call_deadline_ns(call);
    snprintf(text, sizeof text, "%s%s%s",
             has_passed ? "the deadline of the batch has passed"
                        : "the processor is stopping, and its time limit has passed",
             why[0] != '\0' ? ": " : "", why);
    batch_call_set_error(call, store_code, text);
}
