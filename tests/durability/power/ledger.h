/* ledger.h: what was asked of each key and what was said, and whether what is stored agrees.
 *
 * The state of a key is the list of the operations that it was given, each a number that is never
 * used twice. So it shows by itself what was applied:
 *
 *   - what was found after an earlier cut is there, as it was: the power was on since;
 *   - every operation that was completed with BATCH_OK is in it, whatever became of the others;
 *   - numbers rise: nothing is there twice, or out of order, or was never asked;
 *   - each save added 1 to the version, and to the count of saves in the state.
 */
#ifndef BATCH_TEST_POWER_LEDGER_H
#define BATCH_TEST_POWER_LEDGER_H

#include <stdbool.h>
#include <stdint.h>

enum { LOG_MAX = 640, SENT_MAX = 64 };

/* The resource: the state of a key in memory. */
struct log {
    uint32_t count;
    uint32_t saves;
    unsigned char *encoded; /* what encode made, or NULL */
    uint32_t ids[LOG_MAX];
};

struct ledger {
    uint32_t settled_count;
    uint32_t sent_count;
    uint32_t id_last;      /* given out so far */
    uint64_t version_base; /* of the stored versions, less the saves; 0: not known */
    uint32_t settled[LOG_MAX];
    uint32_t sent[SENT_MAX];     /* since then */
    bool acknowledged[SENT_MAX]; /* of these */
};

/* What was found wrong, and right. */
struct verdicts {
    uint64_t acknowledged;
    uint64_t unknown;
    uint64_t unknown_applied;
    uint64_t lost;   /* acknowledged, and not there */
    uint64_t ghosts; /* twice, out of order, or never asked */
    uint64_t torn;   /* in some of their keys only */
};

/* The next operation: its number. */
uint32_t ledger_send(struct ledger *ledger);
bool ledger_is_full(const struct ledger *ledger);
void ledger_acknowledge(struct ledger *ledger, uint32_t id);

/* Compare with what is stored, add to the verdicts, and go on from that. */
void ledger_settle(struct ledger *ledger, const struct log *log, struct verdicts *verdicts);

/* ---- As bytes ------------------------------------------------------------------------------- */

/* The bytes of a state, from malloc: it is followed by up to `filler_max` bytes that depend on it,
 * so that states take from a part of a page to many. */
unsigned char *log_encode(const struct log *log, uint32_t saves, uint32_t filler_max,
                          uint32_t *ret_size);

/* False: not whole. */
bool log_decode(struct log *log, const void *bytes, uint32_t size);

#endif
