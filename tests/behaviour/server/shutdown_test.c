/* SIGTERM under load, many connections, and that train-audit finds what is wrong. */
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "http_clients.h"
#include "process.h"
#include "storage.h"
#include "test.h"

static const char *const batched[] = {"--window-ms", "20", NULL};
static const char *const direct[] = {NULL};

static int audit(const struct folder *folder, const char *option, char *output, size_t output_size)
{
    const char *arguments[] = {TRAIN_AUDIT, folder->store, folder->answers, NULL, NULL};
    if (option != NULL) {
        arguments[1] = option;
        arguments[2] = folder->store;
        arguments[3] = folder->answers;
    }
    return program_run(arguments, output, output_size);
}

/* Every accepted booking is answered: what is in the file and what was answered 200 is the same. */
static void stop_under_load(const char *program, const char *const *options)
{
    struct bookings bookings;
    struct server server;
    char output[512];
    storage_folder(&bookings.folder);
    bookings_begin(&bookings, 300);
    for (int round = 0; round < 3; round++) {
        server_start(&server, program, &bookings.folder, options);
        clients_book(bookings.clients, &server, 1000);
        kill(server.pid, SIGTERM);
        clients_drain(bookings.clients);
        assert_int_equal(server_end(&server, SIGTERM, output, sizeof output), 0);
        assert_non_null(strstr(output, "stopped: "));
    }
    assert_int_equal(bookings_audit(&bookings, "--all"), 0);
    struct clients_counts counts = bookings_end(&bookings);
    assert_true(counts.ok >= 1000);
    assert_true(counts.refused >= 100);
    assert_int_equal(counts.unknown + counts.other, 0);
}

TEST(sigterm_answers_all_that_was_accepted)
{
    stop_under_load(TRAIN_SERVER, batched);
}

TEST(so_does_direct_server)
{
    stop_under_load(DIRECT_SERVER, direct);
}

TEST(a_booking_that_waits_for_its_window_is_answered_when_the_server_stops)
{
    static const char *const long_window[] = {"--window-ms", "5000", NULL};
    static const char request[] = "GET /book?train=t&person=p&seat=0 HTTP/1.1\r\nHost: t\r\n\r\n";
    struct folder folder;
    struct server server;
    struct response response;
    storage_folder(&folder);
    server_start(&server, TRAIN_SERVER, &folder, long_window);
    int idle = connection_open(&server);
    int connection = connection_open(&server);
    connection_send(connection, request, strlen(request));
    server_wait_for(&server, " 1 waiting");
    assert_int_equal(server_end(&server, SIGTERM, NULL, 0), 0);
    connection_read(connection, &response);
    assert_int_equal(response.status, 200);
    assert_non_null(strstr(response.head, "Connection: close"));
    connection_read(idle, &response);
    assert_int_equal(response.status, 0);
    close(connection);
    close(idle);
    folder_remove(&folder);
}

/* The end of a terminal: SIGHUP. Under nohup it is ignored. */
TEST(sighup_stops_as_sigterm_does_unless_it_is_ignored)
{
    struct folder folder;
    struct server server;
    struct response response;
    char output[512];
    storage_folder(&folder);
    signal(SIGHUP, SIG_DFL); /* this may run under nohup too */
    server_start(&server, TRAIN_SERVER, &folder, batched);
    assert_int_equal(ask(&server, "/book?train=t&person=p&seat=0", &response), 200);
    assert_int_equal(server_end(&server, SIGHUP, output, sizeof output), 0);
    assert_non_null(strstr(output, "stopped: 1 requests"));
    signal(SIGHUP, SIG_IGN);
    server_start(&server, TRAIN_SERVER, &folder, batched);
    signal(SIGHUP, SIG_DFL);
    kill(server.pid, SIGHUP);
    server_wait_for(&server, " waiting");
    server_wait_for(&server, " waiting");
    assert_int_equal(ask(&server, "/trains/t", &response), 200);
    assert_int_equal(server_end(&server, SIGTERM, NULL, 0), 0);
    folder_remove(&folder);
}

/* Fill the pipe that is a server's standard output. */
static void fill_output(const struct server *server)
{
    static const char line[4096];
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/1", (int)server->pid);
    int output = open(path, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
    assert_true(output >= 0);
    for (size_t size = sizeof line; size > 0; size /= 2) {
        while (write(output, line, size) > 0) {
        }
    }
    close(output);
}

/* The pause lets them try to print; without it less is tried, and nothing else is expected. */
TEST(a_full_standard_output_holds_up_nothing)
{
    struct folder folder;
    struct server servers[2];
    struct response response;
    const struct timespec pause = {2, 0};
    storage_folder(&folder);
    server_start(&servers[0], TRAIN_SERVER, &folder, batched);
    server_start(&servers[1], DIRECT_SERVER, &folder, direct);
    for (int i = 0; i < 2; i++)
        fill_output(&servers[i]);
    nanosleep(&pause, NULL);
    for (int i = 0; i < 2; i++) {
        const char *target =
            i == 0 ? "/book?train=t&person=p&seat=0" : "/book?train=u&person=p&seat=0";
        assert_int_equal(ask(&servers[i], target, &response), 200);
        kill(servers[i].pid, SIGTERM);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(process_end(servers[i].pid), 0); /* nobody reads its output */
        close(servers[i].output);
    }
    folder_remove(&folder);
}

/* A balancer must be able to find out before anything is refused. */
TEST(a_server_that_drains_says_so_at_health_and_books_on)
{
    static const char *const drains[] = {"--window-ms", "0", "--drain-ms", "60000", NULL};
    struct folder folder;
    struct server server;
    struct response response;
    folder_make(&folder);
    server_start(&server, TRAIN_SERVER, &folder, drains);
    assert_int_equal(ask(&server, "/health", &response), 200);
    kill(server.pid, SIGTERM);
    while (ask(&server, "/health", &response) == 200) {
    }
    assert_int_equal(response.status, 503);
    assert_non_null(strstr(response.body, "stopping"));
    assert_int_equal(ask(&server, "/book?train=t&person=p&seat=0", &response), 200);
    assert_non_null(strstr(response.head, "Connection: close"));
    assert_int_equal(server_end(&server, SIGTERM, NULL, 0), 0); /* a second one: no longer */
    folder_remove(&folder);
}

/* Ten thousand clients at once, if this process may have so many files. */
TEST(ten_thousand_connections)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    size_t connections = limit.rlim_cur > 10200 ? 10000 : (size_t)limit.rlim_cur - 200;
    struct bookings bookings;
    struct server server;
    storage_folder(&bookings.folder);
    bookings_begin(&bookings, connections);
    server_start(&server, TRAIN_SERVER, &bookings.folder, batched);
    clients_book(bookings.clients, &server, 2 * connections);
    clients_finish(bookings.clients);
    assert_int_equal(server_end(&server, SIGTERM, NULL, 0), 0);
    print_message("%zu connections: ", connections);
    assert_int_equal(bookings_audit(&bookings, "--all"), 0);
    struct clients_counts counts = bookings_end(&bookings);
    assert_int_equal(counts.busy + counts.unknown + counts.other + counts.lost, 0);
    assert_true(counts.ok + counts.refused >= 2 * connections);
}

/* ---- The audit can fail ---------------------------------------------------------------------- */

static void book_two_seats(struct folder *folder)
{
    struct server server;
    struct response response;
    storage_folder(folder);
    server_start(&server, TRAIN_SERVER, folder, batched);
    assert_int_equal(ask(&server, "/book?train=a%20b&person=ann&seat=0", &response), 200);
    assert_int_equal(ask(&server, "/book?train=a%20b&person=bob&seat=1", &response), 200);
    assert_int_equal(server_end(&server, SIGTERM, NULL, 0), 0);
}

static int audit_of(const struct folder *folder, const char *option, const char *answers,
                    char *output, size_t output_size)
{
    FILE *file = fopen(folder->answers, "w");
    assert_non_null(file);
    fputs(answers, file);
    fclose(file);
    return audit(folder, option, output, output_size);
}

TEST(the_audit_finds_what_is_wrong)
{
    struct folder folder;
    char output[512];
    book_two_seats(&folder);
    static const struct {
        const char *option;
        const char *answers;
        int code;
        const char *printed;
    } cases[] = {
        {NULL, "a%20b 0 ann\na%20b 1 bob\n", 0, "2 bookings answered 200: all in the "},
        {"--all", "a%20b 0 ann\na%20b 1 bob\n", 0, "seats sold twice: 0"},
        {NULL, "a%20b 0 ann\na%20b 0 ann\n", 0, "1 bookings answered 200: all in the "},
        {NULL, "a%20b 0 ann\nno-such 0 x\n", 1, "1 MISSING"},
        {NULL, "a%20b 0 ann\na%20b 2 cid\n", 1, "1 MISSING"},
        {NULL, "a%20b 0 ann\na%20b 0 bob\n", 1, "seats sold twice: 1"},
        {NULL, "a%20b 0 bob\n", 1, "1 MISSING"},
        {"--all", "a%20b 0 ann\n", 1, "stored, but not answered: train a%20b, seat 1, bob"},
        {NULL, "a%20b 0 ann\na%20b 2 cut", 0, "1 bookings answered 200: all in the "},
        {NULL, "nonsense\n", 2, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int code = audit_of(&folder, cases[i].option, cases[i].answers, output, sizeof output);
        assert_int_equal(code, cases[i].code);
        assert_non_null(strstr(output, cases[i].printed));
    }
    folder_remove(&folder);
}

/* Of a record of train-load the audit knows the outcome of every booking. */
TEST(the_audit_finds_what_is_wrong_in_a_record)
{
    struct folder folder;
    char output[512];
    book_two_seats(&folder);
#define ANN "ok 200 0 9 a%20b 0 ann\n"
#define BOB "ok 200 0 9 a%20b 1 bob\n"
    static const struct {
        const char *answers;
        int code;
        const char *printed;
    } cases[] = {
        {ANN BOB, 0, "2 ok, 0 refused, 0 failed, 0 unknown (0 of them stored), 0 lost (0)"},
        {ANN BOB "refused 400 0 9 a%20b 0 cid\nfailed 503 0 9 a%20b 2 cid\n", 0, "2 ok, 1 refused"},
        {ANN "unknown 504 0 9 a%20b 1 bob\n", 0, "1 unknown (1 of them stored)"},
        {ANN "lost 0 0 9 a%20b 1 bob\n", 0, "1 lost (1)"},
        {ANN BOB "lost 0 0 9 a%20b 2 cid\n", 0, "1 lost (0)"},
        {ANN BOB "ok 200 0 9 a%20b 2 cid\n", 1,
         "answered 200, but not stored: train a%20b, seat 2, cid"},
        {ANN "refused 400 0 9 a%20b 1 bob\n", 1, "refused, but stored: train a%20b, seat 1, bob"},
        {ANN "failed 500 0 9 a%20b 1 bob\n", 1, "failed, but stored: train a%20b, seat 1, bob"},
        {ANN, 1, "stored, but never sent: train a%20b, seat 1, bob"},
        {"ok 200 0 9 another 0 ann\n", 1, "answered 200, but not stored: train another"},
        {"lost 0 0 9 another 1 ann\n", 0, "seats sold twice: 0"},
        {ANN BOB "ok 200 0 9 a%20b 0 cid\n", 1, "seats sold twice: 1"},
        {ANN BOB "unknown 504 0", 0, "2 ok"},
        {"a%20b 0 ann\n", 2, ""},
        {"good 200 0 9 a%20b 1 ann\n", 2, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int code = audit_of(&folder, "--record", cases[i].answers, output, sizeof output);
        assert_int_equal(code, cases[i].code);
        assert_non_null(strstr(output, cases[i].printed));
    }
    folder_remove(&folder);
}

TEST_GROUP(storage_begin, storage_end)
