#include "functions.h"

#include "../base/check.h"

static int session_open(batch_store *store, void **ret_session, batch_result *reterr)
{
    (void)reterr;
    *ret_session = store;
    return BATCH_OK;
}

static void load(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    (void)session;
    const struct batch__function_store *functions = (struct batch__function_store *)(void *)store;
    batch__check(functions->load != NULL);
    for (size_t i = 0; i < calls_size; i++) {
        batch_call *call = calls[i];
        batch_call_finish(call, functions->load(call, batch_call_resource(call), functions->arg));
    }
}

static void save(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    (void)session;
    const struct batch__function_store *functions = (struct batch__function_store *)(void *)store;
    batch__check(functions->save != NULL);
    for (size_t i = 0; i < calls_size; i++) {
        batch_call *call = calls[i];
        batch_call_finish(call, functions->save(call, batch_call_resource(call), functions->arg));
    }
}

static void session_close(batch_store *store, void *session)
{
    (void)store;
    (void)session;
}

static void close(batch_store *store)
{
    (void)store;
}

void batch__function_store_init(struct batch__function_store *functions,
                                const batch_options *options)
{
    batch__check(options->store == NULL);
    functions->store = (batch_store)BATCH_STORE_INIT;
    functions->store.name = "functions";
    functions->store.session_open = session_open;
    functions->store.load = load;
    functions->store.save = save;
    functions->store.session_close = session_close;
    functions->store.close = close;
    functions->load = options->load;
    functions->save = options->save;
    functions->arg = options->arg;
}
