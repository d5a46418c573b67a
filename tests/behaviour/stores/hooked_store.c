#include "hooked_store.h"

static batch_store *inner_of(batch_store *store)
{
    return ((struct hooked_store *)store)->inner;
}

static int hooked_session_open(batch_store *store, void **ret_session, batch_result *reterr)
{
    return inner_of(store)->session_open(inner_of(store), ret_session, reterr);
}

static void hooked_session_close(batch_store *store, void *session)
{
    inner_of(store)->session_close(inner_of(store), session);
}

static void hooked_load(batch_store *store, void *session, batch_call *const *calls,
                        size_t calls_size)
{
    struct hooked_store *hooked = (struct hooked_store *)store;
    if (hooked->before_load != NULL)
        hooked->before_load(calls_size, hooked->arg);
    hooked->inner->load(hooked->inner, session, calls, calls_size);
}

static void hooked_save(batch_store *store, void *session, batch_call *const *calls,
                        size_t calls_size)
{
    struct hooked_store *hooked = (struct hooked_store *)store;
    if (hooked->before_save != NULL)
        hooked->before_save(calls_size, hooked->arg);
    hooked->inner->save(hooked->inner, session, calls, calls_size);
}

static void hooked_close(batch_store *store)
{
    (void)store;
}

void hooked_store_init(struct hooked_store *hooked, batch_store *inner, void *arg)
{
    *hooked = (struct hooked_store){.store = BATCH_STORE_INIT, .inner = inner, .arg = arg};
    hooked->store.name = inner->name;
    hooked->store.session_open = hooked_session_open;
    hooked->store.load = hooked_load;
    hooked->store.save = hooked_save;
    hooked->store.session_close = hooked_session_close;
    hooked->store.close = hooked_close;
}
