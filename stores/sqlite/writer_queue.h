/* writer_queue.h: one writer at a time among the sessions of a store, first come, first served. */
#ifndef BATCH_SQLITE_WRITER_QUEUE_H
#define BATCH_SQLITE_WRITER_QUEUE_H

#include <batch/store.h>

#include <pthread.h>

/* A place in the queue; the first one writes. */
struct batch__sqlite_writer {
    struct batch__sqlite_writer *next;
};

struct batch__sqlite_writer_queue {
    pthread_mutex_t lock; /* guards the queue */
    pthread_cond_t changed;
    struct batch__sqlite_writer *first; /* NULL: nobody writes or waits */
};

bool batch__sqlite_writer_queue_init(struct batch__sqlite_writer_queue *queue);
void batch__sqlite_writer_queue_destroy(struct batch__sqlite_writer_queue *queue);

/* Wait, until `call` is canceled, to be the one that writes. True: `writer` is, and must stay where
 * it is until released. False: it is not in the queue. */
bool batch__sqlite_writer_queue_acquire(struct batch__sqlite_writer_queue *queue,
                                        struct batch__sqlite_writer *writer,
                                        const batch_call *call);
void batch__sqlite_writer_queue_release(struct batch__sqlite_writer_queue *queue,
                                        const struct batch__sqlite_writer *writer);

#endif
