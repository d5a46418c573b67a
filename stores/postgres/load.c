/* load.c: a group of loads: one SELECT that looks up every key.
 *
 * Rows come one by one, and each is decoded as it comes: so a group takes no more memory than its
 * resources do, however large the states are. What is wrong with one row fails that key alone. A
 * row that has come is good, however the statement ends, since the save checks its version; keys
 * without a row are known only at the end.
 */
#include "internal.h"

static void failed(struct batch__postgres_item *item, const char *text)
{
    batch__postgres_decide(item, BATCH_LOAD_FAILED, 0, text);
}

static void decode(const struct batch__postgres_group *group, struct batch__postgres_item *item,
                   const PGresult *rows, int row)
{
    bool is_jsonb = group->session->shape.state_type == BATCH_POSTGRES_JSONB;
    if (PQgetisnull(rows, row, 1) || PQgetisnull(rows, row, 2)) {
        failed(item, "the stored version or state is NULL");
        return;
    }
    int64_t row_version = batch__postgres_int64(PQgetvalue(rows, row, 1));
    if (row_version == INT64_MIN) {
        failed(item, "the stored version is the least bigint, which cannot be told from none");
        return;
    }
    const char *state = PQgetvalue(rows, row, 2);
    int size = PQgetlength(rows, row, 2);
    if (is_jsonb && (size < 1 || state[0] != 1)) {
        failed(item, "the server sends jsonb in a form that is not known here");
        return;
    }
    int skip = is_jsonb ? 1 : 0;
    batch_call_set_version(item->call, batch__postgres_version(row_version));
    int status = batch_call_decode(item->call, state + skip, (size_t)(size - skip));
    batch__postgres_decide(item, status, 0, NULL); /* its error is set */
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
        if (!item->is_decided)
            decode(group, item, rows, row);
    }
}

static void decode_nothing(struct batch__postgres_item *item)
{
    batch_call_set_version(item->call, 0);
    batch__postgres_decide(item, batch_call_decode(item->call, NULL, 0), 0, NULL);
}

static void load_part(struct batch__postgres_group *group,
                      const struct batch__postgres_limit *limit)
{
    struct batch__postgres_params params;
    struct batch__postgres_answer answer;
    if (!batch__postgres_params_of_keys(group->session, group->part, group->part_size, &params)) {
        for (size_t i = 0; i < group->part_size; i++)
            failed(group->part[i], "no memory for a statement");
        return;
    }
    batch__postgres_run(group->session, BATCH__POSTGRES_LOAD, &params, limit, on_rows, group,
                        &answer);
    if (answer.reply != BATCH__POSTGRES_DONE) {
        batch__postgres_group_failed(group, &answer);
        return;
    }
    for (size_t i = 0; i < group->part_size; i++) {
        if (!group->part[i]->is_decided)
            decode_nothing(group->part[i]);
    }
    batch__postgres_group_went_well(group);
}

void batch__postgres_load(batch_store *store, void *session, batch_call *const *calls,
                          size_t calls_size)
{
    (void)store;
    struct batch__postgres_group group;
    if (!batch__postgres_group_init(&group, session, true, calls, calls_size))
        return;
    for (size_t i = 0; i < calls_size; i++) {
        if (!batch__postgres_item_set_key(session, &group.items[i]))
            batch__postgres_decide(&group.items[i], BATCH_LOAD_FAILED, 0, NULL);
    }
    while (batch__postgres_group_settle(&group)) {
        struct batch__postgres_limit limit;
        if (batch__postgres_group_next(&group, &limit))
            load_part(&group, &limit);
    }
    batch__postgres_group_destroy(&group);
}
