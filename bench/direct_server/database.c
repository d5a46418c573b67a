/* database.c: see database.h. */
#include "database.h"

#include <stdio.h>

#include "booking/train_codec.h"

void database_fail(struct booking *booking, int status, const char *message)
{
    booking->status = status;
    snprintf(booking->message, sizeof booking->message, "%s", message);
}

bool database_decode(const struct database *database, struct booking *booking, struct train *train,
                     const void *json, size_t json_size)
{
    const char *wrong = train_decode(train, json, json_size, database->seats);
    if (wrong != NULL)
        database_fail(booking, BATCH_LOAD_FAILED, wrong);
    return wrong == NULL;
}

void database_count_commit(struct database *database, uint64_t begin_ns)
{
    uint64_t took_ns = batch_now_ns() - begin_ns;
    atomic_fetch_add_explicit(&database->xcommit_ns, took_ns, memory_order_relaxed);
    atomic_fetch_add_explicit(&database->xcommits, 1, memory_order_relaxed);
}
