/* unit.h: what is saved all together or not at all: the rows of a unit, or one that is alone.
 *
 * A unit is given by the first of its items.
 */
#ifndef BATCH_SQLITE_UNIT_H
#define BATCH_SQLITE_UNIT_H

#include "row.h"

/* Write all rows of a unit, and compare those that are only checked, in a savepoint: unless the
 * outcome is WRITTEN, and no constraint is violated, all of it is undone, and *ret_culprit is the
 * item because of which. If the transaction is gone, so is the savepoint. */
enum batch__sqlite_outcome batch__sqlite_unit_write(struct batch__sqlite_session *session,
                                                    struct batch__sqlite_item *unit,
                                                    struct batch__sqlite_item **ret_culprit,
                                                    struct batch__sqlite_problem *ret_problem);

/* The same without a savepoint, which costs a copy of each page that is changed: unless the outcome
 * is WRITTEN, the transaction is to be rolled back. */
enum batch__sqlite_outcome batch__sqlite_unit_write_first(
    struct batch__sqlite_session *session, struct batch__sqlite_item *unit,
    struct batch__sqlite_item **ret_culprit, struct batch__sqlite_problem *ret_problem);

/* Read back what was written, as batch__sqlite_row_verify. */
enum batch__sqlite_outcome batch__sqlite_unit_verify(struct batch__sqlite_session *session,
                                                     struct batch__sqlite_item *unit,
                                                     struct batch__sqlite_item **ret_culprit,
                                                     struct batch__sqlite_problem *ret_problem);

/* Is a constraint violated that is checked at COMMIT? */
bool batch__sqlite_has_violations(struct batch__sqlite_session *session);

#endif
