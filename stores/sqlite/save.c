/* save.c: a group of saves: write transactions, one if all goes well.
 *
 * States are encoded first, without any lock. Then, as the only writer of the store, a pass writes
 * every key of the group that is still pending, and commits. What resolves a key before that:
 *
 *   - its row has another version, or is gone, or is there when it should be new: CONFLICT. A row
 *     that was deleted meanwhile is never created again.
 *   - its row is refused (a constraint, a trigger, a state too long), or does not come back as it
 *     was sent: SAVE_FAILED.
 *   - its deadline passes before the transaction has begun: SAVE_FAILED.
 *
 * A pass that meets a refusal is rolled back, and all passes from then on have a savepoint around
 * each row. Whatever a refused statement leaves behind (RAISE(FAIL) and RAISE(IGNORE) keep what
 * triggers wrote) is undone with it, so no other row notices. RAISE(ROLLBACK) drops the whole
 * transaction; then the rows before are written once more, and committed before the others are
 * tried.
 *
 * A constraint that is deferred to COMMIT would fail the whole transaction there. SQLite knows
 * before that whether one is violated, though not by which row. With savepoints it is the row after
 * which it is; such rows are tried again in a few rounds, as one row may need another.
 *
 * What others may or may not meet too (see row.c) is found by bisection: the next pass has half of
 * the keys up to the one that failed. A key that fails as the first one is refused; when another
 * one does so with nothing committed in between, so is everything: two passes more, however many
 * keys there are.
 *
 * If the transaction as a whole fails, nothing is stored: SAVE_FAILED for all. Only a failure of
 * COMMIT itself leaves the outcome open: the pages of the commit may already be in the log and come
 * back after a crash, whether it was the disk or the memory that failed. So it is UNKNOWN, except
 * when SQLite reports that COMMIT did not begin its work (BUSY, a constraint). It is UNKNOWN too
 * when the files turn out afterwards not to be those that the next process will open.
 *
 * Versions: a new row begins at a random version of 52 bits, and each save adds 1. So a version is
 * in effect never reused, not even to a key that was deleted and created again. Who else
 * writes to the table must add 1 too.
 */
#include "save.h"

#include "../check.h"
#include "error.h"
#include "row.h"

enum {
    VERSION_FIRST_BITS = 52,
    ROUNDS_MAX = 8 /* over rows that wait for others, when constraints are deferred */
};

struct group {
    struct batch__sqlite_session *session;
    struct batch__sqlite_items *items;
    size_t pending;     /* items that are not resolved */
    size_t limit;       /* of them, to be written in the next pass */
    unsigned alone;     /* passes in a row that failed at their only item, or at their first */
    bool is_one_by_one; /* a savepoint around each row */
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

/* A problem of its own: nothing is stored for it. */
static void resolve_by(struct group *group, struct batch__sqlite_item *item, int status,
                       const struct batch__sqlite_problem *problem)
{
    if (status == BATCH_CONFLICT)
        batch_call_set_error(item->call, 0, problem->text);
    else
        batch__sqlite_set_problem(item->call, problem);
    resolve(group, item, status);
}

/* All that are pending, or only those that were written in this pass; `problem` unless it is OK. */
static void resolve_all(struct group *group, bool only_written, int status,
                        const struct batch__sqlite_problem *problem)
{
    for (size_t i = 0; i < group->items->size; i++) {
        struct batch__sqlite_item *item = &group->items->list[i];
        if (item->is_resolved || (only_written && !item->is_written))
            continue;
        if (status == BATCH_OK)
            resolve(group, item, status);
        else
            resolve_by(group, item, status, problem);
    }
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

static void resolve_late(struct group *group)
{
    for (size_t i = 0; i < group->items->size; i++) {
        struct batch__sqlite_item *item = &group->items->list[i];
        if (item->is_resolved)
            continue;
        batch_call_set_error(item->call, 0,
                             "the deadline of the batch passed while others were writing");
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

/* ---- A pass --------------------------------------------------------------------------------- */

/* The items of the pass come first among those that are pending, and before the returned end. */
static size_t pass_begin(struct group *group)
{
    if (group->limit > group->pending)
        group->limit = group->pending;
    size_t end = 0;
    size_t left = group->limit;
    for (size_t i = 0; i < group->items->size; i++) {
        struct batch__sqlite_item *item = &group->items->list[i];
        item->is_written = false;
        if (left == 0 || item->is_resolved)
            continue;
        left--;
        end = i + 1;
    }
    return end;
}

/* `item` failed, after others of the pass. The next pass has less to write. */
static void pass_narrow(struct group *group, struct batch__sqlite_item *item, size_t others,
                        const struct batch__sqlite_problem *problem)
{
    batch__check(others < group->limit);
    if (others > 0) {
        group->limit = (others + 1) / 2;
        return;
    }
    resolve_by(group, item, BATCH_SAVE_FAILED, problem);
    group->limit = group->pending;
    if (++group->alone > 1)
        resolve_all(group, false, BATCH_SAVE_FAILED, problem);
}

/* Write the items of the pass. True: what is written may be committed. False: roll it back; the
 * items that are still pending are to be written again. */
static bool pass_write(struct group *group, size_t end)
{
    struct batch__sqlite_session *session = group->session;
    struct batch__sqlite_problem problem;
    size_t written = 0;
    for (size_t i = 0; i < end; i++) {
        struct batch__sqlite_item *item = &group->items->list[i];
        if (item->is_resolved)
            continue;
        switch (batch__sqlite_row_write(session, item, &problem)) {
        case BATCH__SQLITE_WRITTEN:
            item->is_written = true;
            written++;
            break;
        case BATCH__SQLITE_CONFLICT:
            /* Triggers BEFORE INSERT have run all the same. */
            if (batch_call_version(item->call) == 0 && session->found.may_alter) {
                group->is_one_by_one = true;
                return false;
            }
            resolve_by(group, item, BATCH_CONFLICT, &problem);
            break;
        case BATCH__SQLITE_REFUSED:
            group->is_one_by_one = true;
            return false;
        case BATCH__SQLITE_DOUBTFUL:
            pass_narrow(group, item, written, &problem);
            return false;
        case BATCH__SQLITE_BROKEN:
            resolve_all(group, false, BATCH_SAVE_FAILED, &problem);
            return false;
        }
    }
    return true;
}

/* ---- A pass with savepoints ----------------------------------------------------------------- */

static bool has_violations(struct batch__sqlite_session *session)
{
    int count = 0, highest = 0;
    sqlite3_db_status(session->db, SQLITE_DBSTATUS_DEFERRED_FKS, &count, &highest, 0);
    return count != 0;
}

static enum batch__sqlite_outcome broken(struct batch__sqlite_session *session,
                                         struct batch__sqlite_problem *ret_problem)
{
    batch__sqlite_problem_set_last(ret_problem, session->db, "cannot write the row");
    return BATCH__SQLITE_BROKEN;
}

/* Write a row, and undo it unless it is WRITTEN, as it was sent, and violates nothing. */
static enum batch__sqlite_outcome write_one(struct batch__sqlite_session *session,
                                            struct batch__sqlite_item *item,
                                            struct batch__sqlite_problem *ret_problem)
{
    if (batch__sqlite_run(session, BATCH__SQLITE_SAVEPOINT) != SQLITE_OK)
        return broken(session, ret_problem);
    enum batch__sqlite_outcome outcome = batch__sqlite_row_write(session, item, ret_problem);
    if (sqlite3_get_autocommit(session->db))
        return outcome; /* the savepoint is gone too */
    if (outcome == BATCH__SQLITE_WRITTEN && has_violations(session)) {
        batch__sqlite_problem_set(ret_problem, SQLITE_CONSTRAINT_FOREIGNKEY,
                                  "cannot write the row: FOREIGN KEY constraint failed");
        outcome = BATCH__SQLITE_REFUSED;
    }
    item->is_written = outcome == BATCH__SQLITE_WRITTEN;
    if ((!item->is_written && batch__sqlite_run(session, BATCH__SQLITE_UNDO) != SQLITE_OK) ||
        batch__sqlite_run(session, BATCH__SQLITE_RELEASE) != SQLITE_OK)
        return broken(session, ret_problem);
    return outcome;
}

/* What is not WRITTEN. False: the pass is over. */
static bool pass_failed(struct group *group, struct batch__sqlite_item *item,
                        enum batch__sqlite_outcome outcome,
                        const struct batch__sqlite_problem *problem)
{
    switch (outcome) {
    case BATCH__SQLITE_CONFLICT:
        resolve_by(group, item, BATCH_CONFLICT, problem);
        return true;
    case BATCH__SQLITE_REFUSED:
        resolve_by(group, item, BATCH_SAVE_FAILED, problem);
        return true;
    case BATCH__SQLITE_DOUBTFUL:
        pass_narrow(group, item, 0, problem); /* alone in its savepoint */
        return false;
    default:
        resolve_all(group, false, BATCH_SAVE_FAILED, problem);
        return false;
    }
}

struct round {
    size_t end;
    size_t written; /* so far, in this round and before */
    size_t waiting; /* in this round */
    bool is_last;   /* nobody may wait any more */
    bool is_lost;   /* the transaction was dropped: this pass only looks for more refusals */
};

/* False: the pass is over. */
static bool round_write(struct group *group, struct round *round)
{
    struct batch__sqlite_problem problem;
    round->waiting = 0;
    for (size_t i = 0; i < round->end; i++) {
        struct batch__sqlite_item *item = &group->items->list[i];
        if (item->is_resolved || item->is_written)
            continue;
        enum batch__sqlite_outcome outcome = write_one(group->session, item, &problem);
        if (outcome == BATCH__SQLITE_WRITTEN)
            round->written++;
        else if (outcome == BATCH__SQLITE_REFUSED && !round->is_last &&
                 problem.code == SQLITE_CONSTRAINT_FOREIGNKEY)
            round->waiting++;
        else if (!pass_failed(group, item, outcome, &problem))
            return false;
        if (!sqlite3_get_autocommit(group->session->db))
            continue;
        round->is_lost = true;
        if (!batch__sqlite_begin(group->session, BATCH__SQLITE_BEGIN_WRITE, &problem))
            return false;
    }
    return !round->is_lost;
}

/* Like pass_write. A row that violates a constraint is tried again once others were written. */
static bool pass_write_one_by_one(struct group *group, size_t end)
{
    struct round round = {.end = end};
    for (unsigned count = 1;; count++) {
        size_t written = round.written;
        if (!round_write(group, &round))
            return false;
        if (round.waiting == 0)
            return true;
        round.is_last = round.written == written || count + 1 == ROUNDS_MAX;
    }
}

/* ---- The transaction ------------------------------------------------------------------------ */

/* Read back what was written, where that may have been altered. Like pass_write. */
static bool pass_verify(struct group *group, size_t end)
{
    struct batch__sqlite_problem problem;
    bool is_clean = true;
    for (size_t i = 0; group->session->found.may_alter && i < end; i++) {
        struct batch__sqlite_item *item = &group->items->list[i];
        if (!item->is_written)
            continue;
        enum batch__sqlite_outcome outcome =
            batch__sqlite_row_verify(group->session, item, &problem);
        if (outcome == BATCH__SQLITE_WRITTEN)
            continue;
        is_clean = false;
        if (!pass_failed(group, item, outcome, &problem))
            return false;
    }
    return is_clean;
}

/* What needs a statement that cannot be prepared costs none. */
static void resolve_impossible(struct group *group)
{
    const struct batch__sqlite_found *found = &group->session->found;
    for (size_t i = 0; i < group->items->size; i++) {
        struct batch__sqlite_item *item = &group->items->list[i];
        const struct batch__sqlite_problem *problem =
            batch_call_version(item->call) == 0 ? &found->insert : &found->update;
        if (problem->code != SQLITE_OK && !item->is_resolved)
            resolve_by(group, item, BATCH_SAVE_FAILED, problem);
    }
}

static bool group_write(struct group *group)
{
    if (!group->session->found.is_known)
        resolve_impossible(group);
    size_t end = pass_begin(group);
    bool is_clean =
        group->is_one_by_one ? pass_write_one_by_one(group, end) : pass_write(group, end);
    if (!is_clean || !pass_verify(group, end))
        return false;
    if (!has_violations(group->session))
        return true;
    batch__check(!group->is_one_by_one);
    group->is_one_by_one = true;
    return false;
}

static void group_commit(struct group *group)
{
    struct batch__sqlite_session *session = group->session;
    struct batch__sqlite_problem problem;
    int code;
    batch__check(!sqlite3_get_autocommit(session->db));
    do {
        code = batch__sqlite_run(session, BATCH__SQLITE_COMMIT);
    } while ((code & 0xff) == SQLITE_BUSY && batch__sqlite_busy_wait(session));
    if (code != SQLITE_OK) {
        bool is_certain = (code & 0xff) == SQLITE_BUSY || (code & 0xff) == SQLITE_CONSTRAINT;
        batch__sqlite_problem_set_last(&problem, session->db,
                                       is_certain ? "cannot commit" : "COMMIT failed");
        resolve_all(group, true, is_certain ? BATCH_SAVE_FAILED : BATCH_UNKNOWN, &problem);
    } else if (batch__sqlite_files_check(&session->files, 0, &problem)) {
        resolve_all(group, true, BATCH_OK, NULL);
        batch__sqlite_checkpoint(session);
    } else {
        resolve_all(group, true, BATCH_UNKNOWN, &problem);
    }
    group->limit = group->pending;
    group->alone = 0;
}

/* Resolve all that is pending, in as many transactions as it takes. */
static void group_store(struct group *group)
{
    struct batch__sqlite_session *session = group->session;
    while (group->pending > 0) {
        struct batch__sqlite_problem problem;
        if (!batch__sqlite_begin(session, BATCH__SQLITE_BEGIN_WRITE, &problem)) {
            resolve_all(group, false, BATCH_SAVE_FAILED, &problem);
            return;
        }
        size_t pending = group->pending, limit = group->limit;
        bool was_one_by_one = group->is_one_by_one;
        resolve_canceled(group);
        if (group_write(group) && group->pending > 0)
            group_commit(group);
        batch__sqlite_roll_back(session);
        /* So it ends. */
        batch__check(group->pending < pending || group->limit < limit ||
                     group->is_one_by_one != was_one_by_one);
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
    struct group group = {
        .session = session, .items = &session->items, .pending = calls_size, .limit = calls_size};
    group_prepare(&group);
    const batch_call *latest = batch__sqlite_items_latest(group.items);
    if (latest != NULL) {
        struct batch__sqlite_writer writer;
        batch__sqlite_busy_until(session, latest);
        if (batch__sqlite_writer_queue_acquire(writers, &writer, latest)) {
            group_store(&group);
            batch__sqlite_writer_queue_release(writers, &writer);
        }
        resolve_late(&group);
    }
    group_finish(&group);
}
