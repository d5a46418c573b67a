/* unit_store.c: see unit_store.h. */
#include "unit_store.h"

#include "runtime/call.h"

#include <stdlib.h>

/* What follows the last blank of a key, or all of it. */
static const char *mark_of(const batch_call *call, size_t *ret_size)
{
    const char *key = batch_call_key(call, ret_size);
    size_t at = *ret_size;
    while (at > 0 && key[at - 1] != ' ')
        at--;
    *ret_size -= at;
    return key + at;
}

/* 0: alone. */
static uint32_t unit_of(const batch_call *call, bool *ret_is_check)
{
    size_t size;
    const char *key = mark_of(call, &size);
    uint32_t unit = 0;
    size_t at = 1;
    while (at < size && at < 3 && key[at] >= '0' && key[at] <= '9')
        unit = unit * 10 + (uint32_t)(key[at++] - '0');
    bool is_unit = at < size && key[0] == 'u' && (key[at] == ':' || key[at] == '?');
    *ret_is_check = is_unit && key[at] == '?';
    return is_unit ? unit : 0;
}

static void save(batch_store *store, void *session, batch_call *const *calls, size_t calls_size)
{
    struct store_wrapper *wrapper = store_wrapper_of(store);
    if (wrapper->before != NULL)
        wrapper->before(STORE_SAVES, calls_size, wrapper->arg);
    batch_call **sorted = malloc(calls_size * sizeof(batch_call *));
    if (sorted == NULL)
        abort();
    size_t sorted_size = 0;
    for (size_t i = 0; i < calls_size; i++) {
        bool is_check;
        calls[i]->unit = (uint16_t)unit_of(calls[i], &is_check);
        calls[i]->is_check = is_check;
    }
    for (size_t i = 0; i < calls_size; i++) {
        uint32_t unit = calls[i]->unit;
        bool is_sorted = false; /* with the first one of its unit */
        for (size_t k = 0; k < i; k++)
            is_sorted = is_sorted || (unit != 0 && calls[k]->unit == unit);
        for (size_t k = i; k < calls_size && !is_sorted; k++) {
            if (k == i || (unit != 0 && calls[k]->unit == unit)) {
                calls[k]->group_index = (uint16_t)sorted_size;
                sorted[sorted_size++] = calls[k];
            }
        }
    }
    wrapper->inner->save(wrapper->inner, session, sorted, sorted_size);
    free(sorted);
}

void unit_store_init(struct store_wrapper *wrapper, batch_store *inner)
{
    store_wrapper_init(wrapper, "unit", inner);
    wrapper->store.save = save;
    wrapper->store.saves_max = inner->saves_max;
}
