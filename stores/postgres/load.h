/* load.h: a group of loads: one SELECT that looks up every key.
 *
 * Rows come one by one, and each is decoded as it comes: so a group takes no more memory than its
 * resources do, however large the states are. An error in one row fails that key alone. A
 * row that has come is good, however the statement ends, since the save checks its version; keys
 * without a row are known only at the end.
 */
#ifndef BATCH_POSTGRES_LOAD_H
#define BATCH_POSTGRES_LOAD_H

#include "connection.h"
#include "group.h"

/* Every call is finished, as in struct batch_store. */
void batch__postgres_load(struct batch__postgres_connection *connection,
                          struct batch__postgres_group_memory *memory, batch_call *const *calls,
                          size_t calls_size);

#endif
