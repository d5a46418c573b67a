/* store_wrapper.c: see store_wrapper.h. */
#include "store_wrapper.h"

struct store_wrapper *store_wrapper_of(batch_store *store)
{
    return (struct store_wrapper *)(void *)store;
}

static batch_store *begin(batch_store *store, enum store_step step, size_t calls_size)
{
    struct store_wrapper *wrapper = store_wrapper_of(store);
    if (wrapper->before != NULL)
        wrapper->before(step, calls_size, wrapper->arg);
    return wrapper->inner;
}

static int session_open(batch_store *store, void **ret_session, batch_result *reterr)
{
    batch_store *inner = begin(store, STORE_OPENS_SESSION, 0);
    if (inner != NULL)
        return inner->session_open(inner, ret_session, reterr);
    *ret_session = store;
    return BATCH_OK;
}

static void session_close(batch_store *store, void *session)
{
    batch_store *inner = begin(store, STORE_CLOSES_SESSION, 0);
    if (inner != NULL)
        inner->session_close(inner, session);
}

static void load(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    batch_store *inner = begin(store, STORE_LOADS, calls_size);
    inner->load(inner, session, calls, calls_size);
}

static void save(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    batch_store *inner = begin(store, STORE_SAVES, calls_size);
    inner->save(inner, session, calls, calls_size);
}

static void close_nothing(batch_store *store)
{
    (void)store;
}

void store_wrapper_init(struct store_wrapper *wrapper, const char *name, batch_store *inner)
{
    *wrapper = (struct store_wrapper){.store = BATCH_STORE_INIT, .inner = inner};
    wrapper->store.name = name;
    wrapper->store.session_open = session_open;
    wrapper->store.session_close = session_close;
    wrapper->store.load = load;
    wrapper->store.save = save;
    wrapper->store.close = close_nothing;
}
