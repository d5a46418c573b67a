/* save.c: a group of saves: write transactions, one if all goes well.
 *
 * What is said here of a key holds for a unit too: its keys are written, refused and resolved all
 * together. A unit has a savepoint from the first pass on, as one of its keys may turn out to have
 * another version when others are written already; but not the one with which a pass begins, since
 * that can be rolled back as a whole. A key that was only read is compared; a group that has no
 * others needs no writer's lock.
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
 * the keys up to the one that failed. A key that fails as the first one is refused. When the next
 * one does so too, one key is tried at a time, all over the group, as those side by side may be on
 * one page: if ALONE_MAX fail with nothing committed in between, so does everything, however many
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
#include "unit.h"

enum {
    VERSION_FIRST_BITS = 52,
    ALONE_MAX = 16,
    ROUNDS_MAX = 8 /* over rows that wait for others, when constraints are deferred */
};

struct group {
    struct batch__sqlite_session *session;
    struct batch__sqlite_item *first; /* unit by unit: the next is unit->unit_size further */
    struct batch__sqlite_item *end;
    struct batch__sqlite_item *from; /* where the pass begins */
    size_t pending;                  /* units that are not resolved */
    size_t limit;                    /* of them, to be written in the next pass */
    unsigned alone;     /* passes in a row that failed at their only unit, or at their first */
    bool is_one_by_one; /* a savepoint around each unit */
    bool is_read_only;  /* there is nothing to be written: a snapshot will do */
};

/* ---- Resolving ------------------------------------------------------------------------------ */

static void resolve(struct group *group, struct batch__sqlite_item *unit, int status)
{
    batch__check(!unit->is_resolved);
    batch__check(group->pending > 0);
    unit->status = status;
    unit->is_resolved = true;
    group->pending--;
}

/* A problem of its own, whose reason is set at the culprit: nothing is stored for the unit. */
static void resolve_blamed(struct group *group, struct batch__sqlite_item *unit,
                           const struct batch__sqlite_item *culprit, int status)
{
    batch__check(culprit >= unit && culprit < unit + unit->unit_size);
    for (struct batch__sqlite_item *item = unit; item < unit + unit->unit_size; item++) {
        if (item != culprit)
            batch_call_set_error_of(item->call, culprit->call);
    }
    resolve(group, unit, status);
}

static void resolve_by(struct group *group, struct batch__sqlite_item *unit,
                       struct batch__sqlite_item *culprit, int status,
                       const struct batch__sqlite_problem *problem)
{
    if (status == BATCH_CONFLICT)
        batch_call_set_error(culprit->call, 0, problem->text);
    else
        batch__sqlite_set_problem(culprit->call, problem);
    resolve_blamed(group, unit, culprit, status);
}

/* All that are pending, or only those that were written in this pass; `problem` unless it is OK. */
static void resolve_all(struct group *group, bool only_written, int status,
                        const struct batch__sqlite_problem *problem)
{
    struct batch__sqlite_item *unit = group->first;
    for (; unit < group->end; unit += unit->unit_size) {
        if (unit->is_resolved || (only_written && !unit->is_written))
            continue;
        for (size_t i = 0; status != BATCH_OK && i < unit->unit_size; i++)
            batch__sqlite_set_problem(unit[i].call, problem);
        resolve(group, unit, status);
    }
}

/* The calls of a group have one deadline. */
static void resolve_canceled(struct group *group)
{
    struct batch__sqlite_item *unit = group->first;
    for (; unit < group->end; unit += unit->unit_size) {
        if (unit->is_resolved || !batch_call_is_canceled(unit->call))
            continue;
        for (size_t i = 0; i < unit->unit_size; i++)
            batch__sqlite_set_canceled(unit[i].call);
        resolve(group, unit, BATCH_SAVE_FAILED);
    }
}

static void resolve_late(struct group *group)
{
    struct batch__sqlite_item *unit = group->first;
    for (; unit < group->end; unit += unit->unit_size) {
        if (unit->is_resolved)
            continue;
        for (size_t i = 0; i < unit->unit_size; i++)
            batch_call_set_error(unit[i].call, 0,
                                 "the deadline of the batch passed while others were writing");
        resolve(group, unit, BATCH_SAVE_FAILED);
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

/* NULL, or the item that cannot be encoded; its error is set. */
static struct batch__sqlite_item *unit_encode(struct batch__sqlite_item *unit)
{
    for (struct batch__sqlite_item *item = unit; item < unit + unit->unit_size; item++) {
        if (item->is_check)
            continue;
        if (batch_call_encode(item->call, &item->state, &item->state_size) != BATCH_OK)
            return item;
        item->version_new = version_after(batch_call_version(item->call));
    }
    return NULL;
}

/* Encode the units that are not canceled. */
static void group_prepare(struct group *group)
{
    resolve_canceled(group);
    struct batch__sqlite_item *unit = group->first;
    for (; unit < group->end; unit += unit->unit_size) {
        if (unit->is_resolved)
            continue;
        struct batch__sqlite_item *culprit = unit_encode(unit);
        if (culprit != NULL)
            resolve_blamed(group, unit, culprit, BATCH_SAVE_FAILED);
    }
}

/* ---- A pass --------------------------------------------------------------------------------- */

/* A number below `size`; one after the other, they are spread over all of it. */
static size_t spread(unsigned number, size_t size)
{
    uint32_t turn = number * UINT32_C(0x9e3779b9); /* the golden ratio */
    return (size_t)((uint64_t)turn * size >> 32);
}

/* The units of the pass are those that are pending from group->from on, and before the returned
 * end. */
static struct batch__sqlite_item *pass_begin(struct group *group)
{
    size_t skipped = 0;
    if (group->limit > group->pending)
        group->limit = group->pending;
    if (group->alone > 1) { /* does another one fail, too? */
        skipped = spread(group->alone, group->pending);
        group->limit = group->pending > 0;
    }
    struct batch__sqlite_item *end = group->first;
    size_t left = group->limit;
    struct batch__sqlite_item *unit = group->first;
    group->from = group->first;
    for (; unit < group->end; unit += unit->unit_size) {
        unit->is_written = false;
        if (left == 0 || unit->is_resolved)
            continue;
        if (skipped > 0) {
            skipped--;
            continue;
        }
        if (left == group->limit)
            group->from = unit;
        left--;
        end = unit + unit->unit_size;
    }
    return end;
}

/* `unit` failed, after others of the pass. The next pass has less to write. */
static void pass_narrow(struct group *group, struct batch__sqlite_item *unit,
                        struct batch__sqlite_item *culprit, size_t others,
                        const struct batch__sqlite_problem *problem)
{
    batch__check(others < group->limit);
    if (others > 0) {
        group->limit = (others + 1) / 2;
        return;
    }
    resolve_by(group, unit, culprit, BATCH_SAVE_FAILED, problem);
    group->limit = group->pending;
    if (++group->alone == ALONE_MAX)
        resolve_all(group, false, BATCH_SAVE_FAILED, problem);
}

/* A row that is alone needs no savepoint if nothing else is written when nothing is written of it;
 * nor does the first unit of a pass, as all can be rolled back with it. A savepoint costs a copy of
 * each page that is changed. */
static enum batch__sqlite_outcome write_quickly(struct batch__sqlite_session *session,
                                                struct batch__sqlite_item *unit, bool is_first,
                                                struct batch__sqlite_item **ret_culprit,
                                                struct batch__sqlite_problem *ret_problem)
{
    if (unit->unit != 0)
        return is_first ? batch__sqlite_unit_write_first(session, unit, ret_culprit, ret_problem)
                        : batch__sqlite_unit_write(session, unit, ret_culprit, ret_problem);
    *ret_culprit = unit;
    return batch__sqlite_row_write(session, unit, ret_problem);
}

/* Write the units of the pass. True: what is written may be committed. False: roll it back; the
 * units that are still pending are to be written again. */
static bool pass_write(struct group *group, const struct batch__sqlite_item *end)
{
    struct batch__sqlite_session *session = group->session;
    struct batch__sqlite_problem problem;
    struct batch__sqlite_item *culprit;
    size_t written = 0;
    for (struct batch__sqlite_item *unit = group->from; unit < end; unit += unit->unit_size) {
        if (unit->is_resolved)
            continue;
        bool is_first = written == 0;
        switch (write_quickly(session, unit, is_first, &culprit, &problem)) {
        case BATCH__SQLITE_WRITTEN:
            unit->is_written = true;
            written++;
            break;
        case BATCH__SQLITE_CONFLICT:
            /* Triggers BEFORE INSERT have run all the same. */
            if (unit->unit == 0 && batch_call_version(unit->call) == 0 &&
                session->found.may_alter) {
                group->is_one_by_one = true;
                return false;
            }
            resolve_by(group, unit, culprit, BATCH_CONFLICT, &problem);
            if (unit->unit != 0 && is_first)
                return false; /* it may be written in part */
            break;
        case BATCH__SQLITE_REFUSED:
            group->is_one_by_one = true;
            return false;
        case BATCH__SQLITE_DOUBTFUL:
            pass_narrow(group, unit, culprit, written, &problem);
            return false;
        case BATCH__SQLITE_BROKEN:
            resolve_all(group, false, BATCH_SAVE_FAILED, &problem);
            return false;
        }
    }
    return true;
}

/* ---- A pass with savepoints ----------------------------------------------------------------- */

/* What is not WRITTEN. False: the pass is over. */
static bool pass_failed(struct group *group, struct batch__sqlite_item *unit,
                        struct batch__sqlite_item *culprit, enum batch__sqlite_outcome outcome,
                        const struct batch__sqlite_problem *problem)
{
    switch (outcome) {
    case BATCH__SQLITE_CONFLICT:
        resolve_by(group, unit, culprit, BATCH_CONFLICT, problem);
        return true;
    case BATCH__SQLITE_REFUSED:
        resolve_by(group, unit, culprit, BATCH_SAVE_FAILED, problem);
        return true;
    case BATCH__SQLITE_DOUBTFUL:
        pass_narrow(group, unit, culprit, 0, problem); /* alone in its savepoint */
        return false;
    default:
        resolve_all(group, false, BATCH_SAVE_FAILED, problem);
        return false;
    }
}

struct round {
    const struct batch__sqlite_item *end;
    size_t written; /* so far, in this round and before */
    size_t waiting; /* in this round */
    bool is_last;   /* nobody may wait any more */
    bool is_lost;   /* the transaction was dropped: this pass only looks for more refusals */
};

/* False: the pass is over. */
static bool round_write(struct group *group, struct round *round)
{
    struct batch__sqlite_problem problem;
    struct batch__sqlite_item *culprit;
    struct batch__sqlite_item *unit = group->from;
    round->waiting = 0;
    for (; unit < round->end; unit += unit->unit_size) {
        if (unit->is_resolved || unit->is_written)
            continue;
        enum batch__sqlite_outcome outcome =
            batch__sqlite_unit_write(group->session, unit, &culprit, &problem);
        bool is_lost = sqlite3_get_autocommit(group->session->db);
        unit->is_written = outcome == BATCH__SQLITE_WRITTEN && !is_lost;
        if (outcome == BATCH__SQLITE_WRITTEN)
            round->written++;
        else if (outcome == BATCH__SQLITE_REFUSED && !round->is_last &&
                 problem.code == SQLITE_CONSTRAINT_FOREIGNKEY)
            round->waiting++;
        else if (!pass_failed(group, unit, culprit, outcome, &problem))
            return false;
        if (!is_lost)
            continue;
        round->is_lost = true;
        if (!batch__sqlite_begin(group->session, BATCH__SQLITE_BEGIN_WRITE, &problem))
            return false;
    }
    return !round->is_lost;
}

/* Like pass_write. A unit that violates a constraint is tried again once others were written. */
static bool pass_write_one_by_one(struct group *group, const struct batch__sqlite_item *end)
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
static bool pass_verify(struct group *group, const struct batch__sqlite_item *end)
{
    struct batch__sqlite_problem problem;
    struct batch__sqlite_item *culprit;
    bool is_clean = true;
    struct batch__sqlite_item *unit = group->first;
    for (; group->session->found.may_alter && unit < end; unit += unit->unit_size) {
        if (!unit->is_written)
            continue;
        enum batch__sqlite_outcome outcome =
            batch__sqlite_unit_verify(group->session, unit, &culprit, &problem);
        if (outcome == BATCH__SQLITE_WRITTEN)
            continue;
        is_clean = false;
        if (!pass_failed(group, unit, culprit, outcome, &problem))
            return false;
    }
    return is_clean;
}

/* What needs a statement that cannot be prepared costs none. */
static void resolve_impossible(struct group *group)
{
    const struct batch__sqlite_found *found = &group->session->found;
    struct batch__sqlite_item *unit = group->first;
    for (; unit < group->end; unit += unit->unit_size) {
        for (size_t i = 0; i < unit->unit_size && !unit->is_resolved; i++) {
            const struct batch__sqlite_problem *problem =
                batch_call_version(unit[i].call) == 0 ? &found->insert : &found->update;
            if (problem->code != SQLITE_OK && !unit[i].is_check)
                resolve_by(group, unit, &unit[i], BATCH_SAVE_FAILED, problem);
        }
    }
}

static bool group_write(struct group *group)
{
    if (!group->session->found.is_known)
        resolve_impossible(group);
    struct batch__sqlite_item *end = pass_begin(group);
    bool is_clean =
        group->is_one_by_one ? pass_write_one_by_one(group, end) : pass_write(group, end);
    if (!is_clean || !pass_verify(group, end))
        return false;
    if (!batch__sqlite_has_violations(group->session))
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
        if (!batch__sqlite_begin(
                session, group->is_read_only ? BATCH__SQLITE_BEGIN_READ : BATCH__SQLITE_BEGIN_WRITE,
                &problem)) {
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
    struct batch__sqlite_item *unit = group->first;
    for (; unit < group->end; unit += unit->unit_size) {
        batch__check(unit->is_resolved);
        for (size_t i = 0; i < unit->unit_size; i++) {
            const struct batch__sqlite_item *item = &unit[i];
            if (unit->status == BATCH_OK && !item->is_check) {
                batch__check(item->version_new != 0);
                batch_call_set_version(item->call, item->version_new);
            }
            batch_call_finish(item->call, unit->status);
        }
    }
}

static struct group group_of(struct batch__sqlite_session *session)
{
    struct batch__sqlite_items *items = &session->items;
    struct group group = {
        .session = session, .first = items->list, .end = items->list + items->size};
    struct batch__sqlite_item *unit = group.first;
    for (; unit < group.end; unit += unit->unit_size)
        group.pending++;
    group.limit = group.pending;
    group.is_read_only = true;
    for (size_t i = 0; i < items->size && group.is_read_only; i++)
        group.is_read_only = items->list[i].is_check;
    return group;
}

void batch__sqlite_save(struct batch__sqlite_session *session,
                        struct batch__sqlite_writer_queue *writers, batch_call *const *calls,
                        size_t calls_size)
{
    if (!batch__sqlite_items_set(&session->items, calls, calls_size, true)) {
        for (size_t i = 0; i < calls_size; i++) {
            batch_call_set_error(calls[i], SQLITE_NOMEM, "no memory for a group of this size");
            batch_call_finish(calls[i], BATCH_SAVE_FAILED);
        }
        return;
    }
    struct group group = group_of(session);
    group_prepare(&group);
    const batch_call *latest = batch__sqlite_items_latest(&session->items);
    if (latest != NULL) {
        struct batch__sqlite_writer writer;
        batch__sqlite_busy_until(session, latest);
        if (group.is_read_only) {
            group_store(&group);
        } else if (batch__sqlite_writer_queue_acquire(writers, &writer, latest)) {
            group_store(&group);
            batch__sqlite_writer_queue_release(writers, &writer);
        }
        resolve_late(&group);
    }
    group_finish(&group);
}
