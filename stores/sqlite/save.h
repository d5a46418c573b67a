/* save.h: save a group, as `save` of struct batch_store. */
#ifndef BATCH_SQLITE_SAVE_H
#define BATCH_SQLITE_SAVE_H

#include "session.h"
#include "writer_queue.h"

/* calls_size > 0; finishes every call. `writers`: the queue of all sessions of the store. */
void batch__sqlite_save(struct batch__sqlite_session *session,
                        struct batch__sqlite_writer_queue *writers, batch_call *const *calls,
                        size_t calls_size);

#endif
