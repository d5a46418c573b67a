/* health.h: can this server serve? For the health checks of load balancers, GET or HEAD /health.
 *
 * Once a second a thread reads from the store in the way that requests do, and the answers to
 * bookings are looked at as they pass. /health tells what is known, and asks nobody: it costs no
 * more than a 404. It says 503
 *   - once the server is told to stop;
 *   - when no such read has succeeded for HEALTH_LIMIT_S seconds (and the length of a window);
 *   - when no booking could be saved for as long, although some were tried until just now: a
 *     database may be read and take no writes. One save that succeeds ends this.
 * So a database that is gone is seen within 3 to 4 seconds, and one that is back within 1 to 2.
 *
 * Why say it, when all servers may have the same database and a balancer that takes them all out
 * has nobody left? Because a server may be cut off alone, and that is what a balancer can help
 * with. If all are, nothing is lost that was not lost: the balancer says 503 at once, where the
 * server would make its clients wait for the deadline of a batch and then say the same. Shorter
 * troubles, such as a connection that is lost and opened again, are no reason to leave. Whoever
 * wants to know only if the process is there can connect to its port. */
#ifndef HEALTH_H
#define HEALTH_H

#include "request.h"

#define HEALTH_LIMIT_S 3

struct health;

/* Start the thread. `window_ns`: how long a probe may take because it waits for its batch. NULL: no
 * memory, or no thread. */
struct health *health_open(struct service *service, uint64_t window_ns);

/* A request for TARGET_BOOK was served. Any thread. */
void health_note(struct health *health, const struct request *request);

/* What is wrong: a sentence, static; NULL if nothing is. Any thread. */
const char *health_trouble(struct health *health);

/* End the thread and free it. After service->stop, before service->close. */
void health_close(struct health *health);

#endif
