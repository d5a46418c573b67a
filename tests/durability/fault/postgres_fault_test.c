/* postgres_fault_test.c: every fault in turn in the PostgreSQL store, and in what libpq asks of the
 * system: memory fails and connections are cut below libpq, which then says what it says. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "pass.h"
#include "scenario.h"

#include <batch/postgres.h>

#include "postgres_server.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct table {
    struct backend backend; /* first */
    struct postgres_server server;
    batch_store *store;
    PGconn *locker;    /* has locks that are in the way */
    bool is_made_anew; /* for each pass */
    bool has_schema;   /* is told it */
};

static void must(bool is_so, const char *what)
{
    if (is_so)
        return;
    fprintf(stderr, "PostgreSQL: %s\n", what);
    exit(1);
}

static void table_clear(struct backend *backend)
{
    struct table *table = (struct table *)backend;
    if (table->is_made_anew)
        postgres_server_execute(&table->server, "drop table if exists batch");
    else
        postgres_server_execute(&table->server, "delete from batch");
}

static int table_open(struct backend *backend, batch_options *options, batch_result *reterr)
{
    struct table *table = (struct table *)backend;
    batch_postgres_options known = BATCH_POSTGRES_OPTIONS_INIT;
    known.schema = table->has_schema ? "public" : NULL;
    int status = batch_postgres_open(&options->store, table->server.conninfo, &known, reterr);
    table->store = options->store;
    return status;
}

static void table_close(struct backend *backend)
{
    struct table *table = (struct table *)backend;
    must(batch_store_close(table->store) == BATCH_OK, "the store cannot be closed");
}

/* As values.c keeps it. */
#define STORED_KEY                                                                                 \
    "case when octet_length(k) > 2000 then substr(k, 1, 1969) || sha256(k) else k end"

static char *hex_of(const void *bytes, size_t size)
{
    static char text[2][2 * 2400 + 1];
    static unsigned turn;
    char *hex = text[turn++ % 2];
    for (size_t i = 0; i < size; i++)
        sprintf(hex + 2 * i, "%02x", ((const unsigned char *)bytes)[i]);
    hex[2 * size] = '\0';
    return hex;
}

static int64_t table_read(struct backend *backend, const void *key, size_t key_size)
{
    struct table *table = (struct table *)backend;
    char sql[8192];
    int64_t number = 0;
    if (table->is_made_anew &&
        postgres_server_number(&table->server, "select (to_regclass('batch') is not null)::int") ==
            0)
        return 0;
    snprintf(sql, sizeof sql,
             "select encode(state, 'hex') from batch, (select '\\x%s'::bytea as k) i "
             "where key = " STORED_KEY,
             hex_of(key, key_size));
    char *hex = postgres_server_value(&table->server, sql);
    for (size_t i = 0; hex != NULL && i < sizeof number; i++) {
        unsigned byte;
        must(sscanf(hex + 2 * i, "%2x", &byte) == 1, "what is stored is no number");
        ((unsigned char *)&number)[i] = (unsigned char)byte;
    }
    free(hex);
    return number;
}

static void table_write(struct backend *backend, const void *key, size_t key_size, int64_t number)
{
    struct table *table = (struct table *)backend;
    char sql[16384];
    const char *key_hex = hex_of(key, key_size);
    snprintf(sql, sizeof sql,
             "insert into batch (key, version, state) select " STORED_KEY
             ", 4711, '\\x%s'::bytea || decode(repeat('00', %zu), 'hex') from (select "
             "'\\x%s'::bytea as k) i "
             "on conflict (key) do update set version = batch.version + 1, state = excluded.state",
             hex_of(&number, sizeof number), backend->state_size - sizeof number, key_hex);
    postgres_server_execute(&table->server, sql);
}

/* A save that was sent, and whose end was not seen. */
static bool is_by_connection(const batch_result *result)
{
    (void)result;
    return faults_first_kind() == FAULTS_SOCKET || faults_first_kind() == FAULTS_MEMORY ||
           faults_first_kind() == FAULTS_POLL;
}

/* The server has ended the connections that wait for work. */
static void table_end_idle(struct backend *backend)
{
    struct table *table = (struct table *)backend;
    do { /* one that was still connecting may appear later */
        postgres_server_execute(&table->server,
                                "select pg_terminate_backend(pid) from pg_stat_activity "
                                "where application_name = 'libbatch'");
        poll(NULL, 0, 1);
    } while (postgres_server_number(&table->server, "select count(*) from pg_stat_activity "
                                                    "where application_name = 'libbatch'") != 0);
}

/* Nobody else gets at the table. */
static void table_hinder(struct backend *backend)
{
    struct table *table = (struct table *)backend;
    PGresult *result = PQexec(table->locker, "begin; lock table batch");
    must(PQresultStatus(result) == PGRES_COMMAND_OK, PQerrorMessage(table->locker));
    PQclear(result);
}

/* And those who waited have lost their connection. */
static void table_let(struct backend *backend)
{
    struct table *table = (struct table *)backend;
    PQclear(PQexec(table->locker, "rollback"));
    table_end_idle(backend);
}

static void prepare_new(struct backend *backend)
{
    struct table *table = (struct table *)backend;
    table->is_made_anew = table->has_schema = true;
}

static void prepare_slow(struct backend *backend)
{
    prepare_new(backend);
    faults_slow_down(true);
}

static void prepare_idle(struct backend *backend)
{
    struct table *table = (struct table *)backend;
    faults_slow_down(false);
    table->is_made_anew = table->has_schema = false;
    backend->let = table_end_idle;
}

static void prepare_locked(struct backend *backend)
{
    struct table *table = (struct table *)backend;
    faults_slow_down(true);
    table->locker = postgres_server_connect(&table->server);
    backend->hinder = table_hinder;
    backend->let = table_let;
}

int main(int argc, char **argv)
{
    static struct table table = {.backend = {.name = "postgres",
                                             .tolerates_no_random = true,
                                             .clear = table_clear,
                                             .open = table_open,
                                             .close = table_close,
                                             .read = table_read,
                                             .write = table_write,
                                             .may_be_unknown = is_by_connection}};
    const struct fault_case cases[] = {
        {.name = "PostgreSQL",
         .prepare = prepare_new,
         .backend = &table.backend,
         .keys = 5,
         .sessions = 1,
         .shards = 1,
         .cache_max = 2,
         .by_path = true},
        {.name = "PostgreSQL, large states, a slow network",
         .prepare = prepare_slow,
         .backend = &table.backend,
         .keys = 4,
         .sessions = 2,
         .shards = 1,
         .resource_size = 3000,
         .by_path = true},
        {.name = "PostgreSQL, a table that is there, transactions",
         .prepare = prepare_idle,
         .backend = &table.backend,
         .keys = 4,
         .sessions = 1,
         .shards = 1,
         .has_transactions = true,
         .has_codec = true,
         .by_path = true},
        {.name = "PostgreSQL, a table that is locked",
         .prepare = prepare_locked,
         .backend = &table.backend,
         .keys = 4,
         .sessions = 1,
         .shards = 1,
         .deadline_once_ns = 20000000,
         .deadline_ns = 20000000,
         .by_path = true},
    };
    static const char *const settings[] = {"log_min_messages=fatal", NULL};
    (void)argc;
    faults_init();
    postgres_server_init(&table.server, settings, false);
    must(faults_hook("libpq"), "it calls nothing of the system");
    scenario_sweep(cases, sizeof cases / sizeof cases[0]);
    PQfinish(table.locker);
    postgres_server_destroy(&table.server);
    pass_report(argv[0]);
    return 0;
}
