/* status_line.h: what the server did in the last second, once a second, on standard output.
 *
 * On a terminal it is one live line; otherwise a line each time, for logs and programs. */
#ifndef STATUS_LINE_H
#define STATUS_LINE_H

#include "http/http.h"
#include "http/output.h"

struct status_line {
    struct output *output;
    bool live; /* on a terminal */
    uint64_t at_ns;
    struct http_totals http;
    struct office_totals office;
};

void status_line_begin(struct status_line *line, struct output *output);

/* Print what came since the last call. */
void status_line_print(struct status_line *line, const struct http *http, struct office *office);

/* Print the totals since the start, as the last line. */
void status_line_end(struct status_line *line, const struct http_totals *http,
                     const struct office_totals *office);

#endif
