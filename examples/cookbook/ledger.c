/* ledger.c: an account that is never overdrawn. A refusal is a result, not a failure. */
#include "cookbook.h"

struct account {
    int64_t cents;
    uint64_t entries;
};

struct posting {
    int64_t cents; /* below 0: a withdrawal */
    bool is_refused;
    int64_t balance; /* after it */
};

static batch_verdict post(void *resource, void *arg)
{
    struct account *account = resource;
    struct posting *posting = arg;
    posting->is_refused = account->cents + posting->cents < 0; /* each time: it may be a replay */
    if (!posting->is_refused) {
        account->cents += posting->cents;
        account->entries++;
    }
    posting->balance = account->cents;
    return posting->is_refused ? BATCH_UNCHANGED : BATCH_CHANGED;
}

int main(void)
{
    struct kitchen kitchen = kitchen_open("ledger.db", sizeof(struct account));
    static const int64_t amounts[] = {10000, -2500, -9000, -7500, -1};
    static const bool refused[] = {false, false, true, false, true};
    int64_t balance = 0;
    for (size_t i = 0; i < sizeof amounts / sizeof amounts[0]; i++) {
        struct posting posting = {.cents = amounts[i]};
        EXPECT(run(kitchen.processor, "ann", post, &posting) == BATCH_OK);
        /* Only now may `posting` be used: before, it came from what might never be stored. */
        EXPECT(posting.is_refused == refused[i]);
        balance = posting.balance;
        printf("%+6lld: %s, balance %lld\n", (long long)amounts[i],
               posting.is_refused ? "refused" : "posted", (long long)balance);
    }
    EXPECT(balance == 0);
    kitchen_close(&kitchen);
    return 0;
}
