/* load.c: a group of loads: one read transaction, so one snapshot and one locking of the file.
 *
 * Each call is finished as soon as its row is decoded; a bad row fails that key alone. Readers wait
 * for nobody in WAL mode, except while another process opens or closes the file; then until the
 * deadline. If the transaction cannot begin, all calls fail for the same reason.
 *
 * No row means a new resource, so that must be true: a row that another program has stored under
 * the same key as TEXT or as a number is an error. One look into the index, once in a group, shows
 * whether there are any rows of that kind (see table.c).
 */
#include "load.h"

#include "../check.h"
#include "error.h"

struct group {
    struct batch__sqlite_session *session;
    bool has_begun;
    bool may_have_strangers;              /* rows whose keys are not BLOBs */
    bool has_looked;                      /* for those */
    struct batch__sqlite_problem problem; /* code 0, or why it could not begin */
};

static int failed(batch_call *call, int code, const char *text)
{
    batch_call_set_error(call, code, text);
    return BATCH_LOAD_FAILED;
}

static int failed_by_sqlite(struct batch__sqlite_session *session, batch_call *call,
                            const char *what)
{
    batch__sqlite_set_error(session->db, call, what);
    return BATCH_LOAD_FAILED;
}

/* Decode the row that `select` stands on. */
static int decode_row(struct batch__sqlite_session *session, sqlite3_stmt *select, batch_call *call)
{
    uint64_t version = (uint64_t)sqlite3_column_int64(select, 0);
    if (sqlite3_column_type(select, 0) != SQLITE_INTEGER || version == 0)
        return failed(call, SQLITE_MISMATCH, "the stored version is not an integer other than 0");
    if (sqlite3_column_type(select, 1) != SQLITE_BLOB)
        return failed(call, SQLITE_MISMATCH, "the stored state is not a BLOB");
    const void *state = sqlite3_column_blob(select, 1);
    size_t state_size = (size_t)sqlite3_column_bytes(select, 1);
    if (state == NULL && sqlite3_errcode(session->db) == SQLITE_NOMEM)
        return failed_by_sqlite(session, call, "cannot read the row");
    batch_call_set_version(call, version);
    return batch_call_decode(call, state != NULL ? state : "", state_size);
}

/* Does a statement find a row? SQLITE_ROW, SQLITE_DONE, or an error code. */
static int find(sqlite3_stmt *statement)
{
    int found = sqlite3_step(statement);
    int code = sqlite3_reset(statement);
    return code != SQLITE_OK ? code : found;
}

static int find_stranger(struct batch__sqlite_session *session,
                         const struct batch__sqlite_item *item)
{
    sqlite3_stmt *statement = session->found.statements[BATCH__SQLITE_STRANGER];
    int code =
        sqlite3_bind_text64(statement, 1, item->key, item->key_size, SQLITE_STATIC, SQLITE_UTF8);
    if (code == SQLITE_OK)
        code = find(statement);
    sqlite3_clear_bindings(statement);
    return code;
}

static int decode_nothing(struct group *group, const struct batch__sqlite_item *item)
{
    struct batch__sqlite_session *session = group->session;
    int found = SQLITE_DONE;
    if (!group->has_looked) {
        found = find(session->found.statements[BATCH__SQLITE_STRANGE]);
        group->has_looked = found == SQLITE_ROW || found == SQLITE_DONE;
        group->may_have_strangers = found == SQLITE_ROW;
    }
    if (group->may_have_strangers)
        found = find_stranger(session, item);
    if (found == SQLITE_ROW)
        return failed(item->call, SQLITE_MISMATCH,
                      "this key is stored, but as TEXT or as a number, and must be a BLOB");
    if (found != SQLITE_DONE)
        return failed_by_sqlite(session, item->call, "cannot look for the row");
    batch_call_set_version(item->call, 0);
    return batch_call_decode(item->call, NULL, 0);
}

static int load_one(struct group *group, const struct batch__sqlite_item *item)
{
    struct batch__sqlite_session *session = group->session;
    sqlite3_stmt *select = session->found.statements[BATCH__SQLITE_SELECT];
    batch_call *call = item->call;
    batch__check(!item->is_resolved);
    batch__check(!sqlite3_stmt_busy(select));
    if (batch__sqlite_bind(select, 1, item->key, item->key_size) != SQLITE_OK)
        return failed_by_sqlite(session, call, "cannot bind the key");

    int status = BATCH_LOAD_FAILED;
    int code = sqlite3_step(select);
    if (code == SQLITE_ROW)
        status = decode_row(session, select, call);
    else if (code != SQLITE_DONE)
        status = failed_by_sqlite(session, call, "cannot read the row");
    sqlite3_reset(select);
    return code == SQLITE_DONE ? decode_nothing(group, item) : status;
}

/* Begin, at the first call that is to be loaded. */
static bool group_begin(struct group *group)
{
    if (!group->has_begun && group->problem.code == SQLITE_OK)
        group->has_begun =
            batch__sqlite_begin(group->session, BATCH__SQLITE_BEGIN_READ, &group->problem);
    return group->has_begun;
}

void batch__sqlite_load(struct batch__sqlite_session *session, batch_call *const *calls,
                        size_t calls_size)
{
    struct batch__sqlite_items *items = &session->items;
    if (!batch__sqlite_items_set(items, calls, calls_size, false)) {
        for (size_t i = 0; i < calls_size; i++)
            batch_call_finish(calls[i],
                              failed(calls[i], SQLITE_NOMEM, "no memory for a group of this size"));
        return;
    }
    struct group group = {.session = session};
    batch__sqlite_busy_until(session, batch__sqlite_items_latest(items));
    for (size_t i = 0; i < items->size; i++) {
        batch_call *call = items->list[i].call;
        int status = BATCH_LOAD_FAILED;
        if (batch_call_is_canceled(call))
            batch__sqlite_set_canceled(call);
        else if (!group_begin(&group))
            batch__sqlite_set_problem(call, &group.problem);
        else
            status = load_one(&group, &items->list[i]);
        if (call == session->busy_call)
            session->busy_call = NULL;
        batch_call_finish(call, status);
    }
    batch__check(session->busy_call == NULL); /* every call is finished */
    if (group.has_begun && batch__sqlite_run(session, BATCH__SQLITE_COMMIT) != SQLITE_OK)
        batch__sqlite_roll_back(session);
}
