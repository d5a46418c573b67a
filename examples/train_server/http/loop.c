/* loop.c: see loop.h.
 *
 * The thread waits for three things: the events of libmicrohttpd; what the office has completed;
 * and `wake`, by which other threads signal that there is something new in the atomic fields. */
#include "http/loop.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "http/arrivals.h"

/* Requests that are completed, and their connections resumed, at a time. A batch completes many:
 * while their responses are sent, one by one, the first clients already send their next requests,
 * and the window of their next batch should begin. So the loop reads what has come in after every
 * few. */
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
    struct request *resume_first; /* to be resumed before the next run of libmicrohttpd */
    struct request **resume_last; /* where the next one is put */
    batch_completions *completions;
    int wake; /* an eventfd */
    atomic_bool xquiesce;
    atomic_bool xclose;
};

static void wake(struct loop *loop)
{
    const uint64_t one = 1;
    while (write(loop->wake, &one, sizeof one) < 0 && errno == EINTR) {
    }
}

void loop_resume(struct loop *loop, struct request *request)
{
    request->next_completed = NULL;
    *loop->resume_last = request;
    loop->resume_last = &request->next_completed;
}

/* MHD_run does the rest. */
static void resume_all(struct loop *loop)
{
    struct request *next;
    for (struct request *request = loop->resume_first; request != NULL; request = next) {
        next = request->next_completed;
        MHD_resume_connection(request->connection);
    }
    loop->resume_first = NULL;
    loop->resume_last = &loop->resume_first;
}

/* Wait until there is something to do; dispatch what the office has completed. */
static void wait_for_work(struct loop *loop, int events)
{
    struct pollfd waiting[] = {{events, POLLIN, 0},
                               {batch_completions_fd(loop->completions), POLLIN, 0},
                               {loop->wake, POLLIN, 0}};
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    bool has_connections = MHD_get_timeout(loop->daemon, &timeout_ms) == MHD_YES;
    if (has_connections && timeout_ms > TICK_MS)
        timeout_ms = TICK_MS;
    int wait_ms = has_connections ? (int)timeout_ms : -1;
    if (loop->resume_first != NULL) /* refused at once */
        wait_ms = 0;
    if (poll(waiting, 3, wait_ms) <= 0)
        return;
    if (waiting[1].revents != 0)
        batch_completions_dispatch(loop->completions, RESUMED_MAX, 0);
    if (waiting[2].revents != 0) {
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
        wait_for_work(loop, events);
        resume_all(loop);
        if (loop->listens && atomic_load_explicit(&loop->xquiesce, memory_order_acquire)) {
            close(MHD_quiesce_daemon(loop->daemon));
            loop->listens = false;
        }
        MHD_run(loop->daemon);
        arrivals_expire(&loop->arrivals, TICK_MS * UINT64_C(1000000));
    }
    batch_completions_dispatch(loop->completions, 0, 0);
    resume_all(loop); /* a daemon must not be stopped with suspended connections */
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

/* What other threads wake it through. */
static bool open_wakes(struct loop *loop)
{
    if (batch_completions_open(&loop->completions, NULL) != BATCH_OK)
        return false;
    loop->wake = eventfd(0, EFD_CLOEXEC);
    if (loop->wake >= 0)
        return true;
    batch_completions_close(loop->completions);
    return false;
}

static void close_wakes(struct loop *loop)
{
    batch_completions_close(loop->completions); /* what came to it has been dispatched */
    close(loop->wake);
}

/* Everything but the memory. */
static bool start(struct loop *loop, const struct loop_options *options)
{
    if (!open_wakes(loop))
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
    close_wakes(loop);
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

batch_completions *loop_completions(const struct loop *loop)
{
    return loop->completions;
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
    close_wakes(loop);
    free(loop);
}
