/* events.h: what an operator should know of: counted, and logged at most once a second for each
 * kind. Threads: any. */
#ifndef BATCH_METRICS_EVENTS_H
#define BATCH_METRICS_EVENTS_H

#include <batch/metrics.h>

/* All zero but the first two, which are fixed before the threads start. */
struct batch__events {
    batch_log_fn log; /* or NULL */
    void *arg;
    uint64_t xcounts[BATCH_EVENT_COUNT];
    uint64_t xlogged[BATCH_EVENT_COUNT];    /* of these, those that the log was told of */
    uint64_t xlogged_ns[BATCH_EVENT_COUNT]; /* when it was called last; 0: never */
};

/* Count one. True: it is to be logged, by the caller, now. A kind that does not exist is not
 * counted. */
bool batch__events_count(struct batch__events *events, int kind, uint64_t now_ns);
void batch__events_log(struct batch__events *events, int kind, const char *message);

#endif
