/* target.h: a store that is measured: its rows, made before and added up after, and what mode
 * direct does on it. */
#ifndef BENCH_STORE_TARGET_H
#define BENCH_STORE_TARGET_H

#include "key.h"
#include "options.h"

#include <batch/store.h>

struct target {
    const char *name;
    const char *direct_name;    /* what direct does, for the report */
    const char *direct_refusal; /* or why it is impossible */
    const struct settings *settings;
    uint32_t sessions[MODE_GROUPED + 1]; /* what is best, by mode */

    /* Create the rows anew. False, having printed why. */
    bool (*prepare)(struct target *target);
    /* The store, for libbatch; the target's to close. NULL, having printed why. */
    batch_store *(*store_open)(struct target *target);
    /* Add up the counters of all rows. False, having printed why. */
    bool (*sum)(struct target *target, uint64_t *ret_sum);
    /* For direct: a connection; NULL, having printed why. One operation: a status, as of batch_run,
     * and the number of times it had to be repeated. */
    void *(*session_open)(struct target *target);
    int (*session_run)(void *session, const struct key *key, uint64_t *ret_retries);
    void (*session_close)(void *session);
    /* Drop the rows and free the target. */
    void (*close)(struct target *target);
};

/* The target that settings->store names. NULL, having printed why. */
struct target *target_open(const struct settings *settings);

#endif
