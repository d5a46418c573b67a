/* fault_proxy.c: see fault_proxy.h.
 *
 * The thread polls, and then does all it can do without waiting, with the lock held. A connection
 * of a client and its twin to the server are a link; each of its two ways has a buffer that is
 * filled when it is empty and emptied before it is filled again.
 *
 * A reset throws away what has not left the sender's side, so before one the link drains. What has
 * left it arrives in the order in which it left, as long as one processor sends it all: the thread
 * stays on one. (Waiting for acknowledgements instead takes 40 ms each time: they are delayed.)
 */
#include "fault_proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LINKS_MAX = 128, BUFFER_SIZE = 65536 };

enum link_state {
    LINK_FREE = 0,
    LINK_OPEN,
    LINK_DRAINS, /* forwards no more; reset once what was sent has left */
    LINK_ENDS    /* both ends know; reads them to their end and forwards nothing */
};

struct way {
    size_t at; /* buffer[at, size) is to be forwarded */
    size_t size;
    bool has_ended;  /* there is no more to read */
    bool was_passed; /* and the other side knows */
    bool is_broken;  /* nobody reads at its other end: thrown away */
    char buffer[BUFFER_SIZE];
};

struct link {
    enum link_state state;
    int ends[2];        /* [direction]: where it is read; the client's, the server's */
    struct way ways[2]; /* [direction] */
};

struct fault_proxy {
    int listener;
    int wake[2]; /* a pipe: write to [1] to have the thread look at the commands */
    unsigned port;
    unsigned server_port;
    pthread_t thread;
    pthread_mutex_t lock; /* guards all below */
    pthread_cond_t changed;
    bool ends;
    bool holds;
    bool resets_all;
    size_t slice_max;
    uint64_t rest_ns;
    uint64_t bytes[2];
    char tail[FAULT_TAIL_SIZE]; /* the last of what was forwarded in `direction` */
    unsigned connections;
    bool is_armed;
    unsigned fired_port; /* 0: has not fired */
    enum fault_direction direction;
    enum fault_kind kind;
    uint64_t fires_after;
    struct link links[LINKS_MAX];
};

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "fault proxy: %s: %s\n", what, strerror(errno));
    exit(1);
}

static struct sockaddr_in loopback(unsigned port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

/* ---- The end of a link ---------------------------------------------------------------------- */

static void link_free(struct fault_proxy *proxy, struct link *link)
{
    close(link->ends[0]);
    close(link->ends[1]);
    link->state = LINK_FREE;
    pthread_cond_broadcast(&proxy->changed);
}

static void link_reset(struct fault_proxy *proxy, struct link *link)
{
    struct linger linger = {1, 0};
    for (int i = 0; i < 2; i++)
        setsockopt(link->ends[i], SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    link_free(proxy, link);
}

/* Has all that was sent on a socket left it, or never will? */
static bool is_drained(int end)
{
    int left = 0;
    struct tcp_info info;
    socklen_t size = sizeof info;
    if (getsockopt(end, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || info.tcpi_state == TCP_CLOSE)
        return true;
    return ioctl(end, SIOCOUTQNSD, &left) != 0 || left == 0;
}

static void link_drain(struct fault_proxy *proxy, struct link *link)
{
    link->state = LINK_DRAINS;
    if (is_drained(link->ends[0]) && is_drained(link->ends[1]))
        link_reset(proxy, link);
}

static void link_finish(struct link *link)
{
    for (int i = 0; i < 2; i++) {
        shutdown(link->ends[i], SHUT_WR);
        link->ways[i] = (struct way){.is_broken = true};
    }
    link->state = LINK_ENDS;
}

static void fire(struct fault_proxy *proxy, struct link *link)
{
    struct sockaddr_in address = {.sin_port = 0};
    socklen_t size = sizeof address;
    if (getsockname(link->ends[TO_CLIENT], (struct sockaddr *)&address, &size) != 0)
        fail("getsockname");
    proxy->is_armed = false;
    proxy->fired_port = ntohs(address.sin_port);
    if (proxy->kind == FAULT_HOLD)
        proxy->holds = true;
    else if (proxy->kind == FAULT_FIN)
        link_finish(link);
    else
        link_drain(proxy, link);
}

/* ---- Forwarding ----------------------------------------------------------------------------- */

static void way_read(struct fault_proxy *proxy, struct link *link, enum fault_direction direction)
{
    struct way *way = &link->ways[direction];
    size_t size_max = proxy->slice_max != 0 ? proxy->slice_max : sizeof way->buffer;
    ssize_t got = recv(link->ends[direction], way->buffer, size_max, MSG_DONTWAIT);
    if (got > 0) {
        way->at = 0;
        way->size = (size_t)got;
    } else if (got == 0) {
        way->has_ended = true;
    } else if (errno != EAGAIN && errno != EINTR) {
        link_drain(proxy, link);
    }
}

/* Forward what the way holds, as far as a fault lets it. */
static void way_write(struct fault_proxy *proxy, struct link *link, enum fault_direction direction)
{
    struct way *way = &link->ways[direction];
    size_t size = way->size - way->at;
    bool is_armed = proxy->is_armed && proxy->direction == direction;
    if (is_armed && proxy->fires_after == 0) {
        fire(proxy, link);
        return;
    }
    if (is_armed && size > proxy->fires_after - proxy->bytes[direction])
        size = (size_t)(proxy->fires_after - proxy->bytes[direction]);
    if (proxy->rest_ns != 0)
        nanosleep(&(struct timespec){(time_t)(proxy->rest_ns / 1000000000),
                                     (long)(proxy->rest_ns % 1000000000)},
                  NULL);
    ssize_t sent =
        send(link->ends[!direction], way->buffer + way->at, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        way->is_broken = true;
        return;
    }
    for (ssize_t i = 0; is_armed && i < sent; i++) {
        memmove(proxy->tail, proxy->tail + 1, sizeof proxy->tail - 1);
        proxy->tail[sizeof proxy->tail - 1] = way->buffer[way->at + (size_t)i];
    }
    way->at += sent > 0 ? (size_t)sent : 0;
    proxy->bytes[direction] += sent > 0 ? (uint64_t)sent : 0;
    if (is_armed && proxy->bytes[direction] == proxy->fires_after)
        fire(proxy, link);
}

static void way_step(struct fault_proxy *proxy, struct link *link, enum fault_direction direction)
{
    struct way *way = &link->ways[direction];
    if (way->is_broken)
        way->at = way->size;
    if (way->at == way->size && !way->has_ended)
        way_read(proxy, link, direction);
    if (link->state == LINK_OPEN && way->at < way->size && !way->is_broken)
        way_write(proxy, link, direction);
    if (link->state == LINK_OPEN && way->has_ended && way->at == way->size && !way->was_passed) {
        shutdown(link->ends[!direction], SHUT_WR);
        way->was_passed = true;
    }
}

static void link_step(struct fault_proxy *proxy, struct link *link)
{
    for (int i = 0; i < 2 && !proxy->holds; i++) {
        if (link->state == LINK_OPEN || link->state == LINK_ENDS)
            way_step(proxy, link, (enum fault_direction)i);
    }
    if (proxy->holds || link->state == LINK_FREE)
        return;
    if (link->state == LINK_DRAINS)
        link_drain(proxy, link);
    else if (link->ways[0].has_ended && link->ways[1].has_ended &&
             link->ways[0].at == link->ways[0].size && link->ways[1].at == link->ways[1].size)
        link_free(proxy, link);
}

/* ---- The thread ----------------------------------------------------------------------------- */

static void link_open(struct fault_proxy *proxy)
{
    int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (client < 0)
        return;
    struct link *link = proxy->links;
    while (link < proxy->links + LINKS_MAX && link->state != LINK_FREE)
        link++;
    if (link == proxy->links + LINKS_MAX)
        fail("too many connections");
    struct sockaddr_in address = loopback(proxy->server_port);
    int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int yes = 1;
    if (server < 0)
        fail("socket");
    proxy->connections++;
    for (int i = 0; i < 2; i++) {
        link->ends[i] = i == TO_SERVER ? client : server;
        link->ways[i].at = link->ways[i].size = 0;
        link->ways[i].has_ended = link->ways[i].was_passed = link->ways[i].is_broken = false;
        setsockopt(link->ends[i], IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    }
    link->state = LINK_OPEN;
    if (connect(server, (struct sockaddr *)&address, sizeof address) != 0)
        link_reset(proxy, link);
}

/* What to wait for, and how long: into `polls`, whose first two are the pipe and the listener. */
static nfds_t poll_fill(struct fault_proxy *proxy, struct pollfd *polls, int *ret_timeout_ms)
{
    nfds_t size = 0;
    polls[size++] = (struct pollfd){proxy->wake[0], POLLIN, 0};
    *ret_timeout_ms = -1;
    if (proxy->holds)
        return size;
    polls[size++] = (struct pollfd){proxy->listener, POLLIN, 0};
    for (struct link *link = proxy->links; link < proxy->links + LINKS_MAX; link++) {
        if (link->state == LINK_DRAINS)
            *ret_timeout_ms = 1;
        if (link->state != LINK_OPEN && link->state != LINK_ENDS)
            continue;
        for (int i = 0; i < 2; i++) {
            struct way *way = &link->ways[i];
            if (way->at < way->size)
                polls[size++] = (struct pollfd){link->ends[!i], POLLOUT, 0};
            else if (!way->has_ended)
                polls[size++] = (struct pollfd){link->ends[i], POLLIN, 0};
        }
    }
    return size;
}

static void stay_on_this_processor(void)
{
    cpu_set_t processors;
    CPU_ZERO(&processors);
    CPU_SET((size_t)sched_getcpu(), &processors);
    if (sched_setaffinity(0, sizeof processors, &processors) != 0)
        fail("sched_setaffinity");
}

static void *proxy_main(void *arg)
{
    struct fault_proxy *proxy = arg;
    stay_on_this_processor();
    struct pollfd polls[2 + 2 * LINKS_MAX];
    pthread_mutex_lock(&proxy->lock);
    while (!proxy->ends) {
        int timeout_ms;
        nfds_t size = poll_fill(proxy, polls, &timeout_ms);
        pthread_mutex_unlock(&proxy->lock);
        poll(polls, size, timeout_ms);
        pthread_mutex_lock(&proxy->lock);
        char bytes[64];
        if (polls[0].revents != 0 && read(proxy->wake[0], bytes, sizeof bytes) < 0)
            fail("pipe");
        for (struct link *link = proxy->links; link < proxy->links + LINKS_MAX; link++) {
            if (link->state != LINK_FREE && proxy->resets_all)
                link_reset(proxy, link);
            else if (link->state != LINK_FREE)
                link_step(proxy, link);
        }
        proxy->resets_all = false;
        pthread_cond_broadcast(&proxy->changed);
        if (!proxy->holds)
            link_open(proxy);
    }
    for (struct link *link = proxy->links; link < proxy->links + LINKS_MAX; link++) {
        if (link->state != LINK_FREE)
            link_reset(proxy, link);
    }
    pthread_mutex_unlock(&proxy->lock);
    return NULL;
}

struct fault_proxy *fault_proxy_start(unsigned server_port)
{
    struct fault_proxy *proxy = calloc(1, sizeof *proxy);
    if (proxy == NULL)
        fail("memory");
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    proxy->server_port = server_port;
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (proxy->listener < 0 ||
        bind(proxy->listener, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(proxy->listener, LINKS_MAX) != 0 ||
        getsockname(proxy->listener, (struct sockaddr *)&address, &size) != 0)
        fail("listen");
    proxy->port = ntohs(address.sin_port);
    if (pipe2(proxy->wake, O_CLOEXEC) != 0)
        fail("pipe");
    pthread_mutex_init(&proxy->lock, NULL);
    pthread_cond_init(&proxy->changed, NULL);
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    errno = pthread_create(&proxy->thread, NULL, proxy_main, proxy);
    if (errno != 0)
        fail("thread");
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return proxy;
}

/* ---- Commands ------------------------------------------------------------------------------- */

static void wake(struct fault_proxy *proxy)
{
    if (write(proxy->wake[1], "", 1) != 1)
        fail("pipe");
}

void fault_proxy_end(struct fault_proxy *proxy)
{
    if (proxy == NULL)
        return;
    pthread_mutex_lock(&proxy->lock);
    proxy->ends = true;
    pthread_mutex_unlock(&proxy->lock);
    wake(proxy);
    pthread_join(proxy->thread, NULL);
    close(proxy->listener);
    close(proxy->wake[0]);
    close(proxy->wake[1]);
    pthread_mutex_destroy(&proxy->lock);
    pthread_cond_destroy(&proxy->changed);
    free(proxy);
}

unsigned fault_proxy_port(const struct fault_proxy *proxy)
{
    return proxy->port;
}

static void mark(struct fault_proxy *proxy)
{
    proxy->bytes[TO_SERVER] = proxy->bytes[TO_CLIENT] = 0;
    proxy->connections = 0;
    memset(proxy->tail, 0, sizeof proxy->tail);
    proxy->is_armed = false;
    proxy->fired_port = 0;
}

void fault_proxy_mark(struct fault_proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    mark(proxy);
    pthread_mutex_unlock(&proxy->lock);
}

uint64_t fault_proxy_bytes(struct fault_proxy *proxy, enum fault_direction direction)
{
    pthread_mutex_lock(&proxy->lock);
    uint64_t bytes = proxy->bytes[direction];
    pthread_mutex_unlock(&proxy->lock);
    return bytes;
}

void fault_proxy_tail(struct fault_proxy *proxy, char ret_tail[FAULT_TAIL_SIZE])
{
    pthread_mutex_lock(&proxy->lock);
    memcpy(ret_tail, proxy->tail, FAULT_TAIL_SIZE);
    pthread_mutex_unlock(&proxy->lock);
}

unsigned fault_proxy_connections(struct fault_proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    unsigned connections = proxy->connections;
    pthread_mutex_unlock(&proxy->lock);
    return connections;
}

void fault_proxy_arm(struct fault_proxy *proxy, enum fault_direction direction, uint64_t bytes,
                     enum fault_kind kind)
{
    pthread_mutex_lock(&proxy->lock);
    mark(proxy);
    proxy->is_armed = true;
    proxy->direction = direction;
    proxy->fires_after = bytes;
    proxy->kind = kind;
    pthread_mutex_unlock(&proxy->lock);
}

unsigned fault_proxy_fired_port(struct fault_proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    unsigned port = proxy->fired_port;
    pthread_mutex_unlock(&proxy->lock);
    return port;
}

bool fault_proxy_has_fired(struct fault_proxy *proxy)
{
    return fault_proxy_fired_port(proxy) != 0;
}

void fault_proxy_hold(struct fault_proxy *proxy, bool holds)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->holds = holds;
    pthread_mutex_unlock(&proxy->lock);
    wake(proxy);
}

void fault_proxy_slice(struct fault_proxy *proxy, size_t bytes_max, uint64_t rest_ns)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->slice_max = bytes_max < BUFFER_SIZE ? bytes_max : 0;
    proxy->rest_ns = rest_ns;
    pthread_mutex_unlock(&proxy->lock);
}

void fault_proxy_reset_all(struct fault_proxy *proxy)
{
    pthread_mutex_lock(&proxy->lock);
    proxy->resets_all = true;
    wake(proxy);
    while (proxy->resets_all)
        pthread_cond_wait(&proxy->changed, &proxy->lock);
    pthread_mutex_unlock(&proxy->lock);
}
