/* store_open.h: open the store of libbatch that the command line asks for. */
#ifndef STORE_OPEN_H
#define STORE_OPEN_H

#include <batch/store.h>

#include <stdbool.h>

#include "store_options.h"

/* Blocks on the disk or the network. BATCH_OK, *ret_store, and whether its keys must be UTF-8 text
 * without NUL; or a status and *reterr, with a message that holds no password. */
int store_open(batch_store **ret_store, bool *ret_names_are_text,
               const struct store_options *options, batch_result *reterr);

/* For PostgreSQL: makes the table first, if it is missing. */
int store_open_postgres(batch_store **ret_store, bool *ret_names_are_text,
                        const struct store_options *options, batch_result *reterr);

#endif
