/* counting_allocator.c: see counting_allocator.h. */
#include "counting_allocator.h"

#include <stdlib.h>
#include <string.h>

struct allocator_block {
    _Alignas(16) size_t size;
    struct allocator_block *next; /* where blocks are listed */
    struct allocator_block *previous;
};

static void list(struct allocator *allocator, struct allocator_block *block)
{
    block->next = allocator->blocks;
    block->previous = NULL;
    if (allocator->blocks != NULL)
        allocator->blocks->previous = block;
    allocator->blocks = block;
}

static void unlist(struct allocator *allocator, const struct allocator_block *block)
{
    if (block->next != NULL)
        block->next->previous = block->previous;
    if (block->previous != NULL)
        block->previous->next = block->next;
    else
        allocator->blocks = block->next;
}

static bool must_fail(const struct allocator *allocator, uint64_t number)
{
    uint64_t fail_at = atomic_load_explicit(&allocator->fail_at, memory_order_relaxed);
    return fail_at != 0 && (number == fail_at ||
                            (number > fail_at && atomic_load_explicit(&allocator->fails_from_there,
                                                                      memory_order_relaxed)));
}

static void *allocate(size_t size, void *arg)
{
    struct allocator *allocator = arg;
    if (must_fail(allocator,
                  1 + atomic_fetch_add_explicit(&allocator->taken, 1, memory_order_relaxed)))
        return NULL;
    struct allocator_block *block = malloc(sizeof *block + size);
    if (block == NULL)
        abort();
    block->size = size;
    atomic_fetch_add_explicit(&allocator->live, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&allocator->bytes, size, memory_order_relaxed);
    if (allocator->is_listed)
        list(allocator, block);
    return memset(block + 1, 0xA5, size); /* nobody may count on zeroes */
}

static void release(void *memory, void *arg)
{
    struct allocator *allocator = arg;
    if (memory == NULL)
        return;
    struct allocator_block *block = (struct allocator_block *)memory - 1;
    atomic_fetch_sub_explicit(&allocator->live, 1, memory_order_relaxed);
    atomic_fetch_sub_explicit(&allocator->bytes, block->size, memory_order_relaxed);
    if (allocator->is_listed)
        unlist(allocator, block);
    free(block);
}

batch_allocator allocator_functions(struct allocator *allocator)
{
    return (batch_allocator){allocate, release, allocator};
}

void allocator_refuse(struct allocator *allocator, bool refuses)
{
    atomic_store(&allocator->fails_from_there, refuses);
    atomic_store(&allocator->fail_at, refuses ? atomic_load(&allocator->taken) + 1 : 0);
}

void allocator_release_all(struct allocator *allocator)
{
    while (allocator->blocks != NULL)
        release(allocator->blocks + 1, allocator);
}
