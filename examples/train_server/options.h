/* options.h: the command line of train-server. */
#ifndef OPTIONS_H
#define OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "store_options.h"

struct options {
    struct store_options store;
    char address[64]; /* to listen on, "127.0.0.1" or "::1" */
    char port[8];
    uint32_t window_ms;
    uint32_t sessions; /* connections to the store */
    uint32_t drain_ms; /* between the signal to stop and the stop */
    uint32_t replays;  /* of a batch, after conflicts */
    uint32_t cache;    /* trains kept in memory between batches */
    uint32_t seats;    /* of a train that was never saved */
    bool direct;
};

enum options_result { OPTIONS_RUN, OPTIONS_HELP, OPTIONS_WRONG };

/* Read the command line. Prints the help, or what is wrong and what to do. The strings of `argv`
 * must stay. */
enum options_result options_read(struct options *options, int argc, char **argv);

#endif
