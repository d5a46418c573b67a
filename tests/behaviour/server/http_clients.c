/* http_clients.c: see http_clients.h. */
#include "http_clients.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define SEATS  30
#define EVENTS 256

/* Its response is collected until it is whole; responses are shorter than `text`. */
struct client {
    int connection; /* -1: closed */
    bool waits;     /* a booking was sent, and its response is not here yet */
    uint64_t booking;
    size_t size;
    char text[1500];
};

/* A booking is a number: two follow each other for each seat; seats that follow each other are in
 * `trains` different trains; and each train has SEATS of them. */
struct http_clients {
    uint64_t trains;
    struct client *at;
    size_t size;
    FILE *answers;
    uint64_t booking_next;
    uint64_t *retries; /* bookings without an outcome; room for one for each client */
    size_t retries_size;
    struct clients_counts counts;
    uint64_t answered; /* all responses */
    size_t open;
    size_t waiting; /* clients that wait */
    bool sends;     /* a client that has its response sends the next booking */
    int epoll;
};

struct http_clients *clients_make(size_t connections, FILE *answers)
{
    struct http_clients *clients = calloc(1, sizeof *clients);
    if (clients != NULL) {
        clients->at = calloc(connections, sizeof *clients->at);
        clients->retries = calloc(connections, sizeof *clients->retries);
    }
    if (clients == NULL || clients->at == NULL || clients->retries == NULL)
        harness_fail("memory");
    clients->trains = 1;
    clients->size = connections;
    clients->answers = answers;
    return clients;
}

void clients_free(struct http_clients *clients)
{
    free(clients->at);
    free(clients->retries);
    free(clients);
}

void clients_spread(struct http_clients *clients, uint64_t trains)
{
    clients->trains = trains;
}

struct clients_counts clients_counts(const struct http_clients *clients)
{
    return clients->counts;
}

static void client_send(struct http_clients *clients, struct client *client)
{
    if (clients->retries_size > 0)
        client->booking = clients->retries[--clients->retries_size];
    else
        client->booking = clients->booking_next++;
    uint64_t round = client->booking / 2 / clients->trains;
    uint64_t train = round / SEATS * clients->trains + client->booking / 2 % clients->trains;
    char request[256];
    int size = snprintf(request, sizeof request,
                        "GET /book?train=t%lu&person=p%lu&seat=%lu HTTP/1.1\r\nHost: test\r\n\r\n",
                        (unsigned long)train, (unsigned long)client->booking,
                        (unsigned long)(round % SEATS));
    client->size = 0;
    client->waits = true;
    clients->waiting++;
    /* A request is far smaller than an empty socket buffer. An error shows up when reading. */
    if (send(client->connection, request, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT) != size &&
        errno == EAGAIN)
        harness_fail("send");
}

static void client_close(struct http_clients *clients, struct client *client)
{
    close(client->connection);
    client->connection = -1;
    clients->open--;
    if (client->waits) {
        client->waits = false;
        clients->waiting--;
        clients->counts.lost++;
        clients->retries[clients->retries_size++] = client->booking;
    }
}

/* The client's text holds a whole response: take it. */
static void client_take(struct http_clients *clients, struct client *client, int status,
                        const char *body, size_t body_size)
{
    client->waits = false;
    clients->waiting--;
    clients->answered++;
    if (status == 200) {
        clients->counts.ok++;
        if (fwrite(body, 1, body_size, clients->answers) != body_size)
            harness_fail("answers");
    } else if (status == 400) {
        clients->counts.refused++;
    } else if (status == 503 || status == 504) {
        *(status == 503 ? &clients->counts.busy : &clients->counts.unknown) += 1;
        clients->retries[clients->retries_size++] = client->booking;
    } else {
        clients->counts.other++;
        fprintf(stderr, "clients: %.*s\n", (int)client->size, client->text);
    }
    if (clients->sends)
        client_send(clients, client);
}

/* Is the response whole? Then take it. */
static void client_check(struct http_clients *clients, struct client *client)
{
    client->text[client->size] = '\0';
    const char *end = strstr(client->text, "\r\n\r\n");
    const char *length = strstr(client->text, "\r\nContent-Length: ");
    if (end == NULL || length == NULL || length > end)
        return;
    size_t body_size = strtoul(length + 18, NULL, 10);
    const char *body = end + 4;
    if ((size_t)(body - client->text) + body_size > client->size)
        return;
    int status = 0;
    sscanf(client->text, "HTTP/1.1 %d ", &status);
    client_take(clients, client, status, body, body_size);
}

static void client_read(struct http_clients *clients, struct client *client)
{
    ssize_t got = recv(client->connection, client->text + client->size,
                       sizeof client->text - 1 - client->size, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        client_close(clients, client);
        return;
    }
    client->size += (size_t)got;
    if (client->waits)
        client_check(clients, client);
}

static void clients_wait(struct http_clients *clients)
{
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(clients->epoll, events, EVENTS, 30000);
    if (ready == 0)
        errno = ETIMEDOUT;
    if (ready <= 0)
        harness_fail("no answer from the server");
    for (int i = 0; i < ready; i++)
        client_read(clients, events[i].data.ptr);
}

void clients_book(struct http_clients *clients, const struct server *server, uint64_t answers_max)
{
    clients_book_at(clients, server, 1, answers_max);
}

void clients_book_at(struct http_clients *clients, const struct server *servers,
                     size_t servers_size, uint64_t answers_max)
{
    clients->epoll = epoll_create1(EPOLL_CLOEXEC);
    clients->sends = true;
    clients->open = clients->size;
    for (size_t i = 0; i < clients->size; i++) {
        struct client *client = &clients->at[i];
        client->connection = connection_open(&servers[i % servers_size]);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        if (epoll_ctl(clients->epoll, EPOLL_CTL_ADD, client->connection, &event) != 0)
            harness_fail("epoll");
    }
    for (size_t i = 0; i < clients->size; i++)
        client_send(clients, &clients->at[i]);
    uint64_t until = clients->answered + answers_max;
    while (clients->answered < until && clients->open > 0)
        clients_wait(clients);
    clients->sends = false;
}

static void clients_end(struct http_clients *clients)
{
    for (size_t i = 0; i < clients->size; i++) {
        if (clients->at[i].connection >= 0)
            client_close(clients, &clients->at[i]);
    }
    close(clients->epoll);
    fflush(clients->answers);
}

void clients_drain(struct http_clients *clients)
{
    while (clients->open > 0)
        clients_wait(clients);
    clients_end(clients);
}

void clients_finish(struct http_clients *clients)
{
    while (clients->waiting > 0)
        clients_wait(clients);
    clients_end(clients);
}

/* ---- With a store of their own --------------------------------------------------------------- */

void bookings_begin(struct bookings *bookings, size_t connections)
{
    bookings->answers = fopen(bookings->folder.answers, "w");
    if (bookings->answers == NULL)
        harness_fail("answers");
    bookings->clients = clients_make(connections, bookings->answers);
}

int bookings_audit(struct bookings *bookings, const char *option)
{
    const char *arguments[5] = {TRAIN_AUDIT};
    size_t size = 1;
    if (option != NULL)
        arguments[size++] = option;
    arguments[size++] = bookings->folder.store;
    arguments[size] = bookings->folder.answers;
    char output[512];
    fflush(bookings->answers);
    int code = program_run(arguments, output, sizeof output);
    printf("%s", output);
    return code;
}

struct clients_counts bookings_end(struct bookings *bookings)
{
    struct clients_counts counts = clients_counts(bookings->clients);
    fclose(bookings->answers);
    clients_free(bookings->clients);
    folder_remove(&bookings->folder);
    return counts;
}
