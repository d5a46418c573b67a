/* io_uring.c DATABASE SOCKET: the server of clicks.h in a loop of its own, with io_uring. */
#include "clicks.h"

#include <liburing.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ENTRIES = 256, SKIPPED = 77 };

struct connection {
    struct client client; /* first */
    int fd;
    char in[CLICKS_LINE_MAX];
};

static struct clicks clicks;
static struct io_uring ring;
static int listener, signal_fd;
static bool is_over;

static struct io_uring_sqe *entry(void *what)
{
    struct io_uring_sqe *sqe;
    while ((sqe = io_uring_get_sqe(&ring)) == NULL)
        io_uring_submit(&ring);
    io_uring_sqe_set_data(sqe, what);
    return sqe;
}

/* Wait until `fd` is readable, once. What a completion is of: one of these, or a connection. */
static void watch(int fd, void *what)
{
    io_uring_prep_poll_add(entry(what), fd, POLLIN);
}

/* ---- Clients --------------------------------------------------------------------------------- */

/* A client has one response on its way, so there is room for it. */
static void send_text(struct client *client, const char *text, size_t size)
{
    int fd = ((struct connection *)client)->fd;
    if (send(fd, text, size, MSG_DONTWAIT) != (ssize_t)size)
        shutdown(fd, SHUT_RDWR);
}

static void free_client(struct client *client)
{
    close(((struct connection *)client)->fd);
    free(client);
}

static void receive(struct connection *connection)
{
    io_uring_prep_recv(entry(connection), connection->fd, connection->in, sizeof connection->in, 0);
}

static void on_received(struct connection *connection, int size)
{
    if (size > 0 && client_received(&connection->client, connection->in, (size_t)size))
        receive(connection);
    else
        client_gone(&connection->client);
}

static void accept_one(void)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    struct connection *connection = fd >= 0 ? calloc(1, sizeof *connection) : NULL;
    if (connection == NULL)
        return;
    connection->client = (struct client){.clicks = &clicks, .send = send_text, .free = free_client};
    connection->fd = fd;
    receive(connection);
}

static void stopped(batch_processor *processor, void *arg)
{
    (void)processor, (void)arg;
    is_over = true;
}

static void on_completion(void *what, int result)
{
    if (what == &clicks.completions) { /* Glue { */
        batch_completions_dispatch(clicks.completions, 0, 0);
        watch(batch_completions_fd(clicks.completions), &clicks.completions);
    } else if (what == &signal_fd) { /* } */
        batch_processor_stop_to(clicks.processor, clicks.completions, stopped, NULL);
    } else if (what == &listener) {
        accept_one();
        watch(listener, &listener);
    } else {
        on_received(what, result);
    }
}

int main(int argc, char **argv)
{
    sigset_t signals;
    if (argc != 3 || io_uring_queue_init(ENTRIES, &ring, 0) != 0)
        return SKIPPED; /* the kernel may have none, or forbid it */
    clicks_open(&clicks, argv[1], &signals);
    watch(listener = clicks_listen(argv[2]), &listener);
    watch(signal_fd = signalfd(-1, &signals, SFD_CLOEXEC), &signal_fd);
    batch_completions_open(&clicks.completions, NULL);                    /* Glue { */
    watch(batch_completions_fd(clicks.completions), &clicks.completions); /* } */
    puts("ready");
    fflush(stdout);
    for (struct io_uring_cqe *cqe; !is_over; io_uring_cqe_seen(&ring, cqe)) {
        while (io_uring_peek_cqe(&ring, &cqe) != 0)
            io_uring_submit_and_wait(&ring, 1);
        on_completion(io_uring_cqe_get_data(cqe), cqe->res);
    }
    io_uring_queue_exit(&ring);
    return clicks_close(&clicks);
}
