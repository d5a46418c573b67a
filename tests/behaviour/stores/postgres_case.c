#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* nanosleep, strdup */
#endif
#include "postgres_case.h"
#include "test.h"

#include <time.h>

enum { SQL_SIZE = 4096, TRIES_MAX = 30000 };

int pg_server_set_up(void **state)
{
    static struct postgres_server server;
    static const char *const settings[] = {"log_min_messages=fatal", NULL};
    postgres_server_init(&server, settings, false);
    *state = &server;
    return 0;
}

int pg_server_tear_down(void **state)
{
    postgres_server_destroy(*state);
    return 0;
}

int pg_set_up(void **state)
{
    struct postgres_server *server = *state;
    /* A test that failed may have left a transaction open. */
    pg_sql(server, "select pg_terminate_backend(pid) from pg_stat_activity "
                   "where backend_type = 'client backend' and pid <> pg_backend_pid()");
    pg_sql(server, "alter system reset all");
    pg_sql(server, "select pg_reload_conf()");
    pg_wait(server, "the settings of the beginning",
            "select (current_setting('synchronous_standby_names') = '' and "
            "current_setting('default_transaction_read_only') = 'off')::int");
    pg_sql(server, "drop schema public cascade");
    pg_sql(server, "create schema public");
    return 0;
}

void pg_rest(void)
{
    nanosleep(&(struct timespec){0, 2000000}, NULL);
}

/* ---- SQL ------------------------------------------------------------------------------------ */

#define FORMAT_SQL(sql, format)                                                                    \
    char sql[SQL_SIZE];                                                                            \
    do {                                                                                           \
        va_list arguments;                                                                         \
        va_start(arguments, format);                                                               \
        int size = vsnprintf(sql, sizeof sql, format, arguments);                                  \
        va_end(arguments);                                                                         \
        if (size < 0 || (size_t)size >= sizeof sql) {                                              \
            fprintf(stderr, "too long: %s\n", format);                                             \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

void pg_sql(struct postgres_server *server, const char *format, ...)
{
    FORMAT_SQL(sql, format);
    postgres_server_execute(server, sql);
}

int64_t pg_number(struct postgres_server *server, const char *format, ...)
{
    FORMAT_SQL(sql, format);
    return postgres_server_number(server, sql);
}

char *pg_value(struct postgres_server *server, const char *format, ...)
{
    FORMAT_SQL(sql, format);
    return postgres_server_value(server, sql);
}

void pg_expect(struct postgres_server *server, const char *expected, const char *format, ...)
{
    FORMAT_SQL(sql, format);
    char *value = postgres_server_value(server, sql);
    if ((value == NULL) != (expected == NULL) || (value != NULL && strcmp(value, expected) != 0))
        fail_msg("%s: %s, not %s", sql, value != NULL ? value : "nothing",
                 expected != NULL ? expected : "nothing");
    free(value);
}

void pg_wait(struct postgres_server *server, const char *what, const char *format, ...)
{
    FORMAT_SQL(sql, format);
    for (int tries = 0; postgres_server_number(server, sql) == 0; tries++) {
        if (tries == TRIES_MAX)
            fail_msg("waited in vain: %s", what);
        pg_rest();
    }
}

void pg_configure(struct postgres_server *server, const char *name, const char *value)
{
    pg_sql(server, "alter system set %s = '%s'", name, value);
    pg_sql(server, "select pg_reload_conf()");
    /* The plain connection has it when the postmaster had it before. */
    pg_wait(server, name, "select (current_setting('%s') = '%s')::int", name, value);
}

void pg_log_statements(struct postgres_server *server)
{
    pg_sql(server, "alter role all set log_min_messages = 'log'");
    pg_sql(server, "alter role all set log_statement = 'all'");
    pg_sql(server, "do $$ begin if current_setting('server_version_num')::int >= 130000 then "
                   "alter role all set log_parameter_max_length = 0; end if; end $$");
}

size_t pg_count_logged(struct postgres_server *server, const char *text)
{
    static long seen;
    char path[96], line[8192];
    size_t number = 0;
    snprintf(path, sizeof path, "%s/log", server->folder);
    FILE *log = fopen(path, "r");
    assert_non_null(log);
    if (fseek(log, seen, SEEK_SET) == 0) {
        while (fgets(line, sizeof line, log) != NULL)
            number += text != NULL && strstr(line, text) != NULL;
    }
    if (text == NULL)
        seen = ftell(log);
    fclose(log);
    return number;
}

/* ---- Stores --------------------------------------------------------------------------------- */

batch_store *pg_store(struct postgres_server *server, const char *conninfo,
                      const batch_postgres_options *options)
{
    batch_store *store = NULL;
    batch_result error = {0};
    if (batch_postgres_open(&store, conninfo != NULL ? conninfo : server->conninfo, options,
                            &error) != BATCH_OK)
        fail_msg("cannot open: %s", error.message);
    return store;
}

int pg_refused(const char *conninfo, const batch_postgres_options *options, batch_result *reterr,
               char ret_sqlstate[6])
{
    batch_store *store = NULL;
    *reterr = (batch_result){0};
    int status = batch_postgres_open(&store, conninfo, options, reterr);
    batch_postgres_sqlstate(reterr->store_code, ret_sqlstate);
    if (status == BATCH_OK) {
        batch_store_close(store);
        fail_msg("opened what should be refused: %s", conninfo);
    }
    assert_null(store);
    assert_int_equal(reterr->status, status);
    assert_string_not_equal(reterr->message, "");
    return status;
}

void pg_store_end(batch_store *store)
{
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

batch_postgres_options pg_text_table(struct postgres_server *server, const char *table)
{
    pg_sql(server,
           "create table %s (key text primary key, state text not null, version bigint not null)",
           table);
    batch_postgres_options options = BATCH_POSTGRES_OPTIONS_INIT;
    options.table = table;
    return options;
}

/* ---- Numbers in text ------------------------------------------------------------------------ */

struct number {
    int64_t number; /* first: what the driver's operations change */
    char text[24];
};

static int number_decode(void *resource, const void *bytes, size_t bytes_size, void *arg)
{
    (void)arg;
    struct number *number = resource;
    if (bytes_size >= sizeof number->text)
        return -1;
    memcpy(number->text, bytes_size > 0 ? bytes : "", bytes_size);
    number->text[bytes_size] = '\0';
    char *end;
    number->number = strtoll(number->text, &end, 10);
    return *end == '\0' ? BATCH_OK : -1;
}

static int number_encode(void *resource, const void **ret_bytes, size_t *ret_bytes_size, void *arg)
{
    (void)arg;
    struct number *number = resource;
    int size = snprintf(number->text, sizeof number->text, "%lld", (long long)number->number);
    *ret_bytes = number->text;
    *ret_bytes_size = (size_t)size;
    return BATCH_OK;
}

static const batch_codec number_codec = {
    .size = sizeof(batch_codec), .decode = number_decode, .encode = number_encode};

batch_options pg_number_options(batch_store *store, uint32_t sessions)
{
    batch_options options = number_options(store, sessions);
    options.resource_size = sizeof(struct number);
    options.codec = &number_codec;
    return options;
}

void pg_texts_run(batch_processor *processor, struct text_request *requests, size_t requests_size)
{
    struct latch latch;
    latch_init(&latch, requests_size);
    batch_op **ops = calloc(requests_size, sizeof *ops);
    assert_non_null(ops);
    for (size_t i = 0; i < requests_size; i++) {
        requests[i].request.latch = &latch;
        ops[i] = &requests[i].request.op;
    }
    assert_int_equal(batch_submit_many(processor, ops, requests_size), BATCH_OK);
    latch_wait(&latch);
    latch_destroy(&latch);
    free(ops);
}
