/* metrics_sample.c: prints the metrics of two processors that have done a little, "openmetrics" or
 * "prometheus", as the argument says; without names if there is a second one. */
#include <batch/metrics.h>
#include <batch/store.h>

#include <stdio.h>
#include <string.h>

static batch_verdict count(void *resource, void *arg)
{
    (void)arg;
    ++*(uint64_t *)resource;
    return BATCH_CHANGED;
}

static batch_processor *start(batch_store *store)
{
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = store;
    options.resource_size = sizeof(uint64_t);
    options.window_ns = BATCH_WINDOW_NONE;
    options.resource_cache_max = 10;
    batch_processor *processor = NULL;
    if (batch_processor_start(&processor, &options, NULL) != BATCH_OK)
        return NULL;
    for (int i = 0; i < 20; i++) {
        char key[8];
        batch_op op = BATCH_OP_INIT;
        op.key = key;
        op.key_size = (size_t)snprintf(key, sizeof key, "%d", i % 5);
        op.run = count;
        if (batch_run(processor, &op, NULL) != BATCH_OK)
            return NULL;
    }
    return processor;
}

int main(int argc, char **argv)
{
    static char text[200000];
    bool is_open = argc > 1 && strcmp(argv[1], "openmetrics") == 0;
    int form = is_open ? BATCH_TEXT_OPENMETRICS : BATCH_TEXT_PROMETHEUS;
    batch_store *store = NULL;
    if (batch_memory_open(&store) != BATCH_OK)
        return 1;
    batch_processor *processors[] = {start(store), start(store)};
    if (processors[0] == NULL || processors[1] == NULL)
        return 1;
    static const char *const names[] = {"first", "the \"second\"\\"};
    size_t length = batch_metrics_text(processors, argc > 2 ? NULL : names, argc > 2 ? 1 : 2, form,
                                       text, sizeof text);
    bool is_whole = length > 0 && length < sizeof text && fputs(text, stdout) >= 0;
    for (size_t i = 0; i < 2; i++) {
        batch_processor_stop(processors[i], BATCH_FOREVER);
        batch_processor_free(processors[i]);
    }
    batch_store_close(store);
    return is_whole && fflush(stdout) == 0 ? 0 : 1;
}
