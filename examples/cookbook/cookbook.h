/* cookbook.h: what the recipes have in common: a processor on a SQLite file, and operations. */
#ifndef COOKBOOK_H
#define COOKBOOK_H

#include <batch/sqlite.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct kitchen {
    batch_store *store;
    batch_processor *processor;
};

static inline struct kitchen kitchen_open(const char *path, size_t resource_size)
{
    struct kitchen kitchen = {NULL, NULL};
    batch_result result = {.message = ""};
    if (batch_sqlite_open(&kitchen.store, path, NULL, &result) == BATCH_OK) {
        batch_options options = BATCH_OPTIONS_INIT;
        options.store = kitchen.store;
        options.resource_size = resource_size;
        options.window_ns = BATCH_WINDOW_NONE; /* the lowest latency */
        batch_processor_start(&kitchen.processor, &options, &result);
    }
    if (kitchen.processor == NULL) {
        fprintf(stderr, "%s\n", result.message);
        exit(1);
    }
    return kitchen;
}

static inline void kitchen_close(struct kitchen *kitchen)
{
    batch_processor_stop(kitchen->processor, BATCH_FOREVER);
    batch_processor_free(kitchen->processor);
    batch_store_close(kitchen->store);
}

/* Run one operation, and retry as long as that may help. The status. */
static inline int run(batch_processor *processor, const char *key, batch_run_fn what, void *arg)
{
    batch_op op = BATCH_OP_INIT;
    op.key = key;
    op.key_size = strlen(key);
    op.run = what;
    op.arg = arg;
    int status;
    do
        status = batch_run(processor, &op, NULL); /* a server would pause between two tries */
    while (batch_is_retryable(status));
    return status;
}

static inline void expect(bool is_so, const char *what)
{
    if (is_so)
        return;
    fprintf(stderr, "not so: %s\n", what);
    exit(1);
}
#define EXPECT(condition) expect((condition), #condition)

#endif
