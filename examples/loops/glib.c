/* glib.c DATABASE SOCKET: the server of clicks.h in a main loop of GLib. */
#include "clicks.h"

#include <glib-unix.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct connection {
    struct client client; /* first */
    int fd;
};

static struct clicks clicks;
static GMainLoop *loop;
static int listener;

/* ---- Clients --------------------------------------------------------------------------------- */

/* A client has one response on its way, so there is room for it. */
static void send_text(struct client *client, const char *text, size_t size)
{
    int fd = ((struct connection *)client)->fd;
    if (send(fd, text, size, 0) != (ssize_t)size)
        shutdown(fd, SHUT_RDWR);
}

static void free_client(struct client *client)
{
    close(((struct connection *)client)->fd);
    g_free(client);
}

static gboolean on_readable(gint fd, GIOCondition condition, gpointer arg)
{
    struct connection *connection = arg;
    char bytes[CLICKS_LINE_MAX];
    (void)condition;
    ssize_t size = read(fd, bytes, sizeof bytes);
    if (size > 0 && client_received(&connection->client, bytes, (size_t)size))
        return G_SOURCE_CONTINUE;
    client_gone(&connection->client);
    return G_SOURCE_REMOVE;
}

static gboolean on_connection(gint from, GIOCondition condition, gpointer arg)
{
    (void)condition, (void)arg;
    int fd = accept4(from, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return G_SOURCE_CONTINUE;
    struct connection *connection = g_new0(struct connection, 1);
    connection->client = (struct client){.clicks = &clicks, .send = send_text, .free = free_client};
    connection->fd = fd;
    g_unix_fd_add(fd, G_IO_IN | G_IO_HUP, on_readable, connection);
    return G_SOURCE_CONTINUE;
}

/* ---- libbatch -------------------------------------------------------------------------------- */

/* Glue { */
static gboolean on_completions(gint fd, GIOCondition condition, gpointer completions)
{
    (void)fd, (void)condition;
    batch_completions_dispatch(completions, 0, 0);
    return G_SOURCE_CONTINUE;
}
/* } and what opens it, below. */

static void stopped(batch_processor *processor, void *arg)
{
    (void)processor, (void)arg;
    g_main_loop_quit(loop);
}

static gboolean on_signal(gpointer source)
{
    g_source_remove(GPOINTER_TO_UINT(source));
    close(listener);
    batch_processor_stop_to(clicks.processor, clicks.completions, stopped, NULL);
    return G_SOURCE_REMOVE;
}

int main(int argc, char **argv)
{
    sigset_t blocked;
    if (argc != 3)
        return 2;
    clicks_open(&clicks, argv[1], &blocked);
    loop = g_main_loop_new(NULL, FALSE);
    batch_completions_open(&clicks.completions, NULL); /* Glue { */
    int fd = batch_completions_fd(clicks.completions);
    g_unix_fd_add(fd, G_IO_IN, on_completions, clicks.completions); /* } */
    listener = clicks_listen(argv[2]);
    guint source = g_unix_fd_add(listener, G_IO_IN, on_connection, NULL);
    g_unix_signal_add(SIGTERM, on_signal, GUINT_TO_POINTER(source));
    sigprocmask(SIG_UNBLOCK, &blocked, NULL); /* GLib has a handler for it */
    puts("ready");
    fflush(stdout);
    g_main_loop_run(loop);
    g_main_loop_unref(loop);
    return clicks_close(&clicks);
}
