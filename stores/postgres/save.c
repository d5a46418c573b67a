#include "save.h"

#include "../check.h"
#include "error.h"
#include "statement.h"
#include "values.h"

#include <batch/metrics.h>

#include <stdlib.h>
#include <string.h>

enum {
    STATE_SIZE_MAX = 1000 * 1024 * 1024, /* the server accepts 1 GiB, overhead included */
    COUNTED = 16 /* parts: their statement takes up to twice as long, but conflicts come in rows */
};

#define SKIP_LOCKED_NS (1000 * BATCH__POSTGRES_MS)

struct saving {
    struct batch__postgres_save_state *state;
    struct batch__postgres_group group;
};

/* ---- Preparing ------------------------------------------------------------------------------ */

static void prepare(struct batch__postgres_item *item, const struct batch__postgres_shape *shape,
                    uint64_t *random)
{
    item->version = batch_call_version(item->call);
    item->row_old = batch__postgres_row_version(item->version);
    bool has_key = batch__postgres_item_set_key(item, shape);
    if (has_key && item->is_check)
        return;
    if (!has_key ||
        batch_call_encode(item->call, (const void **)&item->state, &item->state_size) != BATCH_OK) {
        batch__postgres_item_resolve(item, BATCH_SAVE_FAILED, 0, NULL); /* its error is set */
        return;
    }
    const char *fault =
        batch__postgres_text_fault(shape, shape->state_type, item->state, item->state_size);
    if (fault != NULL) {
        char text[BATCH__POSTGRES_TEXT_SIZE] = "the state ";
        strncat(text, fault, sizeof text - sizeof "the state ");
        batch__postgres_item_resolve(item, BATCH_SAVE_FAILED, batch__postgres_code("22021"), text);
        return;
    }
    if (item->state_size > STATE_SIZE_MAX) {
        batch__postgres_item_resolve(
            item, BATCH_SAVE_FAILED, batch__postgres_code("54000"),
            "the state is larger than the limit of PostgreSQL, about 1 GB");
        return;
    }
    item->row_new = batch__postgres_next_version(item->version, shape->version_size, random);
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

/* A unit of which one cannot be stored fails, and so does one that is too large. */
static void prepare_unit(struct batch__postgres_group *group, struct batch__postgres_item *lead)
{
    if (lead->is_resolved)
        return;
    for (uint32_t i = 0; i < lead->unit_size; i++)
        prepare(&lead[i], &group->shape, &group->memory->random);
    if (lead->unit_size == 1)
        return;
    batch__postgres_unit_fail_with(lead);
    if (!lead->is_resolved && batch__postgres_unit_bytes(lead) > STATE_SIZE_MAX)
        batch__postgres_unit_resolve(
            lead, BATCH_SAVE_FAILED, batch__postgres_code("54000"),
            "the transaction is larger than the limit of PostgreSQL, about 1 GB");
}

/* Those that are pending; they come first in the order, sorted. */
static void prepare_all(struct batch__postgres_group *group)
{
    struct batch__postgres_item **order = group->order;
    size_t pending = 0;
    for (size_t i = 0; i < group->leads_size; i++)
        prepare_unit(group, group->leads[i]);
    for (size_t i = 0; i < group->items_size; i++) {
        struct batch__postgres_item *item = order[i];
        if (item->is_resolved)
            continue; /* its key may be gone: not to be compared */
        order[i] = order[pending];
        order[pending++] = item;
    }
    qsort(order, pending, sizeof *order, compare);
}

/* ---- What was written ----------------------------------------------------------------------- */

/* Columns of the result: the places of rows that are there, keys of new ones, places of those that
 * were not locked by others, numbers of units. */
enum { WRITTEN_UPDATED, WRITTEN_INSERTED, WRITTEN_REACHED, WRITTEN_COMPLETE };

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

/* The server reported that it is written. Returns the number of items: 1, or 0 if it was known, or
 * if its unit counts as a whole. */
static size_t set_written(struct batch__postgres_item *item)
{
    if (item == NULL || item->is_resolved || item->lead->unit_size > 1)
        return 0;
    batch__postgres_item_resolve(item, BATCH_OK, 0, NULL);
    return 1;
}

/* The server reported that a unit is written, by its number. Returns how many items it has. */
static size_t set_complete(const struct batch__postgres_group *group, const char *unit_bytes,
                           size_t size)
{
    int64_t place = size == 8 ? batch__postgres_int64(unit_bytes) : -1;
    if (place < 0 || (uint64_t)place >= group->items_size)
        return 0;
    struct batch__postgres_item *lead = &group->items[place];
    if (lead->lead != lead || lead->is_resolved)
        return 0;
    batch__postgres_unit_resolve(lead, BATCH_OK, 0, NULL);
    return lead->unit_size;
}

static void set_reached(struct batch__postgres_group *group, const PGresult *rows)
{
    struct batch__postgres_array array;
    const char *bytes;
    size_t size;
    batch__postgres_array_init(&array, rows, WRITTEN_REACHED);
    while ((bytes = batch__postgres_array_next(&array, &size)) != NULL) {
        struct batch__postgres_item *item = item_at(group, bytes, size);
        if (item != NULL)
            item->is_reached = true;
    }
}

/* The number of items that were not written. */
static size_t take_written(struct batch__postgres_group *group, const PGresult *rows)
{
    struct batch__postgres_array array;
    int columns = PQnfields(rows);
    size_t written = 0;
    const char *bytes;
    size_t size;
    for (size_t i = 0; i < group->part_size; i++)
        group->part[i]->is_reached = columns <= WRITTEN_REACHED;
    batch__postgres_array_init(&array, rows, WRITTEN_UPDATED);
    while ((bytes = batch__postgres_array_next(&array, &size)) != NULL)
        written += set_written(item_at(group, bytes, size));
    batch__postgres_array_init(&array, rows, WRITTEN_INSERTED);
    while ((bytes = batch__postgres_array_next(&array, &size)) != NULL)
        written += set_written(item_of(group, bytes, size));
    if (columns > WRITTEN_COMPLETE) {
        batch__postgres_array_init(&array, rows, WRITTEN_COMPLETE);
        while ((bytes = batch__postgres_array_next(&array, &size)) != NULL)
            written += set_complete(group, bytes, size);
    }
    batch__check(written <= group->part_size);
    if (columns > WRITTEN_REACHED && written < group->part_size)
        set_reached(group, rows);
    return group->part_size - written;
}

/* All of the part is written. */
static size_t take_whole(struct batch__postgres_group *group)
{
    for (size_t i = 0; i < group->part_size; i++)
        batch__postgres_item_resolve(group->part[i], BATCH_OK, 0, NULL);
    return 0;
}

/* ---- Why not -------------------------------------------------------------------------------- */

static void on_rechecked(const PGresult *rows, void *arg)
{
    const struct batch__postgres_group *group = arg;
    int rows_size = PQntuples(rows);
    for (int row = 0; row < rows_size; row++) {
        struct batch__postgres_item *item = item_at(group, PQgetvalue(rows, row, 0), 8);
        if (item == NULL || PQgetisnull(rows, row, 1))
            continue;
        item->is_found = true;
        item->row_found = batch__postgres_int64(PQgetvalue(rows, row, 1));
    }
}

/* Is something else stored than was loaded? */
static bool is_changed(const struct batch__postgres_item *item)
{
    return item->version == 0 ? item->is_found
                              : !item->is_found || item->row_found != item->row_old;
}

static void resolve_alone(struct batch__postgres_item *item)
{
    batch__check(!item->is_resolved);
    batch__check(!item->is_aside);
    if (item->version == 0 && item->is_found && item->row_found == item->row_new)
        batch__postgres_item_resolve(
            item, BATCH_UNKNOWN, 0,
            "the row is there, but the server did not report that it was stored: "
            "does a trigger store it somewhere else?");
    else if (is_changed(item))
        batch__postgres_item_resolve(item, BATCH_CONFLICT, 0, "another version is stored");
    else if (item->version == 0)
        batch__postgres_item_resolve(item, BATCH_SAVE_FAILED, 0,
                                     "the table left the row out: a trigger skipped it, or its key "
                                     "would be stored as another one");
    else if (item->is_reached)
        batch__postgres_item_resolve(item, BATCH_SAVE_FAILED, 0,
                                     "a trigger left the row as it was");
    else
        item->is_aside = item->was_locked = true;
}

/* `is_torn`: it was not written though all was found as it should be. */
static void resolve_unit(struct batch__postgres_group *group, struct batch__postgres_item *lead,
                         bool is_torn)
{
    struct batch__postgres_item *changed = NULL;
    for (uint32_t i = 0; i < lead->unit_size && changed == NULL; i++)
        changed = is_changed(&lead[i]) ? &lead[i] : NULL;
    if (changed != NULL) {
        batch__postgres_unit_blame(lead, changed, BATCH_CONFLICT, 0, "another version is stored");
        return;
    }
    if (is_torn) {
        batch__postgres_unit_blame(lead, batch__postgres_group_culprit(group), BATCH_SAVE_FAILED, 0,
                                   "a trigger left the row out");
        return;
    }
    /* Locked by others; or changed twice, and now as it was. */
    for (uint32_t i = 0; i < lead->unit_size; i++) {
        lead[i].is_aside = true;
        lead[i].was_locked |= lead[i].version != 0 && !lead[i].is_reached;
    }
}

static void resolve_unwritten(struct batch__postgres_group *group, bool is_torn)
{
    for (size_t i = 0; i < group->part_size; i++) {
        struct batch__postgres_item *item = group->part[i];
        if (item->lead != item)
            continue;
        if (item->unit_size > 1 || item->is_check)
            resolve_unit(group, item, is_torn);
        else
            resolve_alone(item);
    }
}

/* Those of the part that were not written. */
static void leave_unwritten(struct batch__postgres_group *group)
{
    size_t left = 0;
    group->part_units = 0;
    for (size_t i = 0; i < group->part_size; i++) {
        struct batch__postgres_item *item = group->part[i];
        item->is_found = false;
        if (item->is_resolved)
            continue;
        group->part[left++] = item;
        group->part_units += item->lead == item;
    }
    batch__check(left > 0);
    batch__check(left <= group->part_size);
    group->part_size = left;
}

/* Read the rows of the part that were not written. If that cannot be done, they stay pending: they
 * were not written, so they may be tried again. */
static void recheck(struct batch__postgres_group *group, const struct batch__postgres_limit *limit,
                    bool is_torn)
{
    struct batch__postgres_params params;
    struct batch__postgres_reply reply;
    leave_unwritten(group);
    if (!batch__postgres_params_of_keys(&group->memory->buffer, &group->connection->table.shape,
                                        group->part, group->part_size, &params))
        return;
    batch__postgres_run(group->connection, BATCH__POSTGRES_RECHECK, &params, limit, on_rechecked,
                        group, &reply);
    if (reply.outcome != BATCH__POSTGRES_COMMITTED) {
        batch__postgres_group_failed(group, &reply);
        return;
    }
    resolve_unwritten(group, is_torn);
}

/* ---- The statement -------------------------------------------------------------------------- */

/* A lock was held for too long: from now on the rows that are locked are skipped. */
static void skip_locked(struct saving *saving)
{
    saving->state->skip_locked_until_ns = batch_now_ns() + SKIP_LOCKED_NS;
}

static void save_failed(struct saving *saving, const struct batch__postgres_limit *limit,
                        const struct batch__postgres_reply *reply, bool has_skipped)
{
    struct batch__postgres_group *group = &saving->group;
    const struct batch__postgres_error *error = &reply->error;
    if (reply->outcome == BATCH__POSTGRES_IN_DOUBT) {
        for (size_t i = 0; i < group->part_size; i++)
            batch__postgres_item_resolve(group->part[i], BATCH_UNKNOWN, error->code, error->text);
        return;
    }
    if (reply->is_torn && group->part_units == 1 && batch__postgres_is_ready(group->connection)) {
        recheck(group, limit, true);
        return;
    }
    bool is_locked = reply->outcome == BATCH__POSTGRES_ROLLED_BACK &&
                     batch__postgres_classify(error) == BATCH__POSTGRES_ERROR_ROW_LOCKED;
    if (is_locked) {
        skip_locked(saving);
        if (group->part_size > 0)
            batch_call_log(group->part[0]->call, BATCH_EVENT_LOCK_WAIT, error->text);
    }
    if (!is_locked || has_skipped)
        batch__postgres_group_failed(group, reply);
}

/* All of the part or nothing: that is quicker, and nearly always there is no conflict. But what was
 * only read must be locked too, as SAVE_UNITS does. */
static bool is_saved_whole(const struct saving *saving, bool skips_locked)
{
    const struct batch__postgres_group *group = &saving->group;
    if (!group->has_units || group->part_size == 0 || skips_locked || saving->state->counted > 0)
        return false;
    for (size_t i = 0; i < group->part_size; i++) {
        if (group->part[i]->is_check)
            return false;
    }
    return true;
}

/* The parameters of the part; `ret_locks` only if it has locks. False: no memory. */
static bool make_params(struct batch__postgres_group *group, bool is_whole, bool has_locks,
                        struct batch__postgres_params *ret_params,
                        struct batch__postgres_params *ret_locks)
{
    const struct batch__postgres_shape *shape = &group->connection->table.shape;
    struct batch__postgres_group_memory *memory = group->memory;
    if (!group->has_units || is_whole)
        return batch__postgres_params_of_rows(&memory->buffer, shape, group->part, group->part_size,
                                              ret_params);
    return batch__postgres_params_of_units(&memory->buffer, shape, group->part, group->part_size,
                                           group->items, ret_params) &&
           (!has_locks || batch__postgres_params_of_locks(&memory->locks, shape, group->part,
                                                          group->part_size, ret_locks));
}

static enum batch__postgres_statement choose_statement(const struct batch__postgres_group *group,
                                                       bool is_whole, bool skips_locked)
{
    if (is_whole)
        return BATCH__POSTGRES_SAVE_ALL;
    if (group->has_units)
        return skips_locked ? BATCH__POSTGRES_SAVE_UNITS_SKIP_LOCKED : BATCH__POSTGRES_SAVE_UNITS;
    if (skips_locked)
        return BATCH__POSTGRES_SAVE_SKIP_LOCKED;
    /* The server rejects rules that would store it elsewhere only where it may insert. */
    bool is_one = group->part_size == 1 && group->part[0]->version != 0 &&
                  !group->connection->table.shape.has_rules;
    return is_one ? BATCH__POSTGRES_SAVE_ONE : BATCH__POSTGRES_SAVE;
}

static void save_part(struct saving *saving, const struct batch__postgres_limit *limit)
{
    struct batch__postgres_group *group = &saving->group;
    struct batch__postgres_params params, locks;
    struct batch__postgres_reply reply;
    bool has_locks = group->part_size > 0 && group->part[0]->lead->has_absent_check;
    bool skips_locked = batch_now_ns() < saving->state->skip_locked_until_ns;
    bool is_whole = is_saved_whole(saving, skips_locked);
    if (!make_params(group, is_whole, has_locks, &params, &locks)) {
        for (size_t i = 0; i < group->part_size; i++)
            batch__postgres_item_resolve(group->part[i], BATCH_SAVE_FAILED, 0,
                                         "no memory for a statement");
        return;
    }
    enum batch__postgres_statement statement = choose_statement(group, is_whole, skips_locked);
    if (statement == BATCH__POSTGRES_SAVE_ONE)
        params.count = BATCH__POSTGRES_PARAMS_OLD;
    if (has_locks) /* none may be skipped, and then be met by the second statement */
        batch__postgres_run_locked(group->connection, &locks, &params, skips_locked, limit, &reply);
    else
        batch__postgres_run(group->connection, statement, &params, limit, NULL, NULL, &reply);
    if (reply.outcome != BATCH__POSTGRES_COMMITTED) {
        if (is_whole && reply.is_torn)
            saving->state->counted = COUNTED; /* which of its units is it? */
        else
            save_failed(saving, limit, &reply, skips_locked);
        return;
    }
    batch__postgres_group_succeeded(group);
    if (group->has_units)
        saving->state->counted -= saving->state->counted > 0;
    size_t left = is_whole ? take_whole(group) : take_written(group, reply.rows);
    PQclear(reply.rows);
    if (left > 0 && batch__postgres_is_ready(group->connection))
        recheck(group, limit, false);
}

/* All that is pending was set aside. */
static void wait_for_them(struct saving *saving, const struct batch__postgres_limit *limit)
{
    struct batch__postgres_group *group = &saving->group;
    for (size_t i = 0; i < group->items_size; i++) {
        if (group->items[i].is_aside && group->items[i].was_locked)
            skip_locked(saving);
    }
    batch__postgres_group_wait(group, limit);
}

void batch__postgres_save(struct batch__postgres_save_state *state,
                          struct batch__postgres_connection *connection,
                          struct batch__postgres_group_memory *memory, batch_call *const *calls,
                          size_t calls_size)
{
    struct saving saving = {.state = state};
    struct batch__postgres_group *group = &saving.group;
    if (!batch__postgres_group_init(group, connection, memory, false, calls, calls_size))
        return;
    batch__postgres_group_finish(group);
    prepare_all(group);
    while (batch__postgres_group_finish(group)) {
        struct batch__postgres_limit limit;
        if (!batch__postgres_group_next(group, &limit))
            continue;
        if (batch__postgres_group_is_reshaped(group))
            prepare_all(group);
        else if (group->part_size > 0 || group->is_probe)
            save_part(&saving, &limit);
        else
            wait_for_them(&saving, &limit);
    }
    batch__postgres_group_destroy(group);
}
