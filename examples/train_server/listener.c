/* listener.c: see listener.h.
 *
 * Why not let libmicrohttpd listen: to stop listening, its MHD_quiesce_daemon takes the socket out
 * of the epoll sets of its threads while these do the same, and if one of them is quicker it aborts
 * the process (0.9.75). Here one thread alone has the socket. It also gives the connections to the
 * threads of libmicrohttpd in turn, where they would have to race for them. */
#include "listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* When the process has no more file descriptors: try again after this time. */
#define FULL_WAIT_MS 50

struct listener {
    int socket;
    int stop; /* an eventfd that is readable once the thread should end */
    unsigned port;
    pthread_t thread;
    listener_take take;
    void *arg;
};

/* Accept what is waiting. False: the process has no room for more now. */
static bool accept_all(struct listener *listener)
{
    for (;;) {
        struct sockaddr_storage peer;
        socklen_t peer_size = sizeof peer;
        int connection = accept4(listener->socket, (struct sockaddr *)&peer, &peer_size,
                                 SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (connection >= 0) {
            listener->take(connection, (struct sockaddr *)&peer, peer_size, listener->arg);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            return false;
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return true;
        } /* else that connection is gone again: go on with the next */
    }
}

static void *run(void *arg)
{
    struct listener *listener = arg;
    struct pollfd waiting[2] = {{listener->stop, POLLIN, 0}, {listener->socket, POLLIN, 0}};
    for (;;) {
        int ready = poll(waiting, 2, -1);
        if (ready < 0)
            continue;
        if (waiting[0].revents != 0)
            return NULL;
        if (!accept_all(listener))
            poll(waiting, 1, FULL_WAIT_MS);
    }
}

static unsigned port_of(int socket)
{
    struct sockaddr_storage self;
    socklen_t self_size = sizeof self;
    if (getsockname(socket, (struct sockaddr *)&self, &self_size) != 0)
        return 0;
    return ntohs(self.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&self)->sin6_port
                                            : ((struct sockaddr_in *)&self)->sin_port);
}

/* A listening socket, or -1 and errno. */
static int socket_listen(const struct addrinfo *at)
{
    int fd = socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    const int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        bind(fd, at->ai_addr, at->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static bool start(struct listener *listener, const struct addrinfo *at)
{
    listener->socket = socket_listen(at);
    if (listener->socket < 0)
        return false;
    listener->port = port_of(listener->socket);
    listener->stop = eventfd(0, EFD_CLOEXEC);
    if (listener->stop >= 0) {
        errno = pthread_create(&listener->thread, NULL, run, listener);
        if (errno == 0)
            return true;
        close(listener->stop);
    }
    close(listener->socket);
    return false;
}

struct listener *listener_open(const char *address, const char *port, listener_take take, void *arg)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *at = NULL;
    int code = getaddrinfo(address, port, &hints, &at);
    if (code != 0) {
        fprintf(stderr, "train-server: %s is not an address: %s; try 127.0.0.1\n", address,
                gai_strerror(code));
        return NULL;
    }
    struct listener *listener = calloc(1, sizeof *listener);
    if (listener != NULL) {
        listener->take = take;
        listener->arg = arg;
        if (!start(listener, at)) {
            int error = errno;
            fprintf(stderr, "train-server: cannot listen on %s port %s: %s%s\n", address, port,
                    strerror(error),
                    error == EADDRINUSE ? "; stop what listens there, or take another port" : "");
            free(listener);
            listener = NULL;
        }
    }
    freeaddrinfo(at);
    return listener;
}

unsigned listener_port(const struct listener *listener)
{
    return listener->port;
}

void listener_close(struct listener *listener)
{
    const uint64_t one = 1;
    while (write(listener->stop, &one, sizeof one) < 0 && errno == EINTR) {
    }
    pthread_join(listener->thread, NULL);
    close(listener->socket);
    close(listener->stop);
    free(listener);
}
