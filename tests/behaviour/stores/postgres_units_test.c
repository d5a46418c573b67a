#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* pthread_barrier_t */
#endif
/* The PostgreSQL store: units, where other clients write the same rows at the same time. What every
 * store must do is in the suite; here are the locks, the statements and the types of this one. */
#include "driver.h"
#include "gate.h"
#include "postgres_case.h"
#include "runtime/call.h"
#include "store_wrapper.h"
#include "test.h"

#include <pthread.h>
#include <stdatomic.h>

enum { KEY_SIZE = 32, REQUESTS_MAX = 600 };

/* Its save waits at the gate, and stores nothing. */
#define HOLD "-hold"

/* A processor on the table "units", and which keys are tied: "A:any" belongs to unit A, and so on;
 * "any" is alone. Those that end in a question mark are only checked, and those that begin with
 * `checked`. */
struct client {
    struct store_wrapper wrapper; /* first */
    batch_store *store;
    batch_processor *processor;
    const char *checked; /* or NULL */
    struct gate gate;    /* before each save */
    size_t saved;        /* calls in the last group */
    struct text_request requests[REQUESTS_MAX];
    char keys[REQUESTS_MAX][KEY_SIZE];
    size_t size;
};

static void save(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    struct client *client = (struct client *)store_wrapper_of(store);
    size_t size;
    gate_pass(&client->gate);
    if (calls_size == 1 && memcmp(batch_call_key(calls[0], &size), HOLD, strlen(HOLD)) == 0) {
        batch_call_set_version(calls[0], 1);
        batch_call_finish(calls[0], BATCH_OK);
        return;
    }
    client->saved = calls_size;
    for (size_t i = 0; i < calls_size; i++) {
        const char *key = batch_call_key(calls[i], &size);
        size_t colon = 0;
        while (colon < size && key[colon] != ':')
            colon++;
        unsigned unit = 0;
        for (size_t k = 0; k < colon; k++)
            unit = unit * 26 + (unsigned)(key[k] - 'A');
        const char *checked = client->checked;
        calls[i]->unit = (uint16_t)(colon < size ? unit + 1 : 0);
        calls[i]->is_check = key[size - 1] == '?' ||
                             (checked != NULL && strncmp(key, checked, strlen(checked)) == 0);
    }
    client->wrapper.inner->save(client->wrapper.inner, session, calls, calls_size);
}

static struct client *client_new(struct postgres_server *server)
{
    batch_postgres_options table = BATCH_POSTGRES_OPTIONS_INIT;
    struct client *client = calloc(1, sizeof *client);
    assert_non_null(client);
    table.table = "units";
    client->store = pg_store(server, NULL, &table);
    store_wrapper_init(&client->wrapper, "units", client->store);
    client->wrapper.store.save = save;
    gate_init(&client->gate);
    client->wrapper.store.saves_max = 1;
    client->processor = text_processor(&client->wrapper.store, 2);
    return client;
}

static void client_end(struct client *client)
{
    processor_end_with_store(client->processor, client->store);
    gate_destroy(&client->gate);
    free(client);
}

/* One more key for the next group, which is set to `text`. */
static struct batch_result *plan(struct client *client, const char *key, const char *text)
{
    assert_true(client->size < REQUESTS_MAX);
    struct text_request *request = &client->requests[client->size];
    char *own = client->keys[client->size++];
    snprintf(own, KEY_SIZE, "%s", key);
    text_request_init(request, own, strlen(own), text, strlen(text));
    return &request->request.result;
}

static void count_down(void *latch)
{
    latch_count_down(latch);
}

/* Submit what is planned, so that all of it is saved in one group: the save of another key is held
 * until everything has run; and until `meanwhile` (or NULL) has. The latches of the requests are
 * set. */
static void submit_as_a_group(struct client *client, void (*meanwhile)(void *arg), void *arg)
{
    struct text_request hold;
    struct latch ran, held;
    batch_op *ops[REQUESTS_MAX], *op = &hold.request.op;
    gate_close(&client->gate);
    latch_init(&ran, client->size);
    latch_init(&held, 1);
    text_request_init(&hold, HOLD, strlen(HOLD), "held", 4);
    hold.request.latch = &held;
    assert_int_equal(batch_submit_many(client->processor, &op, 1), BATCH_OK);
    gate_await(&client->gate, 1);
    for (size_t i = 0; i < client->size; i++) {
        client->requests[i].request.meddle = count_down;
        client->requests[i].request.meddle_arg = &ran;
        ops[i] = &client->requests[i].request.op;
    }
    assert_int_equal(batch_submit_many(client->processor, ops, client->size), BATCH_OK);
    latch_wait(&ran);
    if (meanwhile != NULL)
        meanwhile(arg);
    gate_open(&client->gate);
    latch_wait(&held);
    free(hold.seen);
    latch_destroy(&ran);
    latch_destroy(&held);
}

/* The same, and wait until all are complete. */
static void run_while(struct client *client, void (*meanwhile)(void *arg), void *arg)
{
    struct latch latch;
    latch_init(&latch, client->size);
    for (size_t i = 0; i < client->size; i++)
        client->requests[i].request.latch = &latch;
    submit_as_a_group(client, meanwhile, arg);
    latch_wait(&latch);
    latch_destroy(&latch);
    assert_int_equal(client->saved, client->size);
    for (size_t i = 0; i < client->size; i++)
        free(client->requests[i].seen);
}

static void run(struct client *client)
{
    run_while(client, NULL, NULL);
}

static void assert_statuses(const struct client *client, int status)
{
    for (size_t i = 0; i < client->size; i++) {
        const batch_result *result = &client->requests[i].request.result;
        if (result->status != status)
            fail_msg("%s: %s %s", client->keys[i], batch_status_name(result->status),
                     result->message);
    }
}

#define TABLE                                                                                      \
    "create table units (key text primary key, version bigint not null, state text not null)"

static int set_up(void **state)
{
    pg_set_up(state);
    pg_sql(*state, TABLE);
    return 0;
}

#define UNITS_TEST(name) TEST_ON(name, struct postgres_server *server, set_up, NULL)

/* ---- Statements ----------------------------------------------------------------------------- */

UNITS_TEST(test_a_group_with_units_is_one_statement)
{
    pg_log_statements(server);
    struct client *client = client_new(server);
    for (int turn = 0; turn < 2; turn++) {
        client->size = 0;
        plan(client, "A:1", "one");
        plan(client, "A:2", "one");
        plan(client, "alone", "one");
        plan(client, "B:1", "one");
        plan(client, "B:2", "one");
        plan(client, "B:3", "one");
        pg_count_logged(server, NULL);
        run(client);
        assert_statuses(client, BATCH_OK);
        assert_int_equal(pg_count_logged(server, "execute batch_save_all"), 1);
        assert_int_equal(pg_count_logged(server, "execute batch_save"), 1);
        assert_int_equal(pg_count_logged(server, "statement: COMMIT"), 0);
    }
    client->size = 0;
    plan(client, "alone", "two");
    plan(client, "other", "two");
    pg_count_logged(server, NULL);
    run(client);
    assert_int_equal(pg_count_logged(server, "execute batch_save:"), 1);
    client->checked = "C:not there";
    client->size = 0;
    plan(client, "C:not there", "two");
    plan(client, "C:1", "two");
    plan(client, "D:1", "two");
    plan(client, "D:2", "two");
    pg_count_logged(server, NULL);
    run(client);
    assert_statuses(client, BATCH_OK);
    assert_int_equal(pg_count_logged(server, "execute batch_save_units"), 1);
    assert_int_equal(pg_count_logged(server, "execute batch_save_all"), 1);
    assert_int_equal(pg_count_logged(server, "execute batch_lock_units"), 1);
    assert_int_equal(pg_count_logged(server, "statement: COMMIT"), 1);
    client_end(client);
    pg_sql(server, "alter role all reset all");
}

/* A bad row in one of many units costs the others a statement for each halving. */
UNITS_TEST(test_a_unit_that_is_rejected_is_found_by_bisection)
{
    enum { UNITS = 250, HALVINGS = 8, NAMING = 4 };
    pg_log_statements(server);
    pg_sql(server, "alter table units add check (key <> 'GR:1' or state = 'good')");
    struct client *client = client_new(server);
    for (int turn = 0; turn < 2; turn++) {
        client->size = 0;
        for (int i = 0; i < 2 * UNITS; i++) {
            char key[KEY_SIZE];
            snprintf(key, sizeof key, "%c%c:%d", 'A' + i / 2 / 26, 'A' + i / 2 % 26, i % 2);
            plan(client, key, turn == 0 ? "good" : "bad");
        }
        pg_count_logged(server, NULL);
        run(client);
        size_t statements = pg_count_logged(server, "execute batch_save");
        for (size_t i = 0; i < client->size; i++) {
            const batch_result *result = &client->requests[i].request.result;
            bool is_bad = turn == 1 && strncmp(client->keys[i], "GR:", 3) == 0;
            if (result->status != (is_bad ? BATCH_SAVE_FAILED : BATCH_OK))
                fail_msg("%s: %s", client->keys[i], result->message);
            if (is_bad && strstr(result->message, "GR:1") == NULL)
                fail_msg("%s", result->message);
        }
        if (statements > (turn == 0 ? 1 : 1 + 2 * HALVINGS + NAMING))
            fail_msg("%zu statements", statements);
    }
    pg_expect(server, "2", "select count(*) from units where state = 'good'");
    client_end(client);
    pg_sql(server, "alter role all reset all");
}

/* ---- Types ---------------------------------------------------------------------------------- */

static void check_types(struct postgres_server *server, const char *key, const char *version,
                        const char *state)
{
    pg_sql(server, "drop table units");
    pg_sql(server,
           "create table units (key %s primary key, version %s not null, state %s not null)", key,
           version, state);
    struct client *client = client_new(server);
    client->checked = "A:check";
    for (int turn = 0; turn < 3; turn++) {
        static const char *const texts[] = {"\"one\"", "\"two\"", "\"three\""};
        client->size = 0;
        plan(client, "A:check", texts[turn]);
        plan(client, "A:1", texts[turn]);
        plan(client, "A:2", texts[turn]);
        plan(client, "B:1", texts[turn]);
        plan(client, "B:2", texts[turn]);
        plan(client, "alone", texts[turn]);
        run(client);
        assert_statuses(client, BATCH_OK);
        pg_expect(server, "5", "select count(*) from units");
        pg_sql(server, "delete from units where key = 'A:2'");
    }
    client_end(client);
}

UNITS_TEST(test_units_of_every_type)
{
    static const char *const keys[] = {"bytea", "text", "varchar(9)"};
    static const char *const versions[] = {"smallint", "integer", "bigint"};
    static const char *const states[] = {"bytea", "text", "varchar(9)", "jsonb"};
    for (size_t i = 0; i < 3; i++) {
        for (size_t j = 0; j < 3; j++) {
            for (size_t k = 0; k < 4; k++)
                check_types(server, keys[i], versions[j], states[k]);
        }
    }
}

/* ---- What others do meanwhile --------------------------------------------------------------- */

static void change(void *server)
{
    pg_sql(server, "update units set version = version + 1, state = 'theirs' "
                   "where key in ('A:1', 'alone')");
}

UNITS_TEST(test_a_single_row_that_is_there_has_a_statement_of_its_own)
{
    pg_log_statements(server);
    struct client *client = client_new(server);
    static const char *const turns[][3] = {{"alone", "one", "execute batch_save:"},
                                           {"alone", "two", "execute batch_save_one:"},
                                           {"other", "one", "execute batch_save:"}};
    for (size_t i = 0; i < sizeof turns / sizeof turns[0]; i++) {
        client->size = 0;
        plan(client, turns[i][0], turns[i][1]);
        pg_count_logged(server, NULL);
        run(client);
        assert_statuses(client, BATCH_OK);
        assert_int_equal(pg_count_logged(server, turns[i][2]), 1);
        assert_int_equal(pg_count_logged(server, "execute batch_save"), 1);
    }
    pg_expect(server, "two", "select state from units where key = 'alone'");
    client->size = 0;
    plan(client, "alone", "four");
    run_while(client, change, server);
    assert_statuses(client, BATCH_CONFLICT);
    pg_expect(server, "theirs", "select state from units where key = 'alone'");
    client_end(client);
    pg_sql(server, "alter role all reset all");
}

/* One that was changed is a conflict of all, be it to be written or only checked. */
UNITS_TEST(test_a_key_that_was_changed_is_a_conflict_of_its_unit_alone)
{
    struct client *client = client_new(server);
    for (int turn = 0; turn < 2; turn++) {
        for (int step = 0; step < 2; step++) {
            client->size = 0;
            plan(client, "A:1", step == 0 ? "one" : "two");
            plan(client, "A:2", step == 0 ? "one" : "two");
            plan(client, "B:1", step == 0 ? "one" : "two");
            plan(client, "B:2", step == 0 ? "one" : "two");
            client->checked = step == 1 && turn == 1 ? "A:1" : NULL;
            run_while(client, step == 1 ? change : NULL, server);
        }
        for (size_t i = 0; i < 4; i++)
            assert_int_equal(client->requests[i].request.result.status,
                             i < 2 ? BATCH_CONFLICT : BATCH_OK);
        pg_expect(server, "one", "select state from units where key = 'A:2'");
        pg_expect(server, "2", "select count(*) from units where state = 'two'");
    }
    client_end(client);
}

/* ---- Others have something locked ----------------------------------------------------------- */

static void execute(PGconn *other, const char *sql)
{
    PGresult *result = PQexec(other, sql);
    if (PQresultStatus(result) != PGRES_COMMAND_OK && PQresultStatus(result) != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(other));
    PQclear(result);
}

/* While another client has done `lock`, all but the unit A are saved; and that one once the other
 * has done `end`: as `wanted`. */
static void check_locked(struct postgres_server *server, bool has_checks, const char *lock,
                         const char *end, int wanted)
{
    static const char *const plain[] = {"A:old", "A:new", "B:old", "B:new",
                                        "C:1",   "C:2",   "one",   "two"};
    static const char *const checking[] = {"A:old", "A:new", "A:none?", "B:old", "B:new",
                                           "C:1",   "C:2",   "C:none?", "one",   "two"};
    const char *const *keys = has_checks ? checking : plain;
    size_t size = has_checks ? 10 : 8, odd_size = has_checks ? 3 : 2;
    struct client *client = client_new(server);
    struct latch others, odd;
    pg_sql(server, "insert into units values ('A:old', 1, 'one'), ('B:old', 1, 'one')");
    PGconn *other = postgres_server_connect(server);
    latch_init(&odd, odd_size);
    latch_init(&others, size - odd_size);
    for (size_t i = 0; i < size; i++) {
        plan(client, keys[i], "two");
        client->requests[i].request.latch = i < odd_size ? &odd : &others;
    }
    execute(other, "begin");
    execute(other, lock);
    submit_as_a_group(client, NULL, NULL);
    latch_wait(&others);
    pthread_mutex_lock(&odd.lock);
    assert_int_equal(odd.left, odd_size); /* the deadline is far away */
    pthread_mutex_unlock(&odd.lock);
    pg_expect(server, "6", "select count(*) from units where state = 'two'");
    execute(other, end);
    latch_wait(&odd);
    for (size_t i = 0; i < size; i++) {
        const batch_result *result = &client->requests[i].request.result;
        if (result->status != (i < odd_size ? wanted : BATCH_OK))
            fail_msg("%s: %s %s", keys[i], batch_status_name(result->status), result->message);
        free(client->requests[i].seen);
    }
    pg_expect(server, wanted == BATCH_OK ? "8" : "6",
              "select count(*) from units where state = 'two'");
    latch_destroy(&odd);
    latch_destroy(&others);
    PQfinish(other);
    client_end(client);
}

#define LOCK_OLD   "select from units where key = 'A:old' for update"
#define INSERT_NEW "insert into units values ('A:new', 1, 'theirs')"

UNITS_TEST(test_a_unit_waits_alone_for_a_row_that_is_locked)
{
    check_locked(server, false, LOCK_OLD, "rollback", BATCH_OK);
}

UNITS_TEST(test_a_unit_with_a_check_waits_alone_for_a_row_that_is_locked)
{
    check_locked(server, true, LOCK_OLD, "rollback", BATCH_OK);
}

UNITS_TEST(test_a_row_that_is_made_meanwhile_is_a_conflict_of_the_whole_unit)
{
    check_locked(server, false, INSERT_NEW, "commit", BATCH_CONFLICT);
}

UNITS_TEST(test_a_row_that_is_made_meanwhile_is_a_conflict_of_a_unit_with_a_check)
{
    check_locked(server, true, INSERT_NEW, "commit", BATCH_CONFLICT);
}

UNITS_TEST(test_a_row_that_was_not_made_after_all)
{
    check_locked(server, false, INSERT_NEW, "rollback", BATCH_OK);
}

/* The statement itself finds the row that it was about to insert: nothing of the unit is stored. It
 * does not wait for long, so this takes some rounds to happen. */
UNITS_TEST(test_a_row_that_is_made_while_the_statement_waits_for_it)
{
    enum { ROUNDS = 20 };
    struct client *client = client_new(server);
    PGconn *other = postgres_server_connect(server);
    for (int round = 0; round < ROUNDS; round++) {
        struct latch latch;
        pg_sql(server, "delete from units");
        pg_sql(server, "insert into units values ('A:old', 1, 'one')");
        latch_init(&latch, 2);
        client->size = 0;
        plan(client, "A:old", "two");
        plan(client, "A:new", "two");
        for (size_t i = 0; i < 2; i++)
            client->requests[i].request.latch = &latch;
        execute(other, "begin");
        execute(other, INSERT_NEW);
        submit_as_a_group(client, NULL, NULL);
        pg_wait(server, "the store waits for the other one",
                "select count(*) from pg_stat_activity where wait_event_type = 'Lock' "
                "and application_name = 'libbatch'");
        execute(other, "commit");
        latch_wait(&latch);
        latch_destroy(&latch);
        assert_statuses(client, BATCH_CONFLICT);
        pg_expect(server, "one", "select state from units where key = 'A:old'");
        pg_expect(server, "theirs", "select state from units where key = 'A:new'");
        for (size_t i = 0; i < 2; i++)
            free(client->requests[i].seen);
    }
    PQfinish(other);
    client_end(client);
}

/* ---- What is not there ---------------------------------------------------------------------- */

/* Two units of two clients, each of which reads what the other one writes. */
struct pair {
    struct client *client;
    pthread_barrier_t *barrier;
    int statuses[2];
};

static void meet(void *barrier)
{
    pthread_barrier_wait(barrier);
}

static void *pair_main(void *arg)
{
    struct pair *pair = arg;
    struct client *client = pair->client;
    run_while(client, meet, pair->barrier); /* both have read, none is saved */
    for (size_t i = 0; i < 2; i++)
        pair->statuses[i] = client->requests[i].request.result.status;
    return NULL;
}

/* Of two that each check what the other one writes, at most one is saved: whoever would come second
 * has read something else. `there`: of the keys A:1 and A:2, which is stored before. */
static void check_skew(struct postgres_server *server, const char *isolation, const char *there)
{
    enum { ROUNDS = 12 };
    static const char *const keys[] = {"A:1", "A:2"};
    struct client *clients[2];
    size_t saved = 0;
    pg_sql(server, "alter role batch set default_transaction_isolation = '%s'", isolation);
    for (size_t i = 0; i < 2; i++) {
        clients[i] = client_new(server);
        clients[i]->checked = keys[1 - i];
    }
    pg_sql(server, "alter role batch reset all");
    for (int round = 0; round < ROUNDS; round++) {
        pthread_barrier_t barrier;
        pthread_t threads[2];
        struct pair pairs[2];
        pg_sql(server, "delete from units");
        if (there != NULL)
            pg_sql(server, "insert into units values ('%s', 1, 'before')", there);
        pthread_barrier_init(&barrier, NULL, 2);
        for (size_t i = 0; i < 2; i++) {
            pairs[i] = (struct pair){.client = clients[i], .barrier = &barrier};
            clients[i]->size = 0;
            plan(clients[i], keys[i], "after");
            plan(clients[i], keys[1 - i], "after");
            assert_int_equal(pthread_create(&threads[i], NULL, pair_main, &pairs[i]), 0);
        }
        for (size_t i = 0; i < 2; i++)
            pthread_join(threads[i], NULL);
        pthread_barrier_destroy(&barrier);
        int64_t written = pg_number(server, "select count(*) from units where state = 'after'");
        for (size_t i = 0; i < 2; i++) {
            int status = pairs[i].statuses[0];
            assert_int_equal(pairs[i].statuses[1], status);
            if (status != BATCH_OK && status != BATCH_CONFLICT)
                fail_msg("%s", clients[i]->requests[0].request.result.message);
            written -= status == BATCH_OK;
            saved += status == BATCH_OK;
        }
        assert_int_equal(written, 0);
        bool is_skewed = true;
        for (size_t i = 0; i < 2; i++)
            is_skewed &= pairs[i].statuses[0] == BATCH_OK &&
                         clients[i]->requests[1].seen_size != strlen("after");
        if (is_skewed)
            fail_msg("both were saved, and each had read what was there before the other one");
    }
    assert_true(saved >= ROUNDS);
    for (size_t i = 0; i < 2; i++)
        client_end(clients[i]);
}

/* Writing takes long enough for both to be under way at once. */
static void slow_down(struct postgres_server *server)
{
    pg_sql(server, "create function slow() returns trigger language plpgsql as "
                   "'begin perform pg_sleep(0.01); return new; end'");
    pg_sql(server, "create trigger slows before insert or update on units for each row "
                   "when (new.state = 'after') execute function slow()");
}

static const char *const isolations[] = {"read committed", "repeatable read", "serializable"};

UNITS_TEST(test_two_that_each_make_what_the_other_one_did_not_find)
{
    slow_down(server);
    for (size_t i = 0; i < 3; i++)
        check_skew(server, isolations[i], NULL);
}

UNITS_TEST(test_one_that_makes_what_the_other_one_did_not_find)
{
    slow_down(server);
    for (size_t i = 0; i < 3; i++) {
        check_skew(server, isolations[i], "A:1");
        check_skew(server, isolations[i], "A:2");
    }
}

TEST_GROUP(pg_server_set_up, pg_server_tear_down)
