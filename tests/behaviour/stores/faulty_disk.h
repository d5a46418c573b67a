/* faulty_disk.h: a disk for SQLite that fails on demand, and counts commits.
 *
 * It is a VFS over SQLite's own, made the default one of the program. There is one, set up once, so
 * its state is static.
 */
#ifndef BATCH_TEST_STORE_FAULTY_DISK_H
#define BATCH_TEST_STORE_FAULTY_DISK_H

#include <stdbool.h>

enum fault {
    FAULT_READ,           /* of any file */
    FAULT_LOG_WRITE,      /* of the write-ahead log: nothing is written, I/O error */
    FAULT_LOG_WRITE_HALF, /* half of it is written, the disk is full */
    FAULT_LOG_WRITE_ALL,  /* all of it is written, and yet an I/O error */
    FAULT_LOG_SYNC,       /* an I/O error; what was written may be there */
    FAULT_NONE
};

void faulty_disk_install(void);

/* Fail the n-th time (from 1) that what the fault is about is done from now on, and, if `goes_on`,
 * each time after that. */
void faulty_disk_arm(enum fault fault, unsigned n, bool goes_on);

/* Work again. True if it has failed since it was armed. */
bool faulty_disk_disarm(void);

/* From now on files are opened with or without the shared memory that WAL mode needs. */
void faulty_disk_allow_wal(bool is_allowed);

/* Call this whenever a checkpoint has copied the log to the file and syncs that; NULL: nobody. */
void faulty_disk_on_checkpoint(void (*on_checkpoint)(void *arg), void *arg);

/* Since faulty_disk_install: transactions written to a log, and syncs of a log. */
unsigned faulty_disk_commits(void);
unsigned faulty_disk_log_syncs(void);

/* Likewise: rollback journals that were deleted, and how many of them without a sync of the folder,
 * so that they may come back when the power goes. */
unsigned faulty_disk_journals(void);
unsigned faulty_disk_journals_not_synced(void);

#endif
