/* stored.h: read all trains of the table, without libbatch: for train-audit. */
#ifndef STORED_H
#define STORED_H

#include <stdbool.h>
#include <stddef.h>

#include "table/store_options.h"

/* One row: the train's name and its JSON, valid during the call. */
typedef void (*stored_fn)(const void *name, size_t name_size, const void *json, size_t json_size,
                          void *arg);

/* Call `each` for every train, as of one moment. False: `reterr`, of BATCH_MESSAGE_SIZE bytes, says
 * why that cannot be done; it holds no password. */
bool stored_read_sqlite(const struct store_options *options, stored_fn each, void *arg,
                        char *reterr);
bool stored_read_postgres(const struct store_options *options, stored_fn each, void *arg,
                          char *reterr);

#endif
