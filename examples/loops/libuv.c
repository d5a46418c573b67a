/* libuv.c DATABASE SOCKET: the server of clicks.h in a loop of libuv. */
#include "clicks.h"

#include <stdio.h>
#include <stdlib.h>
#include <uv.h>

struct connection {
    struct client client; /* first */
    uv_pipe_t pipe;
    char bytes[CLICKS_LINE_MAX];
};

static struct clicks clicks;
static uv_pipe_t listener;
static uv_signal_t term;
static uv_async_t wake;

/* ---- Clients --------------------------------------------------------------------------------- */

/* A client has one response on its way, so there is room for it. */
static void send_text(struct client *client, const char *text, size_t size)
{
    uv_buf_t buffer = uv_buf_init((char *)(uintptr_t)text, (unsigned)size);
    if (!uv_is_closing((uv_handle_t *)&((struct connection *)client)->pipe))
        uv_try_write((uv_stream_t *)&((struct connection *)client)->pipe, &buffer, 1);
}

static void free_client(struct client *client)
{
    free(client);
}

static void on_close(uv_handle_t *handle)
{
    client_gone(handle->data);
}

static void give_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct connection *connection = handle->data;
    (void)suggested;
    *buffer = uv_buf_init(connection->bytes, sizeof connection->bytes);
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    bool is_well =
        size == 0 || (size > 0 && client_received(stream->data, buffer->base, (size_t)size));
    if (!is_well && !uv_is_closing((uv_handle_t *)stream))
        uv_close((uv_handle_t *)stream, on_close);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (status != 0 || connection == NULL)
        abort();
    connection->client = (struct client){.clicks = &clicks, .send = send_text, .free = free_client};
    uv_pipe_init(stream->loop, &connection->pipe, 0);
    connection->pipe.data = connection;
    uv_accept(stream, (uv_stream_t *)&connection->pipe);
    uv_read_start((uv_stream_t *)&connection->pipe, give_buffer, on_read);
}

/* ---- libbatch -------------------------------------------------------------------------------- */

/* Glue { */
static void on_completions(uv_async_t *async)
{
    batch_completions_dispatch(async->data, 0, 0);
}
static void wake_loop(void *arg)
{
    uv_async_send(arg);
}
/* } and what opens it, below. */

static void stopped(batch_processor *processor, void *arg)
{
    (void)processor, (void)arg;
    uv_stop(uv_default_loop());
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    uv_signal_stop(signal);
    uv_close((uv_handle_t *)&listener, NULL);
    batch_processor_stop_to(clicks.processor, clicks.completions, stopped, NULL);
}

int main(int argc, char **argv)
{
    sigset_t blocked;
    uv_loop_t *loop = uv_default_loop();
    if (argc != 3)
        return 2;
    clicks_open(&clicks, argv[1], &blocked);
    batch_completions_options options = BATCH_COMPLETIONS_OPTIONS_INIT; /* Glue { */
    options.wake = wake_loop;
    options.arg = &wake;
    batch_completions_open(&clicks.completions, &options);
    uv_async_init(loop, &wake, on_completions);
    wake.data = clicks.completions; /* } */
    uv_signal_init(loop, &term);
    uv_signal_start(&term, on_signal, SIGTERM);
    sigprocmask(SIG_UNBLOCK, &blocked, NULL); /* libuv has a handler for it */
    uv_pipe_init(loop, &listener, 0);
    uv_pipe_open(&listener, clicks_listen(argv[2]));
    uv_listen((uv_stream_t *)&listener, SOMAXCONN, on_connection);
    puts("ready");
    fflush(stdout);
    uv_run(loop, UV_RUN_DEFAULT);
    return clicks_close(&clicks);
}
