/* hello.c: count clicks in a SQLite file. C11, and C++17 as it stands. */
#include <batch/sqlite.h>

#include <stdio.h>

struct counter {
    long long clicks;
};

static batch_verdict click(void *resource, void *arg) /* alone on this counter, in memory */
{
    struct counter *counter = (struct counter *)resource;
    *(long long *)arg = ++counter->clicks;
    return BATCH_CHANGED;
}

int main(void)
{
    batch_result result;
    batch_store *store = NULL;
    batch_processor *processor = NULL;
    batch_options options = BATCH_OPTIONS_INIT;
    options.resource_size = sizeof(struct counter); /* stored as plain bytes: no codec needed */
    if (batch_sqlite_open(&store, "counters.db", NULL, &result) == BATCH_OK) {
        options.store = store;
        batch_processor_start(&processor, &options, &result);
    }
    long long clicks = 0;
    batch_op op = BATCH_OP_INIT;
    op.key = "front-page", op.key_size = 10, op.run = click, op.arg = &clicks;
    if (processor != NULL && batch_run(processor, &op, &result) == BATCH_OK) /* now it is on disk */
        printf("click %lld, in a batch of %u\n", clicks, result.batch_operations);
    else
        fprintf(stderr, "%s\n", result.message);
    batch_processor_stop(processor, BATCH_FOREVER);
    batch_processor_free(processor);
    batch_store_close(store);
    return result.status == BATCH_OK ? 0 : 1;
}
