/* stored_postgres.c: see stored.h. */
#include "table/stored.h"

#include <batch/batch.h>

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "table/postgres.h"

#define BYTEA_OID 17

/* A value's bytes, of malloc, whether the column is text or bytes. NULL: no memory. */
static unsigned char *value_bytes(const PGresult *rows, int row, int column, size_t *ret_size)
{
    const char *value = PQgetvalue(rows, row, column);
    if (PQftype(rows, column) == BYTEA_OID)
        return PQunescapeBytea((const unsigned char *)value, ret_size);
    *ret_size = (size_t)PQgetlength(rows, row, column);
    unsigned char *copy = malloc(*ret_size + 1);
    for (size_t i = 0; copy != NULL && i < *ret_size; i++)
        copy[i] = (unsigned char)value[i];
    return copy;
}

static bool read_rows(const PGresult *rows, stored_fn each, void *arg)
{
    bool read = true;
    for (int row = 0; read && row < PQntuples(rows); row++) {
        size_t name_size;
        size_t json_size;
        unsigned char *name = value_bytes(rows, row, 0, &name_size);
        unsigned char *json = value_bytes(rows, row, 1, &json_size);
        read = name != NULL && json != NULL;
        if (read)
            each(name, name_size, json, json_size, arg);
        PQfreemem(name);
        PQfreemem(json);
    }
    return read;
}

bool stored_read_postgres(const struct store_options *options, stored_fn each, void *arg,
                          char *reterr)
{
    PGconn *connection = postgres_connect(options, reterr);
    if (connection == NULL)
        return false;
    char *sql = store_options_sql(options, "SELECT %k, %s FROM %t");
    PGresult *rows = sql != NULL ? PQexec(connection, sql) : NULL;
    bool read = PQresultStatus(rows) == PGRES_TUPLES_OK;
    if (!read)
        postgres_message(connection, reterr);
    else if (!(read = read_rows(rows, each, arg)))
        snprintf(reterr, BATCH_MESSAGE_SIZE, "out of memory");
    PQclear(rows);
    PQfinish(connection);
    free(sql);
    return read;
}
