/* items.h: the calls of a group, as a session loads and saves them. */
#ifndef BATCH_SQLITE_ITEMS_H
#define BATCH_SQLITE_ITEMS_H

#include <batch/store.h>

/* One call of a group. */
struct batch__sqlite_item {
    batch_call *call;
    const void *key;
    size_t key_size;

    /* The rest is for saves. */
    uint32_t unit;     /* batch_call_unit */
    bool is_check;     /* compared, but not written */
    const void *state; /* as encoded */
    size_t state_size;
    uint64_t version_new; /* what is, or would be, written */

    /* Of the first item of a unit, or of one that is alone. */
    size_t unit_size; /* this item and those behind it that are resolved together; 1: alone */
    int status;       /* once is_resolved: what to finish the calls with */
    bool is_resolved;
    bool is_written; /* in this transaction */
};

/* A group. Its memory serves all groups of a session, one after the other; begins as zeros. */
struct batch__sqlite_items {
    struct batch__sqlite_item *list; /* unit by unit, those that are alone first; each in the order
                                        of its keys */
    size_t size;
    size_t capacity; /* >= size */
};

/* Take the calls of a group, none of them resolved. Only saves have units. False: no memory. */
bool batch__sqlite_items_set(struct batch__sqlite_items *items, batch_call *const *calls,
                             size_t calls_size, bool has_units);
void batch__sqlite_items_free(struct batch__sqlite_items *items);

/* The call with the latest deadline among those that are not resolved, the last one if it is that
 * of several; NULL: there are none. */
const batch_call *batch__sqlite_items_latest(const struct batch__sqlite_items *items);

#endif
