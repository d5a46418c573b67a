/* allocator.h: memory from a processor's allocator: the user's, or by default the system's. */
#ifndef BATCH_RUNTIME_ALLOCATOR_H
#define BATCH_RUNTIME_ALLOCATOR_H

#include <batch/batch.h>

#include "../core/pool.h"

batch_allocator batch__default_allocator(void);

/* Beside the default allocator there are pages; what a user's allocator gives is all there is. */
struct batch__pages batch__pages_of(const batch_options *options);

/* NULL if there is none. */
void *batch__allocate(const batch_options *options, size_t size);
void batch__release(const batch_options *options, void *memory); /* NULL: nothing */

#endif
