/* postgres.h: what these programs do with PostgreSQL themselves, through libpq.
 *
 * `reterr` has BATCH_MESSAGE_SIZE bytes for the reason of a failure: a line without a password. */
#ifndef POSTGRES_H
#define POSTGRES_H

#include <stdbool.h>

#include "table/store_options.h"

struct pg_conn;

/* A connection to a server that takes writes. NULL: *reterr. */
struct pg_conn *postgres_connect(const struct store_options *options, char *reterr);
void postgres_disconnect(struct pg_conn *connection);

/* The first line of the connection's last error. */
void postgres_message(struct pg_conn *connection, char *reterr);

/* Create the table if it is missing, as a person would: key and state text, a bigint for the
 * version. *ret_names_are_text: is its key text, which holds only UTF-8 without NUL? Blocks. */
bool postgres_create_table(const struct store_options *options, bool *ret_names_are_text,
                           char *reterr);

#endif
