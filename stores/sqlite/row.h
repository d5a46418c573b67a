/* row.h: one row of a group that is saved: written, and read back if the outcome depends on it. */
#ifndef BATCH_SQLITE_ROW_H
#define BATCH_SQLITE_ROW_H

#include "session.h"

/* What came of a row, and for whom. */
enum batch__sqlite_outcome {
    BATCH__SQLITE_WRITTEN,  /* or nothing was to be written */
    BATCH__SQLITE_CONFLICT, /* nothing was written, because of what is stored */
    BATCH__SQLITE_REFUSED,  /* nothing may be stored for this row; others are not concerned */
    BATCH__SQLITE_DOUBTFUL, /* it failed for a reason that others may or may not meet too */
    BATCH__SQLITE_BROKEN    /* it failed for a reason that all others meet too */
};

/* Write a row, within a transaction. Unless it was written, *ret_problem says why. */
enum batch__sqlite_outcome batch__sqlite_row_write(struct batch__sqlite_session *session,
                                                   const struct batch__sqlite_item *item,
                                                   struct batch__sqlite_problem *ret_problem);

/* Compare the version of a row that is not written: WRITTEN if it is the one that was loaded. */
enum batch__sqlite_outcome batch__sqlite_row_check(struct batch__sqlite_session *session,
                                                   const struct batch__sqlite_item *item,
                                                   struct batch__sqlite_problem *ret_problem);

/* Read a written row back, where triggers may have altered it. WRITTEN: it is as it was sent, but
 * that item->version_new is now the stored version. */
enum batch__sqlite_outcome batch__sqlite_row_verify(struct batch__sqlite_session *session,
                                                    struct batch__sqlite_item *item,
                                                    struct batch__sqlite_problem *ret_problem);

#endif
