/* server.c: see server.h.
 *
 * The main thread only waits for signals and prints the status line: SIGTERM, SIGINT and SIGHUP are
 * blocked in all threads and taken with sigtimedwait, so there is no signal handler. */
#include "http/server.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "http/health.h"
#include "http/http.h"
#include "http/options.h"
#include "http/output.h"
#include "http/say.h"
#include "http/status_line.h"
#include "table/postgres.h"

#define SECOND_NS UINT64_C(1000000000)

/* Threads of the HTTP server, unless the office is direct. Two move all the bytes that two cores
 * can, as measured. */
#define THREADS 2

/* To send the last responses to clients that are slow to read them. */
#define SEND_TIMEOUT_NS (5 * SECOND_NS)

/* Wait for a signal to stop, at most until `until_ns`. */
static bool stop_is_requested(const sigset_t *signals, uint64_t until_ns)
{
    uint64_t now_ns = batch_now_ns();
    uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
    struct timespec left = {(time_t)(left_ns / SECOND_NS), (long)(left_ns % SECOND_NS)};
    return sigtimedwait(signals, NULL, &left) > 0;
}

static void run(const sigset_t *signals, struct status_line *line, const struct http *http,
                struct office *office)
{
    uint64_t next_ns = batch_now_ns() + SECOND_NS;
    while (!stop_is_requested(signals, next_ns)) {
        if (batch_now_ns() >= next_ns) {
            status_line_print(line, http, office);
            next_ns += SECOND_NS;
        }
    }
}

/* Drain: let balancers notice at /health before anything is refused. A second signal ends it. */
static void leave(const sigset_t *signals, struct http *http, uint64_t drain_ns)
{
    uint64_t until_ns = batch_now_ns() + drain_ns;
    http_leave(http);
    while (batch_now_ns() < until_ns && !stop_is_requested(signals, until_ns)) {
    }
}

/* False: a second signal asked to stop at once. */
static bool finish(const sigset_t *signals, struct http *http, struct office *office)
{
    http_stop(http);
    while (!office_stop(office, 0)) { /* with a limit, what is late would not be saved */
        if (stop_is_requested(signals, batch_now_ns() + SECOND_NS / 50) &&
            !office_stop(office, SECOND_NS / 10)) {
            say("stopped with requests unanswered");
            return false;
        }
    }
    return true;
}

/* Say where it listens. */
static void greet(const struct options *options, const struct http *http, struct output *output)
{
    bool is_v6 = strchr(options->address, ':') != NULL;
    output_print(output, "listening on http://%s%s%s:%u\n", is_v6 ? "[" : "", options->address,
                 is_v6 ? "]" : "", http_port(http));
}

/* Serve until a signal; the office has stopped then. The exit code. */
static int serve(const struct options *options, const struct http_options *http_options,
                 struct output *output, const sigset_t *signals)
{
    struct office *office = http_options->office;
    struct http *http = http_open(http_options);
    if (http == NULL) {
        office_stop(office, BATCH_FOREVER);
        return 1;
    }
    greet(options, http, output);
    struct status_line line;
    status_line_begin(&line, output);
    run(signals, &line, http, office);
    leave(signals, http, options->drain_ms * (SECOND_NS / 1000));
    if (!finish(signals, http, office))
        _exit(1); /* at once: threads are at work */
    struct http_totals responses = http_close(http, SEND_TIMEOUT_NS);
    struct office_totals totals = office_totals(office);
    status_line_end(&line, &responses, &totals);
    return 0;
}

/* Serve with an open office. The exit code. */
static int serve_at(struct office *office, const struct options *options, bool names_are_text,
                    bool office_is_direct, const sigset_t *signals)
{
    struct output *output = output_open();
    struct health *health = health_open(office, options->office.window_ms * (SECOND_NS / 1000));
    if (health == NULL || output == NULL) {
        say("out of memory or threads");
        office_stop(office, BATCH_FOREVER);
        if (health != NULL)
            health_close(health);
        if (output != NULL)
            output_close(output);
        return 1;
    }
    const struct http_options http_options = {
        .address = options->address,
        .port = options->port,
        .office = office,
        .health = health,
        .threads = office_is_direct ? options->office.sessions : THREADS,
        .names_are_text = names_are_text,
        .office_is_direct = office_is_direct,
    };
    int code = serve(options, &http_options, output, signals);
    health_close(health);
    output_close(output);
    return code;
}

/* libbatch creates a missing table in SQLite, but not in PostgreSQL. */
static bool create_table(const struct store_options *store, bool *ret_names_are_text, char *reterr)
{
    *ret_names_are_text = false;
    return store->kind != STORE_POSTGRES ||
           postgres_create_table(store, ret_names_are_text, reterr);
}

/* SIGHUP comes when the terminal is closed, unless nohup has said that the server shall stay. */
static sigset_t stop_signals(void)
{
    sigset_t signals;
    struct sigaction at_hangup;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    if (sigaction(SIGHUP, NULL, &at_hangup) == 0 && at_hangup.sa_handler != SIG_IGN)
        sigaddset(&signals, SIGHUP);
    return signals;
}

/* What a caller has closed must not become a connection: what is printed would be sent on it. */
static void open_standard_files(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd >= 0)
        close(fd);
}

int server_run(const struct options *options, bool office_is_direct)
{
    open_standard_files();
    sigset_t signals = stop_signals();
    pthread_sigmask(SIG_BLOCK, &signals, NULL);
    signal(SIGPIPE, SIG_IGN);

    bool names_are_text;
    struct office *office = NULL;
    batch_result error;
    if (!create_table(&options->office.store, &names_are_text, error.message) ||
        office_open(&office, &options->office, &error) != BATCH_OK) {
        say("cannot open the store: %s", error.message);
        return 1;
    }
    int code = serve_at(office, options, names_are_text, office_is_direct, &signals);
    office_close(office);
    return code;
}
