/* refused.h: memory that is refused to a store. The linker puts malloc, calloc, realloc, strdup and
 * strndup of refused.c between the program and the system (--wrap); libraries that are linked as
 * shared ones have memory all the time. */
#ifndef BATCH_TEST_STORE_REFUSED_H
#define BATCH_TEST_STORE_REFUSED_H

#include <batch/batch.h>

/* Of the requests from here on, of any thread, refuse this one, from 1; 0: none. The return value:
 * the one before was reached. */
bool refuse(int number);

/* For a processor that is refused nothing. */
batch_allocator refused_not(void);

#endif
