/* items.c: a group as the session sees it: one item for each call, in the order of the keys.
 *
 * The order is for SQLite: one key's place in the index is then near that of the key before, so
 * pages are visited one after the other, and each only once. With 100,000 rows, loading and saving
 * groups of 4,096 takes a fifth less of the processor's time.
 */
#include "internal.h"

#include <stdlib.h>
#include <string.h>

static bool reserve(struct batch__sqlite_session *session, size_t items_size)
{
    if (items_size <= session->items_capacity)
        return true;
    free(session->items);
    session->items = calloc(items_size, sizeof *session->items);
    session->items_capacity = session->items != NULL ? items_size : 0;
    return session->items != NULL;
}

/* As SQLite compares blobs. */
static int compare(const void *left_item, const void *right_item)
{
    const struct batch__sqlite_item *left = left_item, *right = right_item;
    bool is_shorter = left->key_size < right->key_size;
    int order = memcmp(left->key, right->key, is_shorter ? left->key_size : right->key_size);
    return order != 0 ? order : is_shorter ? -1 : left->key_size > right->key_size;
}

struct batch__sqlite_item *batch__sqlite_items(struct batch__sqlite_session *session,
                                               batch_call *const *calls, size_t calls_size)
{
    if (!reserve(session, calls_size))
        return NULL;
    for (size_t i = 0; i < calls_size; i++) {
        struct batch__sqlite_item *item = &session->items[i];
        *item = (struct batch__sqlite_item){.call = calls[i]};
        item->key = batch_call_key(calls[i], &item->key_size);
    }
    qsort(session->items, calls_size, sizeof *session->items, compare);
    return session->items;
}
