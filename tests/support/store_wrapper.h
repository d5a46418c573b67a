/* store_wrapper.h: a store of which a test writes only what it is about.
 *
 * Everything is passed on to the inner store, after `before` was called; a test replaces functions
 * of `store` by its own. Without an inner store sessions are nothing, and the test has to write
 * load and save. To close the wrapper closes nothing else.
 */
#ifndef BATCH_TEST_SUPPORT_STORE_WRAPPER_H
#define BATCH_TEST_SUPPORT_STORE_WRAPPER_H

#include <batch/store.h>

enum store_step { STORE_OPENS_SESSION, STORE_LOADS, STORE_SAVES, STORE_CLOSES_SESSION };

struct store_wrapper {
    batch_store store;  /* first; give this one to the processor */
    batch_store *inner; /* or NULL; stays the test's to close */

    /* Or NULL; change them only while nothing is loaded or saved. Called on the thread of the
     * session, with the number of calls in the group. */
    void (*before)(enum store_step step, size_t calls_size, void *arg);
    void *arg;
};

void store_wrapper_init(struct store_wrapper *wrapper, const char *name, batch_store *inner);

/* What the functions of `store` are given. */
struct store_wrapper *store_wrapper_of(batch_store *store);

#endif
