/* metrics_fixture.c: see metrics_fixture.h. */
#include "metrics_fixture.h"

#include "base/atomics.h"
#include "platform/platform.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void must_failed(const char *file, int line, const char *broken)
{
    fprintf(stderr, "%s:%d: not so: %s\n", file, line, broken);
    abort();
}

static void *memory_allocate(size_t size, void *arg)
{
    struct memory *memory = arg;
    if (batch__load_relaxed(&memory->xrefuses) != 0)
        return NULL;
    void *block = malloc(size);
    must(block != NULL);
    batch__add_relaxed(&memory->xlive, (uint64_t)1);
    batch__add_relaxed(&memory->xallocated, (uint64_t)1);
    return block;
}

static void memory_release(void *block, void *arg)
{
    struct memory *memory = arg;
    if (block == NULL)
        return;
    batch__sub_release(&memory->xlive, (uint64_t)1);
    free(block);
}

batch_allocator memory_allocator(struct memory *memory)
{
    return (batch_allocator){memory_allocate, memory_release, memory};
}

uint64_t memory_live(const struct memory *memory)
{
    return batch__load_relaxed(&memory->xlive);
}

uint64_t memory_allocated(const struct memory *memory)
{
    return batch__load_relaxed(&memory->xallocated);
}

void memory_refuse(struct memory *memory, bool refuses)
{
    batch__store_relaxed(&memory->xrefuses, refuses ? 1u : 0u);
}

uint64_t random_seed(void)
{
    const char *given = getenv("BATCH_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : batch__clock_now_ns();
    print_message("BATCH_TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}

/* SplitMix64: every state gives a good next number. */
uint64_t random_next(uint64_t *state)
{
    uint64_t mixed = *state += 0x9e3779b97f4a7c15u;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebu;
    return mixed ^ (mixed >> 31);
}
