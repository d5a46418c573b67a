/* options.h: the command line. */
#ifndef BENCH_STORE_OPTIONS_H
#define BENCH_STORE_OPTIONS_H

#include <stdint.h>

enum mode { MODE_NONE, MODE_DIRECT, MODE_SINGLE, MODE_GROUPED };
extern const char *const mode_names[]; /* by enum mode */

enum direct_by { BY_DEFAULT, BY_LOCK, BY_VERSION };

struct settings {
    const char *store; /* as given: may hold a password, never print it */
    enum mode mode;
    enum direct_by direct_by;
    uint32_t keys;
    uint32_t outstanding;
    uint32_t size; /* bytes of a state */
    uint32_t sessions;
    uint32_t group_max;
    uint64_t window_ns;
    uint64_t warm_up_ns;
    uint64_t time_ns;
};

/* Ends the program if that is all there is to do, or something is wrong. */
struct settings options_read(int argc, char **argv);

#endif
