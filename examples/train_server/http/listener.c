/* listener.c: see listener.h. */
#include "http/listener.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "http/say.h"

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

int listener_open(const char *address, const char *port)
{
    struct addrinfo hints = {.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM};
    struct addrinfo *at = NULL;
    int code = getaddrinfo(address, port, &hints, &at);
    if (code != 0) {
        say("%s is not an address: %s; try 127.0.0.1", address, gai_strerror(code));
        return -1;
    }
    int fd = socket_listen(at);
    if (fd < 0) {
        int error = errno;
        say("cannot listen on %s port %s: %s%s", address, port, strerror(error),
            error == EADDRINUSE ? "; stop the program that listens there, or choose another port"
                                : "");
    }
    freeaddrinfo(at);
    return fd;
}

unsigned listener_port(int socket)
{
    struct sockaddr_storage self;
    socklen_t self_size = sizeof self;
    if (getsockname(socket, (struct sockaddr *)&self, &self_size) != 0)
        return 0;
    return ntohs(self.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&self)->sin6_port
                                            : ((struct sockaddr_in *)&self)->sin_port);
}
