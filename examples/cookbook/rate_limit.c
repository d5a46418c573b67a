/* rate_limit.c: a bucket of tokens for each client, in memory: nothing has to survive a restart. */
#include "cookbook.h"

enum { BURST = 10 };                         /* requests at once … */
static const uint64_t REFILL_NS = 100000000; /* … and then one each 100 ms */

struct bucket {
    uint64_t tokens;
    uint64_t filled_ns; /* 0: a new client */
};

struct request {
    uint64_t now_ns;
    bool is_allowed;
};

static batch_verdict take_token(void *resource, void *arg)
{
    struct bucket *bucket = resource;
    struct request *request = arg;
    if (bucket->filled_ns == 0)
        *bucket = (struct bucket){BURST, request->now_ns};
    if (request->now_ns > bucket->filled_ns) { /* requests of several threads may overtake others */
        uint64_t more = (request->now_ns - bucket->filled_ns) / REFILL_NS;
        bucket->tokens = bucket->tokens + more < BURST ? bucket->tokens + more : BURST;
        bucket->filled_ns += more * REFILL_NS;
    }
    request->is_allowed = bucket->tokens > 0;
    bucket->tokens -= request->is_allowed;
    return BATCH_CHANGED;
}

static int allowed(batch_processor *processor, const char *client, uint64_t now_ns, int requests)
{
    int count = 0;
    for (int i = 0; i < requests; i++) {
        struct request request = {.now_ns = now_ns};
        EXPECT(run(processor, client, take_token, &request) == BATCH_OK);
        count += request.is_allowed;
    }
    return count;
}

int main(void)
{
    batch_store *store = NULL;
    batch_processor *processor = NULL;
    EXPECT(batch_memory_open(&store) == BATCH_OK);
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = store;
    options.sessions = 0; /* the memory store never blocks, so the worker may call it */
    options.window_ns = BATCH_WINDOW_NONE;
    options.resource_size = sizeof(struct bucket);
    EXPECT(batch_processor_start(&processor, &options, NULL) == BATCH_OK);

    EXPECT(allowed(processor, "ann", 1000, 15) == BURST);
    EXPECT(allowed(processor, "bob", 1000, 3) == 3); /* has a bucket of his own */
    EXPECT(allowed(processor, "ann", 1000 + 3 * REFILL_NS, 15) == 3);
    EXPECT(allowed(processor, "ann", 1000 + 900 * REFILL_NS, 15) == BURST);

    batch_processor_stop(processor, BATCH_FOREVER);
    batch_processor_free(processor);
    batch_store_close(store);
    printf("ten at once, then one each 100 ms\n");
    return 0;
}
