/* arrivals.c: see arrivals.h. */
#include "http/arrivals.h"

#include <stdlib.h>
#include <sys/socket.h>

#include <batch/batch.h>

#define SECOND_NS UINT64_C(1000000000)

/* A connection. Without memory for it there are no requests either. */
struct arrival {
    struct MHD_Connection *connection;
    void *unclaimed;            /* the request that is not whole yet, or NULL */
    struct arrivals_list *list; /* that it is in, or NULL */
    struct arrival *previous;
    struct arrival *next;
    uint64_t due_ns; /* of arrivals.clock_ns */
};

void arrivals_init(struct arrivals *arrivals, unsigned silence_s)
{
    *arrivals = (struct arrivals){.silence_ns = silence_s * SECOND_NS, .at_ns = batch_now_ns()};
}

static void leave(struct arrival *arrival)
{
    struct arrivals_list *list = arrival->list;
    if (list == NULL)
        return;
    *(arrival->previous != NULL ? &arrival->previous->next : &list->first) = arrival->next;
    *(arrival->next != NULL ? &arrival->next->previous : &list->last) = arrival->previous;
    arrival->list = NULL;
}

/* All that are in a list have the same limit, so the last one is due last. */
static void join(struct arrivals *arrivals, struct arrival *arrival, struct arrivals_list *list)
{
    leave(arrival);
    arrival->due_ns = arrivals->clock_ns +
                      (list == &arrivals->arriving ? ARRIVAL_S * SECOND_NS : arrivals->silence_ns);
    arrival->list = list;
    arrival->next = NULL;
    arrival->previous = list->last;
    *(list->last != NULL ? &list->last->next : &list->first) = arrival;
    list->last = arrival;
}

static struct arrival *arrival_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

void arrivals_connection(void *arg, struct MHD_Connection *connection, void **context,
                         enum MHD_ConnectionNotificationCode what)
{
    struct arrivals *arrivals = arg;
    struct arrival *arrival = *context;
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        *context = arrival = calloc(1, sizeof *arrival);
        if (arrival == NULL)
            return;
        arrival->connection = connection;
        join(arrivals, arrival, &arrivals->arriving);
    } else if (arrival != NULL) {
        leave(arrival);
        free(arrival->unclaimed);
        free(arrival);
        *context = NULL;
    }
}

bool arrivals_begun(struct arrivals *arrivals, struct MHD_Connection *connection, void *request)
{
    struct arrival *arrival = arrival_of(connection);
    if (arrival == NULL) {
        free(request);
        return false;
    }
    free(arrival->unclaimed); /* none: a connection ends with the request that is refused */
    arrival->unclaimed = request;
    if (arrival->list != &arrivals->arriving)
        join(arrivals, arrival, &arrivals->arriving);
    return true;
}

void arrivals_whole(struct arrivals *arrivals, struct MHD_Connection *connection)
{
    struct arrival *arrival = arrival_of(connection);
    (void)arrivals;
    if (arrival == NULL)
        return;
    arrival->unclaimed = NULL;
    leave(arrival);
}

void arrivals_answered(struct arrivals *arrivals, struct MHD_Connection *connection,
                       const void *request)
{
    struct arrival *arrival = arrival_of(connection);
    if (arrival == NULL)
        return;
    if (arrival->unclaimed == request)
        arrival->unclaimed = NULL;
    join(arrivals, arrival, &arrivals->silent);
}

/* libmicrohttpd finds a connection that was shut down closed, and ends it. */
static void list_expire(struct arrivals_list *list, uint64_t clock_ns)
{
    while (list->first != NULL && list->first->due_ns <= clock_ns) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(list->first->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        if (info != NULL)
            shutdown(info->connect_fd, SHUT_RDWR);
        leave(list->first);
    }
}

void arrivals_expire(struct arrivals *arrivals, uint64_t tick_ns)
{
    uint64_t now_ns = batch_now_ns();
    uint64_t passed_ns = now_ns - arrivals->at_ns;
    arrivals->at_ns = now_ns;
    arrivals->clock_ns += passed_ns < 2 * tick_ns ? passed_ns : 2 * tick_ns;
    list_expire(&arrivals->arriving, arrivals->clock_ns);
    list_expire(&arrivals->silent, arrivals->clock_ns);
}
