/* refused.h: memory that is refused to a store. The linker puts malloc, calloc, realloc, strdup and
 * strndup of refused.c between the program and the system (--wrap); libraries that are linked as
 * shared ones have memory all the time. */
#ifndef BATCH_TEST_STORE_REFUSED_H
#define BATCH_TEST_STORE_REFUSED_H

#include <batch/store.h>

/* Of the requests from here on, of any thread, refuse this one, from 1; 0: none. The return value:
 * the one before was reached. */
bool refuse(int number);

/* Refuse every one from here on, or none. */
void refuse_all(bool refused);

/* An allocator that is refused nothing: for the processor. */
batch_allocator refused_nothing(void);

/* Each request for memory that the first batch of a session makes, refused in turn: a batch ends
 * with so and stores nothing, and the next one goes well. */
void refused_batches(batch_store *store);

#endif
