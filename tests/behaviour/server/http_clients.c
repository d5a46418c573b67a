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

/* One of the people. Its answer is collected until it is whole; answers are shorter than this. */
struct member {
    int connection; /* -1: closed */
    bool waits;     /* a booking was sent, and its answer is not here yet */
    uint64_t booking;
    size_t size;
    char text[1500];
};

/* A booking is a number: two follow each other for each seat; seats that follow each other are in
 * `trains` different trains; and each train has SEATS of them. */
struct http_clients {
    uint64_t trains;
    struct member *members;
    size_t members_size;
    FILE *answers;
    uint64_t booking_next;
    uint64_t *again; /* bookings without an outcome; room for one for each member */
    size_t again_size;
    struct clients_counts counts;
    uint64_t answered; /* all answers */
    size_t open;
    size_t waiting; /* members that wait */
    bool sends;     /* a member that was answered sends the next booking */
    int epoll;
};

struct http_clients *clients_make(size_t connections, FILE *answers)
{
    struct http_clients *clients = calloc(1, sizeof *clients);
    if (clients != NULL) {
        clients->members = calloc(connections, sizeof *clients->members);
        clients->again = calloc(connections, sizeof *clients->again);
    }
    if (clients == NULL || clients->members == NULL || clients->again == NULL)
        harness_fail("memory");
    clients->trains = 1;
    clients->members_size = connections;
    clients->answers = answers;
    return clients;
}

void clients_free(struct http_clients *clients)
{
    free(clients->members);
    free(clients->again);
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

static void member_send(struct http_clients *clients, struct member *member)
{
    if (clients->again_size > 0)
        member->booking = clients->again[--clients->again_size];
    else
        member->booking = clients->booking_next++;
    uint64_t round = member->booking / 2 / clients->trains;
    uint64_t train = round / SEATS * clients->trains + member->booking / 2 % clients->trains;
    char request[256];
    int size = snprintf(request, sizeof request,
                        "GET /book?train=t%lu&person=p%lu&seat=%lu HTTP/1.1\r\nHost: test\r\n\r\n",
                        (unsigned long)train, (unsigned long)member->booking,
                        (unsigned long)(1 + round % SEATS));
    member->size = 0;
    member->waits = true;
    clients->waiting++;
    /* A request is far smaller than an empty socket buffer. An error shows up when reading. */
    if (send(member->connection, request, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT) != size &&
        errno == EAGAIN)
        harness_fail("send");
}

static void member_close(struct http_clients *clients, struct member *member)
{
    close(member->connection);
    member->connection = -1;
    clients->open--;
    if (member->waits) {
        member->waits = false;
        clients->waiting--;
        clients->counts.lost++;
        clients->again[clients->again_size++] = member->booking;
    }
}

/* The member's text holds a whole answer: take it. */
static void member_take(struct http_clients *clients, struct member *member, int status,
                        const char *body, size_t body_size)
{
    member->waits = false;
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
        clients->again[clients->again_size++] = member->booking;
    } else {
        clients->counts.other++;
        fprintf(stderr, "harness: %.*s\n", (int)member->size, member->text);
    }
    if (clients->sends)
        member_send(clients, member);
}

/* Is the answer whole? Then take it. */
static void member_look(struct http_clients *clients, struct member *member)
{
    member->text[member->size] = '\0';
    const char *end = strstr(member->text, "\r\n\r\n");
    const char *length = strstr(member->text, "\r\nContent-Length: ");
    if (end == NULL || length == NULL || length > end)
        return;
    size_t body_size = strtoul(length + 18, NULL, 10);
    const char *body = end + 4;
    if ((size_t)(body - member->text) + body_size > member->size)
        return;
    int status = 0;
    sscanf(member->text, "HTTP/1.1 %d ", &status);
    member_take(clients, member, status, body, body_size);
}

static void member_read(struct http_clients *clients, struct member *member)
{
    ssize_t got = recv(member->connection, member->text + member->size,
                       sizeof member->text - 1 - member->size, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        member_close(clients, member);
        return;
    }
    member->size += (size_t)got;
    if (member->waits)
        member_look(clients, member);
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
        member_read(clients, events[i].data.ptr);
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
    clients->open = clients->members_size;
    for (size_t i = 0; i < clients->members_size; i++) {
        struct member *member = &clients->members[i];
        member->connection = connection_open(&servers[i % servers_size]);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = member};
        if (epoll_ctl(clients->epoll, EPOLL_CTL_ADD, member->connection, &event) != 0)
            harness_fail("epoll");
    }
    for (size_t i = 0; i < clients->members_size; i++)
        member_send(clients, &clients->members[i]);
    uint64_t until = clients->answered + answers_max;
    while (clients->answered < until && clients->open > 0)
        clients_wait(clients);
    clients->sends = false;
}

static void clients_end(struct http_clients *clients)
{
    for (size_t i = 0; i < clients->members_size; i++) {
        if (clients->members[i].connection >= 0)
            member_close(clients, &clients->members[i]);
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
