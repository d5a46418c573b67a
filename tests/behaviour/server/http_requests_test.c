/* Raw requests, as they should be and as they should not: what each of them gets from train-server
 * and direct-server, and whether its connection goes on (RFC 9112). */
#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "both_servers.h"

/* An answer, or the end of the connection, is due within a second; a loaded machine has longer. */
#define LONGEST_S 20

static int start_batched(void **state)
{
    static const char *const options[] = {"--window-ms", "1", "--seats", "2", NULL};
    return fixture_start(state, TRAIN_SERVER, options);
}

static int start_direct(void **state)
{
    static const char *const options[] = {"--seats", "2", NULL};
    return fixture_start(state, DIRECT_SERVER, options);
}

enum fate {
    OPEN,  /* the next request on the connection is answered */
    CLOSED /* nothing that follows on the connection is a request */
};

struct request_case {
    const char *bytes;
    size_t size;
    int status; /* 0: any 4xx or 5xx, or none */
    enum fate fate;
};

#define CASE(status, fate, text)                                                                   \
    {                                                                                              \
        text, sizeof(text) - 1, status, fate                                                       \
    }
#define GET  "GET /trains/x HTTP/1.1\r\n"
#define HOST "Host: t\r\n"
#define BOOK "GET /book?train=hidden&person=p&seat=1 HTTP/1.1\r\nHost: t\r\n\r\n"

#define HEADER(status, fate, text)  CASE(status, fate, GET HOST text "\r\n\r\n")
#define BODY(status, text)          CASE(status, CLOSED, GET HOST text "\r\n\r\n" BOOK)
#define HOST_IS(status, fate, host) CASE(status, fate, GET "Host:" host "\r\n\r\n")
#define LINE(status, fate, text)    CASE(status, fate, text "\r\n" HOST "\r\n")

/* Two servers may read these in two ways: what follows may be a body, or a request. */
static const struct request_case of_framing[] = {
    BODY(400, "Content-Length: 0\r\nContent-Length: 61"),
    BODY(400, "Content-Length: 61\r\nContent-Length: 0"),
    BODY(400, "Content-Length: 0\r\nContent-Length: 0"),
    BODY(400, "Content-Length: 0\r\ncontent-length: 0"),
    BODY(400, "Content-Length: 0\r\nTransfer-Encoding: chunked"),
    BODY(400, "Transfer-Encoding: chunked\r\nContent-Length: 0"),
    BODY(400, "Transfer-Encoding: chunked"),
    BODY(400, "Transfer-Encoding: gzip"),
    BODY(400, "Transfer-Encoding: identity"),
    BODY(400, "Transfer-Encoding: chunked, chunked"),
    BODY(400, "Transfer-Encoding : chunked"),
    BODY(400, "Transfer-Encoding:\r\n chunked"),
    BODY(400, "Content-Length: 0, 0"),
    BODY(400, "Content-Length: +0"),
    BODY(400, "Content-Length: -0"),
    BODY(400, "Content-Length: -1"),
    BODY(400, "Content-Length: 0x0"),
    BODY(400, "Content-Length: 00"),
    BODY(400, "Content-Length:"),
    BODY(400, "Content-Length: x"),
    BODY(413, "Content-Length: 99999999999999999999999999"),
    BODY(400, "Content-Length: 70"),
    BODY(400, "Content-Length : 70"),
    BODY(400, "Content-Length:\r\n 70"),
    BODY(400, "Content-Length: 0\00070"),
    BODY(400, "Content-Length\0: 70"),
    BODY(400, "X: a\rContent-Length: 70"),
    BODY(400, "X: a\n\r\n"),
    CASE(405, CLOSED, "POST /trains/x HTTP/1.1\r\n" HOST "Content-Length: 70\r\n\r\n" BOOK),
    CASE(405, CLOSED, "POST /x HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n" BOOK),
    CASE(400, CLOSED, "GET /trains/x HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n" BOOK),
    HEADER(200, OPEN, "Content-Length: 0"),
};

static const struct request_case of_headers[] = {
    HEADER(200, OPEN, "X:"),
    HEADER(200, OPEN, "X: \t a b \t"),
    HEADER(200, OPEN, "X: a: b"),
    HEADER(200, OPEN, "X: \xc3\xbc"),
    HEADER(200, OPEN, "Connection: Upgrade\r\nUpgrade: h2c"),
    HEADER(200, CLOSED, "Connection: close"),
    HEADER(400, CLOSED, "X: a\r\n b"),
    HEADER(400, CLOSED, "X: a\r\n\tb\r\nY: c"),
    HEADER(400, CLOSED, " "),
    HEADER(400, CLOSED, "X : a"),
    HEADER(400, CLOSED, "X\t: a"),
    HEADER(400, CLOSED, "no colon"),
    HEADER(400, CLOSED, ": a"),
    HEADER(400, CLOSED, "X@Y: a"),
    HEADER(400, CLOSED, "X\xffY: a"),
    HEADER(400, CLOSED, "X: a\001"),
    HEADER(400, CLOSED, "X: a\0b"),
    HEADER(400, CLOSED, "X: a\0b\r\nY: c"),
    HEADER(400, CLOSED, "X\0Y: a"),
    HEADER(400, CLOSED, "\0"),
    HEADER(400, CLOSED, "\0X: a"),
    CASE(400, CLOSED, "GET /trains/x HTTP/1.1\r\n " HOST "\r\n"),
    CASE(400, CLOSED, "GET /trains/x HTTP/1.1\n" HOST "\r\n"),
    CASE(400, CLOSED, "GET /trains/x HTTP/1.1\r\nHost: t\n\n"),
};

static const struct request_case of_hosts[] = {
    CASE(400, CLOSED, GET "\r\n"),
    CASE(400, CLOSED, GET "X: t\r\n\r\n"),
    CASE(200, CLOSED, "GET /trains/x HTTP/1.0\r\n\r\n"),
    CASE(400, CLOSED, GET HOST HOST "\r\n"),
    CASE(400, CLOSED, "GET /trains/x HTTP/1.0\r\n" HOST HOST "\r\n"),
    CASE(400, CLOSED, "GET http://t/trains/x HTTP/1.1\r\n\r\n"),
    HOST_IS(200, OPEN, ""),
    HOST_IS(200, OPEN, "a"),
    HOST_IS(200, OPEN, " \ta-b.example \t"),
    HOST_IS(200, OPEN, " a:80"),
    HOST_IS(200, OPEN, " a:"),
    HOST_IS(200, OPEN, " 127.0.0.1:8080"),
    HOST_IS(200, OPEN, " [::1]:8080"),
    HOST_IS(200, OPEN, " [fe80::1%25eth0]"),
    HOST_IS(400, CLOSED, " a b"),
    HOST_IS(400, CLOSED, " a/b"),
    HOST_IS(400, CLOSED, " u@a"),
    HOST_IS(400, CLOSED, " a:8x"),
    HOST_IS(400, CLOSED, " a:80:80"),
    HOST_IS(400, CLOSED, " :80"),
    HOST_IS(400, CLOSED, " [::1"),
    HOST_IS(400, CLOSED, " []"),
    HOST_IS(400, CLOSED, " [::1]80"),
    HOST_IS(400, CLOSED, " a\0b"),
    HOST_IS(400, CLOSED, " http://a"),
};

static const struct request_case of_first_lines[] = {
    LINE(400, CLOSED,
         "GET /book?train=hidden&person=p&seat=1\0"
         "999 HTTP/1.1"),
    LINE(400, CLOSED, "GET /book?train=hidden&person=p&seat=1\0 HTTP/1.1"),
    LINE(400, OPEN, "GET /book?train=hidden&person=p&seat=1%00 HTTP/1.1"),
    LINE(400, OPEN, "GET /book?train=hidden&person=p&seat=1%00999 HTTP/1.1"),
    LINE(400, OPEN, "GET /book?train=hidden%00&person=p&seat=1 HTTP/1.1"),
    LINE(400, OPEN, "GET /book?train=hidden&person=%00p&seat=1 HTTP/1.1"),
    LINE(400, OPEN, "GET /trains/x%00y HTTP/1.1"),
    LINE(400, OPEN, "GET http://t/trains/%00 HTTP/1.1"),
    LINE(400, CLOSED, "GET /trains/x\0y HTTP/1.1"),
    LINE(400, CLOSED, "GE\0T /trains/x HTTP/1.1"),
    LINE(400, CLOSED, "GET /trains/x HTTP/1.1\0"),
    LINE(400, CLOSED, "GET /trains/x HTTP/1.1\0abc"),
    LINE(400, CLOSED, "GET  /trains/x HTTP/1.1"),
    LINE(400, OPEN, "GET /trains/x y HTTP/1.1"),
    LINE(400, CLOSED, "GET /trains/x HTTP/1.1 "),
    LINE(400, CLOSED, "GET /trains/x http/1.1"),
    LINE(400, CLOSED, "GET /trains/x HTTPS/1.1"),
    LINE(505, CLOSED, "GET /trains/x HTTP/2.0"),
    LINE(505, CLOSED, "GET /trains/x HTTP/0.9"),
    LINE(505, CLOSED, "PRI * HTTP/2.0"),
    LINE(0, CLOSED, "GET"),
    LINE(0, CLOSED, "GET /trains/x"),
    LINE(0, CLOSED, "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"),
    LINE(200, OPEN, "\r\nGET /trains/x HTTP/1.1"),
    LINE(405, OPEN, "OPTIONS * HTTP/1.1"),
    LINE(405, OPEN, "CONNECT t:80 HTTP/1.1"),
    LINE(405, OPEN, "TRACE /trains/x HTTP/1.1"),
    LINE(405, OPEN, "get /trains/x HTTP/1.1"),
    LINE(200, OPEN, "GET http://t/trains/x HTTP/1.1"),
    LINE(200, OPEN, "GET HTTPS://t:80/trains/x?y HTTP/1.1"),
    LINE(200, OPEN, "GET http://t/health HTTP/1.1"),
    LINE(200, OPEN, "GET http://t/book?train=absolute&person=p&seat=1 HTTP/1.1"),
    LINE(404, OPEN, "GET http://t HTTP/1.1"),
    LINE(404, OPEN, "GET http://t?/health HTTP/1.1"),
    LINE(404, OPEN, "GET ftp://t/health HTTP/1.1"),
};

static int connection_open_patient(const struct server *server)
{
    int connection = connection_open(server);
    const struct timeval patience = {.tv_sec = patience_s(LONGEST_S)};
    setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return connection;
}

/* Everything that comes until the connection is closed. False: it is not closed. */
static bool read_to_end(int connection, char *ret_text, size_t text_size)
{
    size_t size = 0;
    ssize_t got;
    while ((got = recv(connection, ret_text + size, text_size - 1 - size, 0)) > 0)
        size += (size_t)got;
    ret_text[size] = '\0';
    return got == 0 || errno == ECONNRESET;
}

static void assert_case(struct fixture *fixture, const struct request_case *tried)
{
    static const char next[] = "GET /health HTTP/1.1\r\nHost: t\r\n\r\n";
    struct response *response = &fixture->response;
    int connection = connection_open_patient(&fixture->server);
    connection_send(connection, tried->bytes, tried->size);
    if (tried->fate == OPEN) {
        connection_read(connection, response);
        int status = response->status;
        connection_send(connection, next, strlen(next));
        connection_read(connection, response);
        if (status != tried->status || response->status != 200)
            fail_msg("%d, then %d for: %s", status, response->status, tried->bytes);
    } else {
        char text[16384];
        int status = 0;
        bool closed = read_to_end(connection, text, sizeof text);
        sscanf(text, "HTTP/1.1 %d ", &status);
        if (!closed || (tried->status != 0 ? status != tried->status : status == 200) ||
            strstr(text, "hidden") != NULL)
            fail_msg("%s for: %s", text, tried->bytes);
    }
    close(connection);
}

/* And none of them has done more than it was answered. */
static void assert_cases(struct fixture *fixture, const struct request_case *cases, size_t size)
{
    for (size_t i = 0; i < size; i++)
        assert_case(fixture, &cases[i]);
    assert_int_equal(ask(&fixture->server, "/trains/hidden", &fixture->response), 200);
    assert_string_equal(fixture->response.body, "{\"Seats\":[\"\",\"\"]}\n");
}

#define ASSERT_CASES(cases) assert_cases(fixture, cases, sizeof(cases) / sizeof(cases)[0])

TEST_ON_BOTH(a_request_whose_end_is_in_doubt_is_the_last_on_its_connection)
{
    ASSERT_CASES(of_framing);
}

TEST_ON_BOTH(headers_are_well_formed)
{
    ASSERT_CASES(of_headers);
}

TEST_ON_BOTH(a_request_has_one_host)
{
    ASSERT_CASES(of_hosts);
}

TEST_ON_BOTH(first_lines_are_well_formed)
{
    ASSERT_CASES(of_first_lines);
}

/* ---- HEAD ------------------------------------------------------------------------------------ */

/* The status and headers of GET, and no body: the next response follows at once. */
TEST_ON_BOTH(head_is_answered_wherever_get_is)
{
    static const struct {
        const char *target;
        int status;
    } cases[] = {
        {"/trains/x", 200}, {"/health", 200},  {"/book?train=h&person=p&seat=1", 200},
        {"/nothing", 404},  {"/trains/", 400}, {"/book?train=h&person=p&seat=9", 400},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char requests[256];
        char text[4096];
        int size = snprintf(requests, sizeof requests,
                            "HEAD %s HTTP/1.1\r\nHost: t\r\n\r\n"
                            "GET /health HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
                            cases[i].target);
        int connection = connection_open_patient(&fixture->server);
        connection_send(connection, requests, (size_t)size);
        assert_true(read_to_end(connection, text, sizeof text));
        close(connection);
        int status = 0;
        sscanf(text, "HTTP/1.1 %d ", &status);
        assert_int_equal(status, cases[i].status);
        assert_non_null(strstr(text, "\r\nContent-Length: "));
        assert_memory_equal(strstr(text, "\r\n\r\n") + 4, "HTTP/1.1 200 ", 13);
    }
}

/* ---- What does not fit into the memory of a connection --------------------------------------- */

/* `part` so many times in a request; no request for a second book comes of it. */
static void assert_ends(struct fixture *fixture, const char *before, const char *part, int times,
                        const char *after)
{
    static char request[65536];
    char text[16384];
    size_t size = (size_t)snprintf(request, sizeof request, "%s", before);
    for (int i = 0; i < times; i++)
        size += (size_t)snprintf(request + size, sizeof request - size, "%s", part);
    size += (size_t)snprintf(request + size, sizeof request - size, "%s", after);
    int connection = connection_open_patient(&fixture->server);
    connection_send(connection, request, size);
    if (!read_to_end(connection, text, sizeof text))
        fail_msg("no answer, and not closed: %d times \"%s\"", times, part);
    close(connection);
}

TEST_ON_BOTH(too_many_parts_of_a_request_end_in_an_answer_or_a_closed_connection)
{
    static const int times[] = {1, 30, 60, 90, 100, 110, 115, 120, 130, 200, 500, 1000, 4000};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        assert_ends(fixture, "GET /book?train=many&person=p&seat=1", "&a=b", times[i],
                    " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
        assert_ends(fixture, "GET /trains/x HTTP/1.1\r\nHost: t\r\nConnection: close\r\n",
                    "a: b\r\n", times[i], "\r\n");
        assert_ends(fixture,
                    "GET /trains/x HTTP/1.1\r\nHost: t\r\nConnection: close\r\nCookie: ", "a=b; ",
                    times[i], "c=d\r\n\r\n");
        assert_ends(fixture, "GET /trains/", "x", times[i],
                    " HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n");
    }
    assert_int_equal(ask(&fixture->server, "/health", &fixture->response), 200);
}

/* ---- Requests that do not arrive ------------------------------------------------------------- */

static bool is_closed(int connection)
{
    char byte;
    ssize_t got = recv(connection, &byte, 1, MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN);
}

/* A byte now and then of the first line, or of a header, and nothing at all: none of them holds a
 * connection for long. Those that are used go on. */
TEST(a_request_that_takes_too_long_to_arrive_is_given_up)
{
    static const char *const options[] = {"--window-ms", "1", NULL};
    static const char next[] = "GET /health HTTP/1.1\r\nHost: t\r\n\r\n";
    static const char line[] = "GET /trains/x HTTP/1.1\r\n";
    const struct timespec pause = {0, 100000000};
    struct fixture fixture;
    storage_folder(&fixture.folder);
    server_start(&fixture.server, TRAIN_SERVER, &fixture.folder, options);
    int slow_line = connection_open(&fixture.server);
    int slow_header = connection_open(&fixture.server);
    int idle = connection_open(&fixture.server);
    int kept = connection_open_patient(&fixture.server);
    connection_send(kept, next, strlen(next));
    connection_read(kept, &fixture.response);
    connection_send(slow_header, line, strlen(line));
    for (int i = 0; !is_closed(slow_line) || !is_closed(slow_header) || !is_closed(idle); i++) {
        if (i >= 10 * (int)patience_s(40))
            fail_msg("a connection is held");
        connection_send(slow_line, "G", 1);
        connection_send(slow_header, "x", 1);
        nanosleep(&pause, NULL);
    }
    connection_send(kept, next, strlen(next));
    connection_read(kept, &fixture.response);
    assert_int_equal(fixture.response.status, 200);
    close(slow_line);
    close(slow_header);
    close(idle);
    close(kept);
    assert_int_equal(server_end(&fixture.server, SIGTERM, NULL, 0), 0);
    folder_remove(&fixture.folder);
}

TEST_GROUP(storage_begin, storage_end)
