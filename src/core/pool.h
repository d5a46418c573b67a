/* pool.h: batch objects and their memory.
 *
 * Opening a batch costs no allocation once the pool has grown to the number of keys that had work
 * at one time. Small objects are allocated in slabs, which are freed only at the end. A large one
 * is an allocation of its own, of just its size; of these, a limited number of bytes stays pooled
 * for the next batches, and what exceeds that is freed at once.
 *
 * Only the head of a large object is cleared here. Fresh pages of the system are zero anyway.
 */
#ifndef BATCH_CORE_POOL_H
#define BATCH_CORE_POOL_H

#include "batch.h"

enum {
    BATCH__OBJECT_ALIGNMENT = 64,      /* a line of the cache: objects begin on one */
    BATCH__LARGE_MIN = 4096,           /* an object of so many bytes is large */
    BATCH__PAGES_MIN = 128 * 1024,     /* and of so many is made of pages, where there are any */
    BATCH__KEPT_MAX = 32 * 1024 * 1024 /* bytes of large objects that are free */
};

/* Whole pages of zeroes. Both functions, or none: then all memory is the allocator's. */
struct batch__pages {
    void *(*map)(size_t size);
    void (*unmap)(void *memory, size_t size);
};

struct batch__pool {
    batch_allocator allocator;
    struct batch__pages pages;
    size_t object_size;        /* a multiple of 64, at least sizeof(struct batch__batch) */
    size_t head_size;          /* so much of it is zero when it is new */
    size_t slab_bytes;         /* of the next slab, about: each is twice the last, up to a limit */
    size_t free_bytes;         /* of large objects */
    struct batch__batch *free; /* chained through todo_next */
    struct batch__slab *slabs;
};

/* `head_size` is at most object_size; 0: all of it. */
void batch__pool_init(struct batch__pool *pool, const batch_allocator *allocator,
                      const struct batch__pages *pages, size_t object_size, size_t head_size);
/* Every object has been given back. */
void batch__pool_destroy(struct batch__pool *pool);

/* A batch object with a copy of the key, in no list, everything else of the core's part zero; or
 * NULL if there is no memory. Of what follows the core's part, the head is zero only when the
 * object is new. */
struct batch__batch *batch__pool_take(struct batch__pool *pool, const void *key, size_t key_size,
                                      uint32_t hash);
void batch__pool_give(struct batch__pool *pool, struct batch__batch *batch);

/* New objects of this size are made of pages, and so zero as a whole. */
static inline bool batch__pool_has_pages(const struct batch__pages *pages, size_t object_size)
{
    return pages->map != NULL && object_size >= BATCH__PAGES_MIN;
}

#endif
