/* suite.h: what every store must do, as one suite of tests for all of them.
 *
 * A store's own test gives a fixture and calls store_suite_run.
 */
#ifndef BATCH_TEST_STORE_SUITE_H
#define BATCH_TEST_STORE_SUITE_H

#include <batch/store.h>

/* What the table does to the rows whose keys begin with STORE_RULE_KEY. */
#define STORE_RULE_KEY "poison"

enum store_rule {
    STORE_RULE_NONE,        /* nothing (any more) */
    STORE_RULE_REFUSE,      /* a constraint or a trigger refuses them */
    STORE_RULE_FAIL,        /* what they set off fails, with an error that is not about rows */
    STORE_RULE_DEFER,       /* they violate a constraint that is checked at COMMIT */
    STORE_RULE_ALTER_STATE, /* they are stored, but with another state */
    STORE_RULE_ALTER_KEY,   /* likewise with another key */
    STORE_RULE_LEAVE_OUT,   /* they are left as they were, without an error */
    STORE_RULE_GONE         /* the whole table is not there */
};

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

    /* Give the table this rule, in place of the one before. NULL: there is no table. False: it
     * cannot have the rule; nothing was done. On any thread. */
    bool (*impose)(struct store_fixture *fixture, enum store_rule rule);

    /* Keep everybody else from writing a key, and with it perhaps others, until `unlock`. NULL:
     * nobody can. */
    void (*lock)(struct store_fixture *fixture, const void *key, size_t key_size);
    void (*unlock)(struct store_fixture *fixture);

    void *context; /* the fixture's own */
};

/* Run all tests; the number that failed. */
int store_suite_run(struct store_fixture *fixture);

#endif
