/* counter.c: clicks, counted exactly: a thousand at once, and one that reads. */
#include "cookbook.h"

#include <stdatomic.h>

/* A number as the resource: no codec is needed. */
static batch_verdict click(void *resource, void *arg)
{
    (void)arg;
    ++*(uint64_t *)resource;
    return BATCH_CHANGED;
}

/* Reading is an operation too: it sees what is stored, and is answered once that is durable. */
static batch_verdict read_clicks(void *resource, void *arg)
{
    *(uint64_t *)arg = *(const uint64_t *)resource;
    return BATCH_UNCHANGED;
}

static atomic_int confirmed;

static void done(batch_op *op, const batch_result *result)
{
    (void)op;
    if (result->status == BATCH_OK)
        atomic_fetch_add(&confirmed, 1);
}

int main(void)
{
    enum { CLICKS = 1000 };
    static batch_op ops[CLICKS];
    static batch_op *list[CLICKS];
    struct kitchen kitchen = kitchen_open("counter.db", sizeof(uint64_t));
    uint64_t before = 0, after = 0;
    EXPECT(run(kitchen.processor, "front page", read_clicks, &before) == BATCH_OK);
    for (int i = 0; i < CLICKS; i++) {
        ops[i] = (batch_op)BATCH_OP_INIT;
        ops[i].key = "front page";
        ops[i].key_size = strlen("front page");
        ops[i].run = click;
        ops[i].done = done;
        list[i] = &ops[i];
    }
    EXPECT(batch_submit_many(kitchen.processor, list, CLICKS) == BATCH_OK);
    EXPECT(run(kitchen.processor, "front page", read_clicks, &after) == BATCH_OK);
    kitchen_close(&kitchen); /* every click is complete now */
    EXPECT(confirmed == CLICKS);
    EXPECT(after == before + CLICKS); /* what one thread submits on a key runs in that order */
    printf("%llu clicks\n", (unsigned long long)after);
    return 0;
}
