/* The PostgreSQL store: settings of a server, a database or a role that are the wrong way round,
 * triggers and tables that change while it is used, rows that it may not see. Each must be without
 * effect or end in an error; never in BATCH_OK for what is not so. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* dup, fileno */
#endif
#include "driver.h"
#include "postgres_case.h"
#include "postgres_place.h"
#include "test.h"

#include <unistd.h>

/* A table of texts, and a processor on it with one session. */
struct used {
    struct postgres_server *server;
    batch_store *store;
    batch_processor *processor;
};

/* As this role; NULL: the superuser. */
static struct used use(struct postgres_server *server, const char *role, const char *columns)
{
    struct used used = {.server = server};
    char conninfo[POSTGRES_CONNINFO_SIZE];
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    table.table = "used";
    table.schema = "public";
    if (columns != NULL)
        pg_sql(server, "create table public.used (%s)", columns);
    pg_sql(server, "grant usage on schema public to public");
    pg_sql(server, "grant select, insert, update on public.used to public");
    snprintf(conninfo, sizeof conninfo,
             "host=127.0.0.1 port=%u user=%s dbname=postgres sslmode=disable gssencmode=disable",
             server->port, role != NULL ? role : "batch");
    used.store = pg_store(server, conninfo, &table);
    used.processor = text_processor(used.store, 1);
    return used;
}

static void end(struct used *used)
{
    processor_end_with_store(used->processor, used->store);
}

#define TEXT_COLUMNS "key text primary key, state text not null, version bigint not null"

/* What becomes of setting a key; `ret_message`: what is said. */
static int set(struct used *used, const char *key, const char *state, char ret_message[256])
{
    struct text_request request;
    text_request_init(&request, key, strlen(key), state, strlen(state));
    int status = request_run(used->processor, &request.request);
    snprintf(ret_message, 256, "%s", request.request.result.message);
    free(request.seen);
    return status;
}

static void expect_set(struct used *used, const char *key, const char *state)
{
    char message[256];
    int status = set(used, key, state, message);
    if (status != BATCH_OK)
        fail_msg("%s: %s", batch_status_name(status), message);
    pg_expect(used->server, state, "select state::text from public.used where key = '%s'", key);
}

/* It fails as `wanted`, for this reason, and nothing is stored. */
static void expect_failed(struct used *used, const char *key, int wanted, const char *named)
{
    char message[256];
    int status = set(used, key, "never", message);
    if (status != wanted || strstr(message, named) == NULL)
        fail_msg("%s: %s", batch_status_name(status), message);
    pg_expect(used->server, "0", "select count(*) from public.used where state::text = 'never'");
}

/* From now on everything has 300 ms. */
static void hurry(struct used *used)
{
    batch_options options = text_options(used->store, 1);
    options.deadline_ns = 300000000;
    processor_end(used->processor);
    used->processor = processor_start(&options);
}

static void make_trigger(struct postgres_server *server, const char *when, const char *body)
{
    pg_sql(server, "drop trigger if exists meddles on public.used");
    pg_sql(server,
           "create or replace function public.meddle() returns trigger language plpgsql as $$ "
           "begin %s return new; end $$",
           body);
    pg_sql(server,
           "create %s insert or update on public.used for each row "
           "execute function public.meddle()",
           when);
}

/* ---- Settings ------------------------------------------------------------------------------- */

/* The settings of a session of the store are noted by a trigger: those that a name like these may
 * matter for, and that are not set by the store. Each of them is known not to matter. */
PG_TEST(test_every_setting_that_could_matter_is_set_or_known)
{
    struct used used = use(server, NULL, TEXT_COLUMNS);
    pg_sql(server, "create table public.seen (name text)");
    make_trigger(server, "trigger meddles before",
                 "insert into public.seen select name from pg_settings where source <> 'session' "
                 "and context = 'user' and (name like 'enable\\_%' or name like '%\\_timeout' "
                 "or name like '%parallel%' or name like '%\\_cost' "
                 "or category = 'Query Tuning / Other Planner Options'); ");
    expect_set(&used, "key", "one");
    char *unknown = pg_value(
        server, "%s",
        "select string_agg(name, ', ') from public.seen where name not in ("
        /* Plans that no statement of the store could have. */
        "'enable_async_append', 'enable_gathermerge', 'enable_hashagg', 'enable_incremental_sort', "
        "'enable_parallel_append', 'enable_parallel_hash', 'enable_partitionwise_aggregate', "
        "'enable_presorted_aggregate', 'enable_tidscan', 'enable_group_by_reordering', "
        "'enable_distinct_reordering', 'enable_self_join_elimination', 'enable_eager_aggregate', "
        /* Without parallel plans. */
        "'parallel_leader_participation', 'min_parallel_index_scan_size', "
        "'min_parallel_table_scan_size', 'max_parallel_maintenance_workers', "
        "'max_parallel_workers', 'parallel_setup_cost', 'parallel_tuple_cost', "
        /* Without jit. */
        "'jit_above_cost', 'jit_inline_above_cost', 'jit_optimize_above_cost', "
        /* One plan for a join of two. */
        "'constraint_exclusion', 'cursor_tuple_fraction', 'default_statistics_target', "
        "'from_collapse_limit', 'join_collapse_limit', 'recursive_worktable_factor', "
        /* Of the network: the server's own. */
        "'tcp_user_timeout', 'wal_sender_timeout')");
    if (unknown != NULL)
        fail_msg("neither set nor known: %s", unknown);
    end(&used);
}

/* ---- Durability ----------------------------------------------------------------------------- */

PG_TEST(test_a_trigger_that_turns_synchronous_commit_off_fails_the_save)
{
    static const char *const bodies[] = {"set local synchronous_commit = off;",
                                         "set synchronous_commit = off;",
                                         "perform set_config('synchronous_commit', 'local', true);",
                                         "set local client_min_messages = error;"};
    struct used used = use(server, NULL, TEXT_COLUMNS);
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        make_trigger(server, "trigger meddles before", bodies[i]);
        expect_failed(&used, "key", BATCH_SAVE_FAILED, "a trigger has changed synchronous_commit");
        /* One row's trigger is its own trouble. */
        char one[128];
        snprintf(one, sizeof one, "if new.key = 'odd' then %s end if;", bodies[i]);
        make_trigger(server, "trigger meddles before", one);
        expect_set(&used, "key", bodies[i]);
        expect_failed(&used, "odd", BATCH_SAVE_FAILED, "a trigger has changed synchronous_commit");
    }
    end(&used);
}

/* When the commit is under way nobody looks any more; but the next save does, and is not to blame
 * for what it finds. */
PG_TEST(test_synchronous_commit_that_a_deferred_trigger_turned_off_is_on_for_the_next_save)
{
    struct used used = use(server, NULL, TEXT_COLUMNS);
    pg_sql(server, "create table public.seen (setting text)");
    pg_sql(server, "create function public.meddle() returns trigger language plpgsql as $$ "
                   "begin if new.key = 'odd' then set synchronous_commit = off; else insert into "
                   "public.seen values (current_setting('synchronous_commit')); end if; "
                   "return new; end $$");
    pg_sql(server, "create constraint trigger meddles after insert or update on public.used "
                   "deferrable initially deferred for each row execute function public.meddle()");
    for (int i = 0; i < 3; i++) {
        expect_set(&used, "odd", i % 2 == 0 ? "one" : "two");
        expect_set(&used, "key", i % 2 == 0 ? "one" : "two");
        pg_expect(server, "0", "select count(*) from public.seen where setting <> 'on'");
    }
    pg_expect(server, "3", "select count(*) from public.seen");
    batch_stats stats = BATCH_STATS_INIT;
    batch_processor_stats(used.processor, &stats);
    assert_int_equal(stats.store_reconnects, 3);
    assert_int_equal(stats.events[BATCH_EVENT_RECONNECTED], 3);
    end(&used);
}

/* A function's own setting ends with it. */
PG_TEST(test_a_function_with_a_setting_of_its_own_does_not_matter)
{
    struct used used = use(server, NULL, TEXT_COLUMNS);
    make_trigger(server, "trigger meddles before", "perform 1;");
    pg_sql(server, "alter function public.meddle() set synchronous_commit = off");
    expect_set(&used, "key", "one");
    end(&used);
}

PG_TEST(test_defaults_that_are_changed_meanwhile_do_not_matter)
{
    struct used used = use(server, NULL, TEXT_COLUMNS);
    pg_sql(server, "create table public.seen (value text)");
    make_trigger(server, "trigger meddles before",
                 "insert into public.seen values (current_setting('synchronous_commit') || "
                 "current_setting('statement_timeout')); ");
    pg_configure(server, "synchronous_commit", "off");
    pg_configure(server, "statement_timeout", "10s");
    pg_sql(server, "alter role batch set synchronous_commit = off");
    pg_sql(server, "alter database postgres set synchronous_commit = off");
    expect_set(&used, "key", "one");
    pg_sql(server, "select pg_terminate_backend(pid) from pg_stat_activity "
                   "where application_name = 'libbatch'");
    expect_set(&used, "key", "two");
    pg_sql(server, "alter role batch reset all");
    pg_sql(server, "alter database postgres reset all");
    pg_expect(server, "on0", "select string_agg(distinct value, ' ') from public.seen");
    end(&used);
}

PG_TEST(test_fsync_that_is_turned_off_fails_saves)
{
    struct used used = use(server, NULL, TEXT_COLUMNS);
    expect_set(&used, "key", "one");
    pg_configure(server, "fsync", "off");
    /* The session has it when another command begins. */
    char message[256];
    int status = BATCH_OK;
    for (int tries = 0; status == BATCH_OK && tries < 2000; tries++, pg_rest())
        status = set(&used, "other", "two", message);
    assert_int_equal(status, BATCH_SAVE_FAILED);
    assert_non_null(strstr(message, "fsync off"));
    expect_failed(&used, "key", BATCH_SAVE_FAILED, "fsync off");
    pg_configure(server, "fsync", "on");
    while (set(&used, "other", "two", message) != BATCH_OK)
        pg_rest();
    end(&used);
}

#define TABLE_OF_PARTS                                                                             \
    TEXT_COLUMNS ") partition by list (key); create table public.plain partition of public.used "  \
                 "for values in ('a'); create table public.rest partition of public.used default " \
                 "with (fillfactor = 90"

/* What is not there any more after a crash is not stored. */
PG_TEST(test_a_table_or_partition_that_becomes_unlogged_is_refused)
{
    struct used used = use(server, NULL, TABLE_OF_PARTS);
    pg_sql(server, "alter table public.rest set unlogged");
    expect_failed(&used, "key", BATCH_LOAD_FAILED, "a partition is unlogged");
    pg_sql(server, "alter table public.rest set logged");
    expect_set(&used, "key", "three");
    end(&used);
    pg_sql(server, "drop table public.used");

    used = use(server, NULL, TEXT_COLUMNS);
    expect_set(&used, "key", "one");
    pg_sql(server, "alter table public.used set unlogged");
    expect_failed(&used, "key", BATCH_LOAD_FAILED, "it is unlogged");
    end(&used);
}

/* Begin to set the key, and wait until the commit waits for a standby. False: it was complete
 * before that. */
static bool begin_to_wait(struct used *used, struct text_request *request, struct latch *latch)
{
    batch_op *op = &request->request.op;
    latch_init(latch, 1);
    text_request_init(request, "key", 3, "one", 3);
    request->request.latch = latch;
    assert_int_equal(batch_submit_many(used->processor, &op, 1), BATCH_OK);
    for (;; pg_rest()) {
        pthread_mutex_lock(&latch->lock);
        bool is_complete = latch->left == 0;
        pthread_mutex_unlock(&latch->lock);
        if (is_complete)
            return false;
        if (pg_number(used->server, "select count(*) from pg_stat_activity "
                                    "where wait_event = 'SyncRep' and application_name = "
                                    "'libbatch'") > 0)
            return true;
    }
}

/* The server reports success, and nothing here was being canceled: its warning alone shows it. */
PG_TEST(test_a_wait_for_a_standby_that_somebody_else_cancels)
{
    struct used used = use(server, NULL, TEXT_COLUMNS);
    struct text_request request;
    struct latch latch;
    bool is_waiting = false;
    pg_configure(server, "synchronous_standby_names", "nobody");
    while (!is_waiting) { /* the process that matters may have the setting later */
        is_waiting = begin_to_wait(&used, &request, &latch);
        if (is_waiting)
            pg_sql(server, "select pg_cancel_backend(pid) from pg_stat_activity "
                           "where wait_event = 'SyncRep'");
        latch_wait(&latch);
        latch_destroy(&latch);
        free(request.seen);
        int status = request.request.result.status;
        if (status != (is_waiting ? BATCH_UNKNOWN : BATCH_OK))
            fail_msg("%s: %s", batch_status_name(status), request.request.result.message);
    }
    pg_configure(server, "synchronous_standby_names", "");
    end(&used);
}

/* ---- Warnings ------------------------------------------------------------------------------- */

/* As after an upgrade of the operating system: the server warns wherever it looks at the key. */
PG_TEST(test_a_collation_of_another_version_does_not_matter)
{
    if (pg_number(server, "select count(*) from pg_collation where collname = 'de-x-icu'") == 0)
        skip();
    struct used used = use(server, NULL,
                           "key text collate \"de-x-icu\" primary key, state text not null, "
                           "version bigint not null");
    pg_sql(server, "create table public.was as select collversion from pg_collation "
                   "where collname = 'de-x-icu'");
    pg_sql(server, "update pg_collation set collversion = '1.1' where collname = 'de-x-icu'");
    pg_sql(server, "select pg_terminate_backend(pid) from pg_stat_activity "
                   "where application_name = 'libbatch'");
    expect_set(&used, "key", "one");
    expect_set(&used, "key", "two");
    pg_sql(server, "update pg_collation set collversion = (select collversion from public.was) "
                   "where collname = 'de-x-icu'");
    end(&used);
}

/* Whatever the server has to say, also while a statement is being canceled. */
PG_TEST(test_nothing_is_printed)
{
    FILE *caught = tmpfile();
    int before = dup(STDERR_FILENO);
    assert_non_null(caught);
    fflush(stderr);
    dup2(fileno(caught), STDERR_FILENO);
    struct used used = use(server, NULL, TEXT_COLUMNS);
    make_trigger(server, "trigger meddles before",
                 "raise warning 'really'; raise notice 'well'; raise info 'so'; "
                 "if new.key = 'slow' then perform pg_sleep(600); end if;");
    hurry(&used);
    char message[256];
    for (int i = 0; i < 3; i++) {
        set(&used, "key", "one", message);
        set(&used, "slow", "one", message);
        pg_sql(server, "alter table public.used set (fillfactor = %d)", 50 + i);
    }
    end(&used);
    dup2(before, STDERR_FILENO);
    close(before);
    char text[256] = "";
    rewind(caught);
    if (fread(text, 1, sizeof text - 1, caught) > 0)
        fail_msg("printed: %s", text);
    fclose(caught);
}

/* ---- A table that changes ------------------------------------------------------------------- */

PG_TEST(test_a_key_column_that_gets_another_type)
{
    struct used used =
        use(server, NULL, "key bytea primary key, state text not null, version bigint not null");
    expect_set(&used, "key", "one");
    pg_sql(server, "alter table public.used alter key type text using convert_from(key, 'UTF8')");
    expect_set(&used, "key", "two");
    expect_set(&used, "other", "two");
    pg_sql(server, "alter table public.used alter key type bytea using convert_to(key, 'UTF8')");
    expect_set(&used, "key", "three");
    pg_expect(server, "2", "select count(*) from public.used");
    end(&used);
}

PG_TEST(test_a_version_column_that_gets_smaller)
{
    struct used used = use(server, NULL, TEXT_COLUMNS);
    pg_sql(server, "insert into public.used values ('key', 'old', 1)");
    static const char *const types[] = {"integer", "smallint", "bigint", "smallint"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        pg_sql(server, "delete from public.used where version > 30000 or version < 0");
        pg_sql(server, "alter table public.used alter version type %s", types[i]);
        expect_set(&used, "key", types[i]);
        char key[16];
        snprintf(key, sizeof key, "new %zu", i);
        expect_set(&used, key, "one"); /* its first version has to fit */
    }
    end(&used);
}

/* Another table takes the name: with other types, and with digests of long keys. */
PG_TEST(test_another_table_takes_the_name)
{
    enum { LONG = 2500 };
    static char key[LONG + 1];
    memset(key, 'k', LONG);
    struct used used = use(server, NULL,
                           "key bytea primary key, state bytea not null, version bigint not null, "
                           "constraint batch_long_keys check (octet_length(key) <= 2001)");
    text_set(used.processor, key, LONG, "one", 3);
    pg_expect(server, "2001", "select octet_length(key) from public.used");
    pg_sql(server, "alter table public.used drop constraint batch_long_keys");
    text_set(used.processor, key, LONG, "two", 3);
    pg_expect(server, "2500", "select max(octet_length(key)) from public.used");
    pg_sql(server, "create table public.next (%s)", TEXT_COLUMNS);
    pg_sql(server, "alter table public.used rename to was; "
                   "alter table public.next rename to used; "
                   "insert into public.used values ('short', 'there', 7)");
    size_t size;
    char *text = text_get(used.processor, "short", 5, &size);
    assert_string_equal(text, "there");
    free(text);
    expect_set(&used, "short", "three");
    end(&used);
}

/* Each of these is noticed, or does not matter. */
PG_TEST(test_a_table_that_is_altered_in_other_ways)
{
    static const char *const changes[] = {
        "alter table public.used add more int default 5",
        "alter table public.used drop more",
        "truncate public.used",
        "vacuum full public.used",
        "analyze public.used",
        "create index other on public.used (state)",
        "reindex table public.used",
        "alter table public.used alter state type varchar(20)",
        "alter table public.used alter state type jsonb using to_jsonb(state)",
        "alter table public.used alter state type text using state #>> '{}'",
        "alter table public.used drop constraint used_pkey, add primary key (key)",
        "alter table public.used set (fillfactor = 50)",
        "deallocate all",
    };
    struct used used = use(server, NULL, TEXT_COLUMNS);
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char state[16];
        snprintf(state, sizeof state, "%zu", 100 + i);
        pg_sql(server, "%s", changes[i]);
        expect_set(&used, "key", state);
        expect_set(&used, state, state);
    }
    end(&used);
}

PG_TEST(test_tables_that_inherit_from_it_are_refused)
{
    batch_postgres_options table = pg_text_table(server, "parent");
    batch_result error;
    char sqlstate[6];
    pg_sql(server, "create table child () inherits (parent)");
    assert_int_equal(pg_refused(server->conninfo, &table, &error, sqlstate), BATCH_STORE_FAILED);
    assert_non_null(strstr(error.message, "inherit"));
}

/* ---- Names ---------------------------------------------------------------------------------- */

PG_TEST(test_names_in_front_of_the_systems_do_not_matter)
{
    static const char *const types[] = {"text", "bytea"};
    pg_sql(server, "drop schema if exists contrary cascade");
    pg_sql(server, "%s", postgres_contrary_schema_sql);
    for (size_t i = 0; i < 2; i++) {
        pg_sql(server, "drop table if exists public.used");
        pg_sql(server,
               "create table public.used (key %s primary key, state text not null, "
               "version bigint not null)",
               types[i]);
        struct used used = use(server, "contrary", NULL);
        expect_set(&used, "a longer key", "one");
        expect_set(&used, "a longer key", "two");
        end(&used);
    }
    pg_sql(server, "drop schema contrary cascade");
}

/* ---- Rows that are hidden ------------------------------------------------------------------- */

PG_TEST(test_a_row_that_is_hidden_is_not_taken_for_missing)
{
    struct used used = use(server, "contrary", TEXT_COLUMNS);
    expect_set(&used, "key", "one");
    pg_sql(server, "alter table public.used enable row level security");
    expect_failed(&used, "key", BATCH_LOAD_FAILED, "row-level security");
    pg_sql(server, "create policy others on public.used using (key <> 'key')");
    expect_failed(&used, "key", BATCH_LOAD_FAILED, "row-level security");
    expect_failed(&used, "other", BATCH_LOAD_FAILED, "row-level security");
    pg_sql(server, "alter table public.used disable row level security");
    expect_set(&used, "key", "two");
    pg_sql(server, "revoke select on public.used from public");
    expect_failed(&used, "key", BATCH_LOAD_FAILED, "permission denied");
    pg_sql(server, "grant select (key, version) on public.used to public");
    expect_failed(&used, "key", BATCH_LOAD_FAILED, "permission denied");
    pg_sql(server, "grant select on public.used to public");
    expect_set(&used, "key", "three");
    end(&used);

    /* From the beginning. */
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    char conninfo[POSTGRES_CONNINFO_SIZE], sqlstate[6];
    batch_result error;
    table.table = "used";
    pg_sql(server, "alter table public.used enable row level security");
    snprintf(conninfo, sizeof conninfo, "host=127.0.0.1 port=%u user=contrary dbname=postgres",
             server->port);
    assert_int_equal(pg_refused(conninfo, &table, &error, sqlstate), BATCH_STORE_FAILED);
    assert_string_equal(sqlstate, "42501");
}

/* ---- What is reported ----------------------------------------------------------------------- */

/* Not that the connection is lost, which comes of it. */
PG_TEST(test_the_first_error_of_the_server_is_reported)
{
    struct used used = use(server, NULL, TEXT_COLUMNS);
    make_trigger(server, "trigger meddles before",
                 "perform pg_terminate_backend(pg_backend_pid()); perform pg_sleep(600);");
    char message[256];
    assert_int_equal(set(&used, "key", "one", message), BATCH_UNKNOWN);
    if (strstr(message, "57P01") == NULL)
        fail_msg("%s", message);
    end(&used);
}

/* The store counts what was lost and is back. */
PG_TEST(test_connections_that_are_opened_again_are_counted)
{
    struct used used = use(server, NULL, TEXT_COLUMNS);
    batch_stats stats = BATCH_STATS_INIT;
    expect_set(&used, "key", "one");
    batch_processor_stats(used.processor, &stats);
    assert_int_equal(stats.store_reconnects, 0);
    for (uint64_t i = 1; i <= 3; i++) {
        pg_sql(server, "select pg_terminate_backend(pid) from pg_stat_activity "
                       "where application_name = 'libbatch'");
        pg_wait(server, "the session ends",
                "select (count(*) = 0)::int from pg_stat_activity "
                "where application_name = 'libbatch'");
        expect_set(&used, "key", i % 2 == 0 ? "two" : "three");
        batch_processor_stats(used.processor, &stats);
        assert_int_equal(stats.store_reconnects, i);
    }
    /* A table that is checked again is no lost connection. */
    pg_sql(server, "alter table public.used set (fillfactor = 50)");
    expect_set(&used, "key", "four");
    batch_processor_stats(used.processor, &stats);
    assert_int_equal(stats.store_reconnects, 3);
    end(&used);
}

static int server_set_up(void **state)
{
    pg_server_set_up(state);
    postgres_contrary_role(*state);
    return 0;
}

TEST_GROUP(server_set_up, pg_server_tear_down)
