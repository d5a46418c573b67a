/* http.c: see http.h.
 *
 * A few loops (loop.h) listen on one socket and share the connections between them.
 *
 * A request goes through these calls of libmicrohttpd, all on the thread that has its connection:
 *   request_begin   the first line is here: the request is made from the raw target
 *   request_handle  the headers are here: nothing to do, or refuse what is malformed
 *   request_handle  all is here: respond at once, or suspend the connection and book
 *   request_handle  the booking is complete and the connection was resumed: send the response
 *   request_end     the response is sent, or the connection is lost: the request is freed
 * In between the office calls request_completed, on a thread of its own.
 *
 * A request is never freed while the office has it: a suspended connection is left alone, so
 * request_end cannot come before it is resumed. */
#include "http/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "http/arrivals.h"
#include "http/figures.h"
#include "http/framing.h"
#include "http/health.h"
#include "http/listener.h"
#include "http/loop.h"
#include "http/page.h"
#include "http/request.h"
#include "http/response.h"
#include "http/say.h"

/* Bytes for the headers of one request and of its response; more gets a 414 or 431. Small, because
 * libmicrohttpd clears all of it after each request. */
#define CONNECTION_MEMORY_SIZE 8192

/* A connection that is idle for so long is closed. Waiting for a response does not count. */
#define CONNECTION_TIMEOUT_S 60

/* File descriptors that are not connections: the store's and our own. */
#define RESERVED_FDS 128

struct http {
    struct office *office;
    struct health *health;
    struct loop **loops;
    unsigned loops_size;
    unsigned port;
    bool names_are_text;
    bool office_is_direct;
    atomic_bool xleaving;
    atomic_bool xstopping;
    atomic_uint_fast64_t xok;
    atomic_uint_fast64_t xrefused;
    atomic_uint_fast64_t xfailed;

    /* Requests that were given to the office and do not have their response yet. The condition is
     * signalled when there are none, for http_close. */
    atomic_uint_fast64_t xunanswered;
    pthread_mutex_t mutex;
    pthread_cond_t none_unanswered;
};

/* ---- Responses ------------------------------------------------------------------------------- */

static void count(struct http *http, unsigned http_status)
{
    atomic_uint_fast64_t *counter = http_status == 200  ? &http->xok
                                    : http_status < 500 ? &http->xrefused
                                                        : &http->xfailed;
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* A booking may be posted: then no one takes the link for a page, and books by looking at it. */
static bool may_post(const struct request *request)
{
    return request->target.kind == TARGET_BOOK || request->target.kind == TARGET_INVALID;
}

static enum MHD_Result send_response(const struct http *http, const struct request *request,
                                     struct response response)
{
    /* The body is the request's, which lives until the response is sent; it is only read. */
    struct MHD_Response *queued = MHD_create_response_from_buffer(
        response.body_size, (void *)(uintptr_t)response.body, MHD_RESPMEM_PERSISTENT);
    if (queued == NULL)
        return MHD_NO;
    MHD_add_response_header(queued, MHD_HTTP_HEADER_CONTENT_TYPE, response.type);
    if (response.retry_later)
        MHD_add_response_header(queued, MHD_HTTP_HEADER_RETRY_AFTER, "1");
    if (response.http_status == MHD_HTTP_METHOD_NOT_ALLOWED)
        MHD_add_response_header(queued, MHD_HTTP_HEADER_ALLOW,
                                may_post(request) ? "GET, HEAD, POST" : "GET, HEAD");
    if (request->target.kind == TARGET_PAGE)
        MHD_add_response_header(queued, "Content-Security-Policy", PAGE_POLICY);
    if (response.close_after || atomic_load_explicit(&http->xleaving, memory_order_relaxed))
        MHD_add_response_header(queued, MHD_HTTP_HEADER_CONNECTION, "close");
    enum MHD_Result result = MHD_queue_response(request->connection, response.http_status, queued);
    MHD_destroy_response(queued);
    return result;
}

static enum MHD_Result send_sentence(struct http *http, struct request *request,
                                     unsigned http_status, const char *sentence)
{
    count(http, http_status);
    return send_response(http, request, response_sentence(request, http_status, sentence));
}

/* Where the next request on the connection would begin is in doubt: there is none. */
static enum MHD_Result send_malformed(struct http *http, struct request *request,
                                      const char *sentence)
{
    struct response response = response_sentence(request, MHD_HTTP_BAD_REQUEST, sentence);
    response.close_after = true;
    count(http, response.http_status);
    return send_response(http, request, response);
}

/* A booking is complete, and its outcome counts, whether or not its client still waits for it. */
static void note_outcome(struct http *http, const struct request *request)
{
    if (request->target.kind == TARGET_BOOK)
        health_note(http->health, &request->booking, request->begun_ns);
    count(http, response_status(request));
}

/* ---- One request ----------------------------------------------------------------------------- */

static void *request_begin(void *arg, const char *uri, struct MHD_Connection *connection)
{
    struct request *request = malloc(sizeof *request);
    if (!arrivals_begun(loop_arrivals(arg), connection, request))
        return NULL;
    if (request != NULL) {
        target_parse(&request->target, uri);
        request->booking.json = NULL;
        request->uri = uri;
        request->uri_end = uri != NULL ? uri + strlen(uri) : NULL;
        request->step = REQUEST_HEADERS;
        request->counted = false;
        request->connection = connection;
        request->loop = arg;
    }
    return request;
}

static enum MHD_Result send_health(struct http *http, struct request *request)
{
    const char *problem =
        atomic_load(&http->xleaving) ? "The server is stopping." : health_problem(http->health);
    struct response response =
        response_sentence(request, problem != NULL ? MHD_HTTP_SERVICE_UNAVAILABLE : MHD_HTTP_OK,
                          problem != NULL ? problem : "ok");
    response.retry_later = problem != NULL;
    return send_response(http, request, response);
}

/* What the server and its office have done: for the page, or for Prometheus. */
static enum MHD_Result send_figures(const struct http *http, struct request *request)
{
    if (request->target.kind == TARGET_FIGURES) {
        struct office_totals office = office_totals(http->office);
        return send_response(http, request, figures_make(request, http_totals(http), &office));
    }
    const char *accept =
        MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
    bool is_open = accept != NULL && strstr(accept, "application/openmetrics-text") != NULL;
    return send_response(http, request,
                         figures_metrics(request, http_totals(http), http->office, is_open));
}

static void request_completed(struct booking *booking)
{
    struct request *request = (struct request *)booking;
    note_outcome(loop_owner(request->loop), request);
    loop_resume(request->loop, request);
}

/* Give the request to the office. */
static enum MHD_Result request_book(struct http *http, struct request *request)
{
    const struct target *target = &request->target;
    struct booking *booking = &request->booking;
    booking->train = target->train;
    booking->train_size = target->train_size;
    booking->person = target->person;
    booking->person_size = target->person_size;
    booking->seat = target->seat;
    booking->done = request_completed;
    booking->completions = loop_completions(request->loop);
    request->step = REQUEST_BOOKING;
    request->begun_ns = batch_now_ns();
    request->counted = true;
    /* seq_cst, as http_stop and http_close do it the other way round: one of us sees the other. */
    atomic_fetch_add(&http->xunanswered, 1);
    if (atomic_load(&http->xstopping)) {
        booking->status = BATCH_STOPPED;
        snprintf(booking->message, sizeof booking->message, "the server is stopping");
        note_outcome(http, request);
        return send_response(http, request, response_make(request));
    }
    if (!http->office_is_direct)
        MHD_suspend_connection(request->connection); /* before the booking can be complete */
    if (target->kind == TARGET_BOOK)
        office_book(http->office, booking);
    else
        office_view(http->office, booking);
    if (!http->office_is_direct)
        return MHD_YES;
    note_outcome(http, request);
    return send_response(http, request, response_make(request));
}

/* The whole request is here. */
static enum MHD_Result request_serve(struct http *http, struct request *request)
{
    switch (request->target.kind) {
    case TARGET_UNKNOWN:
        return send_sentence(http, request, MHD_HTTP_NOT_FOUND,
                             "No such page. There is /, /book?train=T&person=P&seat=N, /trains/T,"
                             " /health and /metrics.");
    case TARGET_INVALID:
        return send_sentence(http, request, MHD_HTTP_BAD_REQUEST, request->target.wrong);
    case TARGET_HEALTH:
        return send_health(http, request);
    case TARGET_PAGE:
        return send_response(http, request, page_make());
    case TARGET_FIGURES:
    case TARGET_METRICS:
        return send_figures(http, request);
    case TARGET_BOOK:
    case TARGET_TRAIN:
        break;
    }
    if (http->names_are_text && !target_train_is_text(&request->target)) {
        return send_sentence(http, request, MHD_HTTP_BAD_REQUEST,
                             "The name of the train is not UTF-8, which is all that the table can"
                             " hold.");
    }
    return request_book(http, request);
}

/* The methods that are served, in the same way: libmicrohttpd leaves out the body for HEAD. */
static bool is_served(const struct request *request, const char *method)
{
    return strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0 ||
           (strcmp(method, MHD_HTTP_METHOD_POST) == 0 && may_post(request));
}

static enum MHD_Result request_handle(void *arg, struct MHD_Connection *connection, const char *url,
                                      const char *method, const char *version,
                                      const char *upload_data, size_t *upload_data_size,
                                      void **context)
{
    struct http *http = loop_owner(arg);
    struct request *request = *context;
    (void)url;
    (void)upload_data;
    *upload_data_size = 0;
    if (request == NULL)
        return MHD_NO; /* no memory: close the connection */
    if (request->step == REQUEST_BOOKING)
        return send_response(http, request, response_make(request));
    if (request->step == REQUEST_HEADERS) { /* all is here, as there may be no body */
        arrivals_whole(loop_arrivals(arg), connection);
        const struct framing_line line = {method, request->uri, request->uri_end, version};
        struct framing framing = framing_read(request->connection, line);
        if (framing.problem != NULL)
            return send_malformed(http, request, framing.problem);
        request->step = REQUEST_WHOLE; /* a response to the first call would end the connection */
        if (!framing.has_body)
            return MHD_YES;
        if (is_served(request, method))
            return send_malformed(http, request, "A request to this server has no body.");
    }
    if (!is_served(request, method))
        return send_sentence(http, request, MHD_HTTP_METHOD_NOT_ALLOWED,
                             may_post(request) ? "Use GET or POST." : "Use GET.");
    return request_serve(http, request);
}

static void request_end(void *arg, struct MHD_Connection *connection, void **context,
                        enum MHD_RequestTerminationCode why)
{
    struct http *http = loop_owner(arg);
    struct request *request = *context;
    (void)why;
    arrivals_answered(loop_arrivals(arg), connection, request);
    if (request == NULL)
        return;
    *context = NULL;
    bool counted = request->counted;
    free(request->booking.json);
    free(request);
    if (counted && atomic_fetch_sub_explicit(&http->xunanswered, 1, memory_order_acq_rel) == 1) {
        pthread_mutex_lock(&http->mutex);
        pthread_cond_signal(&http->none_unanswered);
        pthread_mutex_unlock(&http->mutex);
    }
}

/* ---- The server ------------------------------------------------------------------------------ */

/* As many connections as the process may have files. */
static unsigned connections_max(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return 512;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur > 1000000)
        return 1000000;
    return limit.rlim_cur > 2 * RESERVED_FDS ? (unsigned)limit.rlim_cur - RESERVED_FDS
                                             : (unsigned)limit.rlim_cur / 2;
}

static bool loops_open(struct http *http, int listener, unsigned threads)
{
    const struct loop_options options = {
        .listener = listener,
        .connections_max = connections_max() / threads,
        .memory_size = CONNECTION_MEMORY_SIZE,
        .timeout_s = CONNECTION_TIMEOUT_S,
        .owner = http,
        .begin = request_begin,
        .handle = request_handle,
        .end = request_end,
    };
    http->loops = calloc(threads, sizeof(struct loop *));
    while (http->loops_size < threads) {
        struct loop *loop = http->loops != NULL ? loop_open(&options) : NULL;
        if (loop == NULL) {
            say("libmicrohttpd does not start: out of memory or files");
            return false;
        }
        http->loops[http->loops_size++] = loop;
    }
    return true;
}

static struct http *http_new(const struct http_options *options)
{
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL) {
        say("out of memory");
        return NULL;
    }
    http->office = options->office;
    http->health = options->health;
    http->names_are_text = options->names_are_text;
    http->office_is_direct = options->office_is_direct;
    pthread_mutex_init(&http->mutex, NULL);
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&http->none_unanswered, &monotonic);
    pthread_condattr_destroy(&monotonic);
    return http;
}

static void http_free(struct http *http)
{
    for (unsigned i = 0; i < http->loops_size; i++)
        loop_close(http->loops[i]);
    free(http->loops);
    pthread_cond_destroy(&http->none_unanswered);
    pthread_mutex_destroy(&http->mutex);
    free(http);
}

struct http *http_open(const struct http_options *options)
{
    int listener = listener_open(options->address, options->port);
    if (listener < 0)
        return NULL;
    struct http *http = http_new(options);
    if (http != NULL) {
        http->port = listener_port(listener);
        if (!loops_open(http, listener, options->threads)) {
            http_free(http);
            http = NULL;
        }
    }
    close(listener); /* each loop has its own */
    return http;
}

unsigned http_port(const struct http *http)
{
    return http->port;
}

struct http_totals http_totals(const struct http *http)
{
    return (struct http_totals){
        .ok = atomic_load_explicit(&http->xok, memory_order_relaxed),
        .refused = atomic_load_explicit(&http->xrefused, memory_order_relaxed),
        .failed = atomic_load_explicit(&http->xfailed, memory_order_relaxed),
        .unanswered = atomic_load_explicit(&http->xunanswered, memory_order_relaxed),
    };
}

void http_leave(struct http *http)
{
    atomic_store(&http->xleaving, true);
}

void http_stop(struct http *http)
{
    http_leave(http);
    atomic_store(&http->xstopping, true);
    for (unsigned i = 0; i < http->loops_size; i++)
        loop_quiesce(http->loops[i]);
}

struct http_totals http_close(struct http *http, uint64_t timeout_ns)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(timeout_ns / 1000000000);
    pthread_mutex_lock(&http->mutex);
    while (atomic_load(&http->xunanswered) > 0 &&
           pthread_cond_timedwait(&http->none_unanswered, &http->mutex, &until) != ETIMEDOUT) {
    }
    pthread_mutex_unlock(&http->mutex);
    struct http_totals totals = http_totals(http);
    http_free(http);
    return totals;
}
