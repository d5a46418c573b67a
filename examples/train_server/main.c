/* main.c: train-server from start to stop.
 *
 * The main thread only waits for signals and prints the status line: SIGTERM and SIGINT are blocked
 * in all threads and taken with sigtimedwait, so there is no signal handler. To stop: no more
 * connections, then the service answers all it was given, then these answers are sent. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "health.h"
#include "http.h"
#include "options.h"
#include "status_line.h"

#define SECOND_NS UINT64_C(1000000000)

/* Threads of the HTTP server. Two move all the bytes that two cores can, as measured. Without
 * libbatch each waits for its transaction: then there are as many as sessions. */
#define THREADS 2

/* To send the last answers to clients that are slow to take them. */
#define SEND_TIMEOUT_NS (5 * SECOND_NS)

/* Wait for a signal to stop, at most until `until_ns`. */
static bool stop_is_asked(const sigset_t *signals, uint64_t until_ns)
{
    uint64_t now_ns = batch_now_ns();
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec left = {(time_t)(left_ns / SECOND_NS), (long)(left_ns % SECOND_NS)};
    return sigtimedwait(signals, NULL, &left) > 0;
}

static void run(const sigset_t *signals, struct status_line *line, const struct http *http,
                struct service *service)
{
    uint64_t next_ns = batch_now_ns() + SECOND_NS;
    while (!stop_is_asked(signals, next_ns)) {
        if (batch_now_ns() >= next_ns) {
            status_line_print(line, http, service);
            next_ns += SECOND_NS;
        }
    }
}

/* Let balancers find out at /health before anything is refused. A second signal ends it. */
static void leave(const sigset_t *signals, struct http *http, uint64_t drain_ns)
{
    uint64_t until_ns = batch_now_ns() + drain_ns;
    http_leave(http);
    while (batch_now_ns() < until_ns && !stop_is_asked(signals, until_ns)) {
    }
}

/* False: a second signal asked to give up. */
static bool finish(const sigset_t *signals, struct http *http, struct service *service)
{
    http_stop(http);
    while (!service->stop(service, 0)) { /* with a limit, what is late would not be saved */
        if (stop_is_asked(signals, batch_now_ns() + SECOND_NS / 50) &&
            !service->stop(service, SECOND_NS / 10)) {
            fputs("train-server: stopped with requests unanswered\n", stderr);
            return false;
        }
    }
    return true;
}

/* Say where it listens. */
static void greet(const struct options *options, const struct http *http)
{
    bool is_v6 = strchr(options->address, ':') != NULL;
    printf("listening on http://%s%s%s:%u\n", is_v6 ? "[" : "", options->address, is_v6 ? "]" : "",
           http_port(http));
    fflush(stdout);
}

/* Serve until a signal; the service has no more to do then. The exit code. */
static int serve(const struct options *options, const sigset_t *signals, struct service *service,
                 struct health *health)
{
    struct http *http = http_open(&(struct http_options){
        .address = options->address,
        .port = options->port,
        .service = service,
        .health = health,
        .threads = service->answers_later ? THREADS : options->sessions,
    });
    if (http == NULL) {
        service->stop(service, BATCH_FOREVER);
        return 1;
    }
    greet(options, http);
    struct status_line line;
    status_line_begin(&line);
    run(signals, &line, http, service);
    leave(signals, http, options->drain_ms * (SECOND_NS / 1000));
    if (!finish(signals, http, service))
        _exit(1); /* at once: threads are at work */
    struct http_totals answered = http_close(http, SEND_TIMEOUT_NS);
    struct service_totals totals;
    service->totals(service, &totals);
    status_line_end(&line, &answered, &totals);
    return 0;
}

int main(int argc, char **argv)
{
    struct options options;
    enum options_result read = options_read(&options, argc, argv);
    if (read != OPTIONS_RUN)
        return read == OPTIONS_HELP ? 0 : 2;
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);

    struct service *service = options.direct ? direct_open(&options) : batched_open(&options);
    if (service == NULL)
        return 1;
    struct health *health = health_open(service, options.window_ms * (SECOND_NS / 1000));
    if (health == NULL) {
        fputs("train-server: out of memory or threads\n", stderr);
        service->stop(service, BATCH_FOREVER);
        service->close(service);
        return 1;
    }
    int code = serve(&options, &signals, service, health);
    health_close(health);
    service->close(service);
    return code;
}
