/* postgres.c: see postgres.h. */
#include "common/postgres.h"

#include "common/say.h"

bool postgres_failed(PGconn *connection, const char *what)
{
    say("%s: %s", what, PQerrorMessage(connection));
    return false;
}

PGconn *postgres_connect(const char *conninfo)
{
    PGconn *connection = PQconnectdb(conninfo);
    if (PQstatus(connection) == CONNECTION_OK)
        return connection;
    postgres_failed(connection, "no connection");
    PQfinish(connection);
    return NULL;
}

bool postgres_command(PGconn *connection, const char *sql)
{
    PGresult *result = PQexec(connection, sql);
    bool is_done = PQresultStatus(result) == PGRES_COMMAND_OK;
    PQclear(result);
    return is_done || postgres_failed(connection, sql);
}
