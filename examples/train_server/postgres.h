/* postgres.h: what train-server and train-audit ask of PostgreSQL themselves, through libpq.
 *
 * `reterr` are BATCH_MESSAGE_SIZE bytes for the reason of a failure: a line without a password. */
#ifndef POSTGRES_H
#define POSTGRES_H

#include <stdbool.h>

#include "store_options.h"

struct pg_conn;

/* A connection to a server that takes writes. NULL: *reterr. */
struct pg_conn *postgres_connect(const struct store_options *options, char *reterr);
void postgres_disconnect(struct pg_conn *connection);

/* What the connection complained of last, its first line. */
void postgres_message(struct pg_conn *connection, char *reterr);

/* Make the table if it is missing, as a person would: key and state text, a bigint for the version.
 * Whoever made it, *ret_names_are_text says whether its keys are text. */
bool postgres_make_table(struct pg_conn *connection, const struct store_options *options,
                         bool *ret_names_are_text, char *reterr);

#endif
