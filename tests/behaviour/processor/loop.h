/* loop.h: an event loop in the hands of a test: a queue of completions with a wake function that
 * counts, or with a file descriptor. */
#ifndef BATCH_TEST_RUNTIME_LOOP_H
#define BATCH_TEST_RUNTIME_LOOP_H

#include <batch/completions.h>

#include <stdatomic.h>

#include "harness.h"

struct loop {
    batch_completions *completions;
    struct allocator memory;
    atomic_uint wakes; /* calls of the wake function */
    pthread_mutex_t lock;
    pthread_cond_t woken;
    pthread_t thread; /* that opened it, and dispatches */
};

/* All `done` of a test that has one must be called on its thread. */
void loop_open(struct loop *loop);      /* with a file descriptor */
void loop_open_wake(struct loop *loop); /* with a wake function */
void loop_close(struct loop *loop);     /* must go well; all memory must be back */

bool loop_is_readable(const struct loop *loop);           /* its file descriptor is */
void loop_await_wakes(struct loop *loop, unsigned wakes); /* until it was woken so often in all */
void loop_await_readable(const struct loop *loop);

/* Dispatch until so many have been dispatched by this call. With a file descriptor it waits. */
void loop_dispatch(struct loop *loop, size_t count);

/* Submit a job to it; must be accepted. */
void job_submit_to(struct job *job, struct loop *loop);
void job_send_to(struct job *job, struct loop *loop, struct harness *harness, const char *key,
                 int64_t add);

#endif
