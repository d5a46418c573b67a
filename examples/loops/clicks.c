/* clicks.c: see clicks.h. */
#include "clicks.h"

#include <batch/sqlite.h>

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct counter {
    long long clicks;
};

/* ---- What libbatch calls --------------------------------------------------------------------- */

static batch_verdict click(void *resource, void *arg)
{
    struct client *client = arg;
    assert(!client->clicks->is_driven || pthread_equal(client->clicks->thread, pthread_self()));
    client->count = ++((struct counter *)resource)->clicks;
    return BATCH_CHANGED;
}

static size_t first_line_size(const struct client *client)
{
    const char *end = memchr(client->line, '\n', client->line_size);
    return end != NULL ? (size_t)(end - client->line) + 1 : 0;
}

/* Send a response to the first line, and take it off. */
static void respond(struct client *client, int status)
{
    char text[CLICKS_LINE_MAX + 32];
    int key_size = (int)first_line_size(client) - 1;
    int size = status == BATCH_OK ? snprintf(text, sizeof text, "%.*s %lld\n", key_size,
                                             client->line, client->count)
                                  : snprintf(text, sizeof text, "%s\n", batch_status_name(status));
    client->send(client, text, (size_t)size);
    client->line_size -= (size_t)key_size + 1;
    memmove(client->line, client->line + key_size + 1, client->line_size);
}

static void next_line(struct client *client);

/* In batch_completions_dispatch or batch_processor_drive, and so on the loop's thread. */
static void done(batch_op *op, const batch_result *result)
{
    struct client *client = (struct client *)op;
    assert(pthread_equal(client->clicks->thread, pthread_self()));
    client->is_busy = false;
    if (client->is_gone) {
        client->free(client);
        return;
    }
    respond(client, result->status);
    next_line(client);
}

/* ---- Clients --------------------------------------------------------------------------------- */

static int submit(struct client *client)
{
    if (client->clicks->is_driven)
        return batch_submit(client->clicks->processor, &client->op);
    return batch_submit_to(client->clicks->processor, &client->op, client->clicks->completions);
}

static void next_line(struct client *client)
{
    size_t size;
    while (!client->is_busy && (size = first_line_size(client)) > 0) {
        client->op = (batch_op)BATCH_OP_INIT;
        client->op.key = client->line;
        client->op.key_size = size - 1;
        client->op.run = click;
        client->op.done = done;
        client->op.arg = client;
        int status = submit(client);
        client->is_busy = status == BATCH_OK;
        if (!client->is_busy)
            respond(client, status);
    }
}

bool client_received(struct client *client, const char *bytes, size_t size)
{
    if (size > sizeof client->line - client->line_size)
        return false;
    memcpy(client->line + client->line_size, bytes, size);
    client->line_size += size;
    next_line(client);
    return true;
}

void client_gone(struct client *client)
{
    client->is_gone = true;
    if (!client->is_busy)
        client->free(client);
}

/* ---- Start and end --------------------------------------------------------------------------- */

static void die(const char *what)
{
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static void start(struct clicks *clicks, const char *database, sigset_t *ret_signal)
{
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(ret_signal);
    sigaddset(ret_signal, SIGTERM);
    sigprocmask(SIG_BLOCK, ret_signal, NULL);

    batch_result error;
    clicks->thread = pthread_self();
    if (batch_sqlite_open(&clicks->store, database, NULL, &error) != BATCH_OK)
        die(error.message);
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = clicks->store;
    options.resource_size = sizeof(struct counter);
    options.window_ns = BATCH_WINDOW_NONE;
    options.driven = clicks->is_driven;
    if (batch_processor_start(&clicks->processor, &options, &error) != BATCH_OK)
        die(error.message);
}

void clicks_open(struct clicks *clicks, const char *database, sigset_t *ret_signal)
{
    *clicks = (struct clicks){.is_driven = false};
    start(clicks, database, ret_signal);
}

void clicks_open_driven(struct clicks *clicks, const char *database, sigset_t *ret_signal)
{
    *clicks = (struct clicks){.is_driven = true};
    start(clicks, database, ret_signal);
}

int clicks_close(struct clicks *clicks)
{
    int freed = batch_processor_free(clicks->processor);
    int closed = batch_completions_close(clicks->completions);
    return freed == BATCH_OK && closed == BATCH_OK ? batch_store_close(clicks->store) : 1;
}

int clicks_listen(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    unlink(path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0 || bind(listener, (struct sockaddr *)&address, sizeof address) < 0 ||
        listen(listener, SOMAXCONN) < 0)
        die("could not listen");
    return listener;
}
