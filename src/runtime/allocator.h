/* allocator.h: memory from a processor's allocator: the user's, or by default the system's. */
#ifndef BATCH_RUNTIME_ALLOCATOR_H
#define BATCH_RUNTIME_ALLOCATOR_H

#include <batch/batch.h>

batch_allocator batch__default_allocator(void);

/* NULL if there is none. */
void *batch__allocate(const batch_options *options, size_t size);
void batch__release(const batch_options *options, void *memory); /* NULL: nothing */

#endif
