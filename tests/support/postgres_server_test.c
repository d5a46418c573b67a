/* The server of the tests: one that is not there, or not their own, would prove nothing. */
#include "postgres_server.h"
#include "test.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void rest(void)
{
    nanosleep(&(struct timespec){0, 10000000}, NULL);
}

TEST(test_it_is_killed_and_starts_again_with_its_data)
{
    static const char *const settings[] = {"max_connections=17", NULL};
    struct postgres_server server;
    postgres_server_init(&server, settings, false);
    assert_int_equal(postgres_server_number(&server, "show max_connections"), 17);
    char *value = postgres_server_value(&server, "show fsync");
    assert_string_equal(value, "on");
    free(value);
    postgres_server_execute(&server, "create table t(n int); insert into t values (42)");
    postgres_server_kill(&server);
    assert_int_not_equal(PQping(server.conninfo), PQPING_OK);
    postgres_server_start(&server);
    assert_int_equal(postgres_server_number(&server, "select n from t"), 42);
    postgres_server_stop(&server);
    postgres_server_start(&server);
    assert_int_equal(postgres_server_number(&server, "select n from t"), 42);
    assert_null(postgres_server_value(&server, "select n from t where n = 1"));
    postgres_server_destroy(&server);
    assert_int_equal(access(server.folder, F_OK), -1);
}

TEST(test_a_paused_server_answers_once_it_is_resumed)
{
    struct postgres_server server;
    postgres_server_init(&server, NULL, false);
    PGconn *connection = postgres_server_connect(&server);
    postgres_server_pause(&server);
    assert_int_equal(PQsendQuery(connection, "select 1"), 1);
    assert_int_equal(PQconsumeInput(connection), 1);
    assert_true(PQisBusy(connection));
    postgres_server_resume(&server);
    PGresult *result = PQgetResult(connection);
    assert_int_equal(PQresultStatus(result), PGRES_TUPLES_OK);
    PQclear(result);
    PQfinish(connection);
    postgres_server_destroy(&server);
}

TEST(test_it_asks_for_its_password)
{
    struct postgres_server server;
    postgres_server_init(&server, NULL, true);
    assert_int_equal(postgres_server_number(&server, "select 1"), 1);
    char *password = strstr(server.conninfo, server.password);
    assert_non_null(password);
    password[0] = password[0] == '0' ? '1' : '0';
    PGconn *connection = PQconnectdb(server.conninfo);
    assert_int_equal(PQstatus(connection), CONNECTION_BAD);
    PQfinish(connection);
    postgres_server_destroy(&server);
}

/* A program that starts a server, prints where, and is killed while that works, or is paused. */
static void check_killed(bool is_paused)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    struct postgres_server server;
    if (pid == 0) {
        postgres_server_init(&server, NULL, false);
        for (int i = 0; i < 4; i++)
            PQsendQuery(postgres_server_connect(&server),
                        "create temp table t as select generate_series(1, 100000000)");
        if (is_paused)
            postgres_server_pause(&server);
        if (write(ends[1], &server, sizeof server) != sizeof server)
            _exit(1);
        pause();
        _exit(1);
    }
    assert_int_equal(read(ends[0], &server, sizeof server), sizeof server);
    assert_int_equal(access(server.folder, F_OK), 0);
    assert_int_equal(kill(pid, SIGKILL), 0);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    while (access(server.folder, F_OK) == 0)
        rest();
    assert_int_not_equal(PQping(server.conninfo), PQPING_OK);
    close(ends[0]);
    close(ends[1]);
}

TEST(test_it_goes_with_a_test_that_is_killed)
{
    check_killed(false);
}

TEST(test_it_goes_with_a_test_that_is_killed_while_it_is_paused)
{
    check_killed(true);
}
