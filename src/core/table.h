/* table.h: from key to batch, for the keys of one shard that have work.
 *
 * Open addressing with linear probing, at most half full; a slot holds the hash, so that probing
 * and growing touch no batch but the one that is found. Removal moves later entries back: no
 * tombstones, so the length of a probe depends on what is in the table and not on its history. The
 * hash must be keyed (the runtime's SipHash is), or crafted keys could share one run of slots.
 */
#ifndef BATCH_CORE_TABLE_H
#define BATCH_CORE_TABLE_H

#include "batch.h"

struct batch__slot {
    struct batch__batch *batch; /* NULL: empty */
    uint32_t hash;
};

/* size is 0 or a power of two, and count <= size * 7 / 8; <= size / 2 unless memory ran out. */
struct batch__table {
    batch_allocator allocator;
    struct batch__slot *slots;
    uint64_t size;
    uint64_t count;
};

void batch__table_init(struct batch__table *table, const batch_allocator *allocator);
void batch__table_destroy(struct batch__table *table);

/* Make sure that one more batch can be added. False if there is no memory for it. */
bool batch__table_reserve(struct batch__table *table);

/* Where the slots of a hash begin; the slot behind one. */
static inline uint64_t batch__table_home(const struct batch__table *table, uint32_t hash)
{
    return hash & (table->size - 1);
}
static inline uint64_t batch__table_after(const struct batch__table *table, uint64_t index)
{
    return (index + 1) & (table->size - 1);
}

struct batch__batch *batch__table_find(const struct batch__table *table, const void *key,
                                       size_t key_size, uint32_t hash);

/* One of those with this hash. */
struct batch__batch *batch__table_find_hash(const struct batch__table *table, uint32_t hash);

/* Add a batch whose key is not there; after batch__table_reserve. */
void batch__table_add(struct batch__table *table, struct batch__batch *batch);
void batch__table_remove(struct batch__table *table, const struct batch__batch *batch);

/* Bring the slot of a hash near, then the batch that is probably meant. For a group of keys, first
 * one for all, then the other: the waits for memory overlap. */
static inline void batch__table_prefetch_slot(const struct batch__table *table, uint32_t hash)
{
    if (table->size > 0)
        __builtin_prefetch(&table->slots[batch__table_home(table, hash)]);
}

static inline void batch__table_touch_slot(const struct batch__table *table, uint32_t hash)
{
    (void)*(struct batch__batch *const volatile *)&table->slots[batch__table_home(table, hash)]
        .batch;
}

/* The first of its lines, and the one that is `offset` bytes behind. */
static inline void batch__table_prefetch_batch(const struct batch__table *table, uint32_t hash,
                                               size_t offset)
{
    if (table->size == 0)
        return;
    const struct batch__batch *batch = table->slots[batch__table_home(table, hash)].batch;
    if (batch == NULL)
        return;
    __builtin_prefetch(batch);
    __builtin_prefetch((const char *)batch + 64);
    __builtin_prefetch((const char *)batch + 128);
    __builtin_prefetch((const char *)batch + offset);
}

#endif
