/* /health, and the responses to clients, while the PostgreSQL server behind it is away, is
 * suspended or takes no writes, and afterwards. */
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "both_servers.h"
#include "storage_database.h"

static int start_batched(void **state)
{
    static const char *const options[] = {"--window-ms", "5", NULL};
    return fixture_start(state, TRAIN_SERVER, options);
}

static int start_direct(void **state)
{
    static const char *const options[] = {NULL};
    return fixture_start(state, DIRECT_SERVER, options);
}

/* Ask until the answer is so; `target` has a %d if each time must be another. */
static void ask_until(struct fixture *fixture, const char *target, int status, const char *part)
{
    struct timespec pause = {0, 20000000};
    struct response *response = &fixture->response;
    for (int i = 0; i < 3000; i++) {
        char text[128];
        snprintf(text, sizeof text, target, i);
        if (ask(&fixture->server, text, response) == status && strstr(response->body, part) != NULL)
            return;
        nanosleep(&pause, NULL);
    }
    fail_msg("%s: still %d \"%s\"", target, response->status, response->body);
}

static void assert_retry_later(const struct response *response)
{
    assert_non_null(strstr(response->head, "\r\nRetry-After: 1\r\n"));
}

TEST_ON_BOTH(a_database_that_goes_away_and_comes_back)
{
    ask_until(fixture, "/health", 200, "ok\n");
    assert_int_equal(ask(&fixture->server, "/book?train=t&person=a&seat=0", &fixture->response),
                     200);
    postgres_server_kill(&storage_database);
    ask_until(fixture, "/health", 503, "The store cannot be read.");
    assert_retry_later(&fixture->response);
    postgres_server_start(&storage_database);
    ask_until(fixture, "/health", 200, "ok\n");
    ask_until(fixture, "/book?train=t&person=a&seat=0", 200, "t 0 a\n");
    ask_until(fixture, "/book?train=t&person=b&seat=1", 200, "t 1 b\n");
}

TEST_ON_BOTH(a_database_that_is_suspended)
{
    ask_until(fixture, "/health", 200, "ok\n");
    postgres_server_pause(&storage_database);
    ask_until(fixture, "/health", 503, "The store cannot be read.");
    postgres_server_resume(&storage_database);
    ask_until(fixture, "/health", 200, "ok\n");
    ask_until(fixture, "/book?train=t&person=a&seat=0", 200, "t 0 a\n");
}

static void refuse_writes(const char *key)
{
    char sql[512];
    postgres_server_execute(
        &storage_database, "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
                           " $$ BEGIN RAISE EXCEPTION 'the disk is on fire'; END $$");
    snprintf(sql, sizeof sql,
             "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON train FOR EACH ROW"
             " WHEN (NEW.key LIKE '%s') EXECUTE FUNCTION refuse()",
             key);
    postgres_server_execute(&storage_database, sql);
}

TEST_ON_BOTH(a_database_that_takes_no_writes)
{
    refuse_writes("%");
    struct timespec pause = {0, 20000000};
    for (int i = 0; ask(&fixture->server, "/health", &fixture->response) == 200; i++) {
        char target[64];
        if (i >= 3000)
            fail_msg("still healthy");
        snprintf(target, sizeof target, "/book?train=t%d&person=a&seat=0", i % 3);
        assert_int_equal(ask(&fixture->server, target, &fixture->response), 500);
        assert_non_null(strstr(fixture->response.body, "the disk is on fire"));
        nanosleep(&pause, NULL);
    }
    assert_string_equal(fixture->response.body, "Nothing can be saved.\n");
    postgres_server_execute(&storage_database, "DROP TRIGGER refuse ON train");
    assert_int_equal(ask(&fixture->server, "/book?train=t&person=a&seat=0", &fixture->response),
                     200);
    assert_int_equal(ask(&fixture->server, "/health", &fixture->response), 200);
}

/* Trains that cannot be saved are no reason to leave, as long as others can. */
TEST_ON_BOTH(one_bad_train_is_no_bad_server)
{
    refuse_writes("bad");
    struct timespec begin;
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    int i = 0;
    do {
        char target[64];
        assert_int_equal(
            ask(&fixture->server, "/book?train=bad&person=a&seat=0", &fixture->response), 500);
        assert_int_equal(ask(&fixture->server, "/health", &fixture->response), 200);
        snprintf(target, sizeof target, "/book?train=good%d&person=a&seat=0", i++);
        assert_int_equal(ask(&fixture->server, target, &fixture->response), 200);
        clock_gettime(CLOCK_MONOTONIC, &now);
    } while (now.tv_sec < begin.tv_sec + 5);
}

/* A server that cannot end, because its database is suspended, reports that on connections that are
 * still open; and completes what it had accepted before. */
TEST(a_server_that_stops_is_not_healthy_and_accepts_nothing)
{
    static const char *const options[] = {"--window-ms", "5", NULL};
    static const char book[] = "GET /book?train=t&person=a&seat=0 HTTP/1.1\r\nHost: t\r\n\r\n";
    static const char late[] = "GET /book?train=t&person=b&seat=1 HTTP/1.1\r\nHost: t\r\n\r\n";
    static const char health[] = "GET /health HTTP/1.1\r\nHost: t\r\n\r\n";
    struct fixture fixture;
    struct response *response = &fixture.response;
    struct timespec pause = {0, 20000000};
    storage_folder(&fixture.folder);
    server_start(&fixture.server, TRAIN_SERVER, &fixture.folder, options);
    int booking = connection_open(&fixture.server);
    int lasting[2] = {connection_open(&fixture.server), connection_open(&fixture.server)};
    for (int i = 0; i < 2; i++) { /* so that they are accepted */
        connection_send(lasting[i], health, strlen(health));
        connection_read(lasting[i], response);
        assert_int_equal(response->status, 200);
    }
    postgres_server_pause(&storage_database);
    connection_send(booking, book, strlen(book));
    server_wait_for(&fixture.server, " 1 waiting");
    kill(fixture.server.pid, SIGTERM);
    do { /* "stopping" closes the connection, so there is one such response */
        connection_send(lasting[0], health, strlen(health));
        connection_read(lasting[0], response);
        nanosleep(&pause, NULL);
    } while (response->status == 200);
    assert_int_equal(response->status, 503);
    assert_string_equal(response->body, "The server is stopping.\n");
    connection_send(lasting[1], late, strlen(late));
    connection_read(lasting[1], response);
    assert_int_equal(response->status, 503);
    assert_retry_later(response);
    assert_non_null(strstr(response->body, "Nothing was changed. Try again later"));
    postgres_server_resume(&storage_database);
    connection_read(booking, response);
    assert_int_equal(response->status, 200);
    assert_int_equal(server_end(&fixture.server, 0, NULL, 0), 0);
    close(booking);
    close(lasting[0]);
    close(lasting[1]);
    folder_remove(&fixture.folder);
}

TEST_GROUP(storage_begin, storage_end)
