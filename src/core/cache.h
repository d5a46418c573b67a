/* cache.h: resources that stay in memory between batches.
 *
 * A resource is cached when its batch succeeded: then it is what is stored, with that version. The
 * next batch of the key skips its load. If it changes the resource, the version check of its save
 * finds out whether another process has saved meanwhile. If it changes nothing there is no save, so
 * nothing has shown that what it saw is stored: then it is replayed on what is (replay.h).
 */
#ifndef BATCH_CORE_CACHE_H
#define BATCH_CORE_CACHE_H

#include "state.h"

bool batch__may_cache(const struct batch__core *core, const struct batch__batch *batch);
/* Its batch has ended: the resource stays. The least recently used is evicted if there are too
 * many. */
void batch__cache_put(struct batch__core *core, struct batch__batch *batch);
/* It is about to be used by the next batch, or evicted. */
void batch__cache_take(struct batch__core *core, struct batch__batch *batch);
/* Evict the least recently used until `cache_max` are left. */
void batch__cache_trim(struct batch__core *core, uint64_t cache_max);

#endif
