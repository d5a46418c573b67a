/* money.h: accounts, tellers and branches, and what a transaction moves between them. */
#ifndef BENCH_TPCB_MONEY_H
#define BENCH_TPCB_MONEY_H

#include <stdint.h>

#include "options.h"

#define BENCH_TABLE "batch_tpcb" /* a row for each key, in a database */

enum { KEY_SIZE = 8, ROWS_MAX = 3, TELLERS = 10 /* of a branch */ };

/* 'a' (account), 'b' (branch) or 't' (teller), and a number in 7 digits. */
struct key {
    char text[KEY_SIZE];
};

/* What is stored under a key: as it is, its filler to make it as long as TPC-B's rows are. */
struct state {
    int64_t balance;
    uint64_t movements; /* that changed the balance */
    char filler[88];
};

/* What one transaction does: add amounts to balances. The keys are in one order, in which direct
 * locks their rows: an account, a teller, a branch, so the hottest last; accounts by number. */
struct movement {
    uint32_t size;
    struct key keys[ROWS_MAX];
    int64_t amounts[ROWS_MAX];
};

struct key key_of(char kind, uint32_t number);

/* How many keys of a kind there are. */
uint32_t keys_of(const struct settings *settings, char kind);

/* TPC-B's: an account, a teller and a branch, each at random, and one amount for all three. Or
 * pairs: from one account to another. `random` must not be 0. */
struct movement movement_choose(const struct settings *settings, uint64_t *random);

void state_move(struct state *state, int64_t amount);

/* What is stored, added up. */
struct totals {
    int64_t accounts, branches, tellers;
    uint64_t movements;
};

void totals_add(struct totals *totals, char kind, const struct state *state);

/* Do the balances agree, and is every movement in all of its rows: `ok` of them, and no more than
 * `unknown` others? Prints what is wrong. */
bool totals_agree(const struct totals *totals, const struct settings *settings, uint64_t ok,
                  uint64_t unknown);

#endif
