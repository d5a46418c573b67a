/* split_store.c: the injected bug: a store that saves the calls of a unit one by one, each in a
 * transaction of its own.
 */
#include "store_target.h"

#include <stdlib.h>

#include "store_wrapper.h"

static void save(batch_store *base, void *session, batch_call *const *calls, size_t calls_size)
{
    batch_store *inner = store_wrapper_of(base)->inner;
    for (size_t i = 0; i < calls_size; i++)
        inner->save(inner, session, calls + i, 1);
}

static void close_both(batch_store *base)
{
    batch_store_close(store_wrapper_of(base)->inner);
    free(base);
}

batch_store *split_store_over(batch_store *store)
{
    struct store_wrapper *wrapper = malloc(sizeof *wrapper);
    if (wrapper == NULL)
        abort();
    store_wrapper_init(wrapper, "split", store);
    wrapper->store.save = save;
    wrapper->store.close = close_both;
    wrapper->store.saves_max = store->saves_max;
    wrapper->store.saves_units = store->saves_units;
    return &wrapper->store;
}
