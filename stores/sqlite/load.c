/* load.c: a group of loads: one read transaction, so one snapshot and one locking of the file.
 *
 * Each call is finished as soon as its row is decoded; a bad row fails that key alone. Readers wait
 * for nobody in WAL mode, except while another process opens or closes the file; then until the
 * deadline.
 */
#include "load.h"

#include "../check.h"
#include "error.h"

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

static int load_one(struct batch__sqlite_session *session, const struct batch__sqlite_item *item)
{
    sqlite3_stmt *select = session->statements[BATCH__SQLITE_SELECT];
    batch_call *call = item->call;
    batch__check(!item->is_resolved);
    batch__check(!sqlite3_stmt_busy(select));
    if (batch__sqlite_bind(select, 1, item->key, item->key_size) != SQLITE_OK)
        return failed_by_sqlite(session, call, "cannot bind the key");

    int status = BATCH_LOAD_FAILED;
    int code = sqlite3_step(select);
    if (code == SQLITE_ROW) {
        status = decode_row(session, select, call);
    } else if (code == SQLITE_DONE) {
        batch_call_set_version(call, 0);
        status = batch_call_decode(call, NULL, 0);
    } else {
        status = failed_by_sqlite(session, call, "cannot read the row");
    }
    sqlite3_reset(select);
    return status;
}

void batch__sqlite_load(struct batch__sqlite_session *session, batch_call *const *calls,
                        size_t calls_size)
{
    struct batch__sqlite_items *items = &session->items;
    if (!batch__sqlite_items_set(items, calls, calls_size)) {
        for (size_t i = 0; i < calls_size; i++)
            batch_call_finish(calls[i],
                              failed(calls[i], SQLITE_NOMEM, "no memory for a group of this size"));
        return;
    }
    bool is_begun = false;
    batch__sqlite_busy_until(session, batch__sqlite_items_latest(items));
    for (size_t i = 0; i < items->size; i++) {
        batch_call *call = items->list[i].call;
        int status = BATCH_LOAD_FAILED;
        if (batch_call_is_canceled(call)) {
            batch__sqlite_set_canceled(call);
        } else {
            /* If it cannot begin, each select is a transaction of its own and reports why. */
            if (!is_begun)
                is_begun = batch__sqlite_run(session, BATCH__SQLITE_BEGIN_READ) == SQLITE_OK;
            status = load_one(session, &items->list[i]);
        }
        if (call == session->busy_call)
            session->busy_call = NULL;
        batch_call_finish(call, status);
    }
    batch__check(session->busy_call == NULL); /* every call is finished */
    if (is_begun && batch__sqlite_run(session, BATCH__SQLITE_COMMIT) != SQLITE_OK)
        batch__sqlite_run(session, BATCH__SQLITE_ROLLBACK);
}
