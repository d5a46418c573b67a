#include "faulty_disk.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "vfs.h"

enum {
    FRAME_HEADER_SIZE = 24, /* of a page in the log */
    FRAME_SIZE_AT = 4       /* pages of the file after a commit; 0 if it is no commit */
};

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *real;
    sqlite3_io_methods methods;
    sqlite3_io_methods methods_without_wal;
    atomic_int fault;
    atomic_uint count; /* of what the fault is about, since it was armed */
    atomic_uint first;
    atomic_bool goes_on;
    atomic_bool has_failed;
    atomic_uint commits;
    atomic_uint log_syncs;
    atomic_uint journals;
    atomic_uint journals_not_synced;
    bool is_wal_allowed;
    void (*on_checkpoint)(void *arg);
    void *on_checkpoint_arg;
} disk;

struct disk_file {
    struct vfs_file file;    /* first */
    int kind;                /* SQLITE_OPEN_WAL: the log, … */
    sqlite3_int64 storage[]; /* of SQLite's own file, aligned as SQLite does it */
};

static sqlite3_file *real_of(sqlite3_file *file)
{
    return ((struct vfs_file *)(void *)file)->real;
}

static bool fails(enum fault fault)
{
    if (atomic_load(&disk.fault) != (int)fault)
        return false;
    unsigned count = atomic_fetch_add(&disk.count, 1) + 1;
    unsigned first = atomic_load(&disk.first);
    if (count != first && !(count > first && atomic_load(&disk.goes_on)))
        return false;
    atomic_store(&disk.has_failed, true);
    return true;
}

/* ---- A file --------------------------------------------------------------------------------- */

static int disk_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 at)
{
    if (fails(FAULT_READ))
        return SQLITE_IOERR_READ;
    return real_of(file)->pMethods->xRead(real_of(file), bytes, size, at);
}

static int disk_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at)
{
    sqlite3_file *real = real_of(file);
    if (((struct disk_file *)file)->kind != SQLITE_OPEN_WAL)
        return real->pMethods->xWrite(real, bytes, size, at);
    const unsigned char *frame_size = (const unsigned char *)bytes + FRAME_SIZE_AT;
    if (size == FRAME_HEADER_SIZE &&
        (frame_size[0] | frame_size[1] | frame_size[2] | frame_size[3]) != 0)
        atomic_fetch_add(&disk.commits, 1);
    if (fails(FAULT_LOG_WRITE))
        return SQLITE_IOERR_WRITE;
    if (fails(FAULT_LOG_WRITE_HALF)) {
        real->pMethods->xWrite(real, bytes, size / 2, at);
        return SQLITE_FULL;
    }
    int code = real->pMethods->xWrite(real, bytes, size, at);
    return fails(FAULT_LOG_WRITE_ALL) ? SQLITE_IOERR_WRITE : code;
}

static int disk_sync(sqlite3_file *file, int flags)
{
    int kind = ((struct disk_file *)file)->kind;
    if (kind == SQLITE_OPEN_MAIN_DB && disk.on_checkpoint != NULL)
        disk.on_checkpoint(disk.on_checkpoint_arg);
    if (kind == SQLITE_OPEN_WAL) {
        atomic_fetch_add(&disk.log_syncs, 1);
        if (fails(FAULT_LOG_SYNC))
            return SQLITE_IOERR_FSYNC;
    }
    return real_of(file)->pMethods->xSync(real_of(file), flags);
}

/* ---- The disk ------------------------------------------------------------------------------- */

static int disk_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags,
                     int *ret_flags)
{
    (void)vfs;
    struct disk_file *own = (struct disk_file *)(void *)file;
    own->kind = flags & (SQLITE_OPEN_WAL | SQLITE_OPEN_MAIN_DB);
    own->file.real = (sqlite3_file *)(void *)own->storage;
    int code = disk.real->xOpen(disk.real, name, real_of(file), flags, ret_flags);
    file->pMethods = NULL;
    if (code == SQLITE_OK)
        file->pMethods = disk.is_wal_allowed ? &disk.methods : &disk.methods_without_wal;
    return code;
}

static int disk_delete(sqlite3_vfs *vfs, const char *name, int is_folder_synced)
{
    (void)vfs;
    if (strstr(name, "-journal") != NULL) {
        atomic_fetch_add(&disk.journals, 1);
        atomic_fetch_add(&disk.journals_not_synced, is_folder_synced == 0);
    }
    return disk.real->xDelete(disk.real, name, is_folder_synced);
}

void faulty_disk_install(void)
{
    size_t own_size = sizeof(struct disk_file);
    disk.fault = FAULT_NONE;
    disk.is_wal_allowed = true;
    disk.methods = vfs_methods();
    disk.methods.xRead = disk_read;
    disk.methods.xWrite = disk_write;
    disk.methods.xSync = disk_sync;
    disk.methods_without_wal = disk.methods;
    disk.methods_without_wal.iVersion = 1; /* no shared memory */
    disk.real =
        vfs_install(&disk.vfs, "faulty", own_size + (size_t)sqlite3_vfs_find(NULL)->szOsFile);
    disk.vfs.xOpen = disk_open;
    disk.vfs.xDelete = disk_delete;
}

void faulty_disk_arm(enum fault fault, unsigned n, bool goes_on)
{
    atomic_store(&disk.count, 0);
    atomic_store(&disk.first, n);
    atomic_store(&disk.goes_on, goes_on);
    atomic_store(&disk.has_failed, false);
    atomic_store(&disk.fault, (int)fault);
}

bool faulty_disk_disarm(void)
{
    atomic_store(&disk.fault, (int)FAULT_NONE);
    return atomic_load(&disk.has_failed);
}

unsigned faulty_disk_commits(void)
{
    return atomic_load(&disk.commits);
}

unsigned faulty_disk_log_syncs(void)
{
    return atomic_load(&disk.log_syncs);
}

unsigned faulty_disk_journals(void)
{
    return atomic_load(&disk.journals);
}

unsigned faulty_disk_journals_not_synced(void)
{
    return atomic_load(&disk.journals_not_synced);
}

void faulty_disk_allow_wal(bool is_allowed)
{
    disk.is_wal_allowed = is_allowed;
}

void faulty_disk_on_checkpoint(void (*on_checkpoint)(void *arg), void *arg)
{
    disk.on_checkpoint = on_checkpoint;
    disk.on_checkpoint_arg = arg;
}
