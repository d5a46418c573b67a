/* load.c: train-load: books seats on many connections at once, and records the outcome of each
 * booking, so that train-audit can look for it afterwards.
 *
 * For each seat two persons compete, and every booking is sent once, whatever becomes of it: so
 * what is stored must be one of those answered 200, or of those whose outcome is unknown. Each
 * connection sends a booking, waits for its response, and sends the next (a closed loop). A client
 * whose response is late gives up, as people do, and its booking counts as lost.
 *
 * One thread, one epoll, no libbatch: this is the other side of the wire. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "tools/outcome.h"

#define EVENTS  256
#define TICK_MS 20

/* After a failure a client waits so long before it tries again. */
#define PAUSE_MS 100

static const char help[] =
    "train-load: book seats of train-server, and record the outcome of each booking\n"
    "\n"
    "usage: train-load --to ADDR:PORT --record FILE [OPTION...]\n"
    "\n"
    "  --seconds N        how long, default 10; SIGINT and SIGTERM end it sooner\n"
    "  --connections N    how many clients, 1 to 10000, default 200\n"
    "  --trains N         trains that are booked at the same time, default 60\n"
    "  --seats N          seats of each train, as the server has it, default 30\n"
    "  --run NAME         the trains are NAME-0, NAME-1, ...; default: the time. Letters, digits\n"
    "                     and -._~ only\n"
    "  --timeout-ms N     a client gives up after N ms without a response, default 5000\n"
    "\n"
    "FILE gets a line for each booking: OUTCOME STATUS SENT TOOK TRAIN SEAT PERSON. SENT is the\n"
    "time in ms since 1970, TOOK in ms. OUTCOME is what the response means for the booking:\n"
    "  ok       200, it is stored\n"
    "  refused  4xx, it is not: the seat is another person's\n"
    "  failed   500 or 503, it is not: the service has failed\n"
    "  unknown  any other status; in particular 502 and 504, of the server or a balancer\n"
    "  lost     no response: the connection was lost, or the client timed out\n"
    "train-audit --record compares it with what is stored.\n";

struct options {
    struct sockaddr_in to;
    char to_text[64];
    const char *record;
    const char *run;
    uint64_t seconds;
    uint64_t connections;
    uint64_t trains;
    uint64_t seats;
    uint64_t timeout_ms;
};

enum client_state { CLOSED, CONNECTING, OPEN, WAITING };

struct client {
    enum client_state state;
    int connection;
    uint64_t since_ms; /* WAITING: sent; CLOSED, OPEN: not to be used before */
    uint64_t sent_at;  /* of the day's clock */
    uint64_t booking;
    size_t size;
    char text[1500]; /* the response so far; responses are shorter */
};

struct load {
    struct options options;
    struct client *clients;
    FILE *record;
    int epoll;
    int signals;
    bool stops;
    uint64_t booking_next;
    uint64_t counts[OUTCOMES];
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "train-load: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t now_ms(void)
{
    return clock_ms(CLOCK_MONOTONIC);
}

/* ---- Bookings -------------------------------------------------------------------------------- */

/* A booking is a number. Two follow each other for each seat; seats are taken from all trains in
 * rotation; a train that is sold out is followed by another. */
struct booking {
    uint64_t train;
    uint64_t seat;
};

static struct booking booking_of(const struct load *load, uint64_t number)
{
    uint64_t seat = number / 2;
    uint64_t round = seat / load->options.trains;
    return (struct booking){
        .train = seat % load->options.trains + round / load->options.seats * load->options.trains,
        .seat = round % load->options.seats,
    };
}

static void record(struct load *load, const struct client *client, enum outcome outcome, int status)
{
    struct booking booking = booking_of(load, client->booking);
    load->counts[outcome]++;
    if (fprintf(load->record,
                "%s %d %" PRIu64 " %" PRIu64 " %s-%" PRIu64 " %" PRIu64 " p%" PRIu64 "\n",
                outcome_names[outcome], status, client->sent_at, now_ms() - client->since_ms,
                load->options.run, booking.train, booking.seat, client->booking) < 0)
        fail(load->options.record);
}

static enum outcome outcome_of(int status)
{
    if (status == 200)
        return OUTCOME_OK;
    if (status >= 400 && status < 500)
        return OUTCOME_REFUSED;
    return status == 500 || status == 503 ? OUTCOME_FAILED : OUTCOME_UNKNOWN;
}

/* ---- One client ------------------------------------------------------------------------------ */

static void client_close(struct load *load, struct client *client)
{
    if (client->state == WAITING)
        record(load, client, OUTCOME_LOST, 0);
    if (client->state != CLOSED)
        close(client->connection);
    client->state = CLOSED;
    client->since_ms = now_ms() + PAUSE_MS;
}

static void client_connect(struct load *load, struct client *client)
{
    client->connection = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (client->connection < 0)
        fail("socket");
    client->state = CONNECTING;
    client->since_ms = now_ms();
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT, .data.ptr = client};
    const struct sockaddr *to = (const struct sockaddr *)&load->options.to;
    if ((connect(client->connection, to, sizeof load->options.to) != 0 && errno != EINPROGRESS) ||
        epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->connection, &event) != 0)
        client_close(load, client);
}

static void client_send(struct load *load, struct client *client)
{
    client->booking = load->booking_next++;
    client->state = WAITING;
    client->since_ms = now_ms();
    client->sent_at = clock_ms(CLOCK_REALTIME);
    client->size = 0;
    struct booking booking = booking_of(load, client->booking);
    char request[512];
    int size = snprintf(request, sizeof request,
                        "GET /book?train=%s-%" PRIu64 "&person=p%" PRIu64 "&seat=%" PRIu64
                        " HTTP/1.1\r\nHost: %s\r\n\r\n",
                        load->options.run, booking.train, client->booking, booking.seat,
                        load->options.to_text);
    /* It is far smaller than an empty socket buffer. What cannot be sent is lost. */
    if (send(client->connection, request, (size_t)size, MSG_NOSIGNAL) != size)
        client_close(load, client);
}

/* A whole response is here. */
static void client_take(struct load *load, struct client *client, bool closes)
{
    int status = 0;
    sscanf(client->text, "HTTP/%*3s %d ", &status);
    enum outcome outcome = outcome_of(status);
    record(load, client, outcome, status);
    client->state = OPEN;
    client->since_ms =
        outcome == OUTCOME_OK || outcome == OUTCOME_REFUSED ? 0 : now_ms() + PAUSE_MS;
    if (closes)
        client_close(load, client);
}

/* Is the response whole? One without a length ends with the connection, and counts as lost: neither
 * the server nor its balancers send such. */
static void client_check(struct load *load, struct client *client)
{
    client->text[client->size] = '\0';
    const char *end = strstr(client->text, "\r\n\r\n");
    const char *length = strcasestr(client->text, "\r\nContent-Length:");
    if (end == NULL || length == NULL || length > end)
        return;
    size_t head_size = (size_t)(end + 4 - client->text);
    if (client->size < head_size + strtoul(length + 17, NULL, 10))
        return;
    const char *closes = strcasestr(client->text, "\r\nConnection: close");
    client_take(load, client, closes != NULL && closes < end);
}

static void client_read(struct load *load, struct client *client)
{
    ssize_t got = recv(client->connection, client->text + client->size,
                       sizeof client->text - 1 - client->size, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        client_close(load, client);
        return;
    }
    client->size += (size_t)got;
    if (client->state == WAITING)
        client_check(load, client);
}

static void client_event(struct load *load, struct client *client, uint32_t events)
{
    if (client->state == CONNECTING) {
        int error = 0;
        socklen_t size = sizeof error;
        getsockopt(client->connection, SOL_SOCKET, SO_ERROR, &error, &size);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
        if (error != 0 || epoll_ctl(load->epoll, EPOLL_CTL_MOD, client->connection, &event) != 0) {
            client_close(load, client);
            return;
        }
        client->state = OPEN;
        client->since_ms = 0;
    } else if (client->state != CLOSED && (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) {
        client_read(load, client);
    }
    if (client->state == OPEN && client->since_ms == 0 && !load->stops)
        client_send(load, client);
}

/* Time-outs and pauses. */
static void client_tick(struct load *load, struct client *client, uint64_t now)
{
    uint64_t limit_ms = load->options.timeout_ms;
    if ((client->state == WAITING || client->state == CONNECTING) &&
        now > client->since_ms + limit_ms)
        client_close(load, client);
    if (load->stops || now < client->since_ms)
        return;
    if (client->state == CLOSED)
        client_connect(load, client);
    else if (client->state == OPEN)
        client_send(load, client);
}

/* ---- All of them ----------------------------------------------------------------------------- */

static uint64_t clients_waiting(const struct load *load, uint64_t *ret_oldest_ms)
{
    uint64_t waiting = 0;
    uint64_t now = now_ms();
    *ret_oldest_ms = 0;
    for (uint64_t i = 0; i < load->options.connections; i++) {
        const struct client *client = &load->clients[i];
        if (client->state != WAITING)
            continue;
        waiting++;
        if (now - client->since_ms > *ret_oldest_ms)
            *ret_oldest_ms = now - client->since_ms;
    }
    return waiting;
}

static void iterate(struct load *load)
{
    struct epoll_event events[EVENTS];
    int ready = epoll_wait(load->epoll, events, EVENTS, TICK_MS);
    for (int i = 0; i < ready; i++) {
        if (events[i].data.ptr == NULL)
            load->stops = true; /* a signal */
        else
            client_event(load, events[i].data.ptr, events[i].events);
    }
    uint64_t now = now_ms();
    for (uint64_t i = 0; i < load->options.connections; i++)
        client_tick(load, &load->clients[i], now);
}

/* What the last `elapsed_ms` have brought, and how long the oldest booking has waited. */
static void print_line(struct load *load, const uint64_t *before, uint64_t elapsed_ms, bool live)
{
    uint64_t oldest_ms;
    uint64_t waiting = clients_waiting(load, &oldest_ms);
    uint64_t news[OUTCOMES];
    for (int i = 0; i < OUTCOMES; i++)
        news[i] = load->counts[i] - before[i];
    printf("%s%7.0f ok/s %6.0f refused/s  %5" PRIu64 " failed %5" PRIu64 " unknown %5" PRIu64
           " lost  %5" PRIu64 " waiting, the longest for %" PRIu64 " ms%s",
           live ? "\r\033[K" : "", (double)news[OUTCOME_OK] * 1000 / (double)elapsed_ms,
           (double)news[OUTCOME_REFUSED] * 1000 / (double)elapsed_ms, news[OUTCOME_FAILED],
           news[OUTCOME_UNKNOWN], news[OUTCOME_LOST], waiting, oldest_ms, live ? "" : "\n");
    fflush(stdout);
}

static void run(struct load *load)
{
    bool live = isatty(STDOUT_FILENO) == 1;
    uint64_t before[OUTCOMES] = {0};
    uint64_t line_ms = now_ms();
    uint64_t end_ms = line_ms + load->options.seconds * 1000;
    uint64_t oldest_ms;
    do {
        iterate(load);
        uint64_t now = now_ms();
        load->stops = load->stops || now >= end_ms;
        if (now >= line_ms + 1000) {
            print_line(load, before, now - line_ms, live);
            memcpy(before, load->counts, sizeof before);
            fflush(load->record);
            line_ms = now;
        }
    } while (!load->stops || clients_waiting(load, &oldest_ms) > 0);
    printf("%s%" PRIu64 " bookings: %" PRIu64 " ok, %" PRIu64 " refused, %" PRIu64
           " failed, %" PRIu64 " unknown, %" PRIu64 " lost\n",
           live ? "\r\033[K" : "", load->booking_next, load->counts[OUTCOME_OK],
           load->counts[OUTCOME_REFUSED], load->counts[OUTCOME_FAILED],
           load->counts[OUTCOME_UNKNOWN], load->counts[OUTCOME_LOST]);
}

static void watch(struct load *load)
{
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, NULL);
    load->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (load->epoll < 0 || load->signals < 0 ||
        epoll_ctl(load->epoll, EPOLL_CTL_ADD, load->signals, &event) != 0)
        fail("epoll");
}

/* ---- The command line ------------------------------------------------------------------------ */

static bool read_address(struct options *options, const char *text)
{
    char address[64];
    const char *colon = strrchr(text, ':');
    if (colon == NULL || (size_t)(colon - text) >= sizeof address)
        return false;
    memcpy(address, text, (size_t)(colon - text));
    address[colon - text] = '\0';
    unsigned long port = strtoul(colon + 1, NULL, 10);
    options->to.sin_family = AF_INET;
    options->to.sin_port = htons((uint16_t)port);
    snprintf(options->to_text, sizeof options->to_text, "%s", text);
    return port > 0 && port <= 65535 && inet_pton(AF_INET, address, &options->to.sin_addr) == 1;
}

static bool read_number(uint64_t *number, const char *text, uint64_t max)
{
    if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text))
        return false;
    errno = 0;
    *number = strtoull(text, NULL, 10);
    return errno == 0 && *number >= 1 && *number <= max;
}

static bool read_option(struct options *options, int option, const char *value)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    switch (option) {
    case 't':
        return read_address(options, value);
    case 'r':
        options->record = value;
        return true;
    case 'n':
        options->run = value;
        return strlen(value) <= 100 && strspn(value, plain) == strlen(value);
    case 's':
        return read_number(&options->seconds, value, 1000000);
    case 'c':
        return read_number(&options->connections, value, 10000);
    case 'k':
        return read_number(&options->trains, value, 1000000);
    case 'e':
        return read_number(&options->seats, value, 1000);
    case 'm':
        return read_number(&options->timeout_ms, value, 1000000);
    default:
        return false;
    }
}

static void options_read(struct options *options, int argc, char **argv)
{
    static const struct option known[] = {
        {"to", required_argument, NULL, 't'},
        {"record", required_argument, NULL, 'r'},
        {"run", required_argument, NULL, 'n'},
        {"seconds", required_argument, NULL, 's'},
        {"connections", required_argument, NULL, 'c'},
        {"trains", required_argument, NULL, 'k'},
        {"seats", required_argument, NULL, 'e'},
        {"timeout-ms", required_argument, NULL, 'm'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static char run[32];
    snprintf(run, sizeof run, "r%" PRIu64, clock_ms(CLOCK_REALTIME) / 1000);
    *options = (struct options){.run = run,
                                .seconds = 10,
                                .connections = 200,
                                .trains = 60,
                                .seats = 30,
                                .timeout_ms = 5000};
    int option;
    while ((option = getopt_long(argc, argv, "", known, NULL)) != -1) {
        if (option == 'h') {
            fputs(help, stdout);
            exit(0);
        }
        if (!read_option(options, option, optarg)) {
            if (option != '?')
                fprintf(stderr, "train-load: %s: not understood\n", optarg);
            fputs("try: train-load --help\n", stderr);
            exit(2);
        }
    }
    if (optind < argc || options->record == NULL || options->to.sin_port == 0) {
        fputs("train-load: specify where to book and where to record the outcomes:\n"
              "  train-load --to 127.0.0.1:8080 --record bookings\n"
              "try: train-load --help\n",
              stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static struct load load;
    options_read(&load.options, argc, argv);
    load.record = fopen(load.options.record, "w");
    if (load.record == NULL)
        fail(load.options.record);
    load.clients = calloc(load.options.connections, sizeof *load.clients);
    if (load.clients == NULL)
        fail("memory");
    watch(&load);
    run(&load);
    if (fclose(load.record) != 0)
        fail(load.options.record);
    free(load.clients);
    return 0;
}
