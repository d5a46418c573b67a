/* save.c: a group of saves: one statement and one commit, and each key's outcome on its own.
 *
 * States are encoded first. Then a part, usually all, is written by one statement (sql.c), which
 * says what it has written: that is OK. For the rest, if any, a look at the table says why:
 *
 *   - the row has another version, or is gone, or is there when it should be new: CONFLICT;
 *   - it is as it was, and others have it locked: tried again, until the deadline. All others of
 *     the group have been answered by then;
 *   - it is as it was, and nobody has it locked: a trigger left it so, SAVE_FAILED.
 *
 * An error rolls the part back, so nothing of it is stored; group.c finds out whose fault it was.
 * In doubt (wire.c) every key of the part is UNKNOWN, and never tried again.
 *
 * Locks. The first try waits for them, a little; so long as that goes well it is the fastest. After
 * it has met one that stays, for a second, rows that are locked are left out at once. New keys can
 * only be waited for: the part is halved until the one is found that others hold.
 */
#include "internal.h"

#include <stdlib.h>

#define CAREFUL_NS          (1000 * BATCH__POSTGRES_MS)
#define LOCKED_PAUSE_MIN_NS (2 * BATCH__POSTGRES_MS)
#define LOCKED_PAUSE_MAX_NS (30 * BATCH__POSTGRES_MS)

struct saving {
    struct batch__postgres_group group; /* first */
    uint64_t locked_pause_ns;
};

/* ---- Preparing ------------------------------------------------------------------------------ */

static void prepare(struct batch__postgres_session *session, struct batch__postgres_item *item)
{
    if (!batch__postgres_item_set_key(session, item) ||
        batch_call_encode(item->call, (const void **)&item->state, &item->state_size) != BATCH_OK) {
        batch__postgres_decide(item, BATCH_SAVE_FAILED, 0, NULL); /* its error is set */
        return;
    }
    const char *fault = batch__postgres_text_fault(session, session->shape.state_type, item->state,
                                                   item->state_size);
    if (fault != NULL) {
        char text[BATCH__POSTGRES_TEXT_SIZE] = "the state ";
        strncat(text, fault, sizeof text - sizeof "the state ");
        batch__postgres_decide(item, BATCH_SAVE_FAILED, batch__postgres_code("22021"), text);
        return;
    }
    if (item->state_size > BATCH__POSTGRES_VALUE_MAX) {
        batch__postgres_decide(item, BATCH_SAVE_FAILED, batch__postgres_code("54000"),
                               "the state is larger than what PostgreSQL takes, about 1 GB");
        return;
    }
    item->version = batch_call_version(item->call);
    item->row_old = batch__postgres_row_version(item->version);
    item->row_new = batch__postgres_next_version(session, item->version);
}

/* Rows that are there first, then new ones; each by the bytes of the key. */
static int compare(const void *left, const void *right)
{
    const struct batch__postgres_item *one = *(struct batch__postgres_item *const *)left;
    const struct batch__postgres_item *other = *(struct batch__postgres_item *const *)right;
    if ((one->version == 0) != (other->version == 0))
        return one->version == 0 ? 1 : -1;
    size_t size = one->key_size < other->key_size ? one->key_size : other->key_size;
    int order = size > 0 ? memcmp(one->key, other->key, size) : 0;
    if (order != 0)
        return order;
    return one->key_size < other->key_size ? -1 : one->key_size > other->key_size;
}

/* ---- What was written ----------------------------------------------------------------------- */

static struct batch__postgres_item *item_at(const struct batch__postgres_group *group,
                                            const char *place_bytes, size_t size)
{
    int64_t place = size == 8 ? batch__postgres_int64(place_bytes) - 1 : -1;
    return place >= 0 && (uint64_t)place < group->part_size ? group->part[place] : NULL;
}

/* The new one with this key. */
static struct batch__postgres_item *item_of(const struct batch__postgres_group *group,
                                            const char *key, size_t key_size)
{
    struct batch__postgres_item wanted = {.key = key, .key_size = key_size};
    struct batch__postgres_item *pointer = &wanted;
    struct batch__postgres_item **found =
        bsearch(&pointer, group->part, group->part_size, sizeof pointer, compare);
    return found != NULL ? *found : NULL;
}

/* The number of items that were not written. */
static size_t take_written(struct batch__postgres_group *group, const PGresult *rows)
{
    struct batch__postgres_array array;
    struct batch__postgres_item *item;
    size_t left = group->part_size;
    const char *bytes;
    size_t size;
    for (size_t i = 0; i < group->part_size; i++)
        group->part[i]->is_reached = PQnfields(rows) < 3;
    batch__postgres_array_init(&array, rows, 0);
    while ((bytes = batch__postgres_array_next(&array, &size)) != NULL) {
        item = item_at(group, bytes, size);
        if (item != NULL && !item->is_decided) {
            batch__postgres_decide(item, BATCH_OK, 0, NULL);
            left--;
        }
    }
    batch__postgres_array_init(&array, rows, 1);
    while ((bytes = batch__postgres_array_next(&array, &size)) != NULL) {
        item = item_of(group, bytes, size);
        if (item != NULL && !item->is_decided) {
            batch__postgres_decide(item, BATCH_OK, 0, NULL);
            left--;
        }
    }
    if (PQnfields(rows) < 3 || left == 0)
        return left;
    batch__postgres_array_init(&array, rows, 2);
    while ((bytes = batch__postgres_array_next(&array, &size)) != NULL) {
        item = item_at(group, bytes, size);
        if (item != NULL)
            item->is_reached = true;
    }
    return left;
}

/* ---- Why not -------------------------------------------------------------------------------- */

static void on_looked(const PGresult *rows, void *arg)
{
    const struct batch__postgres_group *group = arg;
    int rows_size = PQntuples(rows);
    for (int row = 0; row < rows_size; row++) {
        struct batch__postgres_item *item = item_at(group, PQgetvalue(rows, row, 0), 8);
        if (item == NULL || PQgetisnull(rows, row, 1))
            continue;
        item->is_there = true;
        item->row_seen = batch__postgres_int64(PQgetvalue(rows, row, 1));
    }
}

static void decide_unwritten(struct batch__postgres_item *item)
{
    if (item->version == 0 && item->is_there && item->row_seen == item->row_new)
        batch__postgres_decide(item, BATCH_UNKNOWN, 0,
                               "the row is there, but the server did not say that it was stored: "
                               "does a trigger store it somewhere else?");
    else if (item->version == 0 && !item->is_there)
        batch__postgres_decide(item, BATCH_SAVE_FAILED, 0, "a trigger left the row out");
    else if (item->version == 0 || !item->is_there || item->row_seen != item->row_old)
        batch__postgres_decide(item, BATCH_CONFLICT, 0, "another version is stored");
    else if (item->is_reached)
        batch__postgres_decide(item, BATCH_SAVE_FAILED, 0, "a trigger left the row as it was");
    else
        item->is_locked = item->was_locked = true;
}

/* Look at the rows of the part that were not written. If that cannot be done, they stay undecided:
 * they were not written, so they may be tried again. */
static void look(struct batch__postgres_group *group, const struct batch__postgres_limit *limit)
{
    size_t left = 0;
    for (size_t i = 0; i < group->part_size; i++) {
        struct batch__postgres_item *item = group->part[i];
        item->is_there = false;
        if (!item->is_decided)
            group->part[left++] = item;
    }
    group->part_size = left;
    struct batch__postgres_params params;
    struct batch__postgres_answer answer;
    if (!batch__postgres_params_of_keys(group->session, group->part, left, &params))
        return;
    batch__postgres_run(group->session, BATCH__POSTGRES_LOOK, &params, limit, on_looked, group,
                        &answer);
    if (answer.reply != BATCH__POSTGRES_DONE) {
        batch__postgres_group_failed(group, &answer);
        return;
    }
    for (size_t i = 0; i < left; i++)
        decide_unwritten(group->part[i]);
}

/* ---- The statement -------------------------------------------------------------------------- */

/* A lock was in the way for too long. */
static void locked(struct batch__postgres_group *group, bool was_careful)
{
    group->session->careful_until_ns = batch_now_ns() + CAREFUL_NS;
    if (!was_careful)
        return;
    if (group->part_size > 1)
        group->part_max = group->part_size / 2;
    else
        group->part[0]->is_locked = group->part[0]->was_locked = true;
}

static void save_failed(struct batch__postgres_group *group,
                        const struct batch__postgres_answer *answer, bool was_careful)
{
    if (answer->reply == BATCH__POSTGRES_DOUBT) {
        for (size_t i = 0; i < group->part_size; i++)
            batch__postgres_decide(group->part[i], BATCH_UNKNOWN, answer->trouble.code,
                                   answer->trouble.text);
    } else if (answer->reply == BATCH__POSTGRES_ERROR &&
               batch__postgres_judge(&answer->trouble) == BATCH__POSTGRES_LOCKED_ROW) {
        locked(group, was_careful);
    } else {
        batch__postgres_group_failed(group, answer);
    }
}

static void save_part(struct batch__postgres_group *group,
                      const struct batch__postgres_limit *limit)
{
    struct batch__postgres_session *session = group->session;
    struct batch__postgres_params params;
    struct batch__postgres_answer answer;
    if (!batch__postgres_params_of_rows(session, group->part, group->part_size, &params)) {
        for (size_t i = 0; i < group->part_size; i++)
            batch__postgres_decide(group->part[i], BATCH_SAVE_FAILED, 0,
                                   "no memory for a statement");
        return;
    }
    bool is_careful = batch_now_ns() < session->careful_until_ns;
    batch__postgres_run(session, is_careful ? BATCH__POSTGRES_SAVE_UNLOCKED : BATCH__POSTGRES_SAVE,
                        &params, limit, NULL, NULL, &answer);
    if (answer.reply != BATCH__POSTGRES_DONE) {
        save_failed(group, &answer, is_careful);
        return;
    }
    batch__postgres_group_went_well(group);
    size_t left = take_written(group, answer.rows);
    PQclear(answer.rows);
    if (left > 0 && session->stage == BATCH__POSTGRES_READY)
        look(group, limit);
}

/* Nothing is left but rows that others have locked: wait a little, and try them again. */
static void wait_for_locks(struct saving *saving, const struct batch__postgres_limit *limit)
{
    struct batch__postgres_group *group = &saving->group;
    if (saving->locked_pause_ns < LOCKED_PAUSE_MIN_NS)
        saving->locked_pause_ns = LOCKED_PAUSE_MIN_NS;
    if (!batch__postgres_pause(group->session, saving->locked_pause_ns, limit))
        return;
    saving->locked_pause_ns *= 2;
    if (saving->locked_pause_ns > LOCKED_PAUSE_MAX_NS)
        saving->locked_pause_ns = LOCKED_PAUSE_MAX_NS;
    group->session->careful_until_ns = batch_now_ns() + CAREFUL_NS;
    for (size_t i = 0; i < group->items_size; i++)
        group->items[i].is_locked = false;
}

void batch__postgres_save(batch_store *store, void *session, batch_call *const *calls,
                          size_t calls_size)
{
    (void)store;
    struct saving saving = {.locked_pause_ns = 0};
    struct batch__postgres_group *group = &saving.group;
    if (!batch__postgres_group_init(group, session, false, calls, calls_size))
        return;
    batch__postgres_group_settle(group);
    for (size_t i = 0; i < calls_size; i++) {
        if (!group->items[i].is_decided)
            prepare(session, &group->items[i]);
    }
    qsort(group->order, calls_size, sizeof *group->order, compare);
    while (batch__postgres_group_settle(group)) {
        struct batch__postgres_limit limit;
        if (!batch__postgres_group_next(group, &limit))
            continue;
        if (group->part_size > 0)
            save_part(group, &limit);
        else
            wait_for_locks(&saving, &limit);
    }
    batch__postgres_group_destroy(group);
}
