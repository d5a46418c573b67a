/* target.h: a store that is measured: its rows, made before and added up after, and what direct
 * does on it. What cannot go on prints why. */
#ifndef BENCH_TPCB_TARGET_H
#define BENCH_TPCB_TARGET_H

#include "money.h"

#include <batch/store.h>

struct target {
    const char *name;
    const struct settings *settings;
    uint32_t batched_sessions; /* what is best */
    bool has_locks;            /* direct may lock rows; else there is one writer anyway */

    bool (*prepare)(struct target *target);            /* create the rows anew */
    batch_store *(*store_open)(struct target *target); /* the target's to close; or NULL */
    bool (*sum)(struct target *target, struct totals *totals);
    /* For direct: a connection, or NULL. One transaction: a status, as of batch_run, and the number
     * of times it had to be repeated. */
    void *(*session_open)(struct target *target, enum direct_by by);
    int (*session_run)(void *session, const struct movement *movement, uint64_t *ret_retries);
    void (*session_close)(void *session);
    void (*close)(struct target *target); /* drop the rows, and free the target */
};

/* The target that settings->store names; or NULL. */
struct target *target_open(const struct settings *settings);

#endif
