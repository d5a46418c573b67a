/* hooked_store.h: a store that calls the test before it hands a group on to another store.
 *
 * So a test knows where an exchange begins, and can change the world between load and save. */
#ifndef BATCH_TEST_STORE_HOOKED_STORE_H
#define BATCH_TEST_STORE_HOOKED_STORE_H

#include <batch/store.h>

/* Called on the thread of the session, with the number of calls in the group. */
typedef void (*hook_fn)(size_t calls_size, void *arg);

struct hooked_store {
    batch_store store; /* first; give this one to the processor */
    batch_store *inner;
    hook_fn before_load; /* or NULL; change them only while nothing is loaded or saved */
    hook_fn before_save;
    void *arg;
};

/* `inner` stays the test's to close. */
void hooked_store_init(struct hooked_store *hooked, batch_store *inner, void *arg);

#endif
