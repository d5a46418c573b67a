#include "group.h"

#include "../check.h"

#include <stdio.h>
#include <stdlib.h>

#define PAUSE_MIN_NS (1 * BATCH__POSTGRES_MS)
#define PAUSE_MAX_NS (50 * BATCH__POSTGRES_MS)

/* ---- Memory --------------------------------------------------------------------------------- */

static bool reserve(struct batch__postgres_group_memory *memory, size_t items_size)
{
    if (items_size > memory->items_capacity) {
        free(memory->items);
        free(memory->pointers);
        memory->items = calloc(items_size, sizeof *memory->items);
        memory->pointers = calloc(items_size, 2 * sizeof *memory->pointers);
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
        .part_max = calls_size,
        .is_load = is_load,
        .shape = connection->table.shape,
    };
    for (size_t i = 0; i < calls_size; i++) {
        group->items[i] = (struct batch__postgres_item){.call = calls[i]};
        group->order[i] = &group->items[i];
    }
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

bool batch__postgres_group_finish(struct batch__postgres_group *group)
{
    bool is_pending = false;
    for (size_t i = 0; i < group->items_size; i++) {
        struct batch__postgres_item *item = &group->items[i];
        if (item->is_finished)
            continue;
        if (!item->is_resolved && batch_call_is_canceled(item->call))
            resolve_late(group, item);
        if (!item->is_resolved) {
            is_pending = true;
            continue;
        }
        if (item->status == BATCH_OK && !group->is_load) {
            uint64_t version = batch__postgres_version(item->row_new);
            batch__check(version != 0); /* it would mean that there is no row */
            batch_call_set_version(item->call, version);
        }
        item->is_finished = true;
        batch_call_finish(item->call, item->status);
    }
    return is_pending;
}

/* ---- Parts ---------------------------------------------------------------------------------- */

/* The earliest or the latest limit of those that are pending. */
static struct batch__postgres_limit limit_of(struct batch__postgres_item *const *items,
                                             size_t items_size, bool is_longest)
{
    struct batch__postgres_limit limit = {is_longest ? 0 : UINT64_MAX, NULL};
    for (size_t i = 0; i < items_size; i++) {
        if (items[i]->is_resolved)
            continue;
        uint64_t deadline_ns = batch_call_deadline_ns(items[i]->call);
        if (limit.call == NULL || (deadline_ns > limit.until_ns) == is_longest)
            limit = (struct batch__postgres_limit){deadline_ns, items[i]->call};
    }
    batch__check(limit.call != NULL);
    return limit;
}

static void choose_part(struct batch__postgres_group *group)
{
    size_t bytes = 0;
    batch__check(group->part_max > 0);
    group->part_size = 0;
    for (size_t i = 0; i < group->items_size && group->part_size < group->part_max; i++) {
        struct batch__postgres_item *item = group->order[i];
        if (item->is_resolved || item->is_locked)
            continue;
        bytes += batch__postgres_size_of(item);
        if (bytes > BATCH__POSTGRES_BYTES_MAX && group->part_size > 0)
            break;
        group->part[group->part_size++] = item;
    }
    batch__check(group->part_size <= group->items_size);
}

/* Pause, twice as long each time. */
static void back_off(struct batch__postgres_group *group, const struct batch__postgres_limit *limit)
{
    batch__check(group->pause_ns > 0);
    batch__postgres_pause(&group->memory->random, group->pause_ns, limit);
    group->pause_ns *= 2;
    if (group->pause_ns > PAUSE_MAX_NS)
        group->pause_ns = PAUSE_MAX_NS;
}

bool batch__postgres_group_next(struct batch__postgres_group *group,
                                struct batch__postgres_limit *ret_limit)
{
    struct batch__postgres_limit shortest = limit_of(group->order, group->items_size, false);
    if (group->pause_ns > 0 && group->error.text[0] != '\0')
        back_off(group, &shortest);
    if (!batch__postgres_connect(group->connection, &shortest, true))
        return false;
    choose_part(group);
    *ret_limit = group->part_size > 0 ? limit_of(group->part, group->part_size, true) : shortest;
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

/* ---- How a part ended ----------------------------------------------------------------------- */

void batch__postgres_group_succeeded(struct batch__postgres_group *group)
{
    batch__check(group->part_size > 0);
    batch__check(group->part_max > 0);
    group->pause_ns = 0;
    group->error = (struct batch__postgres_error){.code = 0};
    group->part_max *= 2;
    if (group->part_max > group->items_size)
        group->part_max = group->items_size;
}

bool batch__postgres_group_halve(struct batch__postgres_group *group)
{
    batch__check(group->part_size > 0);
    if (group->part_size > 1)
        group->part_max = group->part_size / 2;
    return group->part_size > 1;
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

static void retry_later(struct batch__postgres_group *group,
                        const struct batch__postgres_error *error)
{
    group->error = *error;
    if (group->pause_ns == 0)
        group->pause_ns = PAUSE_MIN_NS;
}

/* A row may have been loaded before the error: then it is good. */
static void refused(struct batch__postgres_group *group, const struct batch__postgres_error *error)
{
    if (batch__postgres_group_halve(group) || group->part[0]->is_resolved)
        return;
    batch__postgres_item_resolve(group->part[0], failure_of(group), error->code, error->text);
}

void batch__postgres_group_failed(struct batch__postgres_group *group,
                                  const struct batch__postgres_reply *reply)
{
    const struct batch__postgres_error *error = &reply->error;
    batch__check(reply->outcome != BATCH__POSTGRES_COMMITTED);
    if (reply->outcome != BATCH__POSTGRES_ROLLED_BACK) {
        retry_later(group, error);
        return;
    }
    switch (batch__postgres_classify(error)) {
    case BATCH__POSTGRES_ERROR_ROW:
        refused(group, error);
        break;
    case BATCH__POSTGRES_ERROR_TRANSIENT:
    case BATCH__POSTGRES_ERROR_ROW_LOCKED:
    case BATCH__POSTGRES_ERROR_TABLE_LOCKED:
        retry_later(group, error);
        break;
    case BATCH__POSTGRES_ERROR_CONNECTION:
        retry_later(group, error);
        batch__postgres_drop(group->connection);
        break;
    case BATCH__POSTGRES_ERROR_FATAL:
        resolve_all(group, error);
        batch__postgres_drop(group->connection); /* so that the table is checked again */
        break;
    }
}
