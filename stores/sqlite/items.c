/* items.c: a group as the session sees it: one item for each call, in the order of the keys.
 *
 * The order is for SQLite: one key's place in the index is then near that of the key before, so
 * pages are visited one after the other, and each only once. With 100,000 rows, loading and saving
 * groups of 4,096 takes a fifth less of the processor's time. The keys of a unit stay together.
 */
#include "items.h"

#include "../check.h"

#include <stdlib.h>
#include <string.h>

static bool reserve(struct batch__sqlite_items *items, size_t size)
{
    if (size <= items->capacity)
        return true;
    free(items->list);
    items->list = calloc(size, sizeof *items->list);
    items->capacity = items->list != NULL ? size : 0;
    return items->list != NULL;
}

/* Within a unit as SQLite compares blobs. */
static int compare(const void *left_item, const void *right_item)
{
    const struct batch__sqlite_item *left = left_item, *right = right_item;
    if (left->unit != right->unit)
        return left->unit < right->unit ? -1 : 1;
    bool is_shorter = left->key_size < right->key_size;
    int order = memcmp(left->key, right->key, is_shorter ? left->key_size : right->key_size);
    return order != 0 ? order : is_shorter ? -1 : left->key_size > right->key_size;
}

/* In each first item of a unit: how many there are. */
static void count_units(struct batch__sqlite_items *items)
{
    struct batch__sqlite_item *first = items->list;
    for (size_t i = 0; i < items->size; i++) {
        struct batch__sqlite_item *item = &items->list[i];
        if (item->unit == 0 || item->unit != first->unit)
            first = item;
        first->unit_size++;
    }
}

bool batch__sqlite_items_set(struct batch__sqlite_items *items, batch_call *const *calls,
                             size_t calls_size, bool has_units)
{
    batch__check(calls_size > 0);
    items->size = 0;
    if (!reserve(items, calls_size))
        return false;
    for (size_t i = 0; i < calls_size; i++) {
        struct batch__sqlite_item *item = &items->list[i];
        *item = (struct batch__sqlite_item){.call = calls[i]};
        item->key = batch_call_key(calls[i], &item->key_size);
        batch__check(item->key != NULL);
        if (has_units) {
            item->unit = batch_call_unit(calls[i]);
            item->is_check = batch_call_is_check(calls[i]);
        }
    }
    qsort(items->list, calls_size, sizeof *items->list, compare);
    items->size = calls_size;
    count_units(items);
    return true;
}

void batch__sqlite_items_free(struct batch__sqlite_items *items)
{
    free(items->list);
    *items = (struct batch__sqlite_items){.list = NULL};
}

const batch_call *batch__sqlite_items_latest(const struct batch__sqlite_items *items)
{
    const batch_call *latest = NULL;
    uint64_t latest_ns = 0;
    batch__check(items->size <= items->capacity);
    for (size_t i = 0; i < items->size; i += items->list[i].unit_size) {
        const struct batch__sqlite_item *item = &items->list[i];
        if (item->is_resolved)
            continue;
        uint64_t deadline_ns = batch_call_deadline_ns(item->call);
        if (deadline_ns < latest_ns)
            continue;
        latest = item->call;
        latest_ns = deadline_ns;
    }
    return latest;
}
