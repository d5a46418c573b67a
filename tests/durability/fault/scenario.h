/* scenario.h: what is done while calls fail, from opening a store to closing it, and what must be
 * true of it whatever failed.
 *
 * Each operation sets a bit of its own in the number of its key, so what is stored shows which were
 * applied: every operation completed with BATCH_OK, none with another status, and those that
 * were completed with BATCH_UNKNOWN perhaps. A transaction sets a bit in each of two keys: both are
 * there, or none.
 */
#ifndef BATCH_TEST_FAULT_SCENARIO_H
#define BATCH_TEST_FAULT_SCENARIO_H

#include <batch/completions.h>
#include <batch/driven.h>
#include <batch/metrics.h>
#include <batch/store.h>

#include "faults.h"

/* What a scenario runs on. All functions but `open`, `close` and `may_be_unknown` are called by
 * a thread that is exempt. */
struct backend {
    const char *name;
    bool tolerates_no_random; /* its sessions have another source */

    size_t state_size; /* of what is written: a number, and zeros; the tried's */

    /* Nothing is stored any more. */
    void (*clear)(struct backend *backend);

    /* Set options->store, or its functions. As public functions say: BATCH_OK, or a status and
     * *reterr. And the end of it, which cannot fail. */
    int (*open)(struct backend *backend, batch_options *options, batch_result *reterr);
    void (*close)(struct backend *backend);

    /* As another process would. 0 if nothing is stored. */
    int64_t (*read)(struct backend *backend, const void *key, size_t key_size);
    void (*write)(struct backend *backend, const void *key, size_t key_size, int64_t number);

    /* May an operation have been completed with BATCH_UNKNOWN like this? NULL: never. */
    bool (*may_be_unknown)(const batch_result *result);

    /* Called while operations wait: keep the store from responding in time, and let it. Or NULL: it
     * always responds, and without a fault every operation goes well. `let` may also be there
     * alone, for what happens between rounds. */
    void (*hinder)(struct backend *backend);
    void (*let)(struct backend *backend);
};

struct fault_case {
    const char *name;
    struct backend *backend;
    unsigned keys;
    uint32_t sessions;
    uint32_t shards;
    uint64_t cache_max;
    uint64_t window_ns;                       /* 0: none */
    bool has_transactions;                    /* with one shard */
    bool is_driven;                           /* by the thread that waits */
    bool has_codec;                           /* which fails, too */
    size_t resource_size;                     /* without one; 0: just the number */
    uint64_t deadline_ns;                     /* 0: none that is ever reached */
    uint64_t deadline_once_ns;                /* the same, if calls do not fail from then on */
    bool by_path;                             /* and not each call by its number */
    void (*prepare)(struct backend *backend); /* once, before it; or NULL */
};

/* Run the scenario of each case over and over, in each mode with each fault in turn, until
 * nothing is left to fail. What is not as it must be is said, and ends the program with exit 1. */
void scenario_sweep(const struct fault_case *cases, size_t cases_size);

#endif
