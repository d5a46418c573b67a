/* disk.h: a disk in memory that forgets, when the power goes, what was not synced; SQLite's default
 * disk in this program.
 *
 * What a cut leaves of a file that was written and not synced since: each sector of 512 bytes is
 * either as it was or as it was written last (or, if written more than once, as written in
 * between: a disk may write at any time), each on its own; the size is the old one, the new one or
 * one between; a sector that the file grew by holds zeros or rubbish. A file that was made and not
 * synced is there or not; one that was deleted without a sync of the folder is there again or not.
 * What one write was writing when the power went counts as written and not synced.
 *
 * SQLite is told what its own Unix disk tells it (sectors of 4,096 bytes; writing one byte leaves
 * its neighbours alone).
 *
 * There is one disk, and one connection to it at a time, so its state is static and locks are
 * granted; it is asserted that there is only one. Any thread, one at a time.
 */
#ifndef BATCH_TEST_POWER_DISK_H
#define BATCH_TEST_POWER_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "random.h"

/* Where the power went. */
enum disk_place {
    DISK_LOG_WRITE, /* of the write-ahead log */
    DISK_LOG_SYNC,
    DISK_MAIN_WRITE, /* of the database itself: a checkpoint */
    DISK_MAIN_SYNC,
    DISK_OTHER, /* a rollback journal, files made, deleted, cut short */
    DISK_IDLE,  /* between two of these */
    DISK_PLACES
};

/* Make this the default VFS of SQLite. */
void disk_install(void);

/* An empty disk. If `lies`, every sync says that it was done, and does nothing. */
void disk_reset(uint64_t seed, bool lies);

/* Let the power go at the n-th step from now on (from 1): a write, a truncation, a sync, a file
 * made or deleted. From then on everything fails and changes nothing. 0: never. */
void disk_arm(uint64_t step);

/* Let the power go now, unless it is off already. */
void disk_cut(void);

bool disk_is_off(void);
uint64_t disk_steps(void);        /* since disk_arm */
enum disk_place disk_place(void); /* of the last cut */

/* Power on: what has survived is there, and nothing is open. */
void disk_reboot(void);

#endif
