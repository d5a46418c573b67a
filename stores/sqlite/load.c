/* load.c: a group of loads: one read transaction, so one snapshot and one locking of the file.
 *
 * Each call is finished as soon as its row is decoded; what is wrong with one row fails that key
 * alone. Readers wait for nobody in WAL mode, except while another process opens or closes the
 * file; then until the deadline.
 */
#include "internal.h"

static int failed(batch_call *call, int code, const char *text)
{
    batch_call_set_error(call, code, text);
    return BATCH_LOAD_FAILED;
}

static int failed_by_sqlite(struct batch__sqlite_session *session, batch_call *call,
                            const char *what)
{
    char text[BATCH__SQLITE_TEXT_SIZE];
    batch__sqlite_describe(session, what, text, sizeof text);
    return failed(call, sqlite3_extended_errcode(session->db), text);
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

/* The call that may wait longest; calls_size is not 0. */
static const batch_call *latest_of(batch_call *const *calls, size_t calls_size)
{
    const batch_call *latest = calls[0];
    for (size_t i = 1; i < calls_size; i++) {
        if (batch_call_deadline_ns(calls[i]) > batch_call_deadline_ns(latest))
            latest = calls[i];
    }
    return latest;
}

void batch__sqlite_load(batch_store *store, void *opened, batch_call *const *calls,
                        size_t calls_size)
{
    (void)store;
    struct batch__sqlite_session *session = opened;
    const struct batch__sqlite_item *items = batch__sqlite_items(session, calls, calls_size);
    if (items == NULL) {
        for (size_t i = 0; i < calls_size; i++)
            batch_call_finish(calls[i],
                              failed(calls[i], SQLITE_NOMEM, "no memory for a group of this size"));
        return;
    }
    bool is_begun = false;
    batch__sqlite_wait_for(session, latest_of(calls, calls_size));
    for (size_t i = 0; i < calls_size; i++) {
        batch_call *call = items[i].call;
        int status = BATCH_LOAD_FAILED;
        if (batch_call_is_canceled(call)) {
            batch__sqlite_set_late(call);
        } else {
            /* If it cannot begin, each select is a transaction of its own and tells why. */
            if (!is_begun)
                is_begun = batch__sqlite_run(session, BATCH__SQLITE_BEGIN_READ) == SQLITE_OK;
            status = load_one(session, &items[i]);
        }
        if (call == session->busy_call)
            session->busy_call = NULL;
        batch_call_finish(call, status);
    }
    if (is_begun && batch__sqlite_run(session, BATCH__SQLITE_COMMIT) != SQLITE_OK)
        batch__sqlite_run(session, BATCH__SQLITE_ROLLBACK);
}
