/* pool.h: batch objects and their memory.
 *
 * Opening a batch costs no allocation once the pool has grown to the number of keys that had work
 * at one time. Memory is taken in slabs and given back only at the end.
 */
#ifndef BATCH_CORE_POOL_H
#define BATCH_CORE_POOL_H

#include "batch.h"

struct batch__pool {
    batch_allocator allocator;
    size_t object_size;        /* a multiple of 64, at least sizeof(struct batch__batch) */
    size_t slab_bytes;         /* of the next slab, about: each is twice the last, up to a limit */
    struct batch__batch *free; /* chained through todo_next */
    struct batch__slab *slabs;
};

void batch__pool_init(struct batch__pool *pool, const batch_allocator *allocator,
                      size_t object_size);
void batch__pool_destroy(struct batch__pool *pool);

/* A batch object with a copy of the key, in no list, everything else of the core's part zero; or
 * NULL if there is no memory. What follows the core's part is zero only when the object is new. */
struct batch__batch *batch__pool_take(struct batch__pool *pool, const void *key, size_t key_size,
                                      uint32_t hash);
void batch__pool_give(struct batch__pool *pool, struct batch__batch *batch);

#endif
