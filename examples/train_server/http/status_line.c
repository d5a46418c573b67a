/* status_line.c: see status_line.h. */
#include "http/status_line.h"

#include <inttypes.h>
#include <unistd.h>

void status_line_begin(struct status_line *line, struct output *output)
{
    *line = (struct status_line){
        .output = output, .live = isatty(STDOUT_FILENO) == 1, .at_ns = batch_now_ns()};
}

static double ratio(double of, double to)
{
    return to > 0 ? of / to : 0;
}

static uint64_t responses(const struct http_totals *totals)
{
    return totals->ok + totals->refused + totals->failed;
}

void status_line_print(struct status_line *line, const struct http *http, struct office *office)
{
    struct status_line last = *line;
    line->at_ns = batch_now_ns();
    line->http = http_totals(http);
    line->office = office_totals(office);
    double seconds = (double)(line->at_ns - last.at_ns) / 1e9;
    double batches = (double)(line->office.batches - last.office.batches);
    double operations = (double)(line->office.operations - last.office.operations);
    double saves = (double)(line->office.saves - last.office.saves);
    double save_ns = (double)(line->office.save_ns - last.office.save_ns);
    output_print(line->output,
                 "%s%7.0f requests/s  %6.0f batches/s  %6.1f operations/batch  %6.2f ms save"
                 "  %6.0f commits/s  %" PRIu64 " waiting%s",
                 line->live ? "\r\033[K" : "",
                 ratio((double)(responses(&line->http) - responses(&last.http)), seconds),
                 ratio(batches, seconds), ratio(operations, batches), ratio(save_ns, saves) / 1e6,
                 ratio((double)(line->office.commits - last.office.commits), seconds),
                 line->http.unanswered, line->live ? "" : "\n");
}

void status_line_end(struct status_line *line, const struct http_totals *http,
                     const struct office_totals *office)
{
    output_print(line->output,
                 "%sstopped: %" PRIu64 " requests answered (%" PRIu64 " with 200, %" PRIu64
                 " with 4xx, %" PRIu64 " with 5xx), %" PRIu64 " batches, %" PRIu64
                 " commits, %.2f ms for a save\n",
                 line->live ? "\r\033[K" : "", responses(http), http->ok, http->refused,
                 http->failed, office->batches, office->commits,
                 ratio((double)office->save_ns, (double)office->saves) / 1e6);
}
