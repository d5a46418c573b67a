/* processor.h: one processor: what its threads share, and what it makes for them and takes apart
 * again. */
#ifndef BATCH_RUNTIME_PROCESSOR_H
#define BATCH_RUNTIME_PROCESSOR_H

#include "functions.h"
#include "session.h"
#include "shared.h"

struct batch_processor {
    struct batch__shared shared;
    struct batch__function_store functions; /* in place of a store */
    struct batch__session *sessions;
    uint32_t sessions_size; /* options.sessions; or one for each shard if workers call the store */
};

#endif
