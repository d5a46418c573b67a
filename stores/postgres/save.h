/* save.h: a group of saves: one statement and one commit, and each key's outcome on its own.
 *
 * States are encoded first. Then a part, usually the whole group, is written by one statement
 * (sql.h), whose result lists what it has written: that is OK. For the rest, if any, a recheck of
 * the table shows why:
 *
 *   - the row has another version, or is gone, or is there when it should be new: CONFLICT;
 *   - it is unchanged, and others have it locked: retried, until the deadline. The other calls of
 *     the group have been finished by then;
 *   - it is unchanged, and nobody has it locked: a trigger left it so, SAVE_FAILED.
 *
 * A unit (unit.h) has one outcome: a conflict if one of its rows is; set aside if one is locked. If
 * it could only be stored in part, the statement fails, and the recheck shows whether that is a
 * conflict or the doing of a trigger.
 *
 * What would be stored otherwise than it was sent is an error of the statement (sql.h).
 *
 * An error rolls the part back, so nothing of it is stored; group.h finds the row to blame. In
 * doubt (statement.h) every key of the part is UNKNOWN, and never retried.
 *
 * Units. A part in which nothing is only checked is first saved as a whole, by nearly the statement
 * for keys that are alone. If that fails, since a row has another version, units are counted.
 *
 * Locks. The first try waits for them, a little; while that succeeds it is the fastest. After it
 * has met a lock that stays, rows that are locked are skipped at once, for a second. New keys can
 * only be waited for: the part is bisected until the one is found that others hold.
 */
#ifndef BATCH_POSTGRES_SAVE_H
#define BATCH_POSTGRES_SAVE_H

#include "connection.h"
#include "group.h"

/* What a session remembers from one group of saves to the next; all zeros at first. */
struct batch__postgres_save_state {
    uint64_t skip_locked_until_ns; /* rows were locked lately */
    uint32_t counted;              /* a part with units was not written as a whole: so many more are
                                      counted unit by unit at once */
};

/* Every call is finished, as in struct batch_store. */
void batch__postgres_save(struct batch__postgres_save_state *state,
                          struct batch__postgres_connection *connection,
                          struct batch__postgres_group_memory *memory, batch_call *const *calls,
                          size_t calls_size);

#endif
