/* culprit.h: which key of a unit is to blame, when the unit fails by itself. The server's error
 * does not say so. Its rows are tried without the others, in transactions that are rolled back,
 * each with half of those that are left. Triggers run for them as for any save that fails.
 *
 * Threads: those of one session.
 */
#ifndef BATCH_POSTGRES_CULPRIT_H
#define BATCH_POSTGRES_CULPRIT_H

#include "connection.h"
#include "item.h"
#include "values.h"

/* Of the items of one unit, in the order in which they are sent. NULL: none, or it cannot be found
 * out. */
struct batch__postgres_item *batch__postgres_culprit(struct batch__postgres_connection *connection,
                                                     struct batch__postgres_buffer *buffer,
                                                     struct batch__postgres_item *const *items,
                                                     size_t items_size,
                                                     const struct batch__postgres_limit *limit);

#endif
