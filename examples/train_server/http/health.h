/* health.h: can this server serve? For the health checks of load balancers, GET or HEAD /health.
 *
 * Once a second a thread reads from the store in the way that requests do, and the outcomes of
 * bookings are noted as they become known. /health reports what is known and starts nothing: it
 * costs no more than a 404. It returns 503
 *   - once the server has been asked to stop;
 *   - when no such read has succeeded for HEALTH_LIMIT_S seconds (and the length of a window);
 *   - when no booking could be saved for as long, although some were tried until just now: a
 *     database may be readable and reject writes. One save that succeeds ends this.
 * So a database that is gone is noticed within 3 to 4 seconds, and one that is back within 1 to 2.
 *
 * Why report it, when all servers may have the same database and a balancer that takes them all out
 * has none left? Because a server may be cut off alone, and that is what a balancer can help with.
 * If all are, nothing more is lost: the balancer returns 503 at once, where the server would make
 * its clients wait for the deadline of a batch and then return the same. Shorter failures, such as
 * a connection that is lost and opened again, are no reason to leave. To find out only whether the
 * process runs, connect to its port. */
#ifndef HEALTH_H
#define HEALTH_H

#include "booking/office.h"

#define HEALTH_LIMIT_S 3

struct health;

/* Start the thread. `window_ns`: how long a probe may take because it waits for its batch. NULL: no
 * memory, or no thread. */
struct health *health_open(struct office *office, uint64_t window_ns);

/* The booking of a seat, begun at `begun_ns`, is complete, whether or not its client still waits.
 * Any thread. */
void health_note(struct health *health, const struct booking *booking, uint64_t begun_ns);

/* What is wrong: a sentence, static; NULL if nothing is. Any thread. */
const char *health_problem(struct health *health);

/* End the thread and free it. After office_stop, before office_close. */
void health_close(struct health *health);

#endif
