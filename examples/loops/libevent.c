/* libevent.c DATABASE SOCKET: the server of clicks.h in a loop of libevent. */
#include "clicks.h"

#include <event2/event.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    struct client client; /* first */
    struct event *event;
};

static struct clicks clicks;
static struct event_base *base;
static struct evconnlistener *listener;

/* ---- Clients --------------------------------------------------------------------------------- */

/* A client has one response on its way, so there is room for it. */
static void send_text(struct client *client, const char *text, size_t size)
{
    int fd = event_get_fd(((struct connection *)client)->event);
    if (send(fd, text, size, 0) != (ssize_t)size)
        shutdown(fd, SHUT_RDWR);
}

static void free_client(struct client *client)
{
    int fd = event_get_fd(((struct connection *)client)->event);
    event_free(((struct connection *)client)->event);
    close(fd);
    free(client);
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
    struct connection *connection = arg;
    char bytes[CLICKS_LINE_MAX];
    (void)what;
    ssize_t size = read(fd, bytes, sizeof bytes);
    if (size > 0 && client_received(&connection->client, bytes, (size_t)size))
        return;
    event_del(connection->event);
    client_gone(&connection->client);
}

static void on_connection(struct evconnlistener *from, evutil_socket_t fd, struct sockaddr *address,
                          int address_size, void *arg)
{
    struct connection *connection = calloc(1, sizeof *connection);
    (void)from, (void)address, (void)address_size, (void)arg;
    if (connection == NULL)
        abort();
    connection->client = (struct client){.clicks = &clicks, .send = send_text, .free = free_client};
    connection->event = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, connection);
    event_add(connection->event, NULL);
}

/* ---- libbatch -------------------------------------------------------------------------------- */

/* Glue { */
static void on_completions(evutil_socket_t fd, short what, void *completions)
{
    (void)fd, (void)what;
    batch_completions_dispatch(completions, 0, 0);
}
/* } and what opens it, below. */

static void stopped(batch_processor *processor, void *arg)
{
    (void)processor, (void)arg;
    event_base_loopbreak(base);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
    (void)number, (void)what, (void)arg;
    evconnlistener_disable(listener);
    batch_processor_stop_to(clicks.processor, clicks.completions, stopped, NULL);
}

int main(int argc, char **argv)
{
    sigset_t blocked;
    if (argc != 3)
        return 2;
    clicks_open(&clicks, argv[1], &blocked);
    base = event_base_new();
    batch_completions_open(&clicks.completions, NULL); /* Glue { */
    int fd = batch_completions_fd(clicks.completions);
    struct event *event =
        event_new(base, fd, EV_READ | EV_PERSIST, on_completions, clicks.completions);
    event_add(event, NULL); /* } */
    struct event *term = evsignal_new(base, SIGTERM, on_signal, NULL);
    event_add(term, NULL);
    sigprocmask(SIG_UNBLOCK, &blocked, NULL); /* libevent has a handler for it */
    listener = evconnlistener_new(base, on_connection, NULL, LEV_OPT_CLOSE_ON_FREE, 0,
                                  clicks_listen(argv[2]));
    puts("ready");
    fflush(stdout);
    event_base_dispatch(base);
    event_free(event);
    event_free(term);
    evconnlistener_free(listener);
    event_base_free(base);
    return clicks_close(&clicks);
}
