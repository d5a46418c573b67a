/* driven.c DATABASE SOCKET: the server of clicks.h in a loop of its own, with epoll, which runs the
 * operations too: libbatch has no thread but those that wait for the disk. */
#include "clicks.h"

#include <batch/driven.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 64 };

struct connection {
    struct client client; /* first */
    int fd;
};

static struct clicks clicks;
static int epoll, listener;

/* What an event is of: the address of one of these, or a connection. */
static void watch(int fd, void *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0)
        abort();
}

/* ---- Clients --------------------------------------------------------------------------------- */

/* A client has one response on its way, so there is room for it. */
static void send_text(struct client *client, const char *text, size_t size)
{
    if (send(((struct connection *)client)->fd, text, size, 0) != (ssize_t)size)
        shutdown(((struct connection *)client)->fd, SHUT_RDWR);
}

static void free_client(struct client *client)
{
    free(client);
}

static void accept_all(void)
{
    int fd;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = calloc(1, sizeof *connection);
        if (connection == NULL)
            abort();
        connection->client =
            (struct client){.clicks = &clicks, .send = send_text, .free = free_client};
        connection->fd = fd;
        watch(fd, connection);
    }
}

static void receive(struct connection *connection)
{
    char bytes[CLICKS_LINE_MAX];
    ssize_t size = read(connection->fd, bytes, sizeof bytes);
    if (size > 0 && client_received(&connection->client, bytes, (size_t)size))
        return;
    close(connection->fd);
    client_gone(&connection->client);
}

/* ---- The loop -------------------------------------------------------------------------------- */

int main(int argc, char **argv)
{
    sigset_t signals;
    if (argc != 3)
        return 2;
    clicks_open_driven(&clicks, argv[1], &signals);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    int signal_fd = signalfd(-1, &signals, SFD_CLOEXEC);
    watch(signal_fd, &signals);
    watch(listener = clicks_listen(argv[2]), &listener);
    /* Glue { */
    watch(batch_processor_fd(clicks.processor), clicks.processor);
    /* } and its event, below. */
    puts("ready");
    fflush(stdout);
    for (bool is_over = false; !is_over;) {
        struct epoll_event events[EVENTS];
        int count = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < count; i++) {
            void *what = events[i].data.ptr;
            if (what == clicks.processor) { /* Glue { */
                batch_processor_drive(clicks.processor, 0);
            } else if (what == &signals) { /* } */
                is_over = true;
            } else if (what == &listener) {
                accept_all();
            } else {
                receive(what);
            }
        }
    }
    close(signal_fd);
    close(listener);
    batch_processor_stop(clicks.processor, BATCH_FOREVER); /* what is submitted is complete */
    return clicks_close(&clicks);
}
