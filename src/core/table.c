#include "table.h"

#include "../base/check.h"

#include <string.h>

enum { SIZE_MIN = 64 };

/* As many slots as hashes can tell apart, or as an allocation can have where pointers are short. */
static const uint64_t SLOTS_MAX = SIZE_MAX / sizeof(struct batch__slot) < UINT32_MAX
                                      ? SIZE_MAX / sizeof(struct batch__slot)
                                      : UINT32_MAX;

void batch__table_init(struct batch__table *table, const batch_allocator *allocator)
{
    *table = (struct batch__table){*allocator, NULL, 0, 0};
}

void batch__table_destroy(struct batch__table *table)
{
    table->allocator.release(table->slots, table->allocator.arg);
    table->slots = NULL;
    table->size = 0;
    table->count = 0;
}

static void put(struct batch__table *table, struct batch__batch *batch, uint32_t hash)
{
    uint64_t i = batch__table_home(table, hash);
    while (table->slots[i].batch != NULL)
        i = batch__table_after(table, i);
    table->slots[i] = (struct batch__slot){batch, hash};
}

static bool grow(struct batch__table *table)
{
    uint64_t size = table->size == 0 ? SIZE_MIN : table->size * 2;
    if (size > SLOTS_MAX)
        return false;
    size_t bytes = (size_t)size * sizeof(struct batch__slot);
    struct batch__slot *slots = table->allocator.allocate(bytes, table->allocator.arg);
    if (slots == NULL)
        return false;
    memset(slots, 0, bytes);

    batch__check(table->count < size);
    struct batch__table before = *table;
    table->slots = slots;
    table->size = size;
    for (uint64_t i = 0; i < before.size; i++) {
        if (before.slots[i].batch != NULL)
            put(table, before.slots[i].batch, before.slots[i].hash);
    }
    table->allocator.release(before.slots, table->allocator.arg);
    return true;
}

bool batch__table_reserve(struct batch__table *table)
{
    if (table->count + 1 <= table->size / 2)
        return true;
    if (grow(table))
        return true;
    return table->count + 1 <= table->size / 8 * 7;
}

struct batch__batch *batch__table_find(const struct batch__table *table, const void *key,
                                       size_t key_size, uint32_t hash)
{
    if (table->size == 0)
        return NULL;
    batch__check(table->count < table->size); /* there is an empty slot, so it ends */
    for (uint64_t i = batch__table_home(table, hash);; i = batch__table_after(table, i)) {
        const struct batch__slot *slot = &table->slots[i];
        if (slot->batch == NULL)
            return NULL;
        if (slot->hash != hash || slot->batch->key_size != key_size)
            continue;
        if (key_size == 0 || memcmp(slot->batch->key, key, key_size) == 0)
            return slot->batch;
    }
}

struct batch__batch *batch__table_find_hash(const struct batch__table *table, uint32_t hash)
{
    if (table->size == 0)
        return NULL;
    batch__check(table->count < table->size);
    uint64_t i = batch__table_home(table, hash);
    while (table->slots[i].batch != NULL && table->slots[i].hash != hash)
        i = batch__table_after(table, i);
    return table->slots[i].batch;
}

void batch__table_add(struct batch__table *table, struct batch__batch *batch)
{
    batch__check(table->count < table->size);
    put(table, batch, batch->hash);
    table->count++;
}

void batch__table_remove(struct batch__table *table, const struct batch__batch *batch)
{
    batch__check(table->count > 0);
    uint64_t hole = batch__table_home(table, batch->hash);
    while (table->slots[hole].batch != batch) {
        batch__check(table->slots[hole].batch != NULL);
        hole = batch__table_after(table, hole);
    }
    /* Close the hole with the next entry that may stand there, until the run ends. */
    for (uint64_t i = batch__table_after(table, hole); table->slots[i].batch != NULL;
         i = batch__table_after(table, i)) {
        uint64_t home = batch__table_home(table, table->slots[i].hash);
        uint64_t from_home = (i - home) & (table->size - 1);
        uint64_t from_hole = (i - hole) & (table->size - 1);
        if (from_home >= from_hole) {
            table->slots[hole] = table->slots[i];
            hole = i;
        }
    }
    table->slots[hole] = (struct batch__slot){NULL, 0};
    table->count--;
}
