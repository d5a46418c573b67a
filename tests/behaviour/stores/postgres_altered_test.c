/* The PostgreSQL store: what is stored is what was sent, byte for byte; or the save is refused, and
 * nothing of it is stored. Whatever the columns, their types and triggers would make of it. */
#include "driver.h"
#include "postgres_case.h"
#include "test.h"

#include <pthread.h>

enum { KEYS_MAX = 8, STATE_SIZE = 64 };

/* One write of a group, and what is to come of it. */
struct write {
    const char *key, *state;
    int status;
};

struct altered {
    struct postgres_server *server;
    batch_store *store;
    batch_processor *processor;
};

static void begin(struct altered *altered, struct postgres_server *server, const char *conninfo,
                  const char *columns)
{
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    table.table = "rows";
    if (columns != NULL)
        pg_sql(server, "create table rows (%s)", columns);
    altered->server = server;
    altered->store = pg_store(server, conninfo, &table);
    altered->processor = text_processor(altered->store, 0); /* all in one group */
}

static void end(struct altered *altered)
{
    processor_end_with_store(altered->processor, altered->store);
}

static void write_all(struct altered *altered, const struct write *writes, size_t writes_size)
{
    struct text_request requests[KEYS_MAX];
    assert_true(writes_size <= KEYS_MAX);
    for (size_t i = 0; i < writes_size; i++)
        text_request_init(&requests[i], writes[i].key, strlen(writes[i].key), writes[i].state,
                          strlen(writes[i].state));
    pg_texts_run(altered->processor, requests, writes_size);
    for (size_t i = 0; i < writes_size; i++) {
        const batch_result *result = &requests[i].request.result;
        if (result->status != writes[i].status)
            fail_msg("%s: %s %s", writes[i].key, batch_status_name(result->status),
                     result->message);
        free(requests[i].seen);
    }
}

/* What is stored under a key, as a user of the store reads it; NULL: nothing. */
static void expect(struct altered *altered, const char *key, const char *state)
{
    size_t size;
    char *found = text_get(altered->processor, key, strlen(key), &size);
    if ((found == NULL) != (state == NULL) ||
        (found != NULL && (size != strlen(state) || memcmp(found, state, size) != 0)))
        fail_msg("%s: %.*s, not %s", key, (int)size, found != NULL ? found : "nothing",
                 state != NULL ? state : "nothing");
    free(found);
}

#define WRITE_ALL(altered, writes) write_all(altered, writes, sizeof writes / sizeof writes[0])

#define TEXT_COLUMNS "key text primary key, version bigint not null, state text not null"

/* ---- The types of columns ------------------------------------------------------------------- */

TEST_WITH(test_blanks_that_a_column_cuts_off_are_refused, pg_set_up, NULL)
{
    struct altered altered;
    begin(&altered, *state, NULL,
          "key varchar(3) primary key, version bigint not null, state varchar(4) not null");
    const struct write alone[] = {{"abc  ", "1", BATCH_SAVE_FAILED}};
    WRITE_ALL(&altered, alone);
    pg_expect(*state, "0", "select count(*) from rows");
    const struct write together[] = {
        {"abc ", "1", BATCH_SAVE_FAILED},  {"abc", "2", BATCH_OK},
        {"abc  ", "3", BATCH_SAVE_FAILED}, {"d  ", "4", BATCH_OK},
        {"e", "5   ", BATCH_OK},           {"f", "6    ", BATCH_SAVE_FAILED}};
    WRITE_ALL(&altered, together);
    pg_expect(*state, "abc 2, d   4, e 5   ",
              "select string_agg(key || ' ' || state, ', ' order by key) from rows");
    const struct write once_more[] = {{"abc  ", "7", BATCH_SAVE_FAILED},
                                      {"abc", "8     ", BATCH_SAVE_FAILED},
                                      {"d  ", "9", BATCH_OK}};
    WRITE_ALL(&altered, once_more);
    expect(&altered, "abc  ", NULL);
    expect(&altered, "abc", "2");
    expect(&altered, "d  ", "9");
    expect(&altered, "d", NULL);
    end(&altered);
}

TEST_WITH(test_columns_that_store_other_bytes_are_refused_at_open, pg_set_up, NULL)
{
    static const char *const columns[] = {
        "key char(8) primary key, version bigint not null, state text not null",
        "key name primary key, version bigint not null, state text not null",
        "key text primary key, version bigint not null, state char(8) not null",
        "key text primary key, version numeric not null, state text not null",
        "key small primary key, version bigint not null, state text not null",
        "key text primary key, version bigint not null, state json not null",
        "key loose primary key, version bigint not null, state text not null",
        "key text collate loose primary key, version bigint not null, state text not null"};
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    table.table = "rows";
    pg_sql(*state, "create domain small as text check (value = lower(value))");
    pg_sql(*state, "create extension if not exists citext; create domain loose as citext");
    pg_sql(*state, "create collation loose (provider = icu, locale = 'und-u-ks-level2', "
                   "deterministic = false)");
    for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
        struct postgres_server *server = *state;
        batch_result error;
        char sqlstate[6];
        pg_sql(server, "create table rows (%s)", columns[i]);
        assert_int_equal(pg_refused(server->conninfo, &table, &error, sqlstate),
                         BATCH_STORE_FAILED);
        pg_sql(server, "drop table rows");
    }
}

/* The collation of a state says which ones are equal; bytes are what counts. */
TEST_WITH(test_a_state_is_compared_by_its_bytes, pg_set_up, NULL)
{
    struct altered altered;
    pg_sql(*state, "create collation loose (provider = icu, locale = 'und-u-ks-level2', "
                   "deterministic = false)");
    begin(&altered, *state, NULL,
          "key text primary key, version bigint not null, state text collate loose not null");
    pg_sql(*state, "create function meet() returns trigger language plpgsql as "
                   "'begin new.state := lower(new.state); return new; end'");
    pg_sql(*state, "create trigger meets before insert or update on rows "
                   "for each row execute function meet()");
    const struct write writes[] = {{"a", "small", BATCH_OK}, {"b", "Large", BATCH_SAVE_FAILED}};
    WRITE_ALL(&altered, writes);
    expect(&altered, "a", "small");
    expect(&altered, "b", NULL);
    end(&altered);
}

TEST_WITH(test_jsonb_comes_back_as_the_same_value, pg_set_up, NULL)
{
    struct altered altered;
    begin(&altered, *state, NULL,
          "key text primary key, version bigint not null, state jsonb not null");
    const struct write writes[] = {{"a", "{\"b\": 1,   \"a\":2.50}", BATCH_OK},
                                   {"b", "{\"a\": 1, \"a\": 2}", BATCH_OK},
                                   {"c", "1e2", BATCH_OK}};
    for (int i = 0; i < 2; i++) {
        WRITE_ALL(&altered, writes);
        expect(&altered, "a", "{\"a\": 2.50, \"b\": 1}");
        expect(&altered, "b", "{\"a\": 2}");
        expect(&altered, "c", "100");
    }
    end(&altered);
}

/* A database of another encoding: what it has no letter for fails alone. */
TEST_WITH(test_letters_that_a_database_does_not_have_are_refused, pg_set_up, NULL)
{
    struct postgres_server *server = *state;
    struct altered altered;
    char conninfo[POSTGRES_CONNINFO_SIZE + 32];
    pg_sql(server, "drop database if exists latin");
    pg_sql(server, "create database latin template template0 encoding 'LATIN1' locale 'C'");
    snprintf(conninfo, sizeof conninfo, "%s dbname=latin", server->conninfo);
    PGconn *conn = PQconnectdb(conninfo);
    PQclear(PQexec(conn, "create table rows (" TEXT_COLUMNS ")"));
    PQfinish(conn);
    begin(&altered, server, conninfo, NULL);
    const struct write writes[] = {{"z\xc3\xa9ro", "\xc3\xa9t\xc3\xa9", BATCH_OK},
                                   {"\xe2\x82\xac", "1", BATCH_LOAD_FAILED},
                                   {"euro", "\xe2\x82\xac", BATCH_SAVE_FAILED},
                                   {"\xff", "2", BATCH_LOAD_FAILED},
                                   {"one", "1", BATCH_OK}};
    for (int i = 0; i < 2; i++) {
        WRITE_ALL(&altered, writes);
        expect(&altered, "z\xc3\xa9ro", "\xc3\xa9t\xc3\xa9");
        expect(&altered, "euro", NULL);
        expect(&altered, "one", "1");
    }
    end(&altered);
    pg_sql(server, "drop database latin");
}

/* ---- Triggers ------------------------------------------------------------------------------- */

static void set_trigger(struct altered *altered, const char *body)
{
    pg_sql(altered->server,
           "create or replace function meet() returns trigger language plpgsql as "
           "$$ begin %s return new; end $$",
           body);
    pg_sql(altered->server, "create or replace trigger meets before insert or update on rows "
                            "for each row execute function meet()");
}

/* `good` is as it is; the others are altered, first as new rows, then as rows that are there. */
static void check_trigger(struct postgres_server *server, const char *body)
{
    struct altered altered;
    begin(&altered, server, NULL, TEXT_COLUMNS);
    set_trigger(&altered, body);
    const struct write new[] = {{"alter 1", "One", BATCH_SAVE_FAILED},
                                {"alter 2", "Two", BATCH_SAVE_FAILED},
                                {"good", "three", BATCH_OK},
                                {"zoo", "four", BATCH_OK}};
    WRITE_ALL(&altered, new);
    pg_expect(server, "good three, zoo four",
              "select string_agg(key || ' ' || state, ', ' order by key) from rows");
    pg_sql(server, "drop trigger meets on rows");
    const struct write made[] = {{"alter 1", "Five", BATCH_OK}, {"alter 2", "Six", BATCH_OK}};
    WRITE_ALL(&altered, made);
    set_trigger(&altered, body);
    WRITE_ALL(&altered, new);
    pg_expect(server, "alter 1 Five, alter 2 Six, good three, zoo four",
              "select string_agg(key || ' ' || state, ', ' order by key) from rows");
    end(&altered);
    pg_sql(server, "drop table rows; drop function meet");
}

TEST_WITH(test_what_a_trigger_alters_is_refused, pg_set_up, NULL)
{
    static const char *const bodies[] = {
        "if new.key like 'alter%' then new.key := upper(new.key); end if;",
        "if new.key like 'alter%' then new.key := 'new ' || new.key; end if;",
        "if new.key like 'alter%' then new.state := lower(new.state) || ' '; end if;",
        "if new.key like 'alter%' then new.state := ''; end if;",
        "if new.key like 'alter%' then new.version := 17; end if;",
        "if new.key like 'alter%' then new.version := new.version + 1; end if;",
        /* as another one of the same group */
        ("if new.key = 'alter 1' then new.key := 'zoo'; end if; "
         "if new.key = 'alter 2' then new.key := 'good 2'; end if;"),
        /* each as the other one */
        "if new.key like 'alter%' then new.key := 'alter ' || 3 - right(new.key, 1)::int; end if;",
    };
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        check_trigger(*state, bodies[i]);
}

/* It is reported as updated, though nothing was changed. */
TEST_WITH(test_a_trigger_that_keeps_the_old_row_is_no_success, pg_set_up, NULL)
{
    struct altered altered;
    begin(&altered, *state, NULL, TEXT_COLUMNS);
    const struct write writes[] = {{"a", "1", BATCH_OK}, {"b", "2", BATCH_OK}};
    WRITE_ALL(&altered, writes);
    set_trigger(&altered, "if old.key = 'a' then return old; end if;");
    const struct write more[] = {{"a", "3", BATCH_SAVE_FAILED}, {"b", "4", BATCH_OK}};
    WRITE_ALL(&altered, more);
    expect(&altered, "a", "1");
    expect(&altered, "b", "4");
    end(&altered);
}

/* What counts locks goes by another statement. */
TEST_WITH(test_what_a_trigger_alters_is_refused_beside_a_locked_row, pg_set_up, NULL)
{
    struct postgres_server *server = *state;
    struct altered altered;
    begin(&altered, server, NULL, TEXT_COLUMNS);
    const struct write made[] = {
        {"alter", "1", BATCH_OK}, {"good", "1", BATCH_OK}, {"locked", "1", BATCH_OK}};
    WRITE_ALL(&altered, made);
    set_trigger(&altered, "if new.key like 'alter%' then new.state := 'other'; end if;");
    batch_options options = text_options(altered.store, 0);
    options.deadline_ns = 300000000;
    processor_end(altered.processor);
    altered.processor = processor_start(&options);
    PGconn *other = postgres_server_connect(server);
    PQclear(PQexec(other, "begin"));
    PQclear(PQexec(other, "select from rows where key = 'locked' for update"));
    const struct write writes[] = {{"alter", "2", BATCH_SAVE_FAILED},
                                   {"alter new", "2", BATCH_SAVE_FAILED},
                                   {"good", "2", BATCH_OK},
                                   {"locked", "2", BATCH_SAVE_FAILED},
                                   {"new", "2", BATCH_OK}};
    WRITE_ALL(&altered, writes);
    PQfinish(other);
    pg_expect(server, "alter 1, good 2, locked 1, new 2",
              "select string_agg(key || ' ' || state, ', ' order by key) from rows");
    end(&altered);
}

/* The trigger's change of the session outlives the save that has fired it. */
static void check_recoded(struct postgres_server *server, const char *type, int status)
{
    struct altered altered;
    char columns[128];
    snprintf(columns, sizeof columns,
             "key %s primary key, version bigint not null, state %s not null", type, type);
    begin(&altered, server, NULL, columns);
    pg_sql(server, "create function meet() returns trigger language plpgsql as $$ "
                   "begin if new.key = 'odd' then set client_encoding = 'LATIN1'; end if; "
                   "return null; end $$");
    pg_sql(server, "create trigger meets after insert or update on rows for each row "
                   "execute function meet()");
    const struct write odd[] = {{"odd", "1", status}};
    WRITE_ALL(&altered, odd);
    const struct write writes[] = {{"\xc3\xbc", "\xc3\xbc", BATCH_OK}};
    WRITE_ALL(&altered, writes);
    expect(&altered, "\xc3\xbc", "\xc3\xbc");
    pg_expect(server, "1",
              "select count(*) from rows where octet_length(key) = 2 and octet_length(state) = 2");
    end(&altered);
    pg_sql(server, "drop table rows; drop function meet");
}

TEST_WITH(test_a_trigger_that_changes_the_encoding_changes_no_key, pg_set_up, NULL)
{
    check_recoded(*state, "text", BATCH_UNKNOWN);
    check_recoded(*state, "bytea", BATCH_OK);
}

/* ---- A table that is altered between two saves ---------------------------------------------- */

static void rename_columns(void *server)
{
    pg_sql(server, "alter table rows rename state to was; alter table rows rename next to state; "
                   "alter table rows alter was drop not null");
}

/* A column takes the place of another one, as when a type is changed without a pause. The row of
 * the catalog that stands for the table stays as it was; and it happens between the load and the
 * save, so that it is the save that must notice. */
static void check_renamed(struct postgres_server *server, const char *partition, const char *key)
{
    struct altered altered;
    struct text_request request;
    pg_sql(server,
           "create table rows (key text primary key, version bigint not null, "
           "state text not null, next varchar(3) not null default '') %s; %s",
           partition != NULL ? "partition by hash (key)" : "", partition != NULL ? partition : "");
    begin(&altered, server, NULL, NULL);
    const struct write before[] = {{"old", "one   ", BATCH_OK}, {"other", "one   ", BATCH_OK}};
    WRITE_ALL(&altered, before);
    text_request_init(&request, key, strlen(key), "two   ", strlen("two   "));
    request.request.meddle = rename_columns;
    request.request.meddle_arg = server;
    if (request_run(altered.processor, &request.request) != BATCH_SAVE_FAILED)
        fail_msg("%s: %s", key, request.request.result.message);
    free(request.seen);
    const struct write after[] = {{"new", "two   ", BATCH_SAVE_FAILED},
                                  {"old", "two   ", BATCH_SAVE_FAILED},
                                  {"other", "2  ", BATCH_OK}};
    WRITE_ALL(&altered, after);
    pg_expect(server, "old:, other:2  ",
              "select string_agg(concat(key, ':', state), ', ' order by key) from rows");
    end(&altered);
    pg_sql(server, "drop table rows");
}

TEST_WITH(test_a_column_in_the_place_of_another_one_cuts_off_no_blanks, pg_set_up, NULL)
{
    static const char partition[] =
        "create table part partition of rows for values with (modulus 1, remainder 0)";
    check_renamed(*state, NULL, "old");
    check_renamed(*state, NULL, "new");
    check_renamed(*state, partition, "old");
}

/* Each makes the table unsuitable, without a trace in its own row of the catalog; then it is as
 * before. */
static void check_unsuitable(struct postgres_server *server, const char *change, const char *undo)
{
    struct altered altered;
    begin(&altered, server, NULL, TEXT_COLUMNS);
    const struct write before[] = {{"a", "one", BATCH_OK}};
    WRITE_ALL(&altered, before);
    WRITE_ALL(&altered, before);
    pg_sql(server, "%s", change);
    const struct write alone[] = {{"a", "two", BATCH_LOAD_FAILED}};
    WRITE_ALL(&altered, alone);
    const struct write other[] = {{"A", "two", BATCH_LOAD_FAILED}};
    WRITE_ALL(&altered, other);
    pg_expect(server, "a one", "select string_agg(key || ' ' || state, ', ') from rows");
    pg_sql(server, "%s", undo);
    const struct write after[] = {{"a", "three", BATCH_OK}, {"A", "four", BATCH_OK}};
    WRITE_ALL(&altered, after);
    end(&altered);
    pg_sql(server, "drop table rows");
}

TEST_WITH(test_a_collation_that_makes_keys_equal_is_noticed, pg_set_up, NULL)
{
    pg_sql(*state, "create collation loose (provider = icu, locale = 'und-u-ks-level2', "
                   "deterministic = false)");
    check_unsuitable(*state, "alter table rows alter key type text collate loose",
                     "alter table rows alter key type text");
}

TEST_WITH(test_keys_that_are_no_longer_unique_are_noticed, pg_set_up, NULL)
{
    check_unsuitable(*state, "alter table rows drop constraint rows_pkey",
                     "alter table rows add primary key (key)");
}

/* A table that has a rule does not show that it gets another one. */
TEST_WITH(test_a_rule_that_stores_rows_elsewhere_is_noticed, pg_set_up, NULL)
{
    struct altered altered;
    pg_sql(*state, "create table rows (%s)", TEXT_COLUMNS);
    pg_sql(*state, "create rule first as on delete to rows do also notify deleted");
    begin(&altered, *state, NULL, NULL);
    const struct write before[] = {{"a", "one", BATCH_OK}};
    WRITE_ALL(&altered, before);
    pg_sql(*state, "create table elsewhere as select * from rows");
    pg_sql(*state, "create rule second as on update to rows do instead update elsewhere "
                   "set version = new.version, state = new.state where key = old.key returning *");
    const struct write after[] = {{"a", "two", BATCH_SAVE_FAILED}};
    WRITE_ALL(&altered, after);
    pg_expect(*state, "one", "select state from elsewhere");
    pg_sql(*state, "drop rule second on rows");
    const struct write again[] = {{"a", "three", BATCH_OK}};
    WRITE_ALL(&altered, again);
    expect(&altered, "a", "three");
    end(&altered);
}

static void *get_key(void *altered)
{
    size_t size;
    return text_get(((struct altered *)altered)->processor, "key", strlen("key"), &size);
}

/* A load waits for a change that writes the table anew, and is then given the snapshot of before,
 * in which the new table is empty. It does not wait for long at a time: so there are rounds. */
static void check_rewritten(struct postgres_server *server, const char *isolation)
{
    enum { ROUNDS = 10 };
    struct altered altered;
    char conninfo[2 * POSTGRES_CONNINFO_SIZE];
    pg_sql(server, "create table rows (%s, more int)", TEXT_COLUMNS);
    snprintf(conninfo, sizeof conninfo, "%s options='-c default_transaction_isolation=%s'",
             server->conninfo, isolation);
    begin(&altered, server, conninfo, NULL);
    const struct write writes[] = {{"key", "there", BATCH_OK}};
    WRITE_ALL(&altered, writes);
    PGconn *other = postgres_server_connect(server);
    for (int round = 0; round < ROUNDS; round++) {
        pthread_t thread;
        PQclear(PQexec(other, "begin"));
        PQclear(PQexec(other, round % 2 == 0 ? "alter table rows alter more type bigint"
                                             : "alter table rows alter more type int"));
        assert_int_equal(pthread_create(&thread, NULL, get_key, &altered), 0);
        pg_wait(server, "the load waits for the table",
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' "
                "and application_name = 'libbatch'");
        PQclear(PQexec(other, "commit"));
        void *found;
        pthread_join(thread, &found);
        if (found == NULL)
            fail_msg("nothing was found in round %d", round);
        free(found);
    }
    PQfinish(other);
    end(&altered);
    pg_sql(server, "drop table rows");
}

TEST_WITH(test_a_load_that_waited_for_a_change_does_not_find_an_empty_table, pg_set_up, NULL)
{
    check_rewritten(*state, "serializable");
    check_rewritten(*state, "repeatable\\\\ read");
}

TEST_GROUP(pg_server_set_up, pg_server_tear_down)
