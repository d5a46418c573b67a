/* processor.h: one processor: what its threads share, and what it makes for them and takes apart
 * again. */
#ifndef BATCH_RUNTIME_PROCESSOR_H
#define BATCH_RUNTIME_PROCESSOR_H

#include <batch/completions.h>

#include "functions.h"
#include "session.h"
#include "shared.h"

/* Its end, as an event of a loop. */
struct batch__stop_event {
    batch_op op; /* first */
    batch_processor *processor;
    batch_stopped_fn stopped;
    void *arg;
};

struct batch_processor {
    struct batch__shared shared;
    struct batch__stop_event stop_event;
    struct batch__function_store functions; /* in place of a store */
    struct batch__session *sessions;
    uint32_t sessions_size; /* options.sessions; or one for each shard if workers call the store */
};

/* On the last thread of a processor, a struct batch_processor: end the subscriptions and close the
 * sessions. So whoever waits for a stop, or hears of it in an event loop, does not wait for the
 * store. */
void batch__processor_close_all(void *processor);

#endif
