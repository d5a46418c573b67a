/* any_thread.c: a store of your own that finishes loads and saves on other threads.
 *
 * With `sessions = 0` the worker calls the store, which must not block: it starts the work and
 * returns. Whoever has done the work calls batch_call_finish, on whatever thread: of an event loop,
 * of a client library, or, as here, one that was started for this call. So all keys that have work
 * are loaded and saved at once, however long each takes; how many at a time is up to the store.
 */
#include <batch/store.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { KEYS = 100 };

struct counter {
    long long clicks;
};

/* ---- The database: slow, and in memory ------------------------------------------------------- */

static struct counter stored[KEYS];

static struct counter *row_of(const batch_call *call)
{
    size_t key_size;
    int number;
    memcpy(&number, batch_call_key(call, &key_size), sizeof number);
    return &stored[number];
}

static void wait_for_network(void)
{
    nanosleep(&(struct timespec){.tv_nsec = 20 * 1000000}, NULL);
}

/* ---- The store ------------------------------------------------------------------------------- */

static void *load_one(void *arg)
{
    batch_call *call = arg;
    wait_for_network();
    int status = batch_call_decode(call, row_of(call), sizeof(struct counter));
    batch_call_finish(call, status); /* from here on the call is not ours */
    return NULL;
}

static void *save_one(void *arg)
{
    batch_call *call = arg;
    const void *bytes;
    size_t size;
    wait_for_network();
    int status = batch_call_encode(call, &bytes, &size);
    if (status == BATCH_OK)
        memcpy(row_of(call), bytes, size);
    batch_call_finish(call, status);
    return NULL;
}

/* What could not be started has not happened: that is certain. */
static void start_each(void *(*body)(void *), batch_call *const *calls, size_t size, int failure)
{
    for (size_t i = 0; i < size; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, body, calls[i]) == 0)
            pthread_detach(thread);
        else
            batch_call_finish(calls[i], failure);
    }
}

static void load(batch_store *store, void *session, batch_call *const *calls, size_t size)
{
    (void)store, (void)session;
    start_each(load_one, calls, size, BATCH_LOAD_FAILED);
}

static void save(batch_store *store, void *session, batch_call *const *calls, size_t size)
{
    (void)store, (void)session;
    start_each(save_one, calls, size, BATCH_SAVE_FAILED);
}

static int session_open(batch_store *store, void **ret_session, batch_result *reterr)
{
    (void)reterr;
    *ret_session = store; /* there is nothing to open */
    return BATCH_OK;
}

static void session_close(batch_store *store, void *session)
{
    (void)store, (void)session;
}

static void close_store(batch_store *store)
{
    (void)store;
}

/* ---- Its use --------------------------------------------------------------------------------- */

static batch_verdict click(void *resource, void *arg)
{
    (void)arg;
    ((struct counter *)resource)->clicks++;
    return BATCH_CHANGED;
}

static void done(batch_op *op, const batch_result *result)
{
    *(int *)op->arg += result->status == BATCH_OK; /* one worker: no lock */
}

int main(void)
{
    batch_store store = BATCH_STORE_INIT;
    store.name = "any-thread";
    store.session_open = session_open;
    store.load = load;
    store.save = save;
    store.session_close = session_close;
    store.close = close_store;

    batch_options options = BATCH_OPTIONS_INIT;
    options.store = &store;
    options.sessions = 0;
    options.resource_size = sizeof(struct counter);
    options.window_ns = BATCH_WINDOW_NONE;
    batch_processor *processor = NULL;
    batch_result error;
    if (batch_processor_start(&processor, &options, &error) != BATCH_OK) {
        fprintf(stderr, "%s\n", error.message);
        return 1;
    }
    static batch_op ops[KEYS];
    static int keys[KEYS];
    int ok = 0;
    uint64_t begin_ns = batch_now_ns();
    for (int i = 0; i < KEYS; i++) {
        keys[i] = i;
        ops[i].key = &keys[i], ops[i].key_size = sizeof keys[i];
        ops[i].run = click, ops[i].done = done, ops[i].arg = &ok;
        batch_submit(processor, &ops[i]);
    }
    batch_processor_stop(processor, BATCH_FOREVER); /* returns when all are complete */
    double ms = (double)(batch_now_ns() - begin_ns) / 1e6;
    batch_processor_free(processor);
    batch_store_close(&store);
    printf("%d of %d keys loaded and saved, 20 ms each, in %.0f ms\n", ok, KEYS, ms);
    return ok == KEYS ? 0 : 1;
}
