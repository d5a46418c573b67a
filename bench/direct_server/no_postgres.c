/* no_postgres.c: in a build without PostgreSQL, in place of postgres.c. No session is ever opened:
 * the table is created first, and that fails. */
#include "database.h"

const struct engine engine_postgres = {0};
