#define _POSIX_C_SOURCE 200809L /* close */
#include "cancel.h"

#include "../check.h"
#include "wait.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define GRACE_NS (500 * BATCH__POSTGRES_MS)

enum { CANCEL_CODE = 80877102 }; /* in place of a version of the protocol: 1234 and 5678 */

static void close_socket(struct batch__postgres_cancel *cancel)
{
    if (cancel->is_open)
        close(cancel->socket);
    cancel->is_open = false;
}

static unsigned char *put32(unsigned char *to, uint32_t number)
{
    for (int i = 0; i < 4; i++)
        to[i] = (unsigned char)(number >> (24 - 8 * i));
    return to + 4;
}

/* Start connecting to where `conn` leads. */
static void open_socket(struct batch__postgres_cancel *cancel, const PGconn *conn)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    if (getpeername(PQsocket(conn), (struct sockaddr *)&address, &size) != 0)
        return;
    cancel->socket = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    cancel->is_open = cancel->socket >= 0;
    if (cancel->is_open && connect(cancel->socket, (const struct sockaddr *)&address, size) != 0 &&
        errno != EINPROGRESS)
        close_socket(cancel);
}

void batch__postgres_cancel_begin(struct batch__postgres_cancel *cancel,
                                  const struct batch__postgres_key *key, const PGconn *conn)
{
    batch__check(!cancel->is_begun);
    batch__check(!cancel->is_open);
    cancel->is_begun = true;
    cancel->until_ns = batch_now_ns() + GRACE_NS;
    if (!key->is_known)
        return;
    unsigned char *to = put32(cancel->request, BATCH__POSTGRES_CANCEL_SIZE);
    to = put32(to, CANCEL_CODE);
    to = put32(to, key->process);
    put32(to, key->secret);
    open_socket(cancel, conn);
}

struct pollfd batch__postgres_cancel_fd(const struct batch__postgres_cancel *cancel)
{
    struct pollfd fd = {.fd = -1};
    if (cancel->is_open) {
        fd.fd = cancel->socket;
        fd.events = cancel->sent < sizeof cancel->request ? POLLOUT : POLLIN;
    }
    return fd;
}

static bool is_later(int error)
{
    return error == EAGAIN || error == EINTR;
}

/* Send what is left of the request; then wait until the other side has read it, and closes. */
void batch__postgres_cancel_advance(struct batch__postgres_cancel *cancel)
{
    batch__check(cancel->is_open);
    batch__check(cancel->sent <= sizeof cancel->request);
    if (cancel->sent == sizeof cancel->request) {
        char byte;
        if (recv(cancel->socket, &byte, 1, 0) >= 0 || !is_later(errno))
            close_socket(cancel);
        return;
    }
    ssize_t sent = send(cancel->socket, cancel->request + cancel->sent,
                        sizeof cancel->request - cancel->sent, MSG_NOSIGNAL);
    if (sent > 0)
        cancel->sent += (size_t)sent;
    else if (!is_later(errno))
        close_socket(cancel);
}

void batch__postgres_cancel_end(struct batch__postgres_cancel *cancel)
{
    struct batch__postgres_limit grace = {cancel->until_ns, NULL};
    while (cancel->is_open && cancel->sent > 0 && !batch__postgres_is_over(&grace)) {
        struct pollfd fd = batch__postgres_cancel_fd(cancel);
        batch__postgres_poll(&fd, 1, &grace);
        if (fd.revents != 0)
            batch__postgres_cancel_advance(cancel);
    }
    close_socket(cancel);
}
