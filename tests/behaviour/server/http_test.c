/* The HTTP surface of train-server and direct-server: each test on both. */
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "random.h"
#include "both_servers.h"

static int start_batched(void **state)
{
    static const char *const options[] = {"--window-ms", "5", "--seats", "4", NULL};
    return fixture_start(state, TRAIN_SERVER, options);
}

static int start_direct(void **state)
{
    static const char *const options[] = {"--seats", "4", NULL};
    return fixture_start(state, DIRECT_SERVER, options);
}

static void assert_asked(struct fixture *fixture, const char *target, int status, const char *body)
{
    struct response *response = &fixture->response;
    assert_int_equal(ask(&fixture->server, target, response), status);
    if (strstr(response->body, body) == NULL)
        fail_msg("%s: \"%s\" is not in \"%s\"", target, body, response->body);
}

static void assert_asked_raw(struct fixture *fixture, const char *request, int status)
{
    ask_raw(&fixture->server, request, strlen(request), &fixture->response);
    if (fixture->response.status != status)
        fail_msg("%d instead of %d for: %s", fixture->response.status, status, request);
}

static void assert_alive(struct fixture *fixture)
{
    assert_asked(fixture, "/trains/x", 200, "{\"Seats\":[\"\",\"\",\"\",\"\"]}\n");
}

/* ---- Booking --------------------------------------------------------------------------------- */

TEST_ON_BOTH(a_booking_is_answered_and_stored)
{
    assert_asked(fixture, "/book?train=berlin&person=ann&seat=0", 200, "berlin 0 ann\n");
    assert_non_null(strstr(fixture->response.head, "Content-Type: text/plain"));
    assert_asked(fixture, "/trains/berlin", 200, "{\"Seats\":[\"ann\",\"\",\"\",\"\"]}\n");
    assert_non_null(strstr(fixture->response.head, "Content-Type: application/json"));
}

TEST_ON_BOTH(the_rules_of_booking)
{
    assert_asked(fixture, "/book?train=t&person=ann&seat=3", 200, "t 3 ann\n");
    assert_asked(fixture, "/book?train=t&person=ann&seat=3", 200, "t 3 ann\n");
    assert_asked(fixture, "/book?train=t&person=bob&seat=3", 400, "another person's");
    assert_asked(fixture, "/book?train=t&person=ann&seat=2", 400, "has another seat");
    assert_asked(fixture, "/book?train=t&person=bob&seat=4", 400, "no such seat");
    assert_asked(fixture, "/book?train=t&person=bob&seat=99999999999", 400, "no such seat");
    assert_asked(fixture, "/book?train=u&person=ann&seat=2", 200, "u 2 ann\n");
    assert_asked(fixture, "/trains/t", 200, "{\"Seats\":[\"\",\"\",\"\",\"ann\"]}\n");
}

TEST_ON_BOTH(invalid_bookings)
{
    assert_asked(fixture, "/book", 400, "missing");
    assert_asked(fixture, "/book?train=t&person=p", 400, "missing");
    assert_asked(fixture, "/book?train=t&person=p&seat=x", 400, "not a number");
    assert_asked(fixture, "/book?train=t&person=p&seat=-1", 400, "not a number");
    assert_asked(fixture, "/book?train=t&person=&seat=0", 400, "empty");
    assert_asked(fixture, "/book?train=&person=p&seat=0", 400, "empty");
    assert_asked(fixture, "/book?train=t&train=u&person=p&seat=0", 400, "twice");
    assert_asked(fixture, "/book?train=%zz&person=p&seat=0", 400, "broken");
    assert_asked(fixture, "/book?train=t&person=%ff&seat=0", 400, "UTF-8");
    char target[1000];
    snprintf(target, sizeof target, "/book?train=%0201d&person=p&seat=0", 0);
    assert_asked(fixture, target, 400, "too long");
    snprintf(target, sizeof target, "/book?train=t&person=%0101d&seat=0", 0);
    assert_asked(fixture, target, 400, "too long");
    snprintf(target, sizeof target, "/book?train=%0200d&person=%0100d&seat=0", 0, 0);
    assert_asked(fixture, target, 200, " 0 000");
    assert_asked(fixture, "/trains/t", 200, "{\"Seats\":[\"\",\"\",\"\",\"\"]}\n");
}

static void assert_names_are_text(struct fixture *fixture)
{
    assert_asked(fixture, "/book?train=%ff/&person=p&seat=1", 400, "UTF-8");
    assert_asked(fixture, "/trains/%ff", 400, "UTF-8");
    assert_asked(fixture, "/book?train=a%22%5c%0a&person=a%01%22%5c%0a&seat=0", 200,
                 "a%22%5C%0A 0 a%01%22%5C%0A\n");
    assert_asked(fixture, "/trains/a%22%5c%0a", 200,
                 "{\"Seats\":[\"a\\u0001\\\"\\\\\\n\",\"\",\"\",\"\"]}\n");
}

static void assert_names_are_any_bytes(struct fixture *fixture)
{
    assert_asked(fixture, "/book?train=a%01b&person=a%01%22%5c%0a&seat=0", 200,
                 "a%01b 0 a%01%22%5C%0A\n");
    assert_asked(fixture, "/book?train=a&person=p&seat=0", 200, "a 0 p\n");
    assert_asked(fixture, "/trains/a%01b", 200,
                 "{\"Seats\":[\"a\\u0001\\\"\\\\\\n\",\"\",\"\",\"\"]}\n");
    assert_asked(fixture, "/book?train=%ff/&person=%f0%9f%9a%82&seat=1", 200,
                 "%FF%2F 1 %F0%9F%9A%82\n");
    assert_asked(fixture, "/trains/%ff/", 200, "\"\xf0\x9f\x9a\x82\"");
}

TEST_ON_BOTH(names_may_hold_what_the_store_can_keep)
{
    if (storage_is_text)
        assert_names_are_text(fixture);
    else
        assert_names_are_any_bytes(fixture);
}

/* Whatever the store could keep, and wherever it stands. */
TEST_ON_BOTH(nul_is_refused_in_every_name)
{
    assert_asked(fixture, "/trains/a%00b", 400, "NUL");
    assert_asked(fixture, "/book?train=a%00b&person=p&seat=0", 400, "NUL");
    assert_asked(fixture, "/book?train=a&person=p%00&seat=0", 400, "NUL");
    assert_asked(fixture, "/trains/a", 200, "{\"Seats\":[\"\",\"\",\"\",\"\"]}\n");
}

/* Two persons, one seat, at once: one of them gets it. */
TEST_ON_BOTH(a_contested_seat_goes_to_one)
{
    int ann = connection_open(&fixture->server);
    int bob = connection_open(&fixture->server);
    for (int i = 0; i < 50; i++) {
        char request[128];
        int size = snprintf(request, sizeof request,
                            "GET /book?train=c%d&person=ann&seat=0 HTTP/1.1\r\nHost: t\r\n\r\n", i);
        connection_send(ann, request, (size_t)size);
        memcpy(strstr(request, "ann"), "bob", 3);
        connection_send(bob, request, (size_t)size);
        struct response *response = &fixture->response;
        connection_read(ann, response);
        bool ann_has = response->status == 200;
        assert_true(ann_has || response->status == 400);
        connection_read(bob, response);
        assert_int_equal(response->status, ann_has ? 400 : 200);
        char target[32];
        snprintf(target, sizeof target, "/trains/c%d", i);
        assert_asked(fixture, target, 200, ann_has ? "[\"ann\",\"\"," : "[\"bob\",\"\",");
    }
    close(ann);
    close(bob);
}

TEST_ON_BOTH(what_is_booked_is_there_after_a_restart)
{
    assert_asked(fixture, "/book?train=r&person=ann&seat=1", 200, "r 1 ann\n");
    assert_int_equal(server_end(&fixture->server, SIGINT, NULL, 0), 0);
    /* Both servers in turn, on the same store; a stored train has the seats it was stored with. */
    static const char *const options[] = {"--seats", "7", NULL};
    for (int i = 0; i < 4; i++) {
        const char *program = i % 2 == 0 ? TRAIN_SERVER : DIRECT_SERVER;
        server_start(&fixture->server, program, &fixture->folder, options);
        assert_asked(fixture, "/trains/r", 200, "\"ann\"");
        char target[64];
        snprintf(target, sizeof target, "/book?train=s&person=p%d&seat=%d", i, i);
        assert_asked(fixture, target, 200, "s ");
        if (i < 3)
            assert_int_equal(server_end(&fixture->server, SIGTERM, NULL, 0), 0);
    }
    assert_asked(fixture, "/trains/r", 200, "{\"Seats\":[\"\",\"ann\",\"\",\"\"]}\n");
    assert_asked(fixture, "/trains/s", 200,
                 "{\"Seats\":[\"p0\",\"p1\",\"p2\",\"p3\",\"\",\"\",\"\"]}\n");
}

/* ---- Health ---------------------------------------------------------------------------------- */

/* As balancers ask: GET or HEAD, by HTTP 1.0 or 1.1, with a Host or without. */
TEST_ON_BOTH(health_is_reported_to_balancers)
{
    assert_asked(fixture, "/health", 200, "ok\n");
    assert_asked_raw(fixture, "GET /health HTTP/1.0\r\n\r\n", 200);
    assert_string_equal(fixture->response.body, "ok\n");
    assert_asked_raw(fixture, "GET /health?x=1 HTTP/1.1\r\nHost: t\r\nUser-Agent: u\r\n\r\n", 200);
    /* A response to HEAD has no body, so the harness does not find it whole. */
    assert_asked_raw(fixture, "HEAD /health HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", 0);
    assert_memory_equal(fixture->response.head, "HTTP/1.1 200 ", 13);
    assert_non_null(strstr(fixture->response.head, "\r\nContent-Length: 3\r\n"));
    assert_int_equal(fixture->response.body_size, 0);
    assert_asked_raw(fixture, "POST /health HTTP/1.1\r\nHost: t\r\n\r\n", 405);
    assert_non_null(strstr(fixture->response.head, "Allow: GET, HEAD\r\n"));
    assert_asked(fixture, "/health/", 404, "/health");
}

/* ---- HTTP ------------------------------------------------------------------------------------ */

TEST_ON_BOTH(other_paths_are_404)
{
    assert_asked(fixture, "/nothing", 404, "/book?train=T&person=P&seat=N, /trains/T");
    assert_asked(fixture, "//", 404, "");
    assert_asked(fixture, "/book/", 404, "");
    assert_asked(fixture, "/trains", 404, "");
    assert_asked(fixture, "/trains/", 400, "empty");
    assert_asked(fixture, "*", 404, "");
}

TEST_ON_BOTH(other_methods_are_405)
{
    static const char *const methods[] = {"PUT", "DELETE", "OPTIONS", "PATCH", "get", "X"};
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        char request[256];
        snprintf(request, sizeof request,
                 "%s /book?train=m&person=p&seat=0 HTTP/1.1\r\nHost: t\r\n\r\n", methods[i]);
        assert_asked_raw(fixture, request, 405);
        assert_non_null(strstr(fixture->response.head, "\r\nAllow: GET, HEAD, POST\r\n"));
    }
    static const char *const targets[] = {"/", "/trains/m", "/figures", "/metrics", "/nothing"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        char request[256];
        snprintf(request, sizeof request, "POST %s HTTP/1.1\r\nHost: t\r\n\r\n", targets[i]);
        assert_asked_raw(fixture, request, 405);
        assert_non_null(strstr(fixture->response.head, "\r\nAllow: GET, HEAD\r\n"));
    }
    assert_asked(fixture, "/trains/m", 200, "{\"Seats\":[\"\",\"\",\"\",\"\"]}\n");
}

TEST_ON_BOTH(a_booking_may_be_posted)
{
    assert_asked_raw(fixture,
                     "POST /book?train=posted&person=p&seat=0 HTTP/1.1\r\nHost: t\r\n"
                     "Content-Length: 0\r\n\r\n",
                     200);
    assert_asked_raw(fixture, "POST /book?train=posted&person=q&seat=0 HTTP/1.1\r\nHost: t\r\n\r\n",
                     400);
    assert_asked_raw(fixture, "POST /book HTTP/1.1\r\nHost: t\r\n\r\n", 400);
    assert_asked_raw(fixture,
                     "POST /book?train=posted&person=q&seat=1 HTTP/1.1\r\nHost: t\r\n"
                     "Content-Length: 3\r\n\r\nabc",
                     400);
    assert_asked(fixture, "/trains/posted", 200, "{\"Seats\":[\"p\",\"\",\"\",\"\"]}\n");
}

/* The rest of it: tests/checks/page. */
TEST_ON_BOTH(the_page_is_there)
{
    assert_asked(fixture, "/", 200, "<!doctype html>");
    assert_non_null(strstr(fixture->response.head, "Content-Type: text/html; charset=utf-8\r\n"));
    assert_non_null(strstr(fixture->response.head, "Content-Security-Policy: default-src 'none'"));
    assert_asked(fixture, "/?train=x", 200, "</html>");
    assert_asked(fixture, "/figures", 200, "\"operations\":");
    assert_asked(fixture, "/metrics", 200, "\ntrain_responses_total{class=\"ok\"} ");
    assert_null(strstr(fixture->response.body, "# EOF"));
}

TEST_ON_BOTH(a_body_is_refused)
{
    assert_asked_raw(fixture,
                     "GET /book?train=b&person=p&seat=0 HTTP/1.1\r\nHost: t\r\n"
                     "Content-Length: 3\r\n\r\nabc",
                     400);
    assert_asked_raw(fixture,
                     "GET /book?train=b&person=p&seat=0 HTTP/1.1\r\nHost: t\r\n"
                     "Content-Length: 99999999999\r\n\r\n",
                     400);
    assert_asked_raw(fixture,
                     "GET /book?train=b&person=p&seat=0 HTTP/1.1\r\nHost: t\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                     400);
    assert_asked(fixture, "/trains/b", 200, "{\"Seats\":[\"\",\"\",\"\",\"\"]}\n");
    assert_asked_raw(fixture,
                     "GET /book?train=b&person=p&seat=0 HTTP/1.1\r\nHost: t\r\n"
                     "Content-Length: 0\r\n\r\n",
                     200);
}

TEST_ON_BOTH(what_is_too_large_is_4xx)
{
    static char request[40000];
    int size =
        snprintf(request, sizeof request, "GET /trains/%020000d HTTP/1.1\r\nHost: t\r\n\r\n", 0);
    ask_raw(&fixture->server, request, (size_t)size, &fixture->response);
    assert_int_equal(fixture->response.status, 414);
    size = snprintf(request, sizeof request,
                    "GET /trains/x HTTP/1.1\r\nHost: t\r\nX: %020000d\r\n\r\n", 0);
    ask_raw(&fixture->server, request, (size_t)size, &fixture->response);
    assert_int_equal(fixture->response.status, 431);
    assert_alive(fixture);
}

TEST_ON_BOTH(one_connection_serves_many_requests)
{
    int connection = connection_open(&fixture->server);
    static const char *const targets[] = {"/book?train=k&person=p&seat=0", "/nothing",
                                          "/book?train=k&person=q&seat=0", "/trains/k",
                                          "/book?train=k"};
    static const int statuses[] = {200, 404, 400, 200, 400};
    for (size_t i = 0; i < 20; i++) {
        char request[128];
        int size =
            snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: t\r\n\r\n", targets[i % 5]);
        connection_send(connection, request, (size_t)size);
        connection_read(connection, &fixture->response);
        assert_int_equal(fixture->response.status, statuses[i % 5]);
    }
    close(connection);
}

TEST_ON_BOTH(requests_sent_ahead_are_answered_in_order)
{
    int connection = connection_open(&fixture->server);
    static const char requests[] = "GET /book?train=p&person=a&seat=0 HTTP/1.1\r\nHost: t\r\n\r\n"
                                   "GET /book?train=p&person=a&seat=1 HTTP/1.1\r\nHost: t\r\n\r\n"
                                   "GET /trains/p HTTP/1.1\r\nHost: t\r\n\r\n"
                                   "GET /nothing HTTP/1.1\r\nHost: t\r\n\r\n";
    connection_send(connection, requests, strlen(requests));
    static const int statuses[] = {200, 400, 200, 404};
    for (size_t i = 0; i < 4; i++) {
        connection_read(connection, &fixture->response);
        assert_int_equal(fixture->response.status, statuses[i]);
    }
    close(connection);
}

TEST_ON_BOTH(a_client_that_sends_no_more_is_answered)
{
    int connection = connection_open(&fixture->server);
    static const char request[] = "GET /book?train=h&person=a&seat=0 HTTP/1.1\r\nHost: t\r\n\r\n";
    connection_send(connection, request, strlen(request));
    shutdown(connection, SHUT_WR);
    connection_read(connection, &fixture->response);
    assert_int_equal(fixture->response.status, 200);
    close(connection);
}

TEST_ON_BOTH(http_1_0_is_answered_and_closed)
{
    int connection = connection_open(&fixture->server);
    static const char request[] = "GET /trains/x HTTP/1.0\r\n\r\n";
    connection_send(connection, request, strlen(request));
    connection_read(connection, &fixture->response);
    assert_int_equal(fixture->response.status, 200);
    connection_read(connection, &fixture->response);
    assert_int_equal(fixture->response.status, 0);
    close(connection);
}

TEST_ON_BOTH(a_request_may_come_in_pieces)
{
    int connection = connection_open(&fixture->server);
    static const char request[] = "GET /book?train=q&person=a&seat=0 HTTP/1.1\r\nHost: t\r\n\r\n";
    for (size_t i = 0; request[i] != '\0'; i++)
        connection_send(connection, request + i, 1);
    connection_read(connection, &fixture->response);
    assert_int_equal(fixture->response.status, 200);
    close(connection);
}

/* What is no HTTP is answered 4xx or hung up on, and does no harm. */
TEST_ON_BOTH(nonsense_does_no_harm)
{
    static const char *const nonsense[] = {
        "x\r\n\r\n",
        "GET\r\n\r\n",
        "GET  \r\n\r\n",
        "GET /trains/x\r\n\r\n",
        "GET /trains/x y HTTP/1.1\r\nHost: t\r\n\r\n",
        "GET /trains/x HTTP/9.9\r\nHost: t\r\n\r\n",
        "GET /trains/x HTTP/1.1\r\nno colon\r\n\r\n",
        "GET /trains/x HTTP/1.1\r\nHost: t\r\nContent-Length: x\r\n\r\n",
        "GET /trains/x HTTP/1.1\r\nHost: t\r\nContent-Length: -1\r\n\r\n",
    };
    for (size_t i = 0; i < sizeof nonsense / sizeof nonsense[0]; i++) {
        int connection = connection_open(&fixture->server);
        connection_send(connection, nonsense[i], strlen(nonsense[i]));
        connection_read(connection, &fixture->response);
        int status = fixture->response.status;
        if (status != 0 && (status < 400 || status > 505))
            fail_msg("%d for: %s", status, nonsense[i]);
        close(connection);
    }
    assert_alive(fixture);
}

/* The responses are not read: some requests are not whole, and the server waits for the rest. */
TEST_ON_BOTH(changed_bytes_do_no_harm)
{
    static const char good[] = "GET /book?train=z&person=%41&seat=0 HTTP/1.1\r\nHost: t\r\n"
                               "Content-Length: 0\r\n\r\n";
    struct random random = {7};
    for (int round = 0; round < 1000; round++) {
        char request[sizeof good];
        memcpy(request, good, sizeof good);
        for (int changes = 0; changes < 2; changes++) {
            request[random_below(&random, sizeof good - 1)] = (char)random_next(&random);
        }
        int connection = connection_open(&fixture->server);
        connection_send(connection, request, sizeof good - 1);
        close(connection);
    }
    assert_alive(fixture);
}

/* Clients that go away at every moment: while sending, while waiting, with a reset. */
TEST_ON_BOTH(clients_that_go_away_do_no_harm)
{
    static const char request[] = "GET /book?train=w&person=a&seat=0 HTTP/1.1\r\nHost: t\r\n\r\n";
    for (size_t i = 0; i < 200; i++) {
        int connection = connection_open(&fixture->server);
        connection_send(connection, request, i < sizeof request ? i : sizeof request - 1);
        struct linger reset = {.l_onoff = 1, .l_linger = 0};
        if (i % 2 == 1)
            setsockopt(connection, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
        close(connection);
    }
    assert_alive(fixture);
}

/* ---- The command line ------------------------------------------------------------------------ */

static int run_server(const char *program, const char *const *options, char *output,
                      size_t output_size)
{
    const char *arguments[8] = {program};
    for (size_t i = 1; *options != NULL && i < 7; i++)
        arguments[i] = *options++;
    return program_run(arguments, output, output_size);
}

TEST(the_help_names_every_option)
{
    static const char *const help[] = {"--help", NULL};
    char output[8192];
    assert_int_equal(run_server(TRAIN_SERVER, help, output, sizeof output), 0);
    static const char *const options[] = {
        "--store",          "--listen",  "--window-ms", "--seats", "--sessions",
        "--replays",        "--cache",   "--drain-ms",  "--table", "--key-column",
        "--state-column",   "postgres:", "sqlite:PATH", "SIGTERM", "/book",
        "--version-column", "/trains/T", "GET /health"};
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        assert_non_null(strstr(output, options[i]));
    assert_int_equal(run_server(DIRECT_SERVER, help, output, sizeof output), 0);
    static const char *const options_direct[] = {
        "--store", "--listen",     "--seats",          "--sessions",    "--drain-ms",
        "--table", "--key-column", "--version-column", "--state-column"};
    for (size_t i = 0; i < sizeof options_direct / sizeof options_direct[0]; i++)
        assert_non_null(strstr(output, options_direct[i]));
}

TEST(wrong_command_lines_are_refused)
{
#define LISTEN "--listen", "127.0.0.1:0"
#define STORE  "--store", "sqlite:/tmp/train-server-test-never-made/x.db"
    static const char *const lines[][8] = {
        {NULL},
        {STORE, NULL},
        {LISTEN, NULL},
        {LISTEN, "--store", "x.db", NULL},
        {LISTEN, "--store", "sqlite:", NULL},
        {LISTEN, "--store", "sqlite::memory:", NULL},
        {STORE, "--listen", "127.0.0.1", NULL},
        {STORE, "--listen", ":80", NULL},
        {STORE, "--listen", "127.0.0.1:65536", NULL},
        {STORE, "--listen", "127.0.0.1:x", NULL},
        {STORE, LISTEN, "--window-ms", "x", NULL},
        {STORE, LISTEN, "--window-ms", "-1", NULL},
        {STORE, LISTEN, "--window-ms", "5001", NULL},
        {STORE, LISTEN, "--seats", "0", NULL},
        {STORE, LISTEN, "--seats", "1001", NULL},
        {STORE, LISTEN, "--sessions", "0", NULL},
        {STORE, LISTEN, "--replays", "1001", NULL},
        {STORE, LISTEN, "--cache", "-1", NULL},
        {STORE, LISTEN, "--table", "", NULL},
        {STORE, LISTEN, "--nonsense", NULL},
        {STORE, LISTEN, "nonsense", NULL},
    };
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        assert_int_equal(run_server(TRAIN_SERVER, lines[i], NULL, 0), 2);
    static const char *const of_train_server[] = {STORE, LISTEN, "--window-ms", "5", NULL};
    assert_int_equal(run_server(DIRECT_SERVER, of_train_server, NULL, 0), 2);
    /* Well-formed, but it cannot be done. */
    static const char *const good[] = {STORE, LISTEN, NULL};
    assert_int_equal(run_server(TRAIN_SERVER, good, NULL, 0), 1);
    assert_int_equal(run_server(DIRECT_SERVER, good, NULL, 0), 1);
}

TEST_ON_BOTH(a_port_in_use_is_reported)
{
    char listen[32];
    snprintf(listen, sizeof listen, "127.0.0.1:%u", fixture->server.port);
    const char *const options[] = {"--store", fixture->folder.store, "--listen", listen, NULL};
    assert_int_equal(run_server(TRAIN_SERVER, options, NULL, 0), 1);
    assert_alive(fixture);
}

TEST_GROUP(storage_begin, storage_end)
