/* suite.h: what every store must do, as one suite of tests for all of them.
 *
 * A store's own test gives a fixture and calls store_suite_run.
 */
#ifndef BATCH_TEST_STORE_SUITE_H
#define BATCH_TEST_STORE_SUITE_H

#include <batch/store.h>

struct store_fixture {
    const char *name;
    uint32_t sessions; /* for tests that want several */

    /* Make `store`, a new one with nothing in it, and what the functions below need; and undo it:
     * the test has closed the store by then, unless it failed. */
    void (*open)(struct store_fixture *fixture);
    void (*close)(struct store_fixture *fixture);
    batch_store *store;

    /* Read, write and delete behind the back of the store, as another process would, at any time
     * and on any thread. Reading copies at most `state_size` bytes and says false if nothing is
     * stored. Writing gives the state a version that it never had. */
    bool (*read)(struct store_fixture *fixture, const void *key, size_t key_size, void *state,
                 size_t state_size, size_t *ret_state_size, uint64_t *ret_version);
    void (*write)(struct store_fixture *fixture, const void *key, size_t key_size,
                  const void *state, size_t state_size);
    bool (*remove)(struct store_fixture *fixture, const void *key, size_t key_size);

    void *context; /* the fixture's own */
};

/* Run all tests; the number that failed. */
int store_suite_run(struct store_fixture *fixture);

#endif
