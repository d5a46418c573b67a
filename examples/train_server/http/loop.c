/* loop.c: see loop.h.
 *
 * The thread waits for two things: the events of libmicrohttpd, and `wake`, by which other threads
 * signal that there is something new in the atomic fields. */
#include "http/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "http/arrivals.h"

/* Connections that are resumed at a time. A batch completes many requests: while their responses
 * are sent, one by one, the first clients already send their next requests, and the window of their
 * next batch should begin. So the loop reads what has come in after every few. */
#define RESUMED_MAX 64

/* libmicrohttpd runs at the latest after so long. When a request does not fit into the memory of
 * its connection, version 0.9.75 prepares a response, or closes, only in its next run, and does not
 * say when that is due. */
#define TICK_MS 250

struct loop {
    struct MHD_Daemon *daemon;
    void *owner;
    pthread_t thread;
    struct arrivals arrivals;     /* the thread's, while it runs */
    bool listens;                 /* this and the next two are the thread's */
    struct request *resume_first; /* taken from xcompleted, the first one first */
    struct request **resume_last; /* where the next one is put */
    int wake;                     /* an eventfd */
    atomic_bool xquiesce;
    atomic_bool xclose;
    _Atomic(struct request *) xcompleted; /* to be resumed, the last one first */
};

static void wake(struct loop *loop)
{
    const uint64_t one = 1;
    while (write(loop->wake, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

void loop_resume(struct loop *loop, struct request *request)
{
    struct request *last = atomic_load_explicit(&loop->xcompleted, memory_order_relaxed);
    do
        request->next_completed = last;
    while (!atomic_compare_exchange_weak_explicit(&loop->xcompleted, &last, request,
                                                  memory_order_release, memory_order_relaxed));
    if (last == NULL) /* else whoever came first has done it */
        wake(loop);
}

/* Take over the completed requests, in the order of their completion. */
static void take_completed(struct loop *loop)
{
    struct request *last = atomic_exchange_explicit(&loop->xcompleted, NULL, memory_order_acquire);
    if (last == NULL)
        return;
    struct request *first = NULL;
    struct request **end = &last->next_completed;
    while (last != NULL) {
        struct request *next = last->next_completed;
        last->next_completed = first;
        first = last;
        last = next;
    }
    *loop->resume_last = first;
    loop->resume_last = end;
}

/* Resume up to so many connections; MHD_run does the rest. */
static void resume(struct loop *loop, unsigned count)
{
    while (loop->resume_first != NULL && count-- > 0) {
        struct request *request = loop->resume_first;
        loop->resume_first = request->next_completed;
        MHD_resume_connection(request->connection);
    }
    if (loop->resume_first == NULL)
        loop->resume_last = &loop->resume_first;
}

/* Wait until there is something to do. */
static void wait_for_work(struct loop *loop, int events)
{
    struct pollfd waiting[] = {{events, POLLIN, 0}, {loop->wake, POLLIN, 0}};
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    bool has_connections = MHD_get_timeout(loop->daemon, &timeout_ms) == MHD_YES;
    if (has_connections && timeout_ms > TICK_MS)
        timeout_ms = TICK_MS;
    if (poll(waiting, 2, has_connections ? (int)timeout_ms : -1) > 0 && waiting[1].revents != 0) {
        uint64_t times;
        while (read(loop->wake, &times, sizeof times) < 0 && errno == EINTR) {
        }
    }
}

static void *run(void *arg)
{
    struct loop *loop = arg;
    int events = MHD_get_daemon_info(loop->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    while (!atomic_load_explicit(&loop->xclose, memory_order_acquire)) {
        if (loop->resume_first == NULL)
            wait_for_work(loop, events);
        take_completed(loop);
        resume(loop, RESUMED_MAX);
        if (loop->listens && atomic_load_explicit(&loop->xquiesce, memory_order_acquire)) {
            close(MHD_quiesce_daemon(loop->daemon));
            loop->listens = false;
        }
        MHD_run(loop->daemon);
        arrivals_expire(&loop->arrivals, TICK_MS * UINT64_C(1000000));
    }
    take_completed(loop); /* a daemon must not be stopped with suspended connections */
    resume(loop, UINT_MAX);
    MHD_run(loop->daemon);
    return NULL;
}

/* The daemon owns `listener` until it is quiesced. */
static struct MHD_Daemon *daemon_start(const struct loop_options *options, struct loop *loop,
                                       int listener)
{
    const struct MHD_OptionItem items[] = {
        {MHD_OPTION_LISTEN_SOCKET, listener, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, (intptr_t)options->connections_max, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, (intptr_t)options->memory_size, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, (intptr_t)options->timeout_s, NULL},
        {MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)options->begin, loop},
        {MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)arrivals_connection, &loop->arrivals},
        {MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)options->end, loop},
        {MHD_OPTION_END, 0, NULL},
    };
    return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
                            options->handle, loop, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
}

/* Everything but the memory. */
static bool start(struct loop *loop, const struct loop_options *options)
{
    loop->wake = eventfd(0, EFD_CLOEXEC);
    if (loop->wake < 0)
        return false;
    int listener = fcntl(options->listener, F_DUPFD_CLOEXEC, 0);
    if (listener >= 0) {
        loop->daemon = daemon_start(options, loop, listener);
        if (loop->daemon == NULL)
            close(listener);
        else if (pthread_create(&loop->thread, NULL, run, loop) == 0)
            return true;
        else
            MHD_stop_daemon(loop->daemon);
    }
    close(loop->wake);
    return false;
}

struct loop *loop_open(const struct loop_options *options)
{
    struct loop *loop = calloc(1, sizeof *loop);
    if (loop == NULL)
        return NULL;
    loop->owner = options->owner;
    loop->listens = true;
    arrivals_init(&loop->arrivals, options->timeout_s);
    loop->resume_last = &loop->resume_first;
    if (!start(loop, options)) {
        free(loop);
        return NULL;
    }
    return loop;
}

void *loop_owner(const struct loop *loop)
{
    return loop->owner;
}

struct arrivals *loop_arrivals(struct loop *loop)
{
    return &loop->arrivals;
}

void loop_quiesce(struct loop *loop)
{
    atomic_store_explicit(&loop->xquiesce, true, memory_order_release);
    wake(loop);
}

void loop_close(struct loop *loop)
{
    atomic_store_explicit(&loop->xclose, true, memory_order_release);
    wake(loop);
    pthread_join(loop->thread, NULL);
    MHD_stop_daemon(loop->daemon);
    close(loop->wake);
    free(loop);
}
