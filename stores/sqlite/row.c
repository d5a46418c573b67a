/* row.c: one row of a group that is saved.
 *
 * What an error means. The number says what went wrong; whom it concerns follows from where it was
 * raised. The table itself was looked at when the transaction began (session.c), so what a
 * statement still meets comes from the row, from what the row set off, or from the file:
 *
 *   code                                       class     who fails
 *   ERROR, CONSTRAINT, MISMATCH, TOOBIG, AUTH  REFUSED   this row: a constraint, RAISE(), a
 *                                                        function of a trigger, a value too long
 *   NOMEM, FULL, IOERR, CORRUPT                DOUBTFUL  perhaps this row (it is large, its page
 *                                                        is damaged), perhaps all: save.c finds out
 *   any other                                  BROKEN    all
 */
#include "row.h"

#include "../check.h"

#include <string.h>

static enum batch__sqlite_outcome outcome_of_error(int code)
{
    switch (code & 0xff) {
    case SQLITE_ERROR:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_TOOBIG:
    case SQLITE_AUTH:
        return BATCH__SQLITE_REFUSED;
    case SQLITE_NOMEM:
    case SQLITE_FULL:
    case SQLITE_IOERR:
    case SQLITE_CORRUPT:
        return BATCH__SQLITE_DOUBTFUL;
    default:
        return BATCH__SQLITE_BROKEN;
    }
}

static enum batch__sqlite_outcome failed(struct batch__sqlite_session *session,
                                         struct batch__sqlite_problem *ret_problem)
{
    batch__sqlite_problem_set_last(ret_problem, session->db, "cannot write the row");
    return outcome_of_error(ret_problem->code);
}

static enum batch__sqlite_outcome refused(struct batch__sqlite_problem *ret_problem, int code,
                                          const char *text)
{
    batch__sqlite_problem_set(ret_problem, code, text);
    return BATCH__SQLITE_REFUSED;
}

/* ---- Reading -------------------------------------------------------------------------------- */

/* The statement, standing on the row of a key; to be reset. *ret_code is SQLITE_ROW, SQLITE_DONE
 * or an error. */
static sqlite3_stmt *select_row(struct batch__sqlite_session *session,
                                const struct batch__sqlite_item *item, int *ret_code)
{
    sqlite3_stmt *select = session->found.statements[BATCH__SQLITE_SELECT];
    *ret_code = batch__sqlite_bind(select, 1, item->key, item->key_size);
    if (*ret_code == SQLITE_OK)
        *ret_code = sqlite3_step(select);
    return select;
}

/* The version that is stored, 0: none. *ret_code is SQLITE_ROW, SQLITE_DONE or an error. */
static uint64_t stored_version(struct batch__sqlite_session *session,
                               const struct batch__sqlite_item *item, int *ret_code)
{
    sqlite3_stmt *select = select_row(session, item, ret_code);
    uint64_t stored = *ret_code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(select, 0) : 0;
    sqlite3_reset(select);
    return stored;
}

/* Is what is stored what was loaded? */
static bool is_as_loaded(const struct batch__sqlite_item *item, uint64_t stored, int code)
{
    uint64_t version = batch_call_version(item->call);
    return code == SQLITE_ROW ? version != 0 && stored == version : version == 0;
}

/* SQLite has no code for it, and the call gets none. */
static enum batch__sqlite_outcome conflict(struct batch__sqlite_problem *ret_problem)
{
    batch__sqlite_problem_set(ret_problem, SQLITE_CONSTRAINT, "another version is stored");
    return BATCH__SQLITE_CONFLICT;
}

/* No row was written: read what is stored. */
static enum batch__sqlite_outcome outcome_of_nothing(struct batch__sqlite_session *session,
                                                     const struct batch__sqlite_item *item,
                                                     struct batch__sqlite_problem *ret_problem)
{
    int code;
    uint64_t stored = stored_version(session, item, &code);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return failed(session, ret_problem);
    if (is_as_loaded(item, stored, code))
        return refused(ret_problem, SQLITE_CONSTRAINT, "a trigger left the row as it was");
    return conflict(ret_problem);
}

enum batch__sqlite_outcome batch__sqlite_row_check(struct batch__sqlite_session *session,
                                                   const struct batch__sqlite_item *item,
                                                   struct batch__sqlite_problem *ret_problem)
{
    int code;
    uint64_t stored = stored_version(session, item, &code);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return failed(session, ret_problem);
    return is_as_loaded(item, stored, code) ? BATCH__SQLITE_WRITTEN : conflict(ret_problem);
}

static bool has_state(sqlite3_stmt *select, const struct batch__sqlite_item *item)
{
    if (sqlite3_column_type(select, 1) != SQLITE_BLOB)
        return false;
    const void *state = sqlite3_column_blob(select, 1);
    size_t size = (size_t)sqlite3_column_bytes(select, 1);
    return size == item->state_size && (size == 0 || memcmp(state, item->state, size) == 0);
}

enum batch__sqlite_outcome batch__sqlite_row_verify(struct batch__sqlite_session *session,
                                                    struct batch__sqlite_item *item,
                                                    struct batch__sqlite_problem *ret_problem)
{
    int code;
    sqlite3_stmt *select = select_row(session, item, &code);
    bool is_there = code == SQLITE_ROW;
    bool has_sent_state = is_there && has_state(select, item);
    uint64_t version = is_there ? (uint64_t)sqlite3_column_int64(select, 0) : 0;
    bool is_version = is_there && sqlite3_column_type(select, 0) == SQLITE_INTEGER;
    sqlite3_reset(select);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return failed(session, ret_problem);
    if (!is_there)
        return refused(ret_problem, SQLITE_CONSTRAINT_TRIGGER,
                       "a trigger deleted the row or changed its key");
    if (!has_sent_state)
        return refused(ret_problem, SQLITE_CONSTRAINT_TRIGGER, "a trigger changed the state");
    if (!is_version || version == 0 || version == batch_call_version(item->call))
        return refused(ret_problem, SQLITE_CONSTRAINT_TRIGGER,
                       "a trigger changed the version to 0, to the one before, or to no integer");
    item->version_new = version;
    return BATCH__SQLITE_WRITTEN;
}

/* ---- Writing -------------------------------------------------------------------------------- */

static int bind_insert(sqlite3_stmt *insert, const struct batch__sqlite_item *item)
{
    int code = batch__sqlite_bind(insert, 1, item->key, item->key_size);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(insert, 2, (sqlite3_int64)item->version_new);
    if (code == SQLITE_OK)
        code = batch__sqlite_bind(insert, 3, item->state, item->state_size);
    return code;
}

static int bind_update(sqlite3_stmt *update, const struct batch__sqlite_item *item)
{
    int code = bind_insert(update, item);
    if (code == SQLITE_OK)
        code = sqlite3_bind_int64(update, 4, (sqlite3_int64)batch_call_version(item->call));
    return code;
}

enum batch__sqlite_outcome batch__sqlite_row_write(struct batch__sqlite_session *session,
                                                   const struct batch__sqlite_item *item,
                                                   struct batch__sqlite_problem *ret_problem)
{
    uint64_t version = batch_call_version(item->call);
    batch__check(item->version_new != 0 && item->version_new != version);
    bool is_new = version == 0;
    const struct batch__sqlite_found *found = &session->found;
    sqlite3_stmt *statement =
        found->statements[is_new ? BATCH__SQLITE_INSERT : BATCH__SQLITE_UPDATE];
    batch__check(statement != NULL);
    int code = is_new ? bind_insert(statement, item) : bind_update(statement, item);
    if (code != SQLITE_OK)
        return failed(session, ret_problem);
    sqlite3_step(statement);
    code = sqlite3_reset(statement);
    if (code != SQLITE_OK)
        return failed(session, ret_problem);
    if (sqlite3_changes(session->db) > 0)
        return BATCH__SQLITE_WRITTEN;
    return outcome_of_nothing(session, item, ret_problem);
}
