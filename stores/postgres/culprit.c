#include "culprit.h"

#include "../check.h"
#include "statement.h"

#include <stdlib.h>

struct trial {
    struct batch__postgres_connection *connection;
    struct batch__postgres_buffer *buffer;
    const struct batch__postgres_limit *limit;
    bool is_over; /* no more can be tried */
};

/* How many rows were written, says the result. */
static size_t count_written(const PGresult *rows)
{
    struct batch__postgres_array array;
    size_t written = 0;
    for (int column = 0; column < 2; column++) {
        batch__postgres_array_init(&array, rows, column);
        written += array.left > 0 ? (size_t)array.left : 0;
    }
    return written;
}

/* Is one of these to blame? */
static bool fails(struct trial *trial, struct batch__postgres_item *const *items, size_t items_size)
{
    struct batch__postgres_params params;
    struct batch__postgres_reply reply;
    if (trial->is_over || !batch__postgres_is_ready(trial->connection) ||
        !batch__postgres_params_of_rows(trial->buffer, &trial->connection->table.shape, items,
                                        items_size, &params)) {
        trial->is_over = true;
        return true;
    }
    batch__postgres_run_trial(trial->connection, BATCH__POSTGRES_SAVE, &params, trial->limit,
                              &reply);
    bool is_well =
        reply.outcome == BATCH__POSTGRES_COMMITTED && count_written(reply.rows) == items_size;
    trial->is_over =
        reply.outcome != BATCH__POSTGRES_COMMITTED && reply.outcome != BATCH__POSTGRES_ROLLED_BACK;
    PQclear(reply.rows);
    return !is_well;
}

struct batch__postgres_item *batch__postgres_culprit(struct batch__postgres_connection *connection,
                                                     struct batch__postgres_buffer *buffer,
                                                     struct batch__postgres_item *const *items,
                                                     size_t items_size,
                                                     const struct batch__postgres_limit *limit)
{
    struct trial trial = {.connection = connection, .buffer = buffer, .limit = limit};
    struct batch__postgres_item **written =
        malloc(items_size * sizeof(struct batch__postgres_item *));
    size_t first = 0, end = 0;
    batch__check(items_size > 0);
    for (size_t i = 0; i < items_size && written != NULL; i++) {
        if (!items[i]->is_check)
            written[end++] = items[i];
    }
    while (end - first > 1) {
        size_t half = (end - first) / 2;
        if (fails(&trial, written + first, half))
            end = first + half;
        else
            first += half;
    }
    struct batch__postgres_item *culprit = NULL;
    if (first < end && fails(&trial, written + first, 1) && !trial.is_over)
        culprit = written[first];
    free(written);
    return culprit;
}
