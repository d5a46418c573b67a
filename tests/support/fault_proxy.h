/* fault_proxy.h: a TCP proxy between a test and a server, with faults on command.
 *
 * Listens on a free port of 127.0.0.1 and talks to a port of 127.0.0.1, never to anything else. One
 * thread forwards for all connections. Bytes are counted in each direction from a mark, over all
 * connections; a fault comes after exactly as many bytes as it was armed with: that byte has been
 * delivered to the other side, the next one never is.
 *
 * What cannot go on (no socket, no thread) ends the program with a message, exit 1. All functions
 * may be called from any thread, also while bytes flow; start and end from one.
 */
#ifndef BATCH_TEST_SUPPORT_FAULT_PROXY_H
#define BATCH_TEST_SUPPORT_FAULT_PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum fault_direction { TO_SERVER = 0, TO_CLIENT = 1 };

enum fault_kind {
    FAULT_RESET, /* both ends see a connection reset (RST) */
    FAULT_FIN,   /* both ends see an end of file; what they still send is thrown away */
    FAULT_HOLD   /* a black hole: see fault_proxy_hold */
};

struct fault_proxy;

struct fault_proxy *fault_proxy_start(unsigned server_port);
void fault_proxy_end(struct fault_proxy *proxy); /* resets all connections; NULL: nothing */
unsigned fault_proxy_port(const struct fault_proxy *proxy);

/* Count from here on: both counts are 0, and no fault is armed. */
void fault_proxy_mark(struct fault_proxy *proxy);
uint64_t fault_proxy_bytes(struct fault_proxy *proxy, enum fault_direction direction);
/* The last bytes before the fault, in its direction; zeros where there were fewer. */
#define FAULT_TAIL_SIZE 8
void fault_proxy_tail(struct fault_proxy *proxy, char ret_tail[FAULT_TAIL_SIZE]);
/* Connections that clients have opened since the mark. */
unsigned fault_proxy_connections(struct fault_proxy *proxy);

/* Mark, and arm one fault: it comes once `bytes` more have been delivered in that direction; with
 * 0, when the next one is about to be. It meets the connection of that byte, once. */
void fault_proxy_arm(struct fault_proxy *proxy, enum fault_direction direction, uint64_t bytes,
                     enum fault_kind kind);
/* Has it come since it was armed? */
bool fault_proxy_has_fired(struct fault_proxy *proxy);
/* The port from which the connection that it met went to the server; 0: it has not come. */
unsigned fault_proxy_fired_port(struct fault_proxy *proxy);

/* A black hole: connections stay open and new ones are taken, but nothing is forwarded, not even
 * their ends; until it is over, when all that goes on. */
void fault_proxy_hold(struct fault_proxy *proxy, bool holds);

/* Forward pieces of at most so many bytes (0: as they come), each after so long a rest. */
void fault_proxy_slice(struct fault_proxy *proxy, size_t bytes_max, uint64_t rest_ns);

/* Reset every connection there is. They are gone when this returns. */
void fault_proxy_reset_all(struct fault_proxy *proxy);

#endif
