#include "pool.h"

#include "../base/align.h"
#include "../base/check.h"

#include <string.h>

enum {
    SLAB_BYTES_MIN = 64 * 1024,
    SLAB_BYTES_MAX = 2 * 1024 * 1024 /* a huge page, where there are any */
};

struct batch__slab {
    struct batch__slab *next;
};

/* Where an object can begin, from there on. */
static void *aligned(void *memory)
{
    return (void *)batch__round_up((uintptr_t)memory, BATCH__OBJECT_ALIGNMENT);
}

static bool is_large(const struct batch__pool *pool)
{
    return pool->object_size >= BATCH__LARGE_MIN;
}

static bool has_pages(const struct batch__pool *pool)
{
    return batch__pool_has_pages(&pool->pages, pool->object_size);
}

/* ---- Large objects -------------------------------------------------------------------------- */

/* From the allocator comes what is not aligned: before the object stands where it begins. */
static void *large_new(const struct batch__pool *pool)
{
    if (has_pages(pool))
        return pool->pages.map(pool->object_size);
    size_t size = sizeof(void *) + BATCH__OBJECT_ALIGNMENT + pool->object_size;
    void *memory = pool->allocator.allocate(size, pool->allocator.arg);
    if (memory == NULL)
        return NULL;
    void **object = aligned((char *)memory + sizeof(void *));
    object[-1] = memory;
    memset(object, 0, pool->head_size);
    return object;
}

static void large_free(const struct batch__pool *pool, void *object)
{
    if (has_pages(pool))
        pool->pages.unmap(object, pool->object_size);
    else
        pool->allocator.release(((void **)object)[-1], pool->allocator.arg);
}

/* Free: for the next batch, or if there are enough of them, for good. */
static void chain(struct batch__pool *pool, struct batch__batch *batch)
{
    if (is_large(pool)) {
        if (pool->free_bytes + pool->object_size > BATCH__KEPT_MAX) {
            large_free(pool, batch);
            return;
        }
        pool->free_bytes += pool->object_size;
    }
    batch->todo_next = pool->free;
    pool->free = batch;
}

static struct batch__batch *unchain(struct batch__pool *pool)
{
    struct batch__batch *batch = pool->free;
    batch__check(batch->phase == BATCH__POOLED);
    pool->free = batch->todo_next;
    if (is_large(pool)) {
        batch__check(pool->free_bytes >= pool->object_size);
        pool->free_bytes -= pool->object_size;
    }
    return batch;
}

/* ---- The pool ------------------------------------------------------------------------------- */

void batch__pool_init(struct batch__pool *pool, const batch_allocator *allocator,
                      const struct batch__pages *pages, size_t object_size, size_t head_size)
{
    batch__check(object_size >= sizeof(struct batch__batch));
    batch__check(object_size % BATCH__OBJECT_ALIGNMENT == 0);
    batch__check(head_size == 0 || head_size >= sizeof(struct batch__batch));
    batch__check(head_size <= object_size);
    *pool = (struct batch__pool){.allocator = *allocator,
                                 .pages = *pages,
                                 .object_size = object_size,
                                 .head_size = head_size > 0 ? head_size : object_size,
                                 .slab_bytes = SLAB_BYTES_MIN};
}

void batch__pool_destroy(struct batch__pool *pool)
{
    while (is_large(pool) && pool->free != NULL)
        large_free(pool, unchain(pool));
    struct batch__slab *slab = pool->slabs;
    while (slab != NULL) {
        struct batch__slab *next = slab->next;
        pool->allocator.release(slab, pool->allocator.arg);
        slab = next;
    }
    pool->slabs = NULL;
    pool->free = NULL;
}

/* There is a free object, unless there is no memory. */
static bool grow(struct batch__pool *pool)
{
    if (is_large(pool)) {
        struct batch__batch *batch = large_new(pool);
        if (batch != NULL)
            chain(pool, batch);
        return batch != NULL;
    }
    size_t header_size = sizeof(struct batch__slab) + BATCH__OBJECT_ALIGNMENT;
    size_t count = (pool->slab_bytes - header_size) / pool->object_size;
    batch__check(count > 0); /* one that is not large fits */
    size_t size = header_size + count * pool->object_size;
    struct batch__slab *slab = pool->allocator.allocate(size, pool->allocator.arg);
    if (slab == NULL)
        return false;
    memset(slab, 0, size);
    if (pool->slab_bytes < SLAB_BYTES_MAX)
        pool->slab_bytes *= 2;
    slab->next = pool->slabs;
    pool->slabs = slab;
    char *objects = aligned(slab + 1);
    for (size_t i = count; i-- > 0;)
        chain(pool, (struct batch__batch *)(void *)(objects + i * pool->object_size));
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
    struct batch__batch *batch = unchain(pool);
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
    batch__check(batch->replaying == 0);
    batch__check(!batch->in_todo);
    batch__check(!batch->in_due);
    batch__check(!batch->in_waiting);
    if (batch->key_size > BATCH__KEY_INLINE)
        pool->allocator.release((void *)(uintptr_t)batch->key, pool->allocator.arg);
    batch->phase = BATCH__POOLED;
    chain(pool, batch);
}
