/* money.c: see money.h. */
#include "money.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/say.h"

struct key key_of(char kind, uint32_t number)
{
    char text[KEY_SIZE + 1];
    struct key key;
    snprintf(text, sizeof text, "%c%07u", kind, number % 10000000u);
    memcpy(key.text, text, KEY_SIZE);
    return key;
}

uint32_t keys_of(const struct settings *settings, char kind)
{
    if (settings->workload == WORKLOAD_PAIRS)
        return kind == 'a' ? settings->keys : 0;
    if (kind == 'b')
        return settings->branches;
    return kind == 't' ? TELLERS * settings->branches : settings->accounts * settings->branches;
}

/* xorshift64*. */
static uint32_t random_below(uint64_t *random, uint32_t bound)
{
    uint64_t x = *random;
    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *random = x;
    return (uint32_t)((((x * 0x2545F4914F6CDD1DULL) >> 32) * bound) >> 32);
}

struct movement movement_choose(const struct settings *settings, uint64_t *random)
{
    int64_t amount = (int64_t)random_below(random, 10001) - 5000;
    uint32_t accounts = keys_of(settings, 'a');
    uint32_t account = random_below(random, accounts);
    if (settings->workload == WORKLOAD_TPCB)
        return (struct movement){
            .size = 3,
            .keys = {key_of('a', account),
                     key_of('t', random_below(random, keys_of(settings, 't'))),
                     key_of('b', random_below(random, keys_of(settings, 'b')))},
            .amounts = {amount, amount, amount}};
    uint32_t other = (account + 1 + random_below(random, accounts - 1)) % accounts;
    uint32_t low = account < other ? account : other;
    uint32_t high = account < other ? other : account;
    return (struct movement){
        .size = 2, .keys = {key_of('a', low), key_of('a', high)}, .amounts = {amount, -amount}};
}

void state_move(struct state *state, int64_t amount)
{
    state->balance += amount;
    state->movements++;
}

void totals_add(struct totals *totals, char kind, const struct state *state)
{
    *(kind == 'a'   ? &totals->accounts
      : kind == 'b' ? &totals->branches
                    : &totals->tellers) += state->balance;
    totals->movements += state->movements;
}

bool totals_agree(const struct totals *totals, const struct settings *settings, uint64_t ok,
                  uint64_t unknown)
{
    bool is_tpcb = settings->workload == WORKLOAD_TPCB;
    uint64_t rows = is_tpcb ? 3 : 2;
    bool agree = is_tpcb
                     ? totals->accounts == totals->branches && totals->accounts == totals->tellers
                     : totals->accounts == 0;
    if (!agree)
        say("the balances do not agree: accounts %" PRId64 ", branches %" PRId64
            ", tellers %" PRId64,
            totals->accounts, totals->branches, totals->tellers);
    bool all = totals->movements >= rows * ok && totals->movements <= rows * (ok + unknown) &&
               totals->movements % rows == 0;
    if (!all)
        say("%" PRIu64 " rows were changed by %" PRIu64 " transactions and %" PRIu64
            " unknown ones",
            totals->movements, ok, unknown);
    return agree && all;
}
