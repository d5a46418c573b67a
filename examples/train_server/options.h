/* options.h: the command line of train-server. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

struct options {
    const char *store_path; /* of the SQLite file */
    char address[64];       /* to listen on, "127.0.0.1" or "::1" */
    char port[8];
    uint32_t window_ms;
    uint32_t seats; /* of a train that was never saved */
    bool direct;
};

enum options_result { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_WRONG };

/* Read the command line. Prints the help, or what is wrong and what to do. The strings of `argv`
 * must stay. */
enum options_result options_read(struct options *options, int argc, char **argv);

#endif
