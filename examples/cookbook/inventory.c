/* inventory.c: stock that is reserved, and comes back by itself if it is not bought in time. */
#include "cookbook.h"

enum { RESERVATIONS = 8 };

struct stock {
    uint32_t free;
    struct {
        uint64_t order; /* 0: none */
        uint32_t count;
        uint64_t until_s;
    } reserved[RESERVATIONS];
};

/* The time is part of the request. An operation reads no clock: when it is replayed, it must come
 * to the same result. */
struct request {
    enum { RECEIVE, RESERVE, BUY } what;
    uint64_t order;
    uint32_t count;
    uint64_t now_s;
    bool is_refused;
};

static void give_back_expired(struct stock *stock, uint64_t now_s)
{
    for (int i = 0; i < RESERVATIONS; i++) {
        if (stock->reserved[i].order != 0 && stock->reserved[i].until_s <= now_s) {
            stock->free += stock->reserved[i].count;
            stock->reserved[i].order = 0;
        }
    }
}

static batch_verdict handle(void *resource, void *arg)
{
    struct stock *stock = resource;
    struct request *request = arg;
    request->is_refused = false;
    give_back_expired(stock, request->now_s);
    if (request->what == RECEIVE) {
        stock->free += request->count;
        return BATCH_CHANGED;
    }
    uint64_t wanted =
        request->what == BUY ? request->order : 0; /* a reservation of it, or a place */
    for (int i = 0; i < RESERVATIONS; i++) {
        if (stock->reserved[i].order != wanted)
            continue;
        if (request->what == RESERVE && stock->free < request->count)
            break;
        if (request->what == RESERVE)
            stock->free -= request->count;
        stock->reserved[i].order = request->what == RESERVE ? request->order : 0;
        stock->reserved[i].count = request->count;
        stock->reserved[i].until_s = request->now_s + 600;
        return BATCH_CHANGED;
    }
    request->is_refused = true;
    return BATCH_CHANGED; /* what has expired is free again */
}

static bool ask(struct kitchen *kitchen, struct request request)
{
    EXPECT(run(kitchen->processor, "chairs", handle, &request) == BATCH_OK);
    return !request.is_refused;
}

int main(void)
{
    struct kitchen kitchen = kitchen_open("inventory.db", sizeof(struct stock));
    ask(&kitchen, (struct request){RECEIVE, 0, 5, 1000, false});
    EXPECT(ask(&kitchen, (struct request){RESERVE, 71, 3, 1000, false}));
    EXPECT(!ask(&kitchen, (struct request){RESERVE, 72, 3, 1001, false})); /* 2 are left */
    EXPECT(ask(&kitchen, (struct request){RESERVE, 73, 2, 1002, false}));
    EXPECT(ask(&kitchen, (struct request){BUY, 73, 2, 1100, false}));
    EXPECT(ask(&kitchen, (struct request){RESERVE, 72, 3, 1601, false})); /* 71 has expired */
    EXPECT(!ask(&kitchen, (struct request){BUY, 71, 3, 1602, false}));
    EXPECT(ask(&kitchen, (struct request){BUY, 72, 3, 1602, false}));
    EXPECT(!ask(&kitchen, (struct request){RESERVE, 74, 1, 9999, false})); /* all are sold */
    kitchen_close(&kitchen);
    printf("five chairs came, five were sold\n");
    return 0;
}
