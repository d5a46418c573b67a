#include "load.h"

#include "../check.h"
#include "error.h"
#include "statement.h"
#include "values.h"

static void failed(struct batch__postgres_item *item, const char *text)
{
    batch__postgres_item_resolve(item, BATCH_LOAD_FAILED, 0, text);
}

static void decode(const struct batch__postgres_group *group, struct batch__postgres_item *item,
                   const PGresult *rows, int row)
{
    batch__check(!item->is_resolved);
    bool is_jsonb = group->connection->table.shape.state_type == BATCH_POSTGRES_JSONB;
    if (PQgetisnull(rows, row, 1) || PQgetisnull(rows, row, 2)) {
        failed(item, "the stored version or state is NULL");
        return;
    }
    int64_t row_version = batch__postgres_int64(PQgetvalue(rows, row, 1));
    if (row_version == INT64_MIN) {
        failed(item, "the stored version is the smallest bigint, which stands for no row");
        return;
    }
    const char *state = PQgetvalue(rows, row, 2);
    int size = PQgetlength(rows, row, 2);
    if (is_jsonb && (size < 1 || state[0] != 1)) {
        failed(item, "the server sends jsonb in an unknown format");
        return;
    }
    int skip = is_jsonb ? 1 : 0;
    batch_call_set_version(item->call, batch__postgres_version(row_version));
    int status = batch_call_decode(item->call, state + skip, (size_t)(size - skip));
    batch__postgres_item_resolve(item, status, 0, NULL); /* its error is set */
}

static void on_rows(const PGresult *rows, void *arg)
{
    const struct batch__postgres_group *group = arg;
    int rows_size = PQntuples(rows);
    for (int row = 0; row < rows_size; row++) {
        int64_t place = batch__postgres_int64(PQgetvalue(rows, row, 0)) - 1;
        if (place < 0 || (uint64_t)place >= group->part_size)
            continue;
        struct batch__postgres_item *item = group->part[place];
        if (!item->is_resolved)
            decode(group, item, rows, row);
    }
}

static void decode_nothing(struct batch__postgres_item *item)
{
    batch_call_set_version(item->call, 0);
    batch__postgres_item_resolve(item, batch_call_decode(item->call, NULL, 0), 0, NULL);
}

static void load_part(struct batch__postgres_group *group,
                      const struct batch__postgres_limit *limit)
{
    struct batch__postgres_params params;
    struct batch__postgres_reply reply;
    if (!batch__postgres_params_of_keys(&group->memory->buffer, &group->connection->table.shape,
                                        group->part, group->part_size, &params)) {
        for (size_t i = 0; i < group->part_size; i++)
            failed(group->part[i], "no memory for a statement");
        return;
    }
    batch__postgres_run(group->connection, BATCH__POSTGRES_LOAD, &params, limit, on_rows, group,
                        &reply);
    if (reply.outcome != BATCH__POSTGRES_COMMITTED) {
        batch__postgres_group_failed(group, &reply);
        return;
    }
    for (size_t i = 0; i < group->part_size; i++) {
        if (!group->part[i]->is_resolved)
            decode_nothing(group->part[i]);
    }
    batch__postgres_group_succeeded(group);
}

static void prepare(struct batch__postgres_group *group)
{
    for (size_t i = 0; i < group->items_size; i++) {
        struct batch__postgres_item *item = &group->items[i];
        if (!item->is_resolved && !batch__postgres_item_set_key(item, &group->shape))
            batch__postgres_item_resolve(item, BATCH_LOAD_FAILED, 0, NULL);
    }
}

void batch__postgres_load(struct batch__postgres_connection *connection,
                          struct batch__postgres_group_memory *memory, batch_call *const *calls,
                          size_t calls_size)
{
    struct batch__postgres_group group;
    if (!batch__postgres_group_init(&group, connection, memory, true, calls, calls_size))
        return;
    prepare(&group);
    while (batch__postgres_group_finish(&group)) {
        struct batch__postgres_limit limit;
        if (!batch__postgres_group_next(&group, &limit))
            continue;
        if (batch__postgres_group_is_reshaped(&group))
            prepare(&group);
        else if (group.part_size > 0 || group.is_probe)
            load_part(&group, &limit);
        else
            batch__postgres_group_wait(&group, &limit);
    }
    batch__postgres_group_destroy(&group);
}
