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
struct rig {
    int listener;
    struct fault_proxy *proxy;
    int ends[2]; /* [direction]: where it is written; the client's, the server's */
};

static void connect_both(struct rig *rig)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)fault_proxy_port(rig->proxy)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    rig->ends[TO_SERVER] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(rig->ends[TO_SERVER], (struct sockaddr *)&address, sizeof address), 0);
    rig->ends[TO_CLIENT] = accept(rig->listener, NULL, NULL);
    assert_true(rig->ends[TO_CLIENT] >= 0);
}

static void disconnect_both(struct rig *rig)
{
    close(rig->ends[0]);
    close(rig->ends[1]);
}

static int set_up(void **state)
{
    static struct rig rig;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    rig.listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(rig.listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(rig.listener, 8), 0);
    assert_int_equal(getsockname(rig.listener, (struct sockaddr *)&address, &size), 0);
    rig.proxy = fault_proxy_start(ntohs(address.sin_port));
    connect_both(&rig);
    *state = &rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    disconnect_both(rig);
    fault_proxy_end(rig->proxy);
    close(rig->listener);
    return 0;
}

#define PROXY_TEST(name) TEST_ON(name, struct rig *rig, set_up, tear_down)

static void send_text(const struct rig *rig, enum fault_direction direction)
{
    assert_int_equal(send(rig->ends[direction], text, TEXT_SIZE, MSG_NOSIGNAL), TEXT_SIZE);
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
        fault_proxy_mark(rig->proxy);
        send_text(rig, (enum fault_direction)direction);
        assert_int_equal(read_up_to(rig->ends[!direction], TEXT_SIZE, &size), 1);
        assert_int_equal(fault_proxy_bytes(rig->proxy, (enum fault_direction)direction), TEXT_SIZE);
        assert_int_equal(fault_proxy_bytes(rig->proxy, (enum fault_direction) !direction), 0);
    }
    /* An end goes the one way and leaves the other open. */
    shutdown(rig->ends[TO_SERVER], SHUT_WR);
    assert_int_equal(read_up_to(rig->ends[TO_CLIENT], 1, &size), 0);
    send_text(rig, TO_CLIENT);
    assert_int_equal(read_up_to(rig->ends[TO_SERVER], TEXT_SIZE, &size), 1);
}

static void cut_everywhere(struct rig *rig, enum fault_kind kind, int end)
{
    for (int direction = 0; direction < 2; direction++) {
        for (size_t bytes = 0; bytes <= TEXT_SIZE; bytes++) {
            size_t size;
            fault_proxy_arm(rig->proxy, (enum fault_direction)direction, bytes, kind);
            assert_false(fault_proxy_has_fired(rig->proxy));
            send_text(rig, (enum fault_direction)direction);
            assert_int_equal(read_up_to(rig->ends[!direction], 64, &size), end);
            assert_int_equal(size, bytes);
            assert_int_equal(read_up_to(rig->ends[direction], 64, &size), end);
            assert_int_equal(size, 0);
            assert_true(fault_proxy_has_fired(rig->proxy));
            char tail[FAULT_TAIL_SIZE];
            fault_proxy_tail(rig->proxy, tail);
            size_t kept = bytes < sizeof tail ? bytes : sizeof tail;
            assert_memory_equal(tail + sizeof tail - kept, text + bytes - kept, kept);
            disconnect_both(rig);
            connect_both(rig);
            assert_int_equal(fault_proxy_connections(rig->proxy), 1);
        }
    }
}

PROXY_TEST(test_it_resets_after_every_byte)
{
    cut_everywhere(rig, FAULT_RESET, -ECONNRESET);
}

PROXY_TEST(test_it_ends_after_every_byte)
{
    cut_everywhere(rig, FAULT_FIN, 0);
}

PROXY_TEST(test_it_resets_after_every_byte_in_slices)
{
    fault_proxy_slice(rig->proxy, 1, 10000);
    cut_everywhere(rig, FAULT_RESET, -ECONNRESET);
}

PROXY_TEST(test_it_holds_and_lets_go)
{
    size_t size;
    fault_proxy_arm(rig->proxy, TO_SERVER, 4, FAULT_HOLD);
    send_text(rig, TO_SERVER);
    send_text(rig, TO_CLIENT);
    assert_int_equal(read_up_to(rig->ends[TO_CLIENT], 4, &size), 1);
    while (!fault_proxy_has_fired(rig->proxy))
        nanosleep(&(struct timespec){0, 1000000}, NULL);
    struct pollfd more = {rig->ends[TO_CLIENT], POLLIN, 0};
    assert_int_equal(poll(&more, 1, 20), 0);
    fault_proxy_hold(rig->proxy, false);
    char rest[TEXT_SIZE];
    assert_int_equal(recv(rig->ends[TO_CLIENT], rest, TEXT_SIZE - 4, MSG_WAITALL), TEXT_SIZE - 4);
    assert_memory_equal(rest, text + 4, TEXT_SIZE - 4);
    assert_int_equal(read_up_to(rig->ends[TO_SERVER], TEXT_SIZE, &size), 1);
}

PROXY_TEST(test_it_resets_all)
{
    size_t size;
    fault_proxy_reset_all(rig->proxy);
    assert_int_equal(read_up_to(rig->ends[TO_SERVER], 1, &size), -ECONNRESET);
    assert_int_equal(read_up_to(rig->ends[TO_CLIENT], 1, &size), -ECONNRESET);
}

PROXY_TEST(test_nobody_listens_behind_it)
{
    size_t size;
    close(rig->listener);
    disconnect_both(rig);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)fault_proxy_port(rig->proxy)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    rig->ends[TO_SERVER] = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(rig->ends[TO_SERVER], (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(read_up_to(rig->ends[TO_SERVER], 1, &size), -ECONNRESET);
    rig->ends[TO_CLIENT] = rig->listener = -1;
}
