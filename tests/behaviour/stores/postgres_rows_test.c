/* The PostgreSQL store: each key of a group has an outcome of its own, whatever the table, its
 * triggers and other programs do to single rows. */
#include <batch/metrics.h>

#include "driver.h"
#include "postgres_case.h"
#include "random.h"
#include "test.h"

#define MS 1000000u

enum { KEYS = 1000, ODD = 617, DEADLINE_MS = 200, DEADLINE_MAX_MS = 30000 };

/* A table of such columns. With `sessions` 0 the processor hands over all it has at once. */
struct pg_case {
    struct postgres_server *server;
    batch_store *store;
    batch_processor *processor;
    char keys[KEYS][16];
    size_t key_sizes[KEYS];
    struct text_request requests[KEYS];
};

static struct pg_case *pg_new(struct postgres_server *server, const char *columns,
                              uint32_t sessions)
{
    struct pg_case *pg = calloc(1, sizeof *pg);
    assert_non_null(pg);
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    table.table = "rows";
    pg_sql(server, "create table rows (%s)", columns);
    pg->server = server;
    pg->store = pg_store(server, NULL, &table);
    batch_options options = text_options(pg->store, sessions);
    pg->processor = processor_start(&options);
    for (size_t i = 0; i < KEYS; i++)
        pg->key_sizes[i] = (size_t)snprintf(pg->keys[i], sizeof pg->keys[i], "key %zu", i);
    return pg;
}

#define TEXT_COLUMNS "key text primary key, state text not null, version bigint not null"

static void pg_free(struct pg_case *pg)
{
    processor_end(pg->processor);
    pg_store_end(pg->store);
    free(pg);
}

#define ROWS_TEST(name, columns)                                                                   \
    static void name##_rows(struct pg_case *pg);                                                   \
    PG_TEST(name)                                                                                  \
    {                                                                                              \
        struct pg_case *pg = pg_new(server, columns, 0);                                           \
        name##_rows(pg);                                                                           \
        pg_free(pg);                                                                               \
    }                                                                                              \
    static void name##_rows(struct pg_case *pg)

/* ---- One row is refused --------------------------------------------------------------------- */

/* Give every key the state `text`, the odd one `odd_text`, all at once. */
static void set_all(struct pg_case *pg, const char *text, const char *odd_text, size_t odd_size)
{
    for (size_t i = 0; i < KEYS; i++) {
        text_request_init(&pg->requests[i], pg->keys[i], pg->key_sizes[i],
                          i == ODD ? odd_text : text, i == ODD ? odd_size : strlen(text));
    }
    pg_texts_run(pg->processor, pg->requests, KEYS);
    for (size_t i = 0; i < KEYS; i++)
        free(pg->requests[i].seen);
}

/* All but the odd one were completed with OK, and so it is; the odd one is as before. */
static void check_all(struct pg_case *pg, const char *text, const char *odd_before)
{
    for (size_t i = 0; i < KEYS; i++) {
        const batch_result *result = &pg->requests[i].request.result;
        if (i != ODD && result->status != BATCH_OK)
            fail_msg("key %zu: %s", i, result->message);
    }
    assert_int_equal(pg_number(pg->server,
                               "select count(*) from rows where state::text = '%s' "
                               "and key <> 'key %d'",
                               text, ODD),
                     KEYS - 1);
    pg_expect(pg->server, odd_before, "select state::text from rows where key = 'key %d'", ODD);
}

/* How the odd one ends, as new rows and as rows that are there. SQLSTATE NULL: any. */
static void check_odd(struct pg_case *pg, const char *odd_text, size_t odd_size, int wanted,
                      const char *wanted_sqlstate)
{
    static const char *const texts[] = {"\"one\"", "\"two\""};
    for (size_t turn = 0; turn < 2; turn++) {
        char sqlstate[6];
        set_all(pg, texts[turn], odd_text, odd_size);
        const batch_result *result = &pg->requests[ODD].request.result;
        if (result->status != wanted)
            fail_msg("%s (%s), not %s", batch_status_name(result->status), result->message,
                     batch_status_name(wanted));
        assert_non_null(strstr(result->message, "key 617"));
        batch_postgres_sqlstate(result->store_code, sqlstate);
        if (wanted_sqlstate != NULL)
            assert_string_equal(sqlstate, wanted_sqlstate);
        check_all(pg, texts[turn], turn == 0 ? NULL : "\"good\"");
        if (turn == 0) { /* make it, and have another try */
            set_all(pg, "\"zero\"", "\"good\"", 6);
            assert_int_equal(pg->requests[ODD].request.result.status, BATCH_OK);
            check_all(pg, "\"zero\"", "\"good\"");
        }
    }
}

ROWS_TEST(test_a_check_constraint_refuses_one,
          TEXT_COLUMNS ", constraint no_odd check (state <> 'odd')")
{
    check_odd(pg, "odd", 3, BATCH_SAVE_FAILED, "23514");
    assert_non_null(strstr(pg->requests[ODD].request.result.message, "no_odd"));
}

/* "when" is when the function is run, which does `body` to odd rows. */
static void make_trigger(struct pg_case *pg, const char *when, const char *body)
{
    pg_sql(pg->server,
           "create function meet() returns trigger language plpgsql as $$ begin "
           "if new.state = 'odd' then %s end if; return new; end $$",
           body);
    pg_sql(pg->server, "create %s for each row execute function meet()", when);
}

ROWS_TEST(test_a_trigger_refuses_one, TEXT_COLUMNS)
{
    make_trigger(pg, "trigger meets before insert or update on rows",
                 "raise exception 'not this one';");
    check_odd(pg, "odd", 3, BATCH_SAVE_FAILED, "P0001");
    assert_non_null(strstr(pg->requests[ODD].request.result.message, "not this one"));
}

ROWS_TEST(test_a_deferred_trigger_refuses_one_at_commit, TEXT_COLUMNS)
{
    make_trigger(pg,
                 "constraint trigger meets after insert or update on rows "
                 "deferrable initially deferred",
                 "raise exception 'too late' using errcode = '23514';");
    check_odd(pg, "odd", 3, BATCH_SAVE_FAILED, "23514");
}

PG_TEST(test_a_deferred_foreign_key_refuses_one_at_commit)
{
    pg_sql(server, "create table allowed (state text primary key)");
    pg_sql(server, "insert into allowed values ('\"zero\"'), ('\"one\"'), ('\"two\"'), "
                   "('\"good\"')");
    struct pg_case *pg =
        pg_new(server,
               "key text primary key, version int not null, "
               "state text not null references allowed deferrable initially deferred",
               0);
    check_odd(pg, "odd", 3, BATCH_SAVE_FAILED, "23503");
    pg_free(pg);
}

/* A trigger that returns null: no error, and no row. */
ROWS_TEST(test_a_trigger_leaves_one_out, TEXT_COLUMNS)
{
    make_trigger(pg, "trigger meets before insert or update on rows", "return null;");
    set_all(pg, "one", "odd", 3);
    assert_false(batch_may_be_applied(pg->requests[ODD].request.result.status));
    check_all(pg, "one", NULL);
    set_all(pg, "one", "good", 4);
    set_all(pg, "two", "odd", 3);
    assert_false(batch_may_be_applied(pg->requests[ODD].request.result.status));
    check_all(pg, "two", "good");
}

/* A trigger that changes what is stored. */
ROWS_TEST(test_a_trigger_changes_one, TEXT_COLUMNS)
{
    make_trigger(pg, "trigger meets before insert or update on rows", "new.state := 'even';");
    check_odd(pg, "odd", 3, BATCH_SAVE_FAILED, NULL);
}

/* A warning is no refusal, whenever it comes. */
static void check_warned(struct postgres_server *server, const char *when)
{
    struct pg_case *pg = pg_new(server, TEXT_COLUMNS, 0);
    make_trigger(pg, when, "raise warning 'odd, but well'; raise notice 'really';");
    for (int turn = 0; turn < 2; turn++) {
        set_all(pg, turn == 0 ? "one" : "two", "odd", 3);
        const batch_result *result = &pg->requests[ODD].request.result;
        if (result->status != BATCH_OK)
            fail_msg("%s: %s", batch_status_name(result->status), result->message);
        check_all(pg, turn == 0 ? "one" : "two", "odd");
    }
    pg_free(pg);
}

PG_TEST(test_a_trigger_warns_of_one)
{
    check_warned(server, "trigger meets before insert or update on rows");
}

PG_TEST(test_a_deferred_trigger_warns_of_one)
{
    check_warned(server, "constraint trigger meets after insert or update on rows "
                         "deferrable initially deferred");
}

PG_TEST(test_no_json)
{
    struct pg_case *pg =
        pg_new(server, "key text primary key, state jsonb not null, version int not null", 0);
    check_odd(pg, "{\"n\": ", 6, BATCH_SAVE_FAILED, NULL);
    pg_free(pg);
    postgres_server_execute(server, "drop table rows");
    pg = pg_new(server, "key text primary key, state jsonb not null, version int not null", 0);
    check_odd(pg, "\"\\u0000\"", 8, BATCH_SAVE_FAILED, NULL); /* JSON, but not for PostgreSQL */
    pg_free(pg);
}

TEST_WITH(test_no_text, pg_set_up, NULL)
{
    static const struct {
        const char *bytes;
        size_t size;
    } texts[] = {{"a\0b", 3}, {"\xff", 1}, {"\xc3", 1}, {"\xed\xa0\x80", 3}, {"\xc0\x80", 2}};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        pg_set_up(state);
        struct pg_case *pg = pg_new(*state, TEXT_COLUMNS, 0);
        check_odd(pg, texts[i].bytes, texts[i].size, BATCH_SAVE_FAILED, NULL);
        pg_free(pg);
    }
}

ROWS_TEST(test_a_state_that_is_too_long_for_its_column,
          "key text primary key, state varchar(8) not null, version int not null")
{
    check_odd(pg, "123456789", 9, BATCH_SAVE_FAILED, "22001");
}

/* Keys that a text column cannot hold: refused, alone. */
ROWS_TEST(test_a_key_that_is_no_text, TEXT_COLUMNS)
{
    static const struct {
        const char *bytes;
        size_t size;
    } keys[] = {{"a\0b", 3}, {"\xff", 1}, {"\xed\xa0\x80", 3}};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        for (size_t j = 0; j < 3; j++) {
            text_request_init(&pg->requests[j], pg->keys[j], pg->key_sizes[j], "one", 3);
            pg->requests[j].request.result.status = BATCH_OK;
        }
        pg->requests[1].request.op.key = keys[i].bytes;
        pg->requests[1].request.op.key_size = keys[i].size;
        pg_texts_run(pg->processor, pg->requests, 3);
        assert_int_equal(pg->requests[0].request.result.status, BATCH_OK);
        assert_false(batch_may_be_applied(pg->requests[1].request.result.status));
        assert_int_equal(pg->requests[2].request.result.status, BATCH_OK);
        free(pg->requests[0].seen);
        free(pg->requests[1].seen);
        free(pg->requests[2].seen);
        pg_expect(pg->server, "2", "select count(*) from rows");
    }
}

/* ---- Others have written meanwhile ---------------------------------------------------------- */

enum { CHANGED = 10, DELETED = 11, MADE = 12 };

static void interfere(void *arg)
{
    struct pg_case *pg = arg;
    pg_sql(pg->server,
           "update rows set state = 'theirs', version = version + 1 where key = 'key %d'", CHANGED);
    pg_sql(pg->server, "delete from rows where key = 'key %d'", DELETED);
    pg_sql(pg->server, "insert into rows values ('key %d', 'theirs', 1)", MADE);
}

ROWS_TEST(test_every_outcome_in_one_group,
          TEXT_COLUMNS ", constraint no_odd check (state <> 'odd')")
{
    set_all(pg, "one", "good", 4);
    pg_sql(pg->server, "delete from rows where key = 'key %d'", MADE);
    for (size_t i = 0; i < KEYS; i++) {
        const char *text = i == ODD ? "odd" : "two";
        text_request_init(&pg->requests[i], pg->keys[i], pg->key_sizes[i], text, 3);
    }
    pg->requests[KEYS / 2].request.meddle = interfere;
    pg->requests[KEYS / 2].request.meddle_arg = pg;
    pg_texts_run(pg->processor, pg->requests, KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        bool is_conflict = i == CHANGED || i == DELETED || i == MADE;
        int wanted = is_conflict ? BATCH_CONFLICT : i == ODD ? BATCH_SAVE_FAILED : BATCH_OK;
        if (pg->requests[i].request.result.status != wanted)
            fail_msg("key %zu: %s", i, pg->requests[i].request.result.message);
        free(pg->requests[i].seen);
    }
    assert_int_equal(pg_number(pg->server, "select count(*) from rows where state = 'two'"),
                     KEYS - 4);
    pg_expect(pg->server, "theirs", "select state from rows where key = 'key %d'", CHANGED);
    pg_expect(pg->server, NULL, "select state from rows where key = 'key %d'", DELETED);
    pg_expect(pg->server, "theirs", "select state from rows where key = 'key %d'", MADE);
    pg_expect(pg->server, "good", "select state from rows where key = 'key %d'", ODD);
}

/* ---- Others have a row locked --------------------------------------------------------------- */

static void execute(PGconn *other, const char *sql)
{
    PGresult *result = PQexec(other, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(other));
    PQclear(result);
}

/* While another program has a row locked by `lock`, all other keys are saved; the odd one once
 * it has done `end`: as `wanted`. */
static void check_locked(struct postgres_server *server, bool is_there, const char *lock,
                         const char *end, int wanted)
{
    struct pg_case *pg = pg_new(server, TEXT_COLUMNS, 3); /* the default */
    struct latch others, odd;
    batch_op *ops[KEYS];
    set_all(pg, "one", "good", 4);
    if (!is_there)
        pg_sql(server, "delete from rows where key = 'key %d'", ODD);
    PGconn *other = postgres_server_connect(server);
    execute(other, "begin");
    execute(other, lock);
    latch_init(&others, KEYS - 1);
    latch_init(&odd, 1);
    for (size_t i = 0; i < KEYS; i++) {
        text_request_init(&pg->requests[i], pg->keys[i], pg->key_sizes[i], "two", 3);
        pg->requests[i].request.latch = i == ODD ? &odd : &others;
        pg->requests[i].request.result.status = -1000; /* not complete */
        ops[i] = &pg->requests[i].request.op;
    }
    assert_int_equal(batch_submit_many(pg->processor, ops, KEYS), BATCH_OK);
    latch_wait(&others);
    assert_int_equal(pg_number(server, "select count(*) from rows where state = 'two'"), KEYS - 1);
    pthread_mutex_lock(&odd.lock);
    assert_int_equal(odd.left, 1); /* it is not complete: its deadline is far away */
    pthread_mutex_unlock(&odd.lock);
    batch_stats stats = BATCH_STATS_INIT;
    batch_processor_stats(pg->processor, &stats);
    assert_true(stats.events[BATCH_EVENT_LOCK_WAIT] > 0);
    execute(other, end);
    latch_wait(&odd);
    const batch_result *result = &pg->requests[ODD].request.result;
    if (result->status != wanted)
        fail_msg("%s: %s", batch_status_name(result->status), result->message);
    check_all(pg, "two", wanted == BATCH_OK ? "two" : "theirs");
    for (size_t i = 0; i < KEYS; i++)
        free(pg->requests[i].seen);
    latch_destroy(&others);
    latch_destroy(&odd);
    PQfinish(other);
    pg_free(pg);
}

#define LOCK_ODD   "select from rows where key = 'key 617' for update"
#define UPDATE_ODD "update rows set state = 'theirs', version = version + 1 where key = 'key 617'"
#define INSERT_ODD "insert into rows values ('key 617', 'theirs', 1)"

PG_TEST(test_a_locked_row_waits_alone)
{
    check_locked(server, true, LOCK_ODD, "rollback", BATCH_OK);
}

PG_TEST(test_a_row_that_is_being_updated_waits_alone)
{
    check_locked(server, true, UPDATE_ODD, "commit", BATCH_CONFLICT);
}

PG_TEST(test_a_row_that_is_being_made_waits_alone)
{
    check_locked(server, false, INSERT_ODD, "commit", BATCH_CONFLICT);
}

PG_TEST(test_a_row_that_was_not_made_after_all)
{
    check_locked(server, false, INSERT_ODD, "rollback", BATCH_OK);
}

/* Of two sessions one at a time saves, so a locked row holds up whoever is not in its group; but
 * not for longer than its deadline. */
PG_TEST(test_a_locked_row_holds_up_the_saves_of_two_sessions_until_its_deadline)
{
    struct pg_case *pg = pg_new(server, TEXT_COLUMNS, 2);
    batch_options options = text_options(pg->store, 2);
    options.deadline_ns = DEADLINE_MS * MS;
    set_all(pg, "one", "good", 4);
    PGconn *other = postgres_server_connect(server);
    execute(other, "begin");
    execute(other, LOCK_ODD);
    batch_processor *hurried = processor_start(&options);
    struct text_request odd, next;
    struct latch latch;
    batch_op *op = &odd.request.op;
    latch_init(&latch, 1);
    text_request_init(&odd, pg->keys[ODD], pg->key_sizes[ODD], "two", 3);
    odd.request.latch = &latch;
    assert_int_equal(batch_submit_many(hurried, &op, 1), BATCH_OK);
    int status;
    do {
        text_request_init(&next, pg->keys[0], pg->key_sizes[0], "two", 3);
        status = request_run(hurried, &next.request);
        free(next.seen);
        assert_int_equal(batch_may_be_applied(status), status == BATCH_OK);
    } while (status != BATCH_OK); /* a slow machine may take longer than the deadline */
    latch_wait(&latch);
    latch_destroy(&latch);
    free(odd.seen);
    assert_int_not_equal(odd.request.result.status, BATCH_OK);
    execute(other, "rollback");
    PQfinish(other);
    processor_end(hurried);
    pg_free(pg);
}

/* It is not let go: at the deadline, not applied. */
static void check_locked_for_ever(struct postgres_server *server, const char *lock)
{
    struct pg_case *pg = pg_new(server, TEXT_COLUMNS, 1);
    set_all(pg, "one", "good", 4);
    int status = BATCH_OK;
    /* The deadline may come before the save, and then there is more time. */
    for (uint64_t ms = DEADLINE_MS; status != BATCH_SAVE_FAILED; ms *= 2) {
        if (ms > DEADLINE_MAX_MS)
            fail_msg("it never fails, but is %s", batch_status_name(status));
        batch_options options = text_options(pg->store, 1);
        options.deadline_ns = ms * MS;
        batch_processor *hurried = processor_start(&options);
        PGconn *other = postgres_server_connect(server);
        execute(other, "begin");
        execute(other, lock);
        struct text_request request;
        text_request_init(&request, pg->keys[ODD], pg->key_sizes[ODD], "two", 3);
        status = request_run(hurried, &request.request);
        free(request.seen);
        processor_end(hurried);
        execute(other, "rollback");
        PQfinish(other);
        assert_int_not_equal(status, BATCH_OK);
        assert_int_not_equal(status, BATCH_CONFLICT);
        if (status == BATCH_LOAD_FAILED && strstr(lock, "exclusive") != NULL)
            break; /* it cannot even be read */
    }
    pg_expect(server, "good", "select state from rows where key = 'key %d'", ODD);
    text_set(pg->processor, pg->keys[ODD], pg->key_sizes[ODD], "two", 3);
    pg_expect(server, "two", "select state from rows where key = 'key %d'", ODD);
    pg_free(pg);
}

PG_TEST(test_a_row_stays_locked)
{
    check_locked_for_ever(server, LOCK_ODD);
}

PG_TEST(test_a_table_stays_locked_for_writing)
{
    check_locked_for_ever(server, "lock rows in share mode");
}

PG_TEST(test_a_table_stays_locked)
{
    check_locked_for_ever(server, "lock table rows in access exclusive mode");
}

/* ---- Large ---------------------------------------------------------------------------------- */

enum { LARGE_KEYS = 14, LARGE_SIZE = 8 << 20 };

/* Over 100 MB: more than one statement may hold. */
ROWS_TEST(test_a_large_group, "key text primary key, state bytea not null, version bigint not null")
{
    pg_sql(pg->server, "alter table rows alter state set storage external");
    char *bytes = malloc(LARGE_SIZE);
    assert_non_null(bytes);
    for (int turn = 0; turn < 2; turn++) {
        memset(bytes, 'a' + turn, LARGE_SIZE);
        for (size_t i = 0; i < LARGE_KEYS; i++)
            text_request_init(&pg->requests[i], pg->keys[i], pg->key_sizes[i], bytes, LARGE_SIZE);
        pg_texts_run(pg->processor, pg->requests, LARGE_KEYS);
        for (size_t i = 0; i < LARGE_KEYS; i++) {
            if (pg->requests[i].request.result.status != BATCH_OK)
                fail_msg("%s", pg->requests[i].request.result.message);
            assert_int_equal(pg->requests[i].seen_size, turn == 0 ? 0 : LARGE_SIZE);
            free(pg->requests[i].seen);
        }
        assert_int_equal(
            pg_number(pg->server,
                      "select sum(length(state)) from rows where get_byte(state, 7) = %d",
                      'a' + turn),
            (int64_t)LARGE_KEYS * LARGE_SIZE);
    }
    free(bytes);
}

/* Keys of the greatest length, which differ in their last byte. */
PG_TEST(test_the_longest_keys)
{
    enum { LONG_KEYS = 20 };
    static char keys[LONG_KEYS][BATCH_KEY_SIZE_MAX];
    struct text_request requests[LONG_KEYS];
    batch_store *store = pg_store(server, NULL, NULL);
    batch_options options = text_options(store, 0);
    for (int turn = 0; turn < 3; turn++) {
        batch_processor *processor = processor_start(&options);
        for (size_t i = 0; i < LONG_KEYS; i++) {
            memset(keys[i], 'k', sizeof keys[i]);
            keys[i][sizeof keys[i] - 1] = (char)i;
            text_request_init(&requests[i], keys[i], sizeof keys[i], "state", 5);
        }
        pg_texts_run(processor, requests, LONG_KEYS);
        for (size_t i = 0; i < LONG_KEYS; i++) {
            if (requests[i].request.result.status != BATCH_OK)
                fail_msg("%s", requests[i].request.result.message);
            assert_int_equal(requests[i].seen == NULL, turn == 0);
            free(requests[i].seen);
        }
        processor_end(processor);
        assert_int_equal(pg_number(server, "select count(*) from batch"), LONG_KEYS);
    }
    pg_store_end(store);
}

/* In a table of others, whose index does not take such a key: alone. */
ROWS_TEST(test_a_key_that_is_too_long_for_the_index,
          "key bytea primary key, state text not null, version bigint not null")
{
    static unsigned char key[BATCH_KEY_SIZE_MAX];
    struct random random = {1}; /* what cannot be compressed */
    for (size_t i = 0; i < sizeof key; i++)
        key[i] = (unsigned char)random_next(&random);
    for (size_t i = 0; i < 3; i++)
        text_request_init(&pg->requests[i], pg->keys[i], pg->key_sizes[i], "one", 3);
    pg->requests[1].request.op.key = key;
    pg->requests[1].request.op.key_size = sizeof key;
    pg_texts_run(pg->processor, pg->requests, 3);
    for (size_t i = 0; i < 3; i++)
        free(pg->requests[i].seen);
    assert_int_equal(pg->requests[0].request.result.status, BATCH_OK);
    assert_false(batch_may_be_applied(pg->requests[1].request.result.status));
    assert_int_equal(pg->requests[2].request.result.status, BATCH_OK);
    pg_expect(pg->server, "2", "select count(*) from rows");
}

TEST_GROUP(pg_server_set_up, pg_server_tear_down)
