/* late_store.h: a store that only notes calls, and finishes them later on a thread of its own, as
 * one that sends them over a network does; also when a processor is about to be freed.
 *
 * Threads: late_store_hold and late_store_await from any. */
#ifndef BATCH_TEST_SUPPORT_LATE_STORE_H
#define BATCH_TEST_SUPPORT_LATE_STORE_H

#include "store_wrapper.h"

#include <pthread.h>

enum { LATE_CALLS_MAX = 256 };

struct late_call {
    batch_call *call;
    bool is_save;
};

typedef void (*late_finish_fn)(struct late_call late, void *arg);

struct late_store {
    struct store_wrapper wrapper; /* first */
    late_finish_fn finish;
    bool (*is_at_once)(void *arg); /* this call is finished at once; NULL: none is */
    size_t calls_max;              /* never so many and one more are noted; 0: any number */
    void *arg;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct late_call calls[LATE_CALLS_MAX]; /* under lock; a ring */
    size_t begin, count;
    bool is_held; /* under lock: nothing is finished */
    bool is_over;
};

/* `finish` is called with each call, and calls batch_call_finish. */
void late_store_open(struct late_store *late, late_finish_fn finish, void *arg);

/* Finish what is left; the processors have been freed. */
void late_store_close(struct late_store *late);

void late_store_hold(struct late_store *late, bool is_held);
void late_store_await(struct late_store *late, size_t count); /* until so many are noted */

#endif
