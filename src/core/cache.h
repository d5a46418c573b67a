/* cache.h: resources kept between batches.
 *
 * A resource is kept when its batch ended well: then it is what is stored, with that version. The
 * next batch of the key skips its load. If it changes the resource, the version check of its save
 * tells whether somebody else has saved meanwhile. If it changes nothing there is no save, so
 * nothing has shown that what it saw is stored: then it is replayed on what is (replay.h).
 */
#ifndef BATCH_CORE_CACHE_H
#define BATCH_CORE_CACHE_H

#include "state.h"

bool batch__may_keep(const struct batch__core *core, const struct batch__batch *batch);
void batch__keep(struct batch__core *core, struct batch__batch *batch);
void batch__keep_end(struct batch__core *core, struct batch__batch *batch);
/* Forget the least recently used until `kept_max` are left. */
void batch__keep_at_most(struct batch__core *core, uint64_t kept_max);

#endif
