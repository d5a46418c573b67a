#include "group.h"

#include "../check.h"
#include "culprit.h"

#include <batch/metrics.h>

#include <stdio.h>
#include <stdlib.h>

enum {
    CULPRITS_MAX = 64 /* then nobody is named: it takes some round trips for each */
};

#define PAUSE_MIN_NS (1 * BATCH__POSTGRES_MS)
#define PAUSE_MAX_NS (50 * BATCH__POSTGRES_MS)
#define ASIDE_MIN_NS (2 * BATCH__POSTGRES_MS)
#define ASIDE_MAX_NS (30 * BATCH__POSTGRES_MS)

/* ---- Memory --------------------------------------------------------------------------------- */

static bool reserve(struct batch__postgres_group_memory *memory, size_t items_size)
{
    if (items_size > memory->items_capacity) {
        free(memory->items);
        free(memory->pointers);
        memory->items = calloc(items_size, sizeof *memory->items);
        memory->pointers = calloc(items_size, 3 * sizeof *memory->pointers);
        bool is_made = memory->items != NULL && memory->pointers != NULL;
        memory->items_capacity = is_made ? items_size : 0;
    }
    return items_size <= memory->items_capacity;
}

void batch__postgres_group_memory_free(struct batch__postgres_group_memory *memory)
{
    free(memory->items);
    free(memory->pointers);
    free(memory->buffer.bytes);
    free(memory->locks.bytes);
}

static void find_leads(struct batch__postgres_group *group)
{
    if (!group->has_units) {
        group->leads = group->order;
        group->leads_size = group->items_size;
        return;
    }
    for (int has_absent_check = 0; has_absent_check < 2; has_absent_check++) {
        for (size_t i = 0; i < group->items_size; i += group->items[i].unit_size) {
            struct batch__postgres_item *lead = &group->items[i];
            batch__check(lead->lead == lead);
            if (lead->has_absent_check == (has_absent_check == 1))
                group->leads[group->leads_size++] = lead;
        }
    }
}

bool batch__postgres_group_init(struct batch__postgres_group *group,
                                struct batch__postgres_connection *connection,
                                struct batch__postgres_group_memory *memory, bool is_load,
                                batch_call *const *calls, size_t calls_size)
{
    batch__check(calls_size > 0);
    batch__check(calls != NULL);
    if (!reserve(memory, calls_size)) {
        for (size_t i = 0; i < calls_size; i++) {
            batch_call_set_error(calls[i], 0, "no memory for a group of this size");
            batch_call_finish(calls[i], is_load ? BATCH_LOAD_FAILED : BATCH_SAVE_FAILED);
        }
        return false;
    }
    *group = (struct batch__postgres_group){
        .connection = connection,
        .memory = memory,
        .items = memory->items,
        .items_size = calls_size,
        .order = memory->pointers,
        .part = memory->pointers + calls_size,
        .leads = memory->pointers + 2 * calls_size,
        .is_load = is_load,
        .shape = connection->table.shape,
    };
    for (size_t i = 0; i < calls_size; i++) {
        group->items[i] = (struct batch__postgres_item){
            .call = calls[i], .deadline_ns = batch_call_deadline_ns(calls[i])};
        group->order[i] = &group->items[i];
    }
    if (is_load)
        batch__postgres_units_none(group->items, calls_size);
    else
        group->has_units = batch__postgres_units_find(group->items, calls_size);
    find_leads(group);
    batch__postgres_blame_init(&group->blame, group->leads_size);
    return true;
}

void batch__postgres_group_destroy(struct batch__postgres_group *group)
{
    for (size_t i = 0; i < group->items_size; i++) {
        batch__check(group->items[i].is_finished);
        batch__postgres_item_free_key(&group->items[i]);
    }
}

/* ---- Finishing ------------------------------------------------------------------------------ */

static int failure_of(const struct batch__postgres_group *group)
{
    return group->is_load ? BATCH_LOAD_FAILED : BATCH_SAVE_FAILED;
}

static void resolve_late(struct batch__postgres_group *group, struct batch__postgres_item *item)
{
    const struct batch__postgres_connection *connection = group->connection;
    bool is_ready = batch__postgres_is_ready(connection);
    char text[BATCH__POSTGRES_TEXT_SIZE] = "";
    int code = group->error.code;
    if (item->was_locked) {
        code = batch__postgres_code("55P03");
        snprintf(text, sizeof text, "the row is locked by another transaction");
    } else if (item->is_aside) {
        code = group->aside_error.code;
        snprintf(text, sizeof text, "%s", group->aside_error.text);
    } else if (!is_ready && connection->error.text[0] != '\0') {
        code = connection->error.code;
        snprintf(text, sizeof text, "no connection: %.180s", connection->error.text);
    } else if (group->error.text[0] != '\0') {
        snprintf(text, sizeof text, "%s", group->error.text);
    } else if (!is_ready) {
        snprintf(text, sizeof text, "no connection: still connecting");
    }
    batch__postgres_set_late(item->call, code, text);
    batch__postgres_item_resolve(item, failure_of(group), 0, NULL);
}

/* Is any call that is pending canceled? A group is of one processor; so if the one with the
 * earliest deadline is not, none is. */
static bool has_canceled(const struct batch__postgres_group *group)
{
    const struct batch__postgres_item *earliest = NULL;
    for (size_t i = 0; i < group->items_size; i++) {
        const struct batch__postgres_item *item = &group->items[i];
        if (!item->is_resolved && (earliest == NULL || item->deadline_ns < earliest->deadline_ns))
            earliest = item;
    }
    return earliest != NULL && batch_call_is_canceled(earliest->call);
}

/* A unit of which one is canceled ends as a whole. */
static void resolve_canceled(struct batch__postgres_group *group, struct batch__postgres_item *lead)
{
    uint32_t at = 0;
    batch__check(!lead->is_resolved);
    while (!batch_call_is_canceled(lead[at].call)) {
        if (++at == lead->unit_size)
            return;
    }
    for (uint32_t i = 0; i < lead->unit_size; i++)
        resolve_late(group, &lead[i]);
}

static void finish(const struct batch__postgres_group *group, struct batch__postgres_item *item)
{
    batch__check(item->status == item->lead->status);
    if (item->status == BATCH_OK && !group->is_load && !item->is_check) {
        uint64_t version = batch__postgres_version(item->row_new);
        batch__check(version != 0); /* it would mean that there is no row */
        batch_call_set_version(item->call, version);
    }
    item->is_finished = true;
    batch_call_finish(item->call, item->status);
}

bool batch__postgres_group_finish(struct batch__postgres_group *group)
{
    bool is_pending = false;
    bool is_canceled = has_canceled(group);
    for (size_t i = 0; i < group->items_size; i++) {
        struct batch__postgres_item *item = &group->items[i];
        if (item->is_finished)
            continue;
        if (is_canceled && !item->is_resolved && item == item->lead)
            resolve_canceled(group, item);
        batch__check(item->is_resolved == item->lead->is_resolved);
        if (item->is_resolved)
            finish(group, item);
        else
            is_pending = true;
    }
    return is_pending;
}

/* ---- Parts ---------------------------------------------------------------------------------- */

/* The earliest or the latest limit of those that are pending. */
static struct batch__postgres_limit limit_of(struct batch__postgres_item *const *items,
                                             size_t items_size, bool is_longest)
{
    struct batch__postgres_limit limit = {UINT64_MAX, NULL}; /* the deadline may still move */
    uint64_t limit_ns = 0;
    for (size_t i = 0; i < items_size; i++) {
        if (items[i]->is_resolved)
            continue;
        if (limit.call != NULL && (items[i]->deadline_ns > limit_ns) != is_longest)
            continue;
        limit.call = items[i]->call;
        limit_ns = items[i]->deadline_ns;
    }
    batch__check(limit.call != NULL);
    return limit;
}

static size_t count_pending(const struct batch__postgres_group *group)
{
    size_t pending = 0;
    for (size_t i = 0; i < group->leads_size; i++)
        pending += !group->leads[i]->is_resolved && !group->leads[i]->is_aside;
    return pending;
}

/* What a unit takes of the room in a part. */
struct room {
    size_t bytes;
    size_t locks; /* of what is not there, if one of it is checked */
};

static void take_room(struct room *room, const struct batch__postgres_item *lead)
{
    room->bytes +=
        lead->unit_size == 1 ? batch__postgres_size_of(lead) : batch__postgres_unit_bytes(lead);
    for (uint32_t i = 0; lead->has_absent_check && i < lead->unit_size; i++)
        room->locks += lead[i].version == 0;
}

/* Does one more unit fit into the part? `room` is what is taken with it. */
static bool has_room(const struct batch__postgres_group *group,
                     const struct batch__postgres_item *lead, const struct room *room)
{
    return group->part_units == 0 ||
           (room->bytes <= BATCH__POSTGRES_BYTES_MAX && room->locks <= BATCH__POSTGRES_LOCKS_MAX &&
            lead->has_absent_check == group->part[0]->lead->has_absent_check);
}

/* Put a unit into the part; those of several items are put in order later. */
static void add_unit(struct batch__postgres_group *group, struct batch__postgres_item *lead)
{
    uint32_t size = lead->unit_size;
    lead->is_chosen = true;
    for (uint32_t i = 0; i < size; i++)
        group->part[group->part_size + i] = &lead[i];
    group->part_size += size;
    group->part_units++;
}

/* The items of the part, in the order of all. */
static void sort_part(struct batch__postgres_group *group)
{
    size_t size = 0;
    for (size_t i = 0; i < group->items_size; i++) {
        if (group->order[i]->lead->is_chosen)
            group->part[size++] = group->order[i];
    }
    batch__check(size == group->part_size);
    for (size_t i = 0; i < size; i++)
        group->part[i]->lead->is_chosen = false;
}

static void choose_part(struct batch__postgres_group *group)
{
    size_t pending = count_pending(group);
    struct batch__postgres_part part = {0};
    struct room room = {0, 0};
    if (pending > 0)
        part = batch__postgres_blame_next(&group->blame, pending);
    batch__check(part.first < pending || part.first == 0);
    group->is_probe = part.is_probe;
    group->part_size = group->part_units = 0;
    for (size_t i = 0; i < group->leads_size && group->part_units < part.size; i++) {
        struct batch__postgres_item *lead = group->leads[i];
        if (lead->is_resolved || lead->is_aside)
            continue;
        if (part.first > 0) {
            part.first--;
            continue;
        }
        take_room(&room, lead);
        if (!has_room(group, lead, &room))
            break;
        add_unit(group, lead);
    }
    if (group->has_units)
        sort_part(group);
    batch__check((group->part_size == 0) == (group->is_probe || pending == 0));
}

/* The next pause, twice as long each time. */
static uint64_t grow(uint64_t *pause_ns, uint64_t min_ns, uint64_t max_ns)
{
    *pause_ns = *pause_ns == 0 ? min_ns : 2 * *pause_ns;
    if (*pause_ns > max_ns)
        *pause_ns = max_ns;
    return *pause_ns;
}

static void resolve_all(struct batch__postgres_group *group,
                        const struct batch__postgres_error *error)
{
    for (size_t i = 0; i < group->items_size; i++) {
        if (!group->items[i].is_resolved)
            batch__postgres_item_resolve(&group->items[i], failure_of(group), error->code,
                                         error->text);
    }
}

bool batch__postgres_group_next(struct batch__postgres_group *group,
                                struct batch__postgres_limit *ret_limit)
{
    struct batch__postgres_connection *connection = group->connection;
    struct batch__postgres_limit shortest = limit_of(group->order, group->items_size, false);
    if (group->is_paused)
        batch__postgres_pause(&group->memory->random,
                              grow(&group->pause_ns, PAUSE_MIN_NS, PAUSE_MAX_NS), &shortest);
    group->is_paused = false;
    if (!batch__postgres_connect(connection, &shortest, true)) {
        if (connection->is_refused)
            resolve_all(group, &connection->error);
        return false;
    }
    if (connection->is_back)
        batch_call_log(shortest.call, BATCH_EVENT_RECONNECTED, "a lost connection is back");
    connection->is_back = false;
    choose_part(group);
    *ret_limit = group->part_size > 0 ? limit_of(group->part, group->part_size, true)
                 : group->is_probe    ? limit_of(group->order, group->items_size, true)
                                      : shortest;
    return true;
}

bool batch__postgres_group_is_reshaped(struct batch__postgres_group *group)
{
    const struct batch__postgres_shape *shape = &group->connection->table.shape;
    if (batch__postgres_shape_is_alike(&group->shape, shape))
        return false;
    group->shape = *shape;
    for (size_t i = 0; i < group->items_size; i++) {
        if (!group->items[i].is_resolved)
            batch__postgres_item_free_key(&group->items[i]);
    }
    return true;
}

static void take_back(struct batch__postgres_group *group)
{
    for (size_t i = 0; i < group->items_size; i++)
        group->items[i].is_aside = false;
}

bool batch__postgres_group_wait(struct batch__postgres_group *group,
                                const struct batch__postgres_limit *limit)
{
    uint64_t pause_ns = grow(&group->aside_ns, ASIDE_MIN_NS, ASIDE_MAX_NS);
    batch__check(group->part_size == 0 && !group->is_probe);
    if (!batch__postgres_pause(&group->memory->random, pause_ns, limit))
        return false;
    take_back(group);
    return true;
}

/* ---- How a part ended ----------------------------------------------------------------------- */

void batch__postgres_group_succeeded(struct batch__postgres_group *group)
{
    batch__check(group->is_probe == (group->part_size == 0));
    batch__postgres_blame_succeeded(&group->blame, group->part_units);
    if (group->is_probe)
        return;
    group->pause_ns = 0;
    group->error = (struct batch__postgres_error){.code = 0};
}

static void retry_later(struct batch__postgres_group *group,
                        const struct batch__postgres_error *error)
{
    group->error = *error;
    group->is_paused = true;
}

static void set_aside(struct batch__postgres_group *group,
                      const struct batch__postgres_error *error)
{
    bool is_locked = batch__postgres_classify(error) == BATCH__POSTGRES_ERROR_ROW_LOCKED;
    batch__check(group->part_units == 1);
    for (size_t i = 0; i < group->part_size; i++) {
        group->part[i]->is_aside = true;
        group->part[i]->was_locked |= is_locked;
    }
    if (is_locked)
        batch_call_log(group->part[0]->call, BATCH_EVENT_LOCK_WAIT, error->text);
    group->aside_error = *error;
}

/* The one unit of the part fails. */
static void blame_unit(struct batch__postgres_group *group,
                       const struct batch__postgres_error *error)
{
    struct batch__postgres_item *lead = group->part[0]->lead;
    batch__check(group->part_units == 1);
    batch__postgres_unit_blame(lead, batch__postgres_group_culprit(group), failure_of(group),
                               error->code, error->text);
}

struct batch__postgres_item *batch__postgres_group_culprit(struct batch__postgres_group *group)
{
    batch__check(group->part_units == 1);
    if (group->part_size == 1)
        return group->part[0];
    if (group->culprits++ >= CULPRITS_MAX)
        return NULL;
    struct batch__postgres_limit limit = limit_of(group->part, group->part_size, true);
    return batch__postgres_culprit(group->connection, &group->memory->buffer, group->part,
                                   group->part_size, &limit);
}

/* All fail. What is of a row was found with rows that were tried; the others are told that they
 * were not. */
static void blame_all(struct batch__postgres_group *group,
                      const struct batch__postgres_error *error)
{
    struct batch__postgres_error untried = *error;
    if (group->part_units == 1)
        blame_unit(group, error);
    if (!group->is_probe && batch__postgres_classify(error) == BATCH__POSTGRES_ERROR_ROW)
        snprintf(untried.text, sizeof untried.text, "not tried, like %d others that failed: %.150s",
                 BATCH__POSTGRES_SINGLES_ROW, error->text);
    resolve_all(group, &untried);
}

void batch__postgres_group_failed(struct batch__postgres_group *group,
                                  const struct batch__postgres_reply *reply)
{
    const struct batch__postgres_error *error = &reply->error;
    bool is_rolled_back = reply->outcome == BATCH__POSTGRES_ROLLED_BACK;
    size_t left = 0;
    batch__check(reply->outcome != BATCH__POSTGRES_COMMITTED);
    for (size_t i = 0; i < group->part_size; i++)
        left += group->part[i]->lead == group->part[i] && !group->part[i]->is_resolved;
    switch (batch__postgres_blame_failed(&group->blame, group->part_units, left,
                                         is_rolled_back ? error : NULL)) {
    case BATCH__POSTGRES_BLAME_STALE:
        batch__postgres_drop(group->connection);
        retry_later(group, error);
        break;
    case BATCH__POSTGRES_BLAME_LATER:
        retry_later(group, error);
        break;
    case BATCH__POSTGRES_BLAME_PART:
        group->error = *error;
        break;
    case BATCH__POSTGRES_BLAME_ONE:
        blame_unit(group, error);
        break;
    case BATCH__POSTGRES_BLAME_ASIDE:
        set_aside(group, error);
        break;
    case BATCH__POSTGRES_BLAME_ALL:
        blame_all(group, error);
        break;
    case BATCH__POSTGRES_BLAME_ALL_LATER:
        take_back(group);
        retry_later(group, error);
        break;
    }
}
