/* loop.h: a thread with an instance of libmicrohttpd that it alone runs and ends.
 *
 * Why not the threads that libmicrohttpd has itself: ending them while they are working is not safe
 * in version 0.9.75. MHD_quiesce_daemon may abort the process, and MHD_stop_daemon drops a response
 * that is being queued, treats it as queued all the same, and follows a null pointer. On a thread
 * of our own `done` of each booking is called, too (batch/completions.h): there is no lock, and it
 * is woken once for all bookings that a batch completes. */
#ifndef LOOP_H
#define LOOP_H

#include <batch/completions.h>

#include <microhttpd.h>
#include <stdbool.h>

#include "http/request.h"

struct arrivals;
struct loop;

/* What all loops of a server have in common. The callbacks get the loop as their argument, on its
 * thread. */
struct loop_options {
    int listener;             /* stays the caller's; may be closed once the loops are open */
    unsigned connections_max; /* of one loop; then it accepts no more */
    unsigned memory_size;     /* bytes for one connection */
    unsigned timeout_s;       /* for an idle connection */
    void *owner;
    void *(*begin)(void *loop, const char *uri, struct MHD_Connection *connection);
    MHD_AccessHandlerCallback handle;
    MHD_RequestCompletedCallback end;
};

/* Start a loop. NULL: out of memory, files or threads. */
struct loop *loop_open(const struct loop_options *options);

void *loop_owner(const struct loop *loop);

/* For the callbacks. */
struct arrivals *loop_arrivals(struct loop *loop);

/* Where the office completes what it was given on this loop: on its thread. */
batch_completions *loop_completions(const struct loop *loop);

/* Resume the connection of a request, which was suspended. The loop's thread. */
void loop_resume(struct loop *loop, struct request *request);

/* Stop listening, soon. Any thread. */
void loop_quiesce(struct loop *loop);

/* End the thread, close its connections, free it. No connection may be suspended. */
void loop_close(struct loop *loop);

#endif
