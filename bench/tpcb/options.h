/* options.h: the command line. */
#ifndef BENCH_TPCB_OPTIONS_H
#define BENCH_TPCB_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum mode { MODE_NONE, MODE_DIRECT, MODE_BATCHED };
enum workload { WORKLOAD_TPCB, WORKLOAD_PAIRS };
enum direct_by { BY_BEST, BY_LOCK, BY_VERSION };

struct settings {
    const char *store; /* as given: may hold a password, never print it */
    enum mode mode;
    enum workload workload;
    uint32_t branches, accounts; /* of TPC-B; accounts of each branch */
    uint32_t keys;               /* of pairs */
    uint32_t outstanding;        /* of batched */
    uint32_t cache;              /* likewise: resources that are kept */
    uint32_t sessions;           /* 0: the best that is known, or found */
    enum direct_by direct_by;
    uint64_t window_ns;
    uint64_t warm_up_ns;
    uint64_t time_ns;
};

/* Ends the program if that is all there is to do, or something is wrong. */
struct settings options_read(int argc, char **argv);

#endif
