/* load.h: load a group, as `load` of struct batch_store. */
#ifndef BATCH_SQLITE_LOAD_H
#define BATCH_SQLITE_LOAD_H

#include "session.h"

/* calls_size > 0; finishes every call. */
void batch__sqlite_load(struct batch__sqlite_session *session, batch_call *const *calls,
                        size_t calls_size);

#endif
