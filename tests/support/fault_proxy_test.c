/* The proxy itself: a fault that came a byte late or early would prove the wrong thing. */
#include "fault_proxy.h"
#include "test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_SIZE = 10 };
static const char text[TEXT_SIZE + 1] = "0123456789";

/* A proxy, and the two ends of one connection through it. */
struct fixture {
    int listener;
    struct fault_proxy *proxy;
    int ends[2]; /* [direction]: where it is written; the client's, the server's */
};

static void connect_both(struct fixture *fixture)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)fault_proxy_port(fixture->proxy)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    fixture->ends[TO_SERVER] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fixture->ends[TO_SERVER], (struct sockaddr *)&address, sizeof address),
                     0);
    fixture->ends[TO_CLIENT] = accept(fixture->listener, NULL, NULL);
    assert_true(fixture->ends[TO_CLIENT] >= 0);
}

static void disconnect_both(struct fixture *fixture)
{
    close(fixture->ends[0]);
    close(fixture->ends[1]);
}

static int set_up(void **state)
{
    static struct fixture fixture;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    fixture.listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fixture.listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fixture.listener, 8), 0);
    assert_int_equal(getsockname(fixture.listener, (struct sockaddr *)&address, &size), 0);
    fixture.proxy = fault_proxy_start(ntohs(address.sin_port));
    connect_both(&fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    disconnect_both(fixture);
    fault_proxy_end(fixture->proxy);
    close(fixture->listener);
    return 0;
}

#define PROXY_TEST(name) TEST_ON(name, struct fixture *fixture, set_up, tear_down)

static void send_text(const struct fixture *fixture, enum fault_direction direction)
{
    assert_int_equal(send(fixture->ends[direction], text, TEXT_SIZE, MSG_NOSIGNAL), TEXT_SIZE);
}

/* Read what comes until `size_max` bytes or the end. What ended it: 0, or -errno; 1 for enough. */
static int read_up_to(int end, size_t size_max, size_t *ret_size)
{
    char bytes[64];
    *ret_size = 0;
    while (*ret_size < size_max) {
        ssize_t got = recv(end, bytes + *ret_size, size_max - *ret_size, 0);
        if (got <= 0) {
            assert_memory_equal(bytes, text, *ret_size);
            return got == 0 ? 0 : -errno;
        }
        *ret_size += (size_t)got;
    }
    assert_memory_equal(bytes, text, *ret_size);
    return 1;
}

PROXY_TEST(test_it_forwards_and_counts)
{
    size_t size;
    for (int direction = 0; direction < 2; direction++) {
        fault_proxy_mark(fixture->proxy);
        send_text(fixture, (enum fault_direction)direction);
        assert_int_equal(read_up_to(fixture->ends[!direction], TEXT_SIZE, &size), 1);
        assert_int_equal(fault_proxy_bytes(fixture->proxy, (enum fault_direction)direction),
                         TEXT_SIZE);
        assert_int_equal(fault_proxy_bytes(fixture->proxy, (enum fault_direction) !direction), 0);
    }
    /* An end goes the one way and leaves the other open. */
    shutdown(fixture->ends[TO_SERVER], SHUT_WR);
    assert_int_equal(read_up_to(fixture->ends[TO_CLIENT], 1, &size), 0);
    send_text(fixture, TO_CLIENT);
    assert_int_equal(read_up_to(fixture->ends[TO_SERVER], TEXT_SIZE, &size), 1);
}

static void cut_everywhere(struct fixture *fixture, enum fault_kind kind, int end)
{
    for (int direction = 0; direction < 2; direction++) {
        for (size_t bytes = 0; bytes <= TEXT_SIZE; bytes++) {
            size_t size;
            fault_proxy_arm(fixture->proxy, (enum fault_direction)direction, bytes, kind);
            assert_false(fault_proxy_has_fired(fixture->proxy));
            send_text(fixture, (enum fault_direction)direction);
            assert_int_equal(read_up_to(fixture->ends[!direction], 64, &size), end);
            assert_int_equal(size, bytes);
            assert_int_equal(read_up_to(fixture->ends[direction], 64, &size), end);
            assert_int_equal(size, 0);
            assert_true(fault_proxy_has_fired(fixture->proxy));
            char tail[FAULT_TAIL_SIZE];
            fault_proxy_tail(fixture->proxy, tail);
            size_t kept = bytes < sizeof tail ? bytes : sizeof tail;
            assert_memory_equal(tail + sizeof tail - kept, text + bytes - kept, kept);
            disconnect_both(fixture);
            connect_both(fixture);
            assert_int_equal(fault_proxy_connections(fixture->proxy), 1);
        }
    }
}

PROXY_TEST(test_it_resets_after_every_byte)
{
    cut_everywhere(fixture, FAULT_RESET, -ECONNRESET);
}

PROXY_TEST(test_it_ends_after_every_byte)
{
    cut_everywhere(fixture, FAULT_FIN, 0);
}

PROXY_TEST(test_it_resets_after_every_byte_in_slices)
{
    fault_proxy_slice(fixture->proxy, 1, 10000);
    cut_everywhere(fixture, FAULT_RESET, -ECONNRESET);
}

PROXY_TEST(test_it_holds_and_lets_go)
{
    size_t size;
    fault_proxy_arm(fixture->proxy, TO_SERVER, 4, FAULT_HOLD);
    send_text(fixture, TO_SERVER);
    send_text(fixture, TO_CLIENT);
    assert_int_equal(read_up_to(fixture->ends[TO_CLIENT], 4, &size), 1);
    while (!fault_proxy_has_fired(fixture->proxy))
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    struct pollfd more = {fixture->ends[TO_CLIENT], POLLIN, 0};
    assert_int_equal(poll(&more, 1, 20), 0);
    fault_proxy_hold(fixture->proxy, false);
    char rest[TEXT_SIZE];
    assert_int_equal(recv(fixture->ends[TO_CLIENT], rest, TEXT_SIZE - 4, MSG_WAITALL),
                     TEXT_SIZE - 4);
    assert_memory_equal(rest, text + 4, TEXT_SIZE - 4);
    assert_int_equal(read_up_to(fixture->ends[TO_SERVER], TEXT_SIZE, &size), 1);
}

PROXY_TEST(test_it_resets_all)
{
    size_t size;
    fault_proxy_reset_all(fixture->proxy);
    assert_int_equal(read_up_to(fixture->ends[TO_SERVER], 1, &size), -ECONNRESET);
    assert_int_equal(read_up_to(fixture->ends[TO_CLIENT], 1, &size), -ECONNRESET);
}

PROXY_TEST(test_nobody_listens_behind_it)
{
    size_t size;
    close(fixture->listener);
    disconnect_both(fixture);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)fault_proxy_port(fixture->proxy)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    fixture->ends[TO_SERVER] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fixture->ends[TO_SERVER], (struct sockaddr *)&address, sizeof address),
                     0);
    assert_int_equal(read_up_to(fixture->ends[TO_SERVER], 1, &size), -ECONNRESET);
    fixture->ends[TO_CLIENT] = fixture->listener = -1;
}
