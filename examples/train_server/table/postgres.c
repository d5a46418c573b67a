/* postgres.c: see postgres.h. */
#include "table/postgres.h"

#include <batch/batch.h>

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void postgres_message(PGconn *connection, char *reterr)
{
    const char *message = PQerrorMessage(connection);
    snprintf(reterr, BATCH_MESSAGE_SIZE, "%.*s", (int)strcspn(message, "\n"), message);
}

/* libpq quotes what it does not understand, which may be a part of a password. */
static bool is_understood(const char *conninfo)
{
    PQconninfoOption *parsed = PQconninfoParse(conninfo, NULL);
    PQconninfoFree(parsed);
    return parsed != NULL;
}

PGconn *postgres_connect(const struct store_options *options, char *reterr)
{
    /* The conninfo comes later, and so has precedence. */
    static const char *const keywords[] = {"fallback_application_name",
                                           "target_session_attrs",
                                           "connect_timeout",
                                           "tcp_user_timeout",
                                           "client_encoding",
                                           "dbname",
                                           NULL};
    const char *const values[] = {"train-server", "read-write",   "10", "10000",
                                  "UTF8",         options->where, NULL};
    if (!is_understood(options->where)) {
        snprintf(reterr, BATCH_MESSAGE_SIZE,
                 "the conninfo is not understood; write host=… dbname=…, or a URI");
        return NULL;
    }
    PGconn *connection = PQconnectdbParams(keywords, values, 1);
    if (connection == NULL) {
        snprintf(reterr, BATCH_MESSAGE_SIZE, "out of memory");
    } else if (PQstatus(connection) != CONNECTION_OK) {
        postgres_message(connection, reterr);
        PQfinish(connection);
        connection = NULL;
    }
    return connection;
}

void postgres_disconnect(PGconn *connection)
{
    PQfinish(connection);
}

/* The one value that a statement gives, of malloc, "" if there is none. NULL: *reterr. */
static char *ask(PGconn *connection, const struct store_options *options, const char *form,
                 char *reterr)
{
    char *table = store_options_sql(options, "%t");
    const char *const values[] = {table, options->key_column};
    char *value = NULL;
    if (table != NULL) {
        PGresult *result = PQexecParams(connection, form, 2, NULL, values, NULL, NULL, 0);
        if (PQresultStatus(result) != PGRES_TUPLES_OK)
            postgres_message(connection, reterr);
        else
            value = strdup(PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
        PQclear(result);
    }
    free(table);
    return value;
}

/* Another server may create it at the same time: that it exists afterwards is what counts. */
static void create(PGconn *connection, const struct store_options *options)
{
    char *sql = store_options_sql(options, "CREATE TABLE %t (%k text PRIMARY KEY, %s text NOT NULL,"
                                           " %v bigint NOT NULL)");
    if (sql != NULL)
        PQclear(PQexec(connection, sql));
    free(sql);
}

static bool create_if_missing(PGconn *connection, const struct store_options *options,
                              bool *ret_names_are_text, char *reterr)
{
    static const char type_of_key[] = "SELECT CASE WHEN to_regclass($1) IS NULL THEN 'missing' ELSE"
                                      " (SELECT atttypid::regtype::text FROM pg_attribute"
                                      " WHERE attrelid = to_regclass($1) AND attname = $2) END";
    snprintf(reterr, BATCH_MESSAGE_SIZE, "out of memory");
    char *type = ask(connection, options, type_of_key, reterr);
    if (type != NULL && strcmp(type, "missing") == 0) {
        free(type);
        create(connection, options);
        postgres_message(connection, reterr); /* in case it is still missing */
        type = ask(connection, options, type_of_key, reterr);
    }
    bool exists = type != NULL && strcmp(type, "missing") != 0;
    *ret_names_are_text = exists && strcmp(type, "bytea") != 0;
    free(type);
    return exists;
}

bool postgres_create_table(const struct store_options *options, bool *ret_names_are_text,
                           char *reterr)
{
    PGconn *connection = postgres_connect(options, reterr);
    if (connection == NULL)
        return false;
    bool exists = create_if_missing(connection, options, ret_names_are_text, reterr);
    PQfinish(connection);
    return exists;
}
