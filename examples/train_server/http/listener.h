/* listener.h: a listening socket. */
#ifndef LISTENER_H
#define LISTENER_H

/* Listen on a numeric address and a port, "0" for a free one. A socket that does not block, or -1,
 * having said why. */
int listener_open(const char *address, const char *port);

/* The port that a socket listens on. */
unsigned listener_port(int socket);

#endif
