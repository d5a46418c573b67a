/* crash_audit.h: compares what is stored with the journal: acknowledged operations are there; what
 * is there was acknowledged, or nobody knows; once each; in all of its keys or in none; and those
 * of one submitter in the order in which it submitted them.
 */
#ifndef BATCH_TEST_CRASH_AUDIT_H
#define BATCH_TEST_CRASH_AUDIT_H

#include <stdint.h>
#include <stdio.h>

#include "journal.h"

struct findings {
    uint64_t acknowledged;
    uint64_t refused;
    uint64_t unknown;          /* not completed, or completed with BATCH_UNKNOWN */
    uint64_t reported_unknown; /* of these: completed */
    uint64_t unknown_applied;  /* of these: there */
    uint64_t reads;
    /* What is wrong. */
    uint64_t lost;       /* acknowledged and not there */
    uint64_t twice;      /* there more than once */
    uint64_t ghosts;     /* there, and never sent, or refused, or of another key */
    uint64_t disordered; /* before one that its submitter had sent earlier */
    uint64_t torn;       /* there in some of its keys, and not in all */
    uint64_t torn_looks; /* looks at all keys at one moment that saw such a one */
    uint64_t stale;      /* results that missed what was acknowledged before they were asked for */
};

/* Read the keys of the round, with a processor on the store, and add to the findings. No node runs.
 * Ends the program if the store cannot be read. */
void audit(const char *target, struct journal *journal, unsigned round, struct findings *findings);

uint64_t audit_wrong(const struct findings *findings);
void audit_print(const struct findings *findings, FILE *file);

#endif
