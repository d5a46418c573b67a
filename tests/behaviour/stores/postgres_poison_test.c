/* The PostgreSQL store: whatever one row sets off, it fails alone, and costs the others few
 * statements; what all rows meet is found out with few statements, however many rows there are.
 * None of it is told by the SQLSTATE. */
#include "driver.h"
#include "postgres_case.h"
#include "random.h"
#include "test.h"

enum { KEYS = 400, ODD = 217 };

struct poison {
    struct postgres_server *server;
    batch_store *store;
    batch_processor *processor;
    char keys[KEYS][16];
    struct text_request requests[KEYS];
    struct latch latch, odd_latch;
};

/* A table "rows" of such columns and constraints, besides those of the store. Without sessions, the
 * processor hands over all that it has in one group. */
static struct poison *poison_new(struct postgres_server *server, const char *columns)
{
    struct poison *poison = calloc(1, sizeof *poison);
    assert_non_null(poison);
    pg_sql(server,
           "create table rows (key text primary key, version bigint not null, "
           "state text not null%s)",
           columns);
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    table.table = "rows";
    poison->server = server;
    poison->store = pg_store(server, NULL, &table);
    poison->processor = text_processor(poison->store, 0);
    pg_wait(server, "the connection that opened the store is gone",
            "select (count(*) = 1)::int from pg_stat_activity where application_name = 'libbatch'");
    for (int i = 0; i < KEYS; i++)
        snprintf(poison->keys[i], sizeof poison->keys[i], "key %03d", i);
    return poison;
}

static void poison_free(struct poison *poison)
{
    processor_end_with_store(poison->processor, poison->store);
    pg_sql(poison->server, "drop schema public cascade");
    pg_sql(poison->server, "create schema public");
    free(poison);
}

/* ---- A group -------------------------------------------------------------------------------- */

/* Begin to set the first `keys` to `text`, all at once. */
static void begin(struct poison *poison, size_t keys, const char *text)
{
    batch_op *ops[KEYS];
    latch_init(&poison->latch, keys > ODD ? keys - 1 : keys);
    latch_init(&poison->odd_latch, keys > ODD ? 1 : 0);
    for (size_t i = 0; i < keys; i++) {
        text_request_init(&poison->requests[i], poison->keys[i], strlen(poison->keys[i]), text,
                          strlen(text));
        poison->requests[i].request.latch = i == ODD ? &poison->odd_latch : &poison->latch;
        ops[i] = &poison->requests[i].request.op;
    }
    assert_int_equal(batch_submit_many(poison->processor, ops, keys), BATCH_OK);
}

static void end(struct poison *poison, size_t keys)
{
    latch_wait(&poison->odd_latch);
    latch_destroy(&poison->latch);
    latch_destroy(&poison->odd_latch);
    for (size_t i = 0; i < keys; i++)
        free(poison->requests[i].seen);
}

static void set_all(struct poison *poison, size_t keys, const char *text)
{
    begin(poison, keys, text);
    latch_wait(&poison->latch);
    end(poison, keys);
}

static void assert_others_are_stored(struct poison *poison, const char *text)
{
    for (size_t i = 0; i < KEYS; i++) {
        const batch_result *result = &poison->requests[i].request.result;
        if (i != ODD && result->status != BATCH_OK)
            fail_msg("key %zu: %s", i, result->message);
    }
    assert_int_equal(pg_number(poison->server,
                               "select count(*) from rows where state = '%s' and key <> '%s'", text,
                               poison->keys[ODD]),
                     KEYS - 1);
}

static void assert_all(struct poison *poison, size_t keys, int status, const char *sqlstate)
{
    for (size_t i = 0; i < keys; i++) {
        const batch_result *result = &poison->requests[i].request.result;
        char found[6];
        batch_postgres_sqlstate(result->store_code, found);
        if (result->status != status || (sqlstate != NULL && strcmp(found, sqlstate) != 0))
            fail_msg("key %zu: %s %s: %s", i, batch_status_name(result->status), found,
                     result->message);
    }
}

static void assert_odd(struct poison *poison, const char *sqlstate, const char *stored)
{
    const batch_result *result = &poison->requests[ODD].request.result;
    char found[6];
    batch_postgres_sqlstate(result->store_code, found);
    if (result->status != BATCH_SAVE_FAILED || strcmp(found, sqlstate) != 0)
        fail_msg("%s %s, not %s: %s", batch_status_name(result->status), found, sqlstate,
                 result->message);
    pg_expect(poison->server, stored, "select state from rows where key = '%s'", poison->keys[ODD]);
}

/* The processes of the server that serve the store: others after a connection was made anew. */
static int64_t connections(struct postgres_server *server)
{
    return pg_number(server, "select sum(pid) from pg_stat_activity "
                             "where backend_type = 'client backend' and pid <> pg_backend_pid()");
}

static int set_up(void **state)
{
    pg_set_up(state);
    struct postgres_server *server = *state;
    pg_log_statements(server);
    return 0;
}

/* ---- What single rows set off --------------------------------------------------------------- */

/* A trigger that does `body` for the odd row only; or for all, if `is_for_all`. */
static void make_trigger(struct poison *poison, const char *body, bool is_for_all)
{
    pg_sql(poison->server,
           "create or replace function meet() returns trigger language plpgsql as $$ begin "
           "if new.key = '%s' or %d = 1 then %s end if; return new; end $$",
           poison->keys[ODD], is_for_all, body);
    pg_sql(poison->server, "create or replace trigger meets before insert or update on rows "
                           "for each row execute function meet()");
}

static void drop_trigger(struct poison *poison)
{
    pg_sql(poison->server, "drop trigger if exists meets on rows");
}

enum {
    HALVINGS = 9, /* of KEYS */
    MORE = 6      /* statements, for what does not look like a row's error */
};

/* It fails alone, as a new row and as one that is there; on the same connection. */
static void check_odd(struct poison *poison, const char *body, const char *sqlstate)
{
    int64_t before = connections(poison->server);
    make_trigger(poison, body, false);
    pg_count_logged(poison->server, NULL);
    set_all(poison, KEYS, "one");
    size_t statements = pg_count_logged(poison->server, "execute batch_");
    assert_others_are_stored(poison, "one");
    assert_odd(poison, sqlstate, NULL);
    if (statements == 0 || statements > 1 + 2 * HALVINGS + MORE)
        fail_msg("%s: %zu statements", body, statements);

    drop_trigger(poison);
    set_all(poison, KEYS, "two");
    assert_others_are_stored(poison, "two");

    make_trigger(poison, body, false);
    set_all(poison, KEYS, "three");
    assert_others_are_stored(poison, "three");
    assert_odd(poison, sqlstate, "two");
    drop_trigger(poison);
    assert_int_equal(connections(poison->server), before);
    pg_sql(poison->server, "delete from rows");
}

TEST_WITH(test_whatever_a_trigger_raises_fails_its_row_alone, set_up, NULL)
{
    static const char *const codes[] = {"08006", "0A000", "25006", "26000", "42501",
                                        "42703", "53100", "53200", "57P01", "58030",
                                        "P0001", "XX001", "22012", "23505", "U0001"};
    struct poison *poison = poison_new(*state, "");
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        char body[200];
        snprintf(body, sizeof body,
                 "raise exception 'FATAL: the server stops' using errcode = '%s';", codes[i]);
        check_odd(poison, body, codes[i]);
    }
    poison_free(poison);
}

TEST_WITH(test_whatever_a_row_sets_off_fails_it_alone, set_up, NULL)
{
    static const struct {
        const char *body;
        const char *sqlstate;
    } cases[] = {
        {"insert into missing values (1);", "42P01"},
        {"perform missing(1);", "42883"},
        {"update rows set missing = 1;", "42703"},
        {"perform 1 / 0;", "22012"},
        {"perform 'x'::int;", "22P02"},
        {"perform 2147483647 + 1;", "22003"},
        {"perform recurse(1);", "54001"},
        {"perform length(repeat('x', 1073741824));", "54000"},
        {"insert into small values (1, 'too long');", "22001"},
        {"insert into small values (null, '');", "23502"},
        {"new.state := null;", "23502"},
        {"set transaction isolation level serializable;", "25001"},
        {"execute 'vacuum rows';", "25001"},
    };
    struct poison *poison = poison_new(*state, "");
    pg_sql(*state, "create function recurse(n int) returns int language plpgsql as "
                   "'begin return recurse(n + 1); end'");
    pg_sql(*state, "create table small (one int not null, two varchar(3))");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_odd(poison, cases[i].body, cases[i].sqlstate);
    poison_free(poison);
}

/* What the table itself rejects: `columns` and then `sql`. */
static void check_rejected(struct postgres_server *server, const char *columns, const char *sql,
                           const char *sqlstate)
{
    struct poison *poison = poison_new(server, columns);
    if (sql != NULL)
        pg_sql(server, "%s", sql);
    for (int i = 0; i < 2; i++) {
        const char *text = i == 0 ? "one" : "two";
        set_all(poison, KEYS, text);
        assert_others_are_stored(poison, text);
        assert_odd(poison, sqlstate, NULL);
    }
    poison_free(poison);
}

#define ODD_OR(odd, other) "case when key = 'key 217' then " odd " else " other " end"

TEST_WITH(test_what_the_table_rejects_fails_alone, set_up, NULL)
{
    static const struct {
        const char *columns;
        const char *sql;
        const char *sqlstate;
    } cases[] = {
        {", check (key <> 'key 217')", NULL, "23514"},
        {", more int generated always as (1 / (" ODD_OR("0", "1") ")) stored", NULL, "22012"},
        {", more smallint generated always as (" ODD_OR("70000", "1") ") stored", NULL, "22003"},
        {", more int generated always as (" ODD_OR("'x'", "'1'") "::int) stored", NULL, "22P02"},
        {"", "create index on rows ((1 / (" ODD_OR("0", "1") ")))", "22012"},
        {"",
         "create function noise(k text) returns text language sql immutable as $$ select case "
         "when k = 'key 217' then string_agg(md5(n::text), '') end "
         "from generate_series(1, 400) n $$; create index on rows (noise(key))",
         "54000"},
        {", more text generated always as (" ODD_OR("'key 100'", "key") ") stored unique", NULL,
         "23505"},
        {", more text generated always as (" ODD_OR(
             "'key 100'", "key") ") stored, "
                                 "unique (more) deferrable initially deferred",
         NULL, "23505"},
        {", more text generated always as (" ODD_OR("'key 100'", "key") ") stored, "
                                                                        "exclude (more with =)",
         NULL, "23P01"},
        {") partition by range (key",
         "create table low partition of rows for values from (minvalue) to ('key 217'); "
         "create table high partition of rows for values from ('key 218') to (maxvalue)",
         "23514"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_rejected(*state, cases[i].columns, cases[i].sql, cases[i].sqlstate);
}

/* ---- What may pass -------------------------------------------------------------------------- */

/* The others are done while it waits, and it is done once it can be. */
TEST_WITH(test_a_row_whose_error_may_pass_waits_alone, set_up, NULL)
{
    static const char *const bodies[] = {
        "raise exception 'no' using errcode = '40001';",
        "raise exception 'no' using errcode = '40P01';",
        "raise exception 'no' using errcode = '57014';",
        "raise exception 'no' using errcode = '55P03';",
        "perform pg_cancel_backend(pg_backend_pid()); perform pg_sleep(600);",
    };
    struct poison *poison = poison_new(*state, "");
    processor_end(poison->processor);
    poison->processor = text_processor(poison->store, 4); /* all can be done before it is */
    int64_t before = connections(poison->server);
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
        make_trigger(poison, bodies[i], false);
        begin(poison, KEYS, bodies[i] + 8);
        latch_wait(&poison->latch);
        pthread_mutex_lock(&poison->odd_latch.lock);
        assert_int_equal(poison->odd_latch.left, 1); /* its deadline is far away */
        pthread_mutex_unlock(&poison->odd_latch.lock);
        drop_trigger(poison);
        end(poison, KEYS);
        assert_int_equal(poison->requests[ODD].request.result.status, BATCH_OK);
    }
    assert_int_equal(connections(poison->server), before);
    poison_free(poison);
}

TEST_WITH(test_a_row_whose_error_does_not_pass_fails_at_its_deadline, set_up, NULL)
{
    struct poison *poison = poison_new(*state, "");
    batch_options options = text_options(poison->store, 0);
    options.deadline_ns = 300000000;
    processor_end(poison->processor);
    poison->processor = processor_start(&options);
    make_trigger(poison, "raise exception 'it never passes' using errcode = '40001';", false);
    begin(poison, KEYS, "one");
    latch_wait(&poison->latch);
    end(poison, KEYS);
    assert_odd(poison, "40001", NULL);
    assert_non_null(strstr(poison->requests[ODD].request.result.message, "it never passes"));
    poison_free(poison);
}

/* ---- What all rows meet --------------------------------------------------------------------- */

enum { FEW = 12 };

/* All fail, with few statements, however many keys there are. */
static void check_all_fail(struct poison *poison, const char *sqlstate, size_t most)
{
    static const size_t sizes[] = {100, KEYS};
    for (int i = 0; i < 2; i++) {
        pg_count_logged(poison->server, NULL);
        set_all(poison, sizes[i], "two");
        size_t statements = pg_count_logged(poison->server, "execute batch_");
        assert_all(poison, sizes[i], BATCH_SAVE_FAILED, sqlstate);
        if (statements == 0 || statements > most)
            fail_msg("%zu keys: %zu statements", sizes[i], statements);
    }
    assert_int_equal(pg_number(poison->server, "select count(*) from rows where state = 'two'"), 0);
}

TEST_WITH(test_a_trigger_that_fails_for_all_takes_few_statements, set_up, NULL)
{
    struct poison *poison = poison_new(*state, "");
    set_all(poison, KEYS, "one");
    make_trigger(poison, "insert into missing values (1);", true);
    check_all_fail(poison, "42P01", 64 + FEW);
    make_trigger(poison, "raise exception 'no' using errcode = '57P01';", true);
    check_all_fail(poison, "57P01", 64 + FEW);
    drop_trigger(poison);
    set_all(poison, KEYS, "three");
    assert_all(poison, KEYS, BATCH_OK, NULL);
    poison_free(poison);
}

TEST_WITH(test_a_trigger_of_the_statement_that_fails_takes_few_statements, set_up, NULL)
{
    static const char *const bodies[] = {"raise exception 'closed'", "perform missing(1)",
                                         "perform 1 / 0"};
    static const char *const sqlstates[] = {"P0001", "42883", "22012"};
    struct poison *poison = poison_new(*state, "");
    set_all(poison, KEYS, "one");
    for (size_t i = 0; i < 3; i++) {
        pg_sql(*state,
               "create or replace function meet() returns trigger language plpgsql as "
               "$$ begin %s; return null; end $$",
               bodies[i]);
        pg_sql(*state, "create or replace trigger meets before insert or update on rows "
                       "for each statement execute function meet()");
        check_all_fail(poison, sqlstates[i], FEW);
    }
    poison_free(poison);
}

static uint64_t groups_saved(const struct poison *poison)
{
    batch_stats stats = BATCH_STATS_INIT;
    assert_int_equal(batch_processor_stats(poison->processor, &stats), BATCH_OK);
    return stats.save_group.count;
}

/* Rows that are each rejected for what is in them, all at the same place: some are asked about. */
TEST_WITH(test_values_that_are_all_rejected_take_as_many_statements_however_many_there_are, set_up,
          NULL)
{
    /* The processor hands over thousands of keys at a time; fewer if to run them takes long. */
    enum { MANY = 5000, TRIED = 256, HALVED = 12 };
    static const struct {
        const char *rule;
        const char *end;
        const char *sqlstate;
    } rules[] = {
        {"alter table rows add constraint closed check (state <> 'two') not valid",
         "alter table rows drop constraint closed", "23514"},
        {"create trigger meets before insert or update on rows for each row "
         "execute function refuse()",
         "drop trigger meets on rows", "P0001"},
    };
    struct poison *poison = poison_new(*state, "");
    static struct text_request requests[MANY];
    static char keys[MANY][16];
    pg_sql(*state, "create function refuse() returns trigger language plpgsql as "
                   "$$ begin raise exception '%% is closed', new.key; end $$");
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        pg_sql(*state, "%s", rules[i].rule);
        for (size_t j = 0; j < MANY; j++) {
            snprintf(keys[j], sizeof keys[j], "many %zu", j);
            text_request_init(&requests[j], keys[j], strlen(keys[j]), "two", 3);
        }
        pg_count_logged(*state, NULL);
        uint64_t groups_before = groups_saved(poison);
        pg_texts_run(poison->processor, requests, MANY);
        size_t statements = pg_count_logged(*state, "execute batch_"), tried = 0;
        for (size_t j = 0; j < MANY; j++) {
            const batch_result *result = &requests[j].request.result;
            char sqlstate[6];
            batch_postgres_sqlstate(result->store_code, sqlstate);
            if (result->status != BATCH_SAVE_FAILED || strcmp(sqlstate, rules[i].sqlstate) != 0)
                fail_msg("key %zu: %s", j, result->message);
            tried += strstr(result->message, "not tried") == NULL;
            free(requests[j].seen);
        }
        size_t groups = (size_t)(groups_saved(poison) - groups_before);
        assert_in_range(tried, TRIED, groups * TRIED);
        if (statements < tried || statements > groups * (TRIED + HALVED + FEW))
            fail_msg("%s: %zu statements", rules[i].sqlstate, statements);
        pg_sql(*state, "%s", rules[i].end);
    }
    pg_expect(*state, "0", "select count(*) from rows");
    set_all(poison, KEYS, "three");
    assert_all(poison, KEYS, BATCH_OK, NULL);
    poison_free(poison);
}

static void revoke(void *arg)
{
    pg_sql(arg, "revoke insert, update on rows from clerk");
}

/* Of another role, which loses what it may do between the load and the save. */
TEST_WITH(test_a_permission_that_is_lost_takes_few_statements, set_up, NULL)
{
    struct poison *poison = poison_new(*state, "");
    set_all(poison, KEYS, "one");
    pg_sql(*state, "drop role if exists clerk");
    pg_sql(*state, "create role clerk login password 'clerk'");
    pg_sql(*state, "grant usage on schema public to clerk");
    pg_sql(*state, "grant select, insert, update on rows to clerk");
    char conninfo[POSTGRES_CONNINFO_SIZE + 64];
    snprintf(conninfo, sizeof conninfo, "%s user=clerk", poison->server->conninfo);
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    table.table = "rows";
    processor_end_with_store(poison->processor, poison->store);
    poison->store = pg_store(*state, conninfo, &table);
    poison->processor = text_processor(poison->store, 0);
    revoke(*state);
    check_all_fail(poison, "42501", FEW);
    pg_sql(*state, "grant insert, update on rows to clerk");
    set_all(poison, KEYS, "three");
    assert_all(poison, KEYS, BATCH_OK, NULL);
    poison_free(poison);
    pg_sql(*state, "drop role clerk");
}

/* ---- Loads ---------------------------------------------------------------------------------- */

/* The odd row is damaged: its state has lost a part. */
TEST_WITH(test_a_row_that_cannot_be_read_fails_alone, set_up, NULL)
{
    struct poison *poison = poison_new(*state, "");
    pg_sql(*state, "create extension pg_surgery");
    pg_sql(*state, "alter table rows alter state set storage external");
    set_all(poison, KEYS, "one");
    pg_sql(*state, "update rows set state = repeat('x', 9000) where key = '%s'", poison->keys[ODD]);
    char *toast = pg_value(*state, "select reltoastrelid::regclass::text from pg_class "
                                   "where relname = 'rows'");
    pg_sql(*state, "select heap_force_kill('%s'::regclass, array['(0,1)'::tid])", toast);
    free(toast);
    pg_count_logged(*state, NULL);
    set_all(poison, KEYS, "two");
    size_t statements = pg_count_logged(*state, "execute batch_");
    assert_others_are_stored(poison, "two");
    const batch_result *result = &poison->requests[ODD].request.result;
    assert_int_equal(result->status, BATCH_LOAD_FAILED);
    if (strstr(result->message, "chunk") == NULL)
        fail_msg("%s", result->message);
    assert_true(statements > 0 && statements <= 2 + 2 * HALVINGS + MORE);
    poison_free(poison);
}

TEST_GROUP(pg_server_set_up, pg_server_tear_down)
