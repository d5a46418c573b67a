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
struct crowd {
    uint64_t trains;
    struct member *members;
    size_t members_size;
    FILE *answers;
    uint64_t booking_next;
    uint64_t *again; /* bookings without an outcome; room for one for each member */
    size_t again_size;
    struct crowd_counts counts;
    uint64_t answered; /* all answers */
    size_t open;
    size_t waiting; /* members that wait */
    bool sends;     /* a member that was answered sends the next booking */
    int epoll;
};

struct crowd *crowd_make(size_t connections, FILE *answers)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);
    if (crowd != NULL) {
        crowd->members = calloc(connections, sizeof *crowd->members);
        crowd->again = calloc(connections, sizeof *crowd->again);
    }
    if (crowd == NULL || crowd->members == NULL || crowd->again == NULL)
        rig_fail("memory");
    crowd->trains = 1;
    crowd->members_size = connections;
    crowd->answers = answers;
    return crowd;
}

void crowd_free(struct crowd *crowd)
{
    free(crowd->members);
    free(crowd->again);
    free(crowd);
}

void crowd_spread(struct crowd *crowd, uint64_t trains)
{
    crowd->trains = trains;
}

struct crowd_counts crowd_counts(const struct crowd *crowd)
{
    return crowd->counts;
}

static void member_send(struct crowd *crowd, struct member *member)
{
    if (crowd->again_size > 0)
        member->booking = crowd->again[--crowd->again_size];
    else
        member->booking = crowd->booking_next++;
    uint64_t round = member->booking / 2 / crowd->trains;
    uint64_t train = round / SEATS * crowd->trains + member->booking / 2 % crowd->trains;
    char request[256];
    int size = snprintf(request, sizeof request,
                        "GET /book?train=t%lu&person=p%lu&seat=%lu HTTP/1.1\r\nHost: test\r\n\r\n",
                        (unsigned long)train, (unsigned long)member->booking,
                        (unsigned long)(1 + round % SEATS));
    member->size = 0;
    member->waits = true;
    crowd->waiting++;
    /* A request is far smaller than an empty socket buffer. An error shows up when reading. */
    if (send(member->connection, request, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT) != size &&
        errno == EAGAIN)
        rig_fail("send");
}

static void member_close(struct crowd *crowd, struct member *member)
{
    close(member->connection);
    member->connection = -1;
    crowd->open--;
    if (member->waits) {
        member->waits = false;
        crowd->waiting--;
        crowd->counts.lost++;
        crowd->again[crowd->again_size++] = member->booking;
    }
}

/* The member's text holds a whole answer: take it. */
static void member_take(struct crowd *crowd, struct member *member, int status, const char *body,
                        size_t body_size)
{
    member->waits = false;
    crowd->waiting--;
    crowd->answered++;
    if (status == 200) {
        crowd->counts.ok++;
        if (fwrite(body, 1, body_size, crowd->answers) != body_size)
            rig_fail("answers");
    } else if (status == 400) {
        crowd->counts.refused++;
    } else if (status == 503 || status == 504) {
        *(status == 503 ? &crowd->counts.busy : &crowd->counts.unknown) += 1;
        crowd->again[crowd->again_size++] = member->booking;
    } else {
        crowd->counts.other++;
        fprintf(stderr, "rig: %.*s\n", (int)member->size, member->text);
    }
    if (crowd->sends)
        member_send(crowd, member);
}

/* Is the answer whole? Then take it. */
static void member_look(struct crowd *crowd, struct member *member)
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
    member_take(crowd, member, status, body, body_size);
}

static void member_read(struct crowd *crowd, struct member *member)
{
    ssize_t got = recv(member->connection, member->text + member->size,
                       sizeof member->text - 1 - member->size, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        member_close(crowd, member);
        return;
    }
    member->size += (size_t)got;
    if (member->waits)
        member_look(crowd, member);
}

static void crowd_wait(struct crowd *crowd)
{
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(crowd->epoll, events, EVENTS, 30000);
    if (ready == 0)
        errno = ETIMEDOUT;
    if (ready <= 0)
        rig_fail("no answer from the server");
    for (int i = 0; i < ready; i++)
        member_read(crowd, events[i].data.ptr);
}

void crowd_book(struct crowd *crowd, const struct server *server, uint64_t answers_max)
{
    crowd_book_at(crowd, server, 1, answers_max);
}

void crowd_book_at(struct crowd *crowd, const struct server *servers, size_t servers_size,
                   uint64_t answers_max)
{
    crowd->epoll = epoll_create1(EPOLL_CLOEXEC);
    crowd->sends = true;
    crowd->open = crowd->members_size;
    for (size_t i = 0; i < crowd->members_size; i++) {
        struct member *member = &crowd->members[i];
        member->connection = connection_open(&servers[i % servers_size]);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = member};
        if (epoll_ctl(crowd->epoll, EPOLL_CTL_ADD, member->connection, &event) != 0)
            rig_fail("epoll");
    }
    for (size_t i = 0; i < crowd->members_size; i++)
        member_send(crowd, &crowd->members[i]);
    uint64_t until = crowd->answered + answers_max;
    while (crowd->answered < until && crowd->open > 0)
        crowd_wait(crowd);
    crowd->sends = false;
}

static void crowd_end(struct crowd *crowd)
{
    for (size_t i = 0; i < crowd->members_size; i++) {
        if (crowd->members[i].connection >= 0)
            member_close(crowd, &crowd->members[i]);
    }
    close(crowd->epoll);
    fflush(crowd->answers);
}

void crowd_drain(struct crowd *crowd)
{
    while (crowd->open > 0)
        crowd_wait(crowd);
    crowd_end(crowd);
}

void crowd_finish(struct crowd *crowd)
{
    while (crowd->waiting > 0)
        crowd_wait(crowd);
    crowd_end(crowd);
}
