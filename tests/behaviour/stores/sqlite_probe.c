#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* setenv */
#endif
#include "sqlite_probe.h"

#include <sqlite3.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
    _Atomic(void (*)(void *)) called;
    _Atomic(void *) arg;
    atomic_uint statements;
} probe;

static void run(sqlite3_context *context, int values_size, sqlite3_value **values)
{
    (void)values_size;
    (void)values;
    void (*called)(void *) = atomic_exchange(&probe.called, NULL);
    if (called != NULL)
        called(atomic_load(&probe.arg));
    sqlite3_result_null(context);
}

static void fail(sqlite3_context *context, int values_size, sqlite3_value **values)
{
    (void)values_size;
    sqlite3_result_error_code(context, sqlite3_value_int(values[0]));
}

/* A line beginning with "--" is of a trigger. */
static int count(unsigned kind, void *arg, void *statement, void *text)
{
    const char *sql = text;
    (void)kind;
    (void)arg;
    (void)statement;
    atomic_fetch_add(&probe.statements, sql == NULL || sql[0] != '-');
    return 0;
}

static int connected(sqlite3 *db, char **ret_text, const void *functions)
{
    (void)ret_text;
    (void)functions;
    sqlite3_trace_v2(db, SQLITE_TRACE_STMT, count, NULL);
    int code = sqlite3_create_function(db, "probe", 0, SQLITE_UTF8, NULL, run, NULL, NULL);
    return code != SQLITE_OK
               ? code
               : sqlite3_create_function(db, "fail", 1, SQLITE_UTF8, NULL, fail, NULL, NULL);
}

int sqlite_probe_set_up(void **state)
{
    (void)state;
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    sqlite3_auto_extension((void (*)(void))connected);
    return 0;
}

void sqlite_probe_set(void (*called)(void *arg), void *arg)
{
    atomic_store(&probe.arg, arg);
    atomic_store(&probe.called, called);
}

unsigned sqlite_probe_statements(void)
{
    return atomic_exchange(&probe.statements, 0);
}
