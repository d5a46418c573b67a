/* counting_allocator.h: an allocator that counts, and fails on demand. All zero is one
 * that never fails. Any thread; the counts order nothing, so that ThreadSanitizer sees what the
 * library does.
 */
#ifndef BATCH_TEST_SUPPORT_COUNTING_ALLOCATOR_H
#define BATCH_TEST_SUPPORT_COUNTING_ALLOCATOR_H

#include <batch/batch.h>

#include <stdatomic.h>

struct allocator_block;

struct allocator {
    atomic_uint_fast64_t live;    /* blocks */
    atomic_uint_fast64_t bytes;   /* of these blocks */
    atomic_uint_fast64_t taken;   /* calls of allocate so far, failed ones included */
    atomic_uint_fast64_t fail_at; /* the number of the call that fails, from 1; 0: none */
    atomic_bool fails_from_there; /* every later one too */

    /* Set at first, and for one thread only: blocks are listed, for allocator_release_all. */
    bool is_listed;
    struct allocator_block *blocks;
};

batch_allocator allocator_functions(struct allocator *allocator);

/* Refuse everything from here on, or nothing. */
void allocator_refuse(struct allocator *allocator, bool refuses);

/* All that is live: after something that has not ended well. */
void allocator_release_all(struct allocator *allocator);

#endif
