/* unit.c: see unit.h. */
#include "unit.h"

#include "../check.h"

bool batch__sqlite_has_violations(struct batch__sqlite_session *session)
{
    int count = 0, highest = 0;
    sqlite3_db_status(session->db, SQLITE_DBSTATUS_DEFERRED_FKS, &count, &highest, 0);
    return count != 0;
}

/* In the order of the items. If a constraint is violated in the end, the culprit is the one after
 * which it was. */
static enum batch__sqlite_outcome write_rows(struct batch__sqlite_session *session,
                                             struct batch__sqlite_item *unit,
                                             struct batch__sqlite_item **ret_culprit,
                                             struct batch__sqlite_problem *ret_problem)
{
    bool was_violated = batch__sqlite_has_violations(session);
    for (struct batch__sqlite_item *item = unit; item < unit + unit->unit_size; item++) {
        enum batch__sqlite_outcome outcome =
            item->is_check ? batch__sqlite_row_check(session, item, ret_problem)
                           : batch__sqlite_row_write(session, item, ret_problem);
        bool is_violated = batch__sqlite_has_violations(session);
        if (outcome != BATCH__SQLITE_WRITTEN || (is_violated && !was_violated))
            *ret_culprit = item;
        if (outcome != BATCH__SQLITE_WRITTEN)
            return outcome;
        was_violated = is_violated;
    }
    if (!was_violated)
        return BATCH__SQLITE_WRITTEN;
    batch__sqlite_problem_set(ret_problem, SQLITE_CONSTRAINT_FOREIGNKEY,
                              "cannot write the row: FOREIGN KEY constraint failed");
    return BATCH__SQLITE_REFUSED;
}

static enum batch__sqlite_outcome broken(struct batch__sqlite_session *session,
                                         struct batch__sqlite_problem *ret_problem)
{
    batch__sqlite_problem_set_last(ret_problem, session->db, "cannot write the row");
    return BATCH__SQLITE_BROKEN;
}

enum batch__sqlite_outcome batch__sqlite_unit_write(struct batch__sqlite_session *session,
                                                    struct batch__sqlite_item *unit,
                                                    struct batch__sqlite_item **ret_culprit,
                                                    struct batch__sqlite_problem *ret_problem)
{
    batch__check(unit->unit_size > 0);
    *ret_culprit = unit;
    if (batch__sqlite_run(session, BATCH__SQLITE_SAVEPOINT) != SQLITE_OK)
        return broken(session, ret_problem);
    enum batch__sqlite_outcome outcome = write_rows(session, unit, ret_culprit, ret_problem);
    if (sqlite3_get_autocommit(session->db))
        return outcome;
    bool is_written = outcome == BATCH__SQLITE_WRITTEN;
    if ((!is_written && batch__sqlite_run(session, BATCH__SQLITE_UNDO) != SQLITE_OK) ||
        batch__sqlite_run(session, BATCH__SQLITE_RELEASE) != SQLITE_OK)
        return broken(session, ret_problem);
    return outcome;
}

enum batch__sqlite_outcome batch__sqlite_unit_write_first(struct batch__sqlite_session *session,
                                                          struct batch__sqlite_item *unit,
                                                          struct batch__sqlite_item **ret_culprit,
                                                          struct batch__sqlite_problem *ret_problem)
{
    *ret_culprit = unit;
    return write_rows(session, unit, ret_culprit, ret_problem);
}

enum batch__sqlite_outcome batch__sqlite_unit_verify(struct batch__sqlite_session *session,
                                                     struct batch__sqlite_item *unit,
                                                     struct batch__sqlite_item **ret_culprit,
                                                     struct batch__sqlite_problem *ret_problem)
{
    for (struct batch__sqlite_item *item = unit; item < unit + unit->unit_size; item++) {
        enum batch__sqlite_outcome outcome =
            item->is_check ? BATCH__SQLITE_WRITTEN
                           : batch__sqlite_row_verify(session, item, ret_problem);
        *ret_culprit = item;
        if (outcome != BATCH__SQLITE_WRITTEN)
            return outcome;
    }
    return BATCH__SQLITE_WRITTEN;
}
