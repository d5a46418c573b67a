/* log.h: the state of a key: the list of the operations that were applied to it. */
#ifndef BATCH_TEST_CRASH_LOG_H
#define BATCH_TEST_CRASH_LOG_H

#include <batch/batch.h>

struct log {
    uint32_t *ids;
    uint32_t count;
    uint32_t capacity;
};

void log_append(struct log *log, uint32_t id);

extern const batch_codec log_codec;

#endif
