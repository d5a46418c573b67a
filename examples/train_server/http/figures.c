/* figures.c: see figures.h. */
#include "http/figures.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* For what is counted between two looks at the metrics of the office. */
#define GROWTH_MAX 4096

struct response figures_make(struct request *request, struct http_totals http,
                             const struct office_totals *office)
{
    int size = snprintf(
        request->body, sizeof request->body,
        "{\"now_ns\":%" PRIu64 ",\"ok\":%" PRIu64 ",\"refused\":%" PRIu64 ",\"failed\":%" PRIu64
        ",\"waiting\":%" PRIu64 ",\"batches\":%" PRIu64 ",\"operations\":%" PRIu64
        ",\"commits\":%" PRIu64 ",\"saves\":%" PRIu64 ",\"save_ns\":%" PRIu64 "}\n",
        batch_now_ns(), http.ok, http.refused, http.failed, http.unanswered, office->batches,
        office->operations, office->commits, office->saves, office->save_ns);
    return (struct response){200, "application/json", request->body, (size_t)size, false, false};
}

/* What only the server knows. The two forms name a counter in two ways. */
static size_t own_metrics(char *text, size_t size, struct http_totals http, bool is_open)
{
    const char *total = is_open ? "" : "_total";
    int length = snprintf(
        text, size,
        "# HELP train_responses%s Responses, by class; without those to /health and of the page.\n"
        "# TYPE train_responses%s counter\n"
        "train_responses_total{class=\"ok\"} %" PRIu64 "\n"
        "train_responses_total{class=\"refused\"} %" PRIu64 "\n"
        "train_responses_total{class=\"failed\"} %" PRIu64 "\n"
        "# HELP train_requests_unanswered Requests that have no response yet.\n"
        "# TYPE train_requests_unanswered gauge\n"
        "train_requests_unanswered %" PRIu64 "\n",
        total, total, http.ok, http.refused, http.failed, http.unanswered);
    return (size_t)length;
}

struct response figures_metrics(struct request *request, struct http_totals http,
                                struct office *office, bool is_open)
{
    struct booking *booking = &request->booking;
    size_t size = office_metrics(office, is_open, NULL, 0) + GROWTH_MAX;
    booking->json = malloc(size);
    if (booking->json == NULL)
        return response_sentence(request, 500, "The metrics could not be shown: out of memory.");
    size_t length = own_metrics(booking->json, size, http, is_open);
    size_t more = office_metrics(office, is_open, booking->json + length, size - length);
    if (more == 0 && is_open)
        more = (size_t)snprintf(booking->json + length, size - length, "# EOF\n");
    if (more >= size - length)
        return response_sentence(request, 500, "The metrics have become too long.");
    booking->json_size = length + more;
    const char *type = is_open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                               : "text/plain; version=0.0.4; charset=utf-8";
    return (struct response){200, type, booking->json, booking->json_size, false, false};
}
