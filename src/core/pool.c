#include "pool.h"

#include "../base/check.h"

#include <string.h>

enum {
    SLAB_BYTES_MIN = 64 * 1024,
    SLAB_BYTES_MAX = 2 * 1024 * 1024, /* a huge page, where there are any */
    LINE_BYTES = 64                   /* of the cache: objects begin on one */
};

struct batch__slab {
    struct batch__slab *next;
};

void batch__pool_init(struct batch__pool *pool, const batch_allocator *allocator,
                      size_t object_size)
{
    batch__check(object_size >= sizeof(struct batch__batch));
    batch__check(object_size % LINE_BYTES == 0);
    *pool = (struct batch__pool){*allocator, object_size, SLAB_BYTES_MIN, NULL, NULL};
}

void batch__pool_destroy(struct batch__pool *pool)
{
    struct batch__slab *slab = pool->slabs;
    while (slab != NULL) {
        struct batch__slab *next = slab->next;
        pool->allocator.release(slab, pool->allocator.arg);
        slab = next;
    }
    pool->slabs = NULL;
    pool->free = NULL;
}

static bool grow(struct batch__pool *pool)
{
    size_t header_size = sizeof(struct batch__slab) + LINE_BYTES;
    size_t count = (pool->slab_bytes - header_size) / pool->object_size;
    if (count == 0)
        count = 1;
    size_t size = header_size + count * pool->object_size;
    struct batch__slab *slab = pool->allocator.allocate(size, pool->allocator.arg);
    if (slab == NULL)
        return false;
    memset(slab, 0, size);
    if (pool->slab_bytes < SLAB_BYTES_MAX)
        pool->slab_bytes *= 2;
    slab->next = pool->slabs;
    pool->slabs = slab;
    uintptr_t after_header = (uintptr_t)(slab + 1) + LINE_BYTES - 1;
    char *objects = (char *)(after_header - after_header % LINE_BYTES);
    for (size_t i = count; i-- > 0;) {
        struct batch__batch *batch =
            (struct batch__batch *)(void *)(objects + i * pool->object_size);
        batch->todo_next = pool->free;
        pool->free = batch;
    }
    return true;
}

struct batch__batch *batch__pool_take(struct batch__pool *pool, const void *key, size_t key_size,
                                      uint32_t hash)
{
    batch__check(key_size <= UINT32_MAX);
    if (pool->free == NULL && !grow(pool))
        return NULL;
    void *key_long = NULL;
    if (key_size > BATCH__KEY_INLINE) {
        key_long = pool->allocator.allocate(key_size, pool->allocator.arg);
        if (key_long == NULL)
            return NULL;
    }
    struct batch__batch *batch = pool->free;
    batch__check(batch->phase == BATCH__POOLED);
    pool->free = batch->todo_next;
    memset(batch, 0, sizeof *batch);
    batch->key = key_long != NULL ? key_long : batch->key_inline;
    batch->key_size = (uint32_t)key_size;
    batch->hash = hash;
    if (key_size > 0)
        memcpy(key_long != NULL ? key_long : batch->key_inline, key, key_size);
    return batch;
}

void batch__pool_give(struct batch__pool *pool, struct batch__batch *batch)
{
    batch__check(batch->waiting.count == 0);
    batch__check(batch->to_replay.count == 0);
    batch__check(!batch->in_todo);
    batch__check(!batch->in_due);
    batch__check(!batch->in_waiting);
    if (batch->key_size > BATCH__KEY_INLINE)
        pool->allocator.release((void *)(uintptr_t)batch->key, pool->allocator.arg);
    batch->phase = BATCH__POOLED;
    batch->todo_next = pool->free;
    pool->free = batch;
}
