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

#define ROW         BATCH__POSTGRES_ERROR_ROW
#define ENVIRONMENT BATCH__POSTGRES_ERROR_ENVIRONMENT
#define TRANSIENT   BATCH__POSTGRES_ERROR_TRANSIENT
#define ROW_LOCKED  BATCH__POSTGRES_ERROR_ROW_LOCKED
#define STALE       BATCH__POSTGRES_ERROR_STALE

/* By the beginning of the SQLSTATE, and by whether there is a context. The first that fits counts.
 * Whatever is not listed is of a row: data exceptions (22), violated constraints (23, 44), limits
 * of a statement (54), what a trigger raises (P0), and codes that users invent. */
static const struct {
    const char *sqlstate;
    enum batch__postgres_error_class plain;
    enum batch__postgres_error_class in_context;
} classes[] = {
    {"08", ENVIRONMENT, ENVIRONMENT}, /* a connection that a function has opened */
    {"0A000", STALE, ENVIRONMENT},    /* not supported; "cached plan must not change result type" */
    {"25006", STALE, ENVIRONMENT},    /* read only: another server is the primary now */
    {"25", ENVIRONMENT, ENVIRONMENT}, /* the state of the transaction */
    {"26000", STALE, ENVIRONMENT},    /* no such prepared statement */
    {"28", ENVIRONMENT, ENVIRONMENT}, /* who may log in */
    {"3D", ENVIRONMENT, ENVIRONMENT}, /* no such database */
    {"3F", STALE, ENVIRONMENT},       /* no such schema */
    {"40", TRANSIENT, TRANSIENT},     /* a serialization failure, a deadlock */
    {"42501", ENVIRONMENT, ENVIRONMENT}, /* who may do what, also to a single row */
    {"42", STALE, ENVIRONMENT},          /* no such table, column, type, operator, constraint */
    {"53", ENVIRONMENT, ENVIRONMENT},    /* no disk, no memory, no connections left */
    {"55P03", TRANSIENT, ROW_LOCKED},    /* a lock: of the table, or met at a row */
    {"55000", STALE, ENVIRONMENT},       /* not in the state for it: the session, for example */
    {"55", ENVIRONMENT, ENVIRONMENT},    /* something is not in the state that it should be in */
    {"57014", TRANSIENT, TRANSIENT},     /* a cancel that is not ours */
    {"57P03", STALE, ENVIRONMENT},       /* it takes no statements: another server may */
    {"57", ENVIRONMENT, ENVIRONMENT},    /* the server stops; but the connection is still there */
    {"58", ENVIRONMENT, ENVIRONMENT},    /* I/O errors */
    {"72", TRANSIENT, TRANSIENT},        /* snapshot too old */
    {"F0", ENVIRONMENT, ENVIRONMENT},    /* the server's configuration */
    {"XX", ENVIRONMENT, ENVIRONMENT},    /* a bug, or data that is damaged */
};

enum batch__postgres_error_class batch__postgres_classify(const struct batch__postgres_error *error)
{
    char sqlstate[6];
    batch_postgres_sqlstate(error->code, sqlstate);
    for (size_t i = 0; i < sizeof classes / sizeof classes[0]; i++) {
        if (strncmp(sqlstate, classes[i].sqlstate, strlen(classes[i].sqlstate)) == 0)
            return error->has_context ? classes[i].in_context : classes[i].plain;
    }
    return ROW;
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

/* Where it was raised, as a number (FNV-1a). Of the context only what comes before a colon: what is
 * behind it may be the row's own. */
static uint32_t origin_of(const PGresult *result)
{
    static const int fields[] = {
        PG_DIAG_SQLSTATE,        PG_DIAG_SCHEMA_NAME,     PG_DIAG_TABLE_NAME,  PG_DIAG_COLUMN_NAME,
        PG_DIAG_CONSTRAINT_NAME, PG_DIAG_SOURCE_FUNCTION, PG_DIAG_SOURCE_LINE, PG_DIAG_CONTEXT};
    uint32_t number = UINT32_C(2166136261);
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *text = PQresultErrorField(result, fields[i]);
        for (; text != NULL && *text != '\0' && *text != ':'; text++)
            number = (number ^ (unsigned char)*text) * UINT32_C(16777619);
        number = (number ^ (unsigned char)'/') * UINT32_C(16777619);
    }
    return number;
}

void batch__postgres_describe(const PGresult *result, struct batch__postgres_error *ret_error)
{
    const char *sqlstate = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    char line[BATCH__POSTGRES_TEXT_SIZE];
    batch__check(result != NULL);
    *ret_error = (struct batch__postgres_error){.code = batch__postgres_code(sqlstate)};
    ret_error->has_context = PQresultErrorField(result, PG_DIAG_CONTEXT) != NULL;
    ret_error->origin = origin_of(result);
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
