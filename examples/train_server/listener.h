/* listener.h: a listening socket and a thread that accepts from it. */
#ifndef LISTENER_H
#define LISTENER_H

#include <stdbool.h>
#include <sys/socket.h>

struct listener;

/* Takes a connection over: a socket that does not block. Called on the thread of the listener. */
typedef void (*listener_take)(int connection, const struct sockaddr *peer, socklen_t peer_size,
                              void *arg);

/* Listen on a numeric address and a port, "0" for a free one, and begin to accept. NULL: it said
 * why on standard error. */
struct listener *listener_open(const char *address, const char *port, listener_take take,
                               void *arg);

/* The port that it listens on. */
unsigned listener_port(const struct listener *listener);

/* Stop listening, wait until `take` is not running any more, and free it. */
void listener_close(struct listener *listener);

#endif
