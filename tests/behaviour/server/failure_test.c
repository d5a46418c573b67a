/* The response when a train cannot be loaded or saved: the truth, also if the booking
 * was refused in a batch that failed. The file fails by a trigger, or by what is stored in it. */
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include <sqlite3.h>

#include "server_harness.h"
#include "test.h"

/* The file of a server, whose own connections may have the lock just now: wait for it. */
static sqlite3 *database_open(const struct folder *folder)
{
    sqlite3 *database;
    assert_int_equal(sqlite3_open(folder->store + strlen("sqlite:"), &database), SQLITE_OK);
    sqlite3_busy_timeout(database, (int)patience_s(60) * 1000);
    return database;
}

static void execute(const struct folder *folder, const char *sql)
{
    sqlite3 *database = database_open(folder);
    assert_int_equal(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(database);
}

static void send_booking(int connection, const char *train, const char *person)
{
    char request[128];
    int size =
        snprintf(request, sizeof request,
                 "GET /book?train=%s&person=%s&seat=0 HTTP/1.1\r\nHost: t\r\n\r\n", train, person);
    connection_send(connection, request, (size_t)size);
}

static void assert_answer(int connection, int status, const char *part)
{
    struct response response;
    connection_read(connection, &response);
    assert_int_equal(response.status, status);
    assert_non_null(strstr(response.body, part));
}

/* Of three bookings at once, two for a train that cannot be saved and one for another, the first
 * two fail, whichever of them would have had the seat. */
static void a_failed_save(const char *program, const char *const *options)
{
    struct folder folder;
    struct server server;
    struct response response;
    folder_make(&folder);
    server_start(&server, program, &folder, options);
    execute(&folder,
            "CREATE TRIGGER refuse BEFORE INSERT ON batch WHEN NEW.key = CAST('bad' AS BLOB)"
            " BEGIN SELECT RAISE(ABORT, 'the disk is on fire'); END");
    int ann = connection_open(&server);
    int bob = connection_open(&server);
    int cid = connection_open(&server);
    send_booking(ann, "bad", "ann");
    send_booking(bob, "bad", "bob");
    send_booking(cid, "good", "cid");
    assert_answer(ann, 500, "Nothing was changed");
    assert_answer(bob, 500, "the disk is on fire");
    assert_answer(cid, 200, "good 0 cid");
    assert_int_equal(ask(&server, "/trains/bad", &response), 200);
    assert_null(strstr(response.body, "ann"));
    assert_null(strstr(response.body, "bob"));

    /* And when the disk is well again, all goes on. */
    execute(&folder, "DROP TRIGGER refuse");
    send_booking(ann, "bad", "ann");
    assert_answer(ann, 200, "bad 0 ann");
    close(ann);
    close(bob);
    close(cid);
    assert_int_equal(server_end(&server, SIGTERM, NULL, 0), 0);
    folder_remove(&folder);
}

static void damaged_trains(const char *program, const char *const *options)
{
    struct folder folder;
    struct server server;
    struct response response;
    folder_make(&folder);
    server_start(&server, program, &folder, options);
    execute(&folder, "INSERT INTO batch VALUES (CAST('text' AS BLOB), 1, CAST('no JSON' AS BLOB)),"
                     " (CAST('empty' AS BLOB), 1, x''),"
                     " (CAST('more' AS BLOB), 1,"
                     "  CAST('{\"Name\":\"x\",\"Seats\":[\"\",\"bob\"]}' AS BLOB))");
    assert_int_equal(ask(&server, "/book?train=text&person=ann&seat=0", &response), 500);
    assert_non_null(strstr(response.body, "Nothing was changed"));
    assert_int_equal(ask(&server, "/trains/text", &response), 500);
    assert_int_equal(ask(&server, "/book?train=empty&person=ann&seat=0", &response), 500);
    assert_int_equal(ask(&server, "/book?train=more&person=ann&seat=1", &response), 400);
    assert_int_equal(ask(&server, "/book?train=more&person=ann&seat=0", &response), 200);
    assert_int_equal(ask(&server, "/trains/more", &response), 200);
    assert_string_equal(response.body, "{\"Seats\":[\"ann\",\"bob\"]}\n");
    assert_int_equal(server_end(&server, SIGTERM, NULL, 0), 0);
    folder_remove(&folder);
}

static const char *const batched[] = {"--window-ms", "50", NULL};
static const char *const direct[] = {NULL};

TEST(a_save_that_fails_is_reported_to_all_of_its_batch_and_to_nobody_else)
{
    a_failed_save(TRAIN_SERVER, batched);
}

TEST(a_save_that_fails_is_reported_by_direct_server)
{
    a_failed_save(DIRECT_SERVER, direct);
}

TEST(a_damaged_train_is_an_error_and_no_empty_train)
{
    damaged_trains(TRAIN_SERVER, batched);
}

TEST(a_damaged_train_is_an_error_of_direct_server)
{
    damaged_trains(DIRECT_SERVER, direct);
}

/* ---- Clients that do not wait ---------------------------------------------------------------- */

/* Nothing can be saved, as another program has the write lock; every client gives up at once. The
 * failures are noticed and counted all the same. */
TEST(failures_are_noticed_when_no_client_waits_for_them)
{
    struct folder folder;
    struct server server;
    struct response response;
    char output[512];
    folder_make(&folder);
    server_start(&server, TRAIN_SERVER, &folder, batched);
    sqlite3 *database = database_open(&folder);
    assert_int_equal(sqlite3_exec(database, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    const struct timespec pause = {0, 50000000};
    for (int i = 0; ask(&server, "/health", &response) == 200; i++) {
        if (i >= 20 * (int)patience_s(60))
            fail_msg("still healthy");
        char train[32];
        snprintf(train, sizeof train, "t%d", i / 20);
        int connection = connection_open(&server);
        send_booking(connection, train, "ann");
        close(connection);
        nanosleep(&pause, NULL);
    }
    assert_string_equal(response.body, "Nothing can be saved.\n");
    sqlite3_close(database);
    while (ask(&server, "/book?train=well&person=ann&seat=0", &response) != 200)
        nanosleep(&pause, NULL);
    assert_int_equal(ask(&server, "/health", &response), 200);
    assert_int_equal(server_end(&server, SIGTERM, output, sizeof output), 0);
    const char *stopped = strstr(output, "stopped: ");
    assert_non_null(stopped);
    assert_null(strstr(stopped, " 0 with 5xx"));
    folder_remove(&folder);
}
