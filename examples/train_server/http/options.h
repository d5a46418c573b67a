/* options.h: the command line of a booking server.
 *
 * A conninfo may hold a password: nothing that might be one goes into a message. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include "booking/office.h"

#define OPTIONS_SEATS_DEFAULT 30
#define OPTIONS_OWN_MAX       4

/* An option that is a number. */
struct option_number {
    const char *name; /* without "--" */
    uint32_t min;
    uint32_t max;
    uint32_t *value;
};

struct options {
    struct office_options office;
    char address[64]; /* to listen on, "127.0.0.1" or "::1" */
    char port[8];
    uint32_t drain_ms; /* between the signal to stop and the stop */

    /* Of the program. */
    const char *help;
    struct option_number own[OPTIONS_OWN_MAX]; /* that not every server has; then all zero */
};

enum options_result { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_WRONG };

/* Read the command line into `options`, which has the program's part and its defaults. Prints the
 * help, or what is wrong and what to do. The strings of `argv` must stay. */
enum options_result options_read(struct options *options, int argc, char **argv);

#endif
