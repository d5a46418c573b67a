/* power_schedule.h: one disk and its incarnations: start, work, power cut, and again.
 *
 * An incarnation opens the store of libbatch on the disk, reads every key and settles the ledgers
 * (so the cut before this incarnation is judged), and then sends rounds of operations, many keys at
 * once, some of them transactions over several keys; each round is one group of saves. Somewhere in
 * it the power goes: while the store is opened and repairs the file, while it commits, copies the
 * log to the file, or is closed.
 *
 * The processor calls the store on its worker (sessions = 0), and the last one to complete sends
 * the next, so a schedule depends on its seed alone.
 */
#ifndef BATCH_TEST_POWER_SCHEDULE_H
#define BATCH_TEST_POWER_SCHEDULE_H

#include <batch/sqlite.h>

#include "disk.h"
#include "ledger.h"

struct findings {
    struct verdicts verdicts;
    uint64_t cuts;
    uint64_t places[DISK_PLACES]; /* cuts */
    uint64_t schedules;
    uint64_t operations; /* sent */
    uint64_t together;   /* transactions over several keys that were there */
    uint64_t broken;     /* the file could not be opened or read again, or a state was not whole,
                            or a version was not as counted: the schedule ends there */
};

struct schedule_rules {
    batch_sqlite_durability durability;
    bool lies;    /* the disk, about syncs */
    bool splits;  /* the store, units */
    bool goes_on; /* after what was found wrong, to count it */
};

/* Run a schedule of at most `cuts_max` cuts; add to the findings. False: something was wrong, and
 * `ret_text` says what. */
bool schedule_run(uint64_t seed, uint64_t cuts_max, const struct schedule_rules *rules,
                  struct findings *findings, char *ret_text, size_t text_size);

#endif
