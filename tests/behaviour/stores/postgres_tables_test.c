/* The PostgreSQL store: which tables it takes, of any name and type, and which it refuses, saying
 * why. */
#include "driver.h"
#include "postgres_case.h"
#include "must.h"
#include "test.h"

static void expect_text(batch_processor *processor, const char *key, const char *expected)
{
    size_t size;
    char *text = text_get(processor, key, strlen(key), &size);
    if (expected == NULL) {
        assert_null(text);
    } else {
        assert_non_null(text);
        assert_string_equal(text, expected);
    }
    free(text);
}

/* Write, read, write again and read what a new processor finds; with texts that are JSON too. */
static void check_it_works(struct postgres_server *server, const batch_postgres_options *table)
{
    batch_store *store = pg_store(server, NULL, table);
    batch_options options = text_options(store, 1);
    batch_processor *processor = processor_start(&options);
    expect_text(processor, "a key", NULL);
    text_set(processor, "a key", 5, "{\"n\": 1}", 8);
    text_set(processor, "a key", 5, "{\"n\": 2}", 8);
    text_set(processor, "another", 7, "[]", 2);
    processor_end(processor);
    processor = processor_start(&options);
    expect_text(processor, "a key", "{\"n\": 2}");
    expect_text(processor, "another", "[]");
    processor_end_with_store(processor, store);
}

/* ---- Names ---------------------------------------------------------------------------------- */

#define ODD_SCHEMA "Schema \"1\"; drop table x"
#define ODD_TABLE                                                                                  \
    "T\xc3\xa4"                                                                                    \
    "ble.a'b\\c %s $1"
#define ODD_KEY     "Key\"\"'"
#define ODD_VERSION "select"
#define ODD_STATE   "st\xe2\x82\xac \tate"

static batch_postgres_options odd_names(void)
{
    batch_postgres_options options = BATCH_POSTGRES_OPTIONS_INIT;
    options.schema = ODD_SCHEMA;
    options.table = ODD_TABLE;
    options.key_column = ODD_KEY;
    options.version_column = ODD_VERSION;
    options.state_column = ODD_STATE;
    return options;
}

/* SQL in which %1$I ... %5$I stand for the odd names, as the server itself quotes them. */
static void odd_sql(struct postgres_server *server, const char *format)
{
    char *sql = pg_value(server,
                         "select format($f$%s$f$, $n$%s$n$, $n$%s$n$, $n$%s$n$, "
                         "$n$%s$n$, $n$%s$n$)",
                         format, ODD_SCHEMA, ODD_TABLE, ODD_KEY, ODD_VERSION, ODD_STATE);
    assert_non_null(sql);
    postgres_server_execute(server, sql);
    free(sql);
}

PG_TEST(test_odd_names_of_a_table_that_is_there)
{
    batch_postgres_options table = odd_names();
    odd_sql(server, "drop schema if exists %1$I cascade");
    odd_sql(server, "create schema %1$I");
    odd_sql(server, "create table %1$I.%2$I (%3$I text primary key, %4$I int not null, "
                    "%5$I text not null)");
    check_it_works(server, &table);
    odd_sql(server, "create view public.odd as select * from %1$I.%2$I");
    assert_int_equal(pg_number(server, "select count(*) from odd"), 2);
    odd_sql(server, "drop schema %1$I cascade");
}

PG_TEST(test_odd_names_of_a_table_that_is_made)
{
    batch_postgres_options table = odd_names();
    odd_sql(server, "drop schema if exists %1$I cascade");
    odd_sql(server, "create schema %1$I");
    check_it_works(server, &table);
    odd_sql(server, "create view public.odd as select * from %1$I.%2$I");
    assert_int_equal(pg_number(server, "select count(*) from odd"), 2);
    odd_sql(server, "drop schema %1$I cascade");
}

/* PostgreSQL would cut it, and two long names might mean one table. */
PG_TEST(test_a_name_that_is_too_long_is_refused)
{
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    batch_result error;
    char sqlstate[6];
    table.table = "a234567890123456789012345678901234567890123456789012345678901234";
    pg_refused(server->conninfo, &table, &error, sqlstate);
    pg_expect(server, "0", "select count(*) from pg_tables where schemaname = 'public'");
}

PG_TEST(test_the_first_of_the_search_path)
{
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    char conninfo[POSTGRES_CONNINFO_SIZE + 64];
    table.table = "here";
    pg_sql(server, "drop schema if exists one cascade");
    pg_sql(server, "drop schema if exists two cascade");
    pg_sql(server, "create schema one; create schema two");
    pg_sql(server, "create table two.here (key text primary key, state text not null, "
                   "version bigint not null)");
    pg_sql(server, "create table public.here (key text primary key, state text not null, "
                   "version bigint not null)");
    snprintf(conninfo, sizeof conninfo, "%s options='-csearch_path=one,two,public'",
             server->conninfo);
    batch_store *store = pg_store(server, conninfo, &table);
    batch_processor *processor = text_processor(store, 1);
    text_set(processor, "key", 3, "state", 5);
    processor_end_with_store(processor, store);
    pg_expect(server, "state", "select state from two.here");
    pg_expect(server, "0", "select count(*) from public.here");
    pg_sql(server, "drop schema one cascade; drop schema two cascade");
}

/* ---- Types ---------------------------------------------------------------------------------- */

PG_TEST(test_every_combination_of_types)
{
    static const char *const keys[] = {"bytea", "text", "varchar(40)"};
    static const char *const states[] = {"bytea", "text", "varchar(40)", "jsonb"};
    static const char *const versions[] = {"smallint", "integer", "bigint"};
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    table.table = "typed";
    for (size_t i = 0; i < 3 * 4 * 3; i++) {
        pg_sql(server, "drop table if exists typed");
        pg_sql(server,
               "create table typed (version %s not null, state %s not null, key %s primary key)",
               versions[i % 3], states[i / 3 % 4], keys[i / 12]);
        check_it_works(server, &table);
        assert_int_equal(pg_number(server, "select count(distinct key) from typed"), 2);
    }
}

PG_TEST(test_types_that_were_asked_for)
{
    static const char *const names[] = {NULL, "bytea", "text", "jsonb"};
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    table.table = "made";
    for (int key = BATCH_POSTGRES_BYTEA; key <= BATCH_POSTGRES_TEXT; key++) {
        for (int type = BATCH_POSTGRES_BYTEA; type <= BATCH_POSTGRES_JSONB; type++) {
            pg_sql(server, "drop table if exists made");
            table.key_type = (batch_postgres_type)key;
            table.state_type = (batch_postgres_type)type;
            check_it_works(server, &table);
            pg_expect(server, names[key],
                      "select data_type from information_schema.columns "
                      "where table_name = 'made' and column_name = 'key'");
            pg_expect(server, names[type],
                      "select data_type from information_schema.columns "
                      "where table_name = 'made' and column_name = 'state'");
        }
    }
}

/* ---- Versions ------------------------------------------------------------------------------- */

/* A row of a foreign table with any version can be saved again and again; its version is another
 * one each time. */
static void check_version(struct postgres_server *server, const char *type, const char *version)
{
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    table.table = "versioned";
    pg_sql(server, "drop table if exists versioned");
    pg_sql(server,
           "create table versioned (key text primary key, state text not null, "
           "version %s not null)",
           type);
    pg_sql(server, "insert into versioned values ('key', 'first', %s)", version);
    batch_store *store = pg_store(server, NULL, &table);
    batch_processor *processor = text_processor(store, 1);
    char *before = pg_value(server, "select version from versioned");
    for (int i = 0; i < 4; i++) {
        char text[16];
        int size = snprintf(text, sizeof text, "state %d", i);
        text_set(processor, "key", 3, text, (size_t)size);
        char *after = pg_value(server, "select version from versioned");
        assert_string_not_equal(before, after);
        pg_expect(server, text, "select state from versioned");
        free(before);
        before = after;
    }
    free(before);
    processor_end_with_store(processor, store);
}

PG_TEST(test_versions_at_the_end_of_their_range)
{
    static const char *const smallints[] = {"32767", "32766", "32764", "0", "-1", "-2", "-32768"};
    static const char *const integers[] = {"2147483647", "2147483645", "0", "-1", "-2147483648"};
    static const char *const bigints[] = {"9223372036854775807", "9223372036854775805", "0", "-1",
                                          "-9223372036854775807"};
    for (size_t i = 0; i < sizeof smallints / sizeof smallints[0]; i++)
        check_version(server, "smallint", smallints[i]);
    for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++)
        check_version(server, "integer", integers[i]);
    for (size_t i = 0; i < sizeof bigints / sizeof bigints[0]; i++)
        check_version(server, "bigint", bigints[i]);
}

/* There is one number more in a bigint than versions; it is not taken for "nothing stored". */
PG_TEST(test_the_least_bigint_is_told_apart)
{
    batch_postgres_options table = pg_text_table(server, "versioned");
    pg_sql(server, "insert into versioned values ('key', 'first', '-9223372036854775808')");
    batch_store *store = pg_store(server, NULL, &table);
    batch_processor *processor = text_processor(store, 1);
    struct text_request request;
    text_request_init(&request, "key", 3, "ours", 4);
    int status = request_run(processor, &request.request);
    assert_true(status == BATCH_OK || status == BATCH_LOAD_FAILED);
    assert_string_equal(status == BATCH_OK ? request.seen : "first", "first");
    free(request.seen);
    pg_expect(server, status == BATCH_OK ? "ours" : "first", "select state from versioned");
    processor_end_with_store(processor, store);
}

struct foreign {
    struct postgres_server *server;
    const char *sql;
};

static void meddle(void *arg)
{
    struct foreign *foreign = arg;
    postgres_server_execute(foreign->server, foreign->sql);
}

/* Somebody else gives it another version, from and to the odd ones. */
PG_TEST(test_a_conflict_at_the_end_of_the_range)
{
    static const struct {
        const char *from, *to;
    } steps[] = {{"32767", "-32768"}, {"-1", "0"}, {"0", "1"}, {"32766", "32767"}, {"1", "0"}};
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    table.table = "versioned";
    pg_sql(server, "create table versioned (key text primary key, state text not null, "
                   "version smallint not null)");
    batch_store *store = pg_store(server, NULL, &table);
    batch_processor *processor = text_processor(store, 1);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        char sql[128];
        pg_sql(server, "delete from versioned");
        pg_sql(server, "insert into versioned values ('key', 'old', %s)", steps[i].from);
        snprintf(sql, sizeof sql, "update versioned set state = 'theirs', version = %s",
                 steps[i].to);
        struct foreign foreign = {server, sql};
        struct text_request request;
        text_request_init(&request, "key", 3, "ours", 4);
        request.request.meddle = meddle;
        request.request.meddle_arg = &foreign;
        assert_int_equal(request_run(processor, &request.request), BATCH_CONFLICT);
        free(request.seen);
        pg_expect(server, "theirs", "select state from versioned");
    }
    processor_end_with_store(processor, store);
}

/* ---- Refused -------------------------------------------------------------------------------- */

/* The table "odd", made like that, is refused, and the message names what is wrong. */
static void check_refused(struct postgres_server *server, const char *sql, const char *named)
{
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    batch_result error;
    char sqlstate[6];
    table.table = "odd";
    pg_sql(server, "drop schema public cascade; create schema public");
    pg_sql(server, "%s", sql);
    int status = pg_refused(server->conninfo, &table, &error, sqlstate);
    if (status != BATCH_STORE_FAILED || strstr(error.message, named) == NULL)
        fail_msg("%s: %s: %s", sql, batch_status_name(status), error.message);
}

PG_TEST(test_tables_that_will_not_do)
{
    static const char *const tables[][2] = {
        {"create table odd (k text primary key, state text not null, version int not null)", "key"},
        {"create table odd (key text primary key, s text not null, version int not null)", "state"},
        {"create table odd (key text primary key, state text not null, v int not null)", "version"},
        {"create table odd (key int primary key, state text not null, version int not null)",
         "key"},
        {"create table odd (key jsonb primary key, state text not null, version int not null)",
         "key"},
        {"create table odd (key text primary key, state int not null, version int not null)",
         "state"},
        {"create table odd (key text primary key, state text not null, version text not null)",
         "version"},
        {"create table odd (key text primary key, state text not null, version numeric not null)",
         "version"},
        /* It pads what it keeps with blanks, and "a" and "a " are one key. */
        {"create table odd (key char(12) primary key, state text not null, version int not null)",
         "key"},
        {"create table odd (key text not null, state text not null, version int not null)", "key"},
        {"create table odd (key text unique, state text not null, version int not null)", "key"},
        {"create table odd (key text not null, state text not null, version int not null, "
         "unique (key, version))",
         "key"},
        {"create table odd (key text not null, state text not null, version int not null); "
         "create unique index on odd (key) where version > 0",
         "key"},
        {"create table odd (key text not null, state text not null, version int not null); "
         "create unique index on odd (lower(key))",
         "key"},
        {"create table odd (key text not null unique deferrable, state text not null, "
         "version int not null)",
         "key"},
        {"create table real (key text primary key, state text not null, version int not null); "
         "create view odd as select * from real",
         "odd"},
        {"create unlogged table odd (key text primary key, state text not null, "
         "version int not null)",
         "unlogged"},
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        check_refused(server, tables[i][0], tables[i][1]);
}

PG_TEST(test_types_other_than_asked_for_are_refused)
{
    batch_postgres_options table = pg_text_table(server, "texts");
    batch_result error;
    char sqlstate[6];
    table.key_type = BATCH_POSTGRES_BYTEA;
    assert_int_equal(pg_refused(server->conninfo, &table, &error, sqlstate), BATCH_STORE_FAILED);
    assert_non_null(strstr(error.message, "key"));
    table.key_type = BATCH_POSTGRES_TEXT;
    table.state_type = BATCH_POSTGRES_JSONB;
    assert_int_equal(pg_refused(server->conninfo, &table, &error, sqlstate), BATCH_STORE_FAILED);
    assert_non_null(strstr(error.message, "state"));
    table.state_type = BATCH_POSTGRES_TEXT;
    check_it_works(server, &table);
}

PG_TEST(test_arguments_that_are_not_valid)
{
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    batch_result error;
    char sqlstate[6];
    table.key_type = BATCH_POSTGRES_JSONB; /* for the state only */
    assert_int_equal(pg_refused(server->conninfo, &table, &error, sqlstate), BATCH_INVALID);
    table.key_type = BATCH_POSTGRES_AUTO;
    table.state_type = (batch_postgres_type)99;
    assert_int_equal(pg_refused(server->conninfo, &table, &error, sqlstate), BATCH_INVALID);
    table.state_type = BATCH_POSTGRES_AUTO;
    table.durability = (batch_postgres_durability)99;
    assert_int_equal(pg_refused(server->conninfo, &table, &error, sqlstate), BATCH_INVALID);
    table.durability = BATCH_POSTGRES_ON;
    table.table = "";
    assert_int_equal(pg_refused(server->conninfo, &table, &error, sqlstate), BATCH_INVALID);
    assert_int_equal(batch_postgres_open(NULL, server->conninfo, NULL, NULL), BATCH_INVALID);
    pg_expect(server, "0", "select count(*) from pg_tables where schemaname = 'public'");
}

static void *open_canceled(void *arg)
{
    const struct postgres_server *server = arg;
    batch_store *store = NULL;
    pthread_cancel(pthread_self());
    MUST(batch_postgres_open(&store, server->conninfo, NULL, NULL) == BATCH_OK);
    MUST(batch_store_close(store) == BATCH_OK);
    return NULL;
}

TEST_WITH(test_a_canceled_thread_opens_first, pg_set_up, NULL)
{
    struct postgres_server *server = *state;
    pthread_t thread;
    void *end = PTHREAD_CANCELED;
    assert_int_equal(pthread_create(&thread, NULL, open_canceled, server), 0);
    assert_int_equal(pthread_join(thread, &end), 0);
    assert_null(end);
}

/* The options of the first release: a program that was compiled with it passes no more. */
struct first_options {
    size_t size;
    const char *schema, *table, *key_column, *version_column, *state_column;
    batch_postgres_type key_type, state_type;
    batch_postgres_durability durability;
};

PG_TEST(test_options_of_an_older_and_of_a_newer_version_are_understood)
{
    batch_result error;
    char sqlstate[6];
    struct first_options older = {.size = sizeof older, .table = "older"};
    const void *given = &older;
    check_it_works(server, given);
    pg_expect(server, "2", "select count(*) from older");
    older.size = offsetof(struct first_options, durability);
    assert_int_equal(pg_refused(server->conninfo, given, &error, sqlstate), BATCH_INVALID);
    assert_non_null(strstr(error.message, "options: size is"));
    older.size = 0;
    assert_int_equal(pg_refused(server->conninfo, given, &error, sqlstate), BATCH_INVALID);

    struct {
        batch_postgres_options known;
        uint64_t later;
    } newer = {.known = BATCH_POSTGRES_OPTIONS_INIT};
    newer.known.size = sizeof newer;
    newer.known.table = "newer";
    given = &newer;
    check_it_works(server, given);
    pg_expect(server, "2", "select count(*) from newer");
    newer.later = 1;
    assert_int_equal(pg_refused(server->conninfo, given, &error, sqlstate), BATCH_INVALID);
}

PG_TEST(test_an_unlogged_table_if_commits_may_be_lost)
{
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    table.table = "unlogged";
    table.durability = BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS;
    pg_sql(server, "create unlogged table unlogged (key text primary key, state text not null, "
                   "version int not null)");
    check_it_works(server, &table);
}

TEST_WITH(test_a_server_without_fsync, pg_set_up, NULL)
{
    static const char *const settings[] = {"fsync=off", NULL};
    struct postgres_server server;
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    batch_result error;
    char sqlstate[6];
    postgres_server_init(&server, settings, false);
    assert_int_equal(pg_refused(server.conninfo, NULL, &error, sqlstate), BATCH_STORE_FAILED);
    assert_non_null(strstr(error.message, "fsync"));
    table.durability = BATCH_POSTGRES_MAY_LOSE_LAST_COMMITS;
    check_it_works(&server, &table);
    postgres_server_destroy(&server);
}

/* The store sets synchronous_commit itself, whatever is the default there. */
PG_TEST(test_synchronous_commit_is_set)
{
    static const char *const wanted[] = {"on", "remote_apply", "off"};
    batch_postgres_options table = pg_text_table(server, "synced");
    pg_sql(server, "create table seen (value text)");
    pg_sql(server, "create function see() returns trigger language plpgsql as $$ begin "
                   "insert into seen values (current_setting('synchronous_commit')); "
                   "return new; end $$");
    pg_sql(server, "create trigger sees before insert or update on synced "
                   "for each row execute function see()");
    for (int durability = 0; durability < 3; durability++) {
        pg_configure(server, "synchronous_commit", durability == 2 ? "on" : "off");
        pg_sql(server, "delete from seen");
        table.durability = (batch_postgres_durability)durability;
        check_it_works(server, &table);
        pg_expect(server, wanted[durability], "select min(value) from seen");
        pg_expect(server, wanted[durability], "select max(value) from seen");
        pg_sql(server, "delete from synced");
    }
}

/* ---- A table that changes while it is used -------------------------------------------------- */

PG_TEST(test_a_table_that_goes_away_and_comes_back)
{
    batch_store *store = pg_store(server, NULL, NULL);
    batch_processor *processor = number_processor(store, 1);
    assert_int_equal(number_add(processor, "key", 3, 1), 1);
    pg_sql(server, "alter table batch rename to away");
    struct request request;
    request_init(&request, "key", 3, 1);
    assert_int_equal(request_run(processor, &request), BATCH_LOAD_FAILED);
    pg_sql(server, "alter table away rename to batch");
    assert_int_equal(number_add(processor, "key", 3, 1), 2);
    processor_end_with_store(processor, store);
}

/* The statements that were prepared for the old type are void. */
PG_TEST(test_a_column_that_gets_another_type)
{
    batch_postgres_options table = pg_text_table(server, "changing");
    batch_store *store = pg_store(server, NULL, &table);
    batch_processor *processor = text_processor(store, 1);
    text_set(processor, "key", 3, "{\"n\": 1}", 8);
    pg_sql(server, "alter table changing alter state type jsonb using state::jsonb");
    expect_text(processor, "key", "{\"n\": 1}");
    text_set(processor, "key", 3, "{\"n\": 2}", 8);
    expect_text(processor, "key", "{\"n\": 2}");
    processor_end_with_store(processor, store);
}

TEST_GROUP(pg_server_set_up, pg_server_tear_down)
