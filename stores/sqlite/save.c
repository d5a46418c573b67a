/* save.c: a group of saves: one write transaction, one commit.
 *
 * States are encoded first, without any lock. Then, as the only writer of the store, a pass writes
 * every key of the group that is still pending, and commits. What resolves a key before that:
 *
 *   - its row has another version, or is gone, or is there when it should be new: CONFLICT. A row
 *     that was deleted meanwhile is never created again.
 *   - its statement fails (a constraint, a trigger, a state too long): SAVE_FAILED. The pass is
 *     rolled back and repeated without it: whatever the statement left behind (RAISE(FAIL) and
 *     RAISE(IGNORE) keep what triggers wrote, RAISE(ROLLBACK) drops the whole transaction) is gone,
 *     and no other key notices.
 *   - its deadline passes before the transaction has begun: SAVE_FAILED.
 *
 * If the transaction as a whole fails, nothing is stored: SAVE_FAILED for all. Only a failure of
 * COMMIT itself leaves the outcome open: the pages of the commit may already be in the log and come
 * back after a crash, whether it was the disk or the memory that failed. So it is UNKNOWN, except
 * when SQLite reports that COMMIT did not begin its work (BUSY, a constraint).
 *
 * Versions: a new row begins at a random version of 52 bits, and each save adds 1. So a version is
 * in effect never reused, not even to a key that was deleted and created again. Who else
 * writes to the table must add 1 too.
 */
#include "save.h"

#include "../check.h"
#include "error.h"

enum { VERSION_FIRST_BITS = 52 };

struct group {
    struct batch__sqlite_session *session;
    struct batch__sqlite_items *items;
    size_t pending; /* items that are not resolved */
};

/* ---- Resolving ------------------------------------------------------------------------------ */

static void resolve(struct group *group, struct batch__sqlite_item *item, int status)
{
    batch__check(!item->is_resolved);
    batch__check(group->pending > 0);
    batch__check(status != BATCH_OK || item->version_new != 0);
    item->status = status;
    item->is_resolved = true;
    group->pending--;
}

static void resolve_pending(struct group *group, int status, int store_code, const char *text)
{
    for (size_t i = 0; i < group->items->size; i++) {
        struct batch__sqlite_item *item = &group->items->list[i];
        if (item->is_resolved)
            continue;
        if (status != BATCH_OK)
            batch_call_set_error(item->call, store_code, text);
        resolve(group, item, status);
    }
}

/* By SQLite's last error. */
static void resolve_pending_failed(struct group *group, int status, const char *what)
{
    char text[BATCH__SQLITE_TEXT_SIZE];
    batch__sqlite_describe(group->session->db, what, text, sizeof text);
    resolve_pending(group, status, sqlite3_extended_errcode(group->session->db), text);
}

static void resolve_canceled(struct group *group)
{
    for (size_t i = 0; i < group->items->size; i++) {
        struct batch__sqlite_item *item = &group->items->list[i];
        if (item->is_resolved || !batch_call_is_canceled(item->call))
            continue;
        batch__sqlite_set_canceled(item->call);
        resolve(group, item, BATCH_SAVE_FAILED);
    }
}

/* ---- Preparing ------------------------------------------------------------------------------ */

static uint64_t version_after(uint64_t version)
{
    if (version == 0) {
        sqlite3_randomness((int)sizeof version, &version);
        version >>= 64 - VERSION_FIRST_BITS;
    }
    return version + 1 != 0 ? version + 1 : 1;
}

/* Encode the items that are not canceled. */
static void group_prepare(struct group *group)
{
    resolve_canceled(group);
    for (size_t i = 0; i < group->items->size; i++) {
        struct batch__sqlite_item *item = &group->items->list[i];
        if (item->is_resolved)
            continue;
        if (batch_call_encode(item->call, &item->state, &item->state_size) != BATCH_OK)
            resolve(group, item, BATCH_SAVE_FAILED); /* its error is set */
        else
            item->version_new = version_after(batch_call_version(item->call));
    }
}

/* ---- One key -------------------------------------------------------------------------------- */

enum outcome {
    WRITTEN,
    CONFLICT, /* nothing was written, because of what is stored */
    SKIPPED,  /* nothing was written, though it could have been */
    REFUSED,  /* the statement failed, for this row */
    BROKEN    /* it failed for a reason that others will meet too */
};

static enum outcome outcome_of_error(int code)
{
    switch (code & 0xff) {
    case SQLITE_ERROR:
    case SQLITE_TOOBIG:
    case SQLITE_CONSTRAINT:
    case SQLITE_MISMATCH:
    case SQLITE_AUTH:
        return REFUSED;
    default:
        return BROKEN;
    }
}

/* No row was written: read what is stored. */
static enum outcome outcome_of_nothing(struct batch__sqlite_session *session,
                                       const struct batch__sqlite_item *item, uint64_t version)
{
    sqlite3_stmt *select = session->statements[BATCH__SQLITE_SELECT];
    int code = batch__sqlite_bind(select, 1, item->key, item->key_size);
    if (code == SQLITE_OK)
        code = sqlite3_step(select);
    uint64_t stored = code == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(select, 0) : 0;
    sqlite3_reset(select);
    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return BROKEN;
    bool is_as_loaded = code == SQLITE_ROW ? version != 0 && stored == version : version == 0;
    return is_as_loaded ? SKIPPED : CONFLICT;
}

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

static enum outcome item_write(struct batch__sqlite_session *session,
                               const struct batch__sqlite_item *item)
{
    uint64_t version = batch_call_version(item->call);
    batch__check(item->version_new != 0 && item->version_new != version);
    sqlite3_stmt *statement =
        session->statements[version == 0 ? BATCH__SQLITE_INSERT : BATCH__SQLITE_UPDATE];
    int code = version == 0 ? bind_insert(statement, item) : bind_update(statement, item);
    if (code != SQLITE_OK)
        return outcome_of_error(code);
    sqlite3_step(statement);
    code = sqlite3_reset(statement);
    if (code != SQLITE_OK)
        return outcome_of_error(code);
    if (sqlite3_changes(session->db) > 0)
        return WRITTEN;
    return outcome_of_nothing(session, item, version);
}

/* ---- The transaction ------------------------------------------------------------------------ */

/* Write every pending item. True: what is written may be committed. False: roll it back; the items
 * that are still pending may be written again. */
static bool group_write(struct group *group)
{
    struct batch__sqlite_session *session = group->session;
    bool is_clean = true;
    for (size_t i = 0; i < group->items->size; i++) {
        struct batch__sqlite_item *item = &group->items->list[i];
        if (item->is_resolved)
            continue;
        switch (item_write(session, item)) {
        case WRITTEN:
            break;
        case CONFLICT:
            if (!is_clean)
                break; /* perhaps only because of what will be rolled back: the next pass tells */
            batch_call_set_error(item->call, 0, "another version is stored");
            resolve(group, item, BATCH_CONFLICT);
            /* BEFORE INSERT triggers have run all the same. */
            is_clean = batch_call_version(item->call) != 0;
            break;
        case SKIPPED:
            if (!is_clean)
                break;
            batch_call_set_error(item->call, SQLITE_CONSTRAINT, "a trigger left the row as it was");
            resolve(group, item, BATCH_SAVE_FAILED);
            is_clean = false;
            break;
        case REFUSED:
            batch__sqlite_set_error(session->db, item->call, "cannot write the row");
            resolve(group, item, BATCH_SAVE_FAILED);
            is_clean = false;
            break;
        case BROKEN:
            resolve_pending_failed(group, BATCH_SAVE_FAILED, "cannot write the row");
            return false;
        }
        if (sqlite3_get_autocommit(session->db))
            return false; /* the statement rolled the transaction back */
    }
    return is_clean;
}

static void group_commit(struct group *group)
{
    struct batch__sqlite_session *session = group->session;
    int code;
    batch__check(!sqlite3_get_autocommit(session->db));
    do {
        code = batch__sqlite_run(session, BATCH__SQLITE_COMMIT);
    } while ((code & 0xff) == SQLITE_BUSY && batch__sqlite_busy_wait(session));
    if (code == SQLITE_OK)
        resolve_pending(group, BATCH_OK, 0, NULL);
    else if ((code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_CONSTRAINT)
        resolve_pending_failed(group, BATCH_SAVE_FAILED, "cannot commit");
    else
        resolve_pending_failed(group, BATCH_UNKNOWN, "COMMIT failed");
}

/* Resolve all that is pending, in as many transactions as it takes. */
static void group_store(struct group *group)
{
    struct batch__sqlite_session *session = group->session;
    while (group->pending > 0) {
        if (batch__sqlite_run(session, BATCH__SQLITE_BEGIN_WRITE) != SQLITE_OK) {
            resolve_pending_failed(group, BATCH_SAVE_FAILED, "cannot begin to write");
            return;
        }
        size_t before = group->pending;
        resolve_canceled(group);
        if (group_write(group) && group->pending > 0)
            group_commit(group);
        if (!sqlite3_get_autocommit(session->db))
            batch__sqlite_run(session, BATCH__SQLITE_ROLLBACK);
        batch__check(group->pending < before); /* so it ends */
    }
}

static void group_finish(struct group *group)
{
    batch__check(group->pending == 0);
    group->session->busy_call = NULL;
    for (size_t i = 0; i < group->items->size; i++) {
        const struct batch__sqlite_item *item = &group->items->list[i];
        batch__check(item->is_resolved);
        if (item->status == BATCH_OK)
            batch_call_set_version(item->call, item->version_new);
        batch_call_finish(item->call, item->status);
    }
}

void batch__sqlite_save(struct batch__sqlite_session *session,
                        struct batch__sqlite_writer_queue *writers, batch_call *const *calls,
                        size_t calls_size)
{
    if (!batch__sqlite_items_set(&session->items, calls, calls_size)) {
        for (size_t i = 0; i < calls_size; i++) {
            batch_call_set_error(calls[i], SQLITE_NOMEM, "no memory for a group of this size");
            batch_call_finish(calls[i], BATCH_SAVE_FAILED);
        }
        return;
    }
    struct group group = {session, &session->items, calls_size};
    group_prepare(&group);
    const batch_call *latest = batch__sqlite_items_latest(group.items);
    if (latest != NULL) {
        struct batch__sqlite_writer writer;
        batch__sqlite_busy_until(session, latest);
        if (batch__sqlite_writer_queue_acquire(writers, &writer, latest)) {
            group_store(&group);
            batch__sqlite_writer_queue_release(writers, &writer);
        }
        resolve_pending(&group, BATCH_SAVE_FAILED, 0,
                        "the deadline of the batch passed while others were writing");
    }
    group_finish(&group);
}
