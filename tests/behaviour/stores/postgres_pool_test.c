/* The PostgreSQL store behind pgbouncer: in session mode it works, cancels included; in other modes
 * it is refused, with the cause, and leaves nothing behind. And what a fence is for: a session that
 * has become somebody else's. */
#include "driver.h"
#include "pooler.h"
#include "postgres_case.h"
#include "test.h"

#include <batch/metrics.h>

static const char *const modes[] = {"transaction", "statement"};

/* On the pool's only idle connection. */
static void check_nothing_is_left(const struct pooler *pooler)
{
    PGconn *conn = PQconnectdb(pooler->conninfo);
    PGresult *result =
        PQexec(conn, "select (select count(*) from pg_settings where source = 'session' "
                     "and name not in ('application_name', 'client_encoding')), "
                     "(select count(*) from pg_prepared_statements), "
                     "coalesce(current_setting('batch.fence', true), '')");
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    assert_string_equal(PQgetvalue(result, 0, 0), "0");
    assert_string_equal(PQgetvalue(result, 0, 1), "0");
    assert_string_equal(PQgetvalue(result, 0, 2), "");
    PQclear(result);
    PQfinish(conn);
}

PG_TEST(test_a_pool_that_is_not_of_sessions_is_refused_and_left_as_it_was)
{
    for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        struct pooler pooler;
        batch_result error;
        char sqlstate[6];
        pooler_start(&pooler, server, modes[i]);
        check_nothing_is_left(&pooler);
        for (int times = 0; times < 3; times++) {
            int status = pg_refused(pooler.conninfo, NULL, &error, sqlstate);
            if (status != BATCH_STORE_FAILED ||
                strstr(error.message, "session pooling is needed") == NULL)
                fail_msg("%s: %s: %s", modes[i], batch_status_name(status), error.message);
            check_nothing_is_left(&pooler);
        }
        pooler_end(&pooler);
    }
}

static void make_saves_hang(struct postgres_server *server)
{
    pg_sql(server, "create function hang() returns trigger language plpgsql as "
                   "'begin perform pg_sleep(600); return new; end'");
    pg_sql(server, "create trigger hangs before insert on pooled for each row "
                   "execute function hang()");
}

PG_TEST(test_a_save_that_hangs_is_canceled_through_a_pool)
{
    struct pooler pooler;
    pooler_start(&pooler, server, "session");
    batch_postgres_options table = pg_text_table(server, "pooled");
    make_saves_hang(server);
    batch_store *store = pg_store(server, pooler.conninfo, &table);
    int status = BATCH_LOAD_FAILED;
    char message[256] = "";
    /* A slow machine may not get to the save in time; then with twice as much. */
    for (uint64_t deadline_ns = 200000000; status == BATCH_LOAD_FAILED; deadline_ns *= 2) {
        batch_options options = text_options(store, 1);
        options.deadline_ns = deadline_ns;
        batch_processor *processor = processor_start(&options);
        struct text_request request;
        text_request_init(&request, "key", 3, "one", 3);
        status = request_run(processor, &request.request);
        snprintf(message, sizeof message, "%s", request.request.result.message);
        free(request.seen);
        processor_end(processor);
    }
    if (status != BATCH_SAVE_FAILED)
        fail_msg("%s: %s", batch_status_name(status), message);
    pg_expect(server, "0", "select count(*) from pooled");
    pg_store_end(store);
    pooler_end(&pooler);
}

/* pgbouncer 1.18 ended with all its clients when one closed its cancel request too early. */
PG_TEST(test_a_pool_outlives_many_cancels)
{
    enum { KEYS = 24, ROUNDS = 6 };
    struct pooler pooler;
    pooler_start(&pooler, server, "session");
    batch_postgres_options table = pg_text_table(server, "pooled");
    make_saves_hang(server);
    for (int round = 0; round < ROUNDS; round++) {
        batch_store *store = pg_store(server, pooler.conninfo, &table);
        batch_options options = text_options(store, 8);
        options.group_max = 1;
        options.deadline_ns = 100000000;
        batch_processor *processor = processor_start(&options);
        struct text_request requests[KEYS];
        char keys[KEYS];
        for (int i = 0; i < KEYS; i++) {
            keys[i] = (char)('a' + i);
            text_request_init(&requests[i], &keys[i], 1, "one", 3);
        }
        pg_texts_run(processor, requests, KEYS);
        for (int i = 0; i < KEYS; i++)
            free(requests[i].seen);
        processor_end_with_store(processor, store);
    }
    pg_expect(server, "0", "select count(*) from pooled");
    pooler_end(&pooler);
}

/* The settings of the session become somebody else's, and with them its token. */
PG_TEST(test_a_session_that_became_somebody_elses_is_not_used)
{
    static const char *const thefts[] = {
        "perform set_config('batch.fence', 'theirs', false);",
        "perform set_config('batch.fence', '', false);",
        "reset batch.fence;",
    };
    batch_postgres_options table = pg_text_table(server, "pooled");
    pg_sql(server, "create table written (fence text)");
    batch_store *store = pg_store(server, NULL, &table);
    batch_processor *processor = text_processor(store, 1);
    for (size_t i = 0; i < sizeof thefts / sizeof thefts[0]; i++) {
        pg_sql(server,
               "create or replace function steal() returns trigger language plpgsql as $$ begin "
               "insert into written values (current_setting('batch.fence', true)); "
               "if new.state = 'steal' then %s end if; return new; end $$",
               thefts[i]);
        pg_sql(server, "drop trigger if exists steals on pooled");
        pg_sql(server, "create trigger steals before insert or update on pooled for each row "
                       "execute function steal()");
        text_set(processor, "key", 3, "steal", 5);
        text_set(processor, "key", 3, "one", 3);
        text_set(processor, "other", 5, "one", 3);
    }
    batch_stats stats = BATCH_STATS_INIT;
    batch_processor_stats(processor, &stats);
    assert_int_equal(stats.store_reconnects, sizeof thefts / sizeof thefts[0]);
    assert_int_equal(stats.events[BATCH_EVENT_RECONNECTED], stats.store_reconnects);
    /* No row was written in a session without the token of its own. */
    pg_expect(server, "0", "select count(*) from written where length(fence) <> 16");
    processor_end_with_store(processor, store);
}

TEST_GROUP(pg_server_set_up, pg_server_tear_down)
