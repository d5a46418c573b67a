/* journal.h: what the nodes of a round were asked and what they reported, in memory that they share
 * with the driver: it is there after a node that is killed at any instant.
 *
 * A node writes SENT before it submits an operation, and what came of it from `done`; that write is
 * the completion, for this is where the driver reads it. So what is OK here has been reported, and
 * what is SENT at the end nobody knows.
 *
 * An operation has a key, or, as a transaction, several: then it is in the state of each of them.
 *
 * An incarnation is a node from its start to its end. In an incarnation each submitter numbers its
 * operations, and an operation is in the states of its keys as incarnation, submitter and number. A
 * round has keys of its own, so that states stay short.
 */
#ifndef BATCH_TEST_CRASH_JOURNAL_H
#define BATCH_TEST_CRASH_JOURNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "log.h"

enum { KEYS = 6, INCARNATIONS_MAX = 64, SUBMITTERS = 4, OPERATIONS_MAX = 4096, KEY_SIZE = 32 };

enum outcome { OUTCOME_NONE = 0, OUTCOME_SENT, OUTCOME_OK, OUTCOME_REFUSED, OUTCOME_UNKNOWN };

struct entry {
    atomic_uchar outcome; /* enum outcome */
    atomic_uchar keys;    /* bit k: it is to be in the state of key k */
};

struct incarnation {
    atomic_uint completed; /* operations and reads */
    struct entry entries[SUBMITTERS][OPERATIONS_MAX];
};

struct journal {
    atomic_uint in_state[KEYS]; /* at least so many operations are in the state */
    atomic_uint reads;          /* completed with BATCH_OK */
    atomic_uint stale;          /* results that had not seen what they must have seen */
    atomic_uint torn;           /* transactions that saw a part of another one */
    struct incarnation incarnations[INCARNATIONS_MAX];
};

/* Seen at one moment: is there an operation in some of its keys, and not in all of them? Used by
 * one thread at a time. */
bool journal_is_torn(const struct journal *journal, const struct log *const logs[KEYS]);

static inline uint32_t id_of(unsigned incarnation, unsigned submitter, unsigned number)
{
    return incarnation << 20 | submitter << 16 | number;
}

static inline unsigned life_of(uint32_t id)
{
    return id >> 20;
}

static inline unsigned submitter_of(uint32_t id)
{
    return id >> 16 & 0xf;
}

static inline unsigned number_of(uint32_t id)
{
    return id & 0xffff;
}

#endif
