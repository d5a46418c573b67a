/* vfs.c: see vfs.h. */
#include "vfs.h"

#include <stdlib.h>

/* A function that passes a method on to the file behind; or, without one, returns that. */
#define PASSES_ON(name, method, without, parameters, arguments)                                    \
    static int name parameters                                                                     \
    {                                                                                              \
        sqlite3_file *real = ((struct vfs_file *)(void *)file)->real;                              \
        return real != NULL ? real->pMethods->method arguments : (without);                        \
    }

PASSES_ON(vfs_close, xClose, SQLITE_OK, (sqlite3_file * file), (real))
PASSES_ON(vfs_read, xRead, SQLITE_IOERR,
          (sqlite3_file * file, void *bytes, int size, sqlite3_int64 at), (real, bytes, size, at))
PASSES_ON(vfs_write, xWrite, SQLITE_IOERR,
          (sqlite3_file * file, const void *bytes, int size, sqlite3_int64 at),
          (real, bytes, size, at))
PASSES_ON(vfs_truncate, xTruncate, SQLITE_IOERR, (sqlite3_file * file, sqlite3_int64 size),
          (real, size))
PASSES_ON(vfs_sync, xSync, SQLITE_OK, (sqlite3_file * file, int flags), (real, flags))
PASSES_ON(vfs_file_size, xFileSize, SQLITE_IOERR, (sqlite3_file * file, sqlite3_int64 *ret_size),
          (real, ret_size))
PASSES_ON(vfs_lock, xLock, SQLITE_OK, (sqlite3_file * file, int level), (real, level))
PASSES_ON(vfs_unlock, xUnlock, SQLITE_OK, (sqlite3_file * file, int level), (real, level))
PASSES_ON(vfs_file_control, xFileControl, SQLITE_NOTFOUND, (sqlite3_file * file, int op, void *arg),
          (real, op, arg))
PASSES_ON(vfs_sector_size, xSectorSize, 0, (sqlite3_file * file), (real))
PASSES_ON(vfs_characteristics, xDeviceCharacteristics, 0, (sqlite3_file * file), (real))
PASSES_ON(vfs_shm_map, xShmMap, SQLITE_IOERR,
          (sqlite3_file * file, int page, int page_size, int extend, void volatile **ret_map),
          (real, page, page_size, extend, ret_map))
PASSES_ON(vfs_shm_lock, xShmLock, SQLITE_OK,
          (sqlite3_file * file, int offset, int count, int flags), (real, offset, count, flags))
PASSES_ON(vfs_shm_unmap, xShmUnmap, SQLITE_OK, (sqlite3_file * file, int is_deleted),
          (real, is_deleted))

static int vfs_check_reserved_lock(sqlite3_file *file, int *ret_is_locked)
{
    sqlite3_file *real = ((struct vfs_file *)(void *)file)->real;
    if (real != NULL)
        return real->pMethods->xCheckReservedLock(real, ret_is_locked);
    *ret_is_locked = 0;
    return SQLITE_OK;
}

static void vfs_shm_barrier(sqlite3_file *file)
{
    sqlite3_file *real = ((struct vfs_file *)(void *)file)->real;
    if (real != NULL)
        real->pMethods->xShmBarrier(real);
}

sqlite3_io_methods vfs_methods(void)
{
    return (sqlite3_io_methods){
        .iVersion = 2,
        .xClose = vfs_close,
        .xRead = vfs_read,
        .xWrite = vfs_write,
        .xTruncate = vfs_truncate,
        .xSync = vfs_sync,
        .xFileSize = vfs_file_size,
        .xLock = vfs_lock,
        .xUnlock = vfs_unlock,
        .xFileControl = vfs_file_control,
        .xSectorSize = vfs_sector_size,
        .xDeviceCharacteristics = vfs_characteristics,
        .xShmMap = vfs_shm_map,
        .xShmLock = vfs_shm_lock,
        .xShmUnmap = vfs_shm_unmap,
        .xCheckReservedLock = vfs_check_reserved_lock,
        .xShmBarrier = vfs_shm_barrier,
    };
}

sqlite3_vfs *vfs_install(sqlite3_vfs *vfs, const char *name, size_t file_size)
{
    sqlite3_vfs *real = sqlite3_vfs_find(NULL);
    *vfs = *real;
    vfs->pNext = NULL;
    vfs->zName = name;
    vfs->szOsFile = (int)file_size;
    if (sqlite3_vfs_register(vfs, 1) != SQLITE_OK)
        abort();
    return real;
}
