/* window.h: the window of a batch: when it begins, and until when operations may join it.
 *
 * With config.window_ns a batch that is loading or open is in core->due until its window ends. With
 * BATCH_WINDOW_NONE it is there while it is open, until the store is free to take it: first those
 * that changed nothing, which need no save, then the others in the order in which they changed.
 */
#ifndef BATCH_CORE_WINDOW_H
#define BATCH_CORE_WINDOW_H

#include "state.h"

bool batch__has_window(const struct batch__core *core);

/* A new batch of a key, to be loaded. */
void batch__begin(struct batch__core *core, struct batch__batch *batch);
/* The same with the resource of the batch before: no load. */
void batch__begin_cached(struct batch__core *core, struct batch__batch *batch);

/* There is a resource: all operations that wait join, and so do later ones. */
void batch__window_open(struct batch__core *core, struct batch__batch *batch);
/* The first operation left before it ran, so the window begins with the next one. */
void batch__window_restart(struct batch__core *core, struct batch__batch *batch);
/* The first operation that changed something has run. */
void batch__window_changed(struct batch__core *core, struct batch__batch *batch);
void batch__window_end(struct batch__core *core, struct batch__batch *batch);

#endif
