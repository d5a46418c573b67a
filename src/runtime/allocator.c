#include "allocator.h"

#include "../base/check.h"
#include "../platform/platform.h"

static void *default_allocate(size_t size, void *arg)
{
    (void)arg;
    return batch__memory_allocate(size);
}

static void default_release(void *memory, void *arg)
{
    (void)arg;
    batch__memory_release(memory);
}

batch_allocator batch__default_allocator(void)
{
    return (batch_allocator){default_allocate, default_release, NULL};
}

struct batch__pages batch__pages_of(const batch_options *options)
{
    if (options->allocator.allocate != default_allocate)
        return (struct batch__pages){NULL, NULL};
    return (struct batch__pages){batch__pages_map, batch__pages_unmap};
}

void *batch__allocate(const batch_options *options, size_t size)
{
    batch__check(size > 0);
    return options->allocator.allocate(size, options->allocator.arg);
}

void batch__release(const batch_options *options, void *memory)
{
    options->allocator.release(memory, options->allocator.arg);
}
