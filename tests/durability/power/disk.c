/* disk.c: see disk.h: the names on the disk, and the VFS that SQLite reaches it by. */
#include "disk.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "image.h"
#include "vfs.h"

enum {
    NAMES_MAX = 8,
    NAME_SIZE = 64,
    SHARED_MAX = 64, /* pieces of shared memory, of 4,062 frames of the log each */
    SECTOR_SAID = 4096
};

/* A file, as long as a name or a handle leads to it. */
struct file {
    struct image image;
    unsigned uses;
};

struct name {
    char text[NAME_SIZE]; /* "" if it is free */
    struct file *now;     /* NULL: there is no such file */
    struct file *synced;  /* after a cut, if the folder is not synced before */
};

struct handle {
    struct vfs_file vfs; /* first; there is no other file behind */
    struct file *file;
    struct name *name; /* NULL: a file without one */
    int flags;
};

static struct {
    sqlite3_vfs vfs;
    sqlite3_io_methods methods;
    struct name names[NAMES_MAX];
    struct random random;      /* of the disk */
    struct random random_said; /* what SQLite gets */
    unsigned handles;
    unsigned mains; /* handles of the database itself */
    bool lies;
    bool is_off;
    enum disk_place place;
    uint64_t steps;
    uint64_t armed;
    void *shared[SHARED_MAX];
} disk;

/* ---- Power ---------------------------------------------------------------------------------- */

/* What is to be written has been noted; false if the power went meanwhile. */
static bool step(enum disk_place place)
{
    if (++disk.steps != disk.armed)
        return true;
    disk.is_off = true;
    disk.place = place;
    return false;
}

static enum disk_place place_of(const struct handle *handle, bool is_sync)
{
    if (handle->flags & SQLITE_OPEN_WAL)
        return is_sync ? DISK_LOG_SYNC : DISK_LOG_WRITE;
    if (handle->flags & SQLITE_OPEN_MAIN_DB)
        return is_sync ? DISK_MAIN_SYNC : DISK_MAIN_WRITE;
    return DISK_OTHER;
}

void disk_arm(uint64_t armed)
{
    disk.steps = 0;
    disk.armed = armed;
}

void disk_cut(void)
{
    if (!disk.is_off)
        disk.place = DISK_IDLE;
    disk.is_off = true;
}

bool disk_is_off(void)
{
    return disk.is_off;
}

uint64_t disk_steps(void)
{
    return disk.steps;
}

enum disk_place disk_place(void)
{
    return disk.place;
}

/* ---- Names ---------------------------------------------------------------------------------- */

static struct file *file_use(struct file *file)
{
    if (file != NULL)
        file->uses++;
    return file;
}

static void file_drop(struct file *file)
{
    if (file == NULL || --file->uses > 0)
        return;
    image_free(&file->image);
    free(file);
}

static struct file *file_new(void)
{
    struct file *file = calloc(1, sizeof *file);
    if (file == NULL)
        abort();
    file->uses = 1;
    return file;
}

static struct name *name_find(const char *text)
{
    struct name *unused = NULL;
    for (size_t i = 0; i < NAMES_MAX; i++) {
        struct name *name = &disk.names[i];
        if (strcmp(name->text, text) == 0)
            return name;
        if (name->text[0] == '\0' && unused == NULL)
            unused = name;
    }
    assert(unused != NULL && strlen(text) < NAME_SIZE);
    strcpy(unused->text, text);
    return unused;
}

/* Point at `file`, which has been used for that. */
static void point(struct file **pointer, struct file *file)
{
    file_drop(*pointer);
    *pointer = file;
}

static void name_cut(struct name *name)
{
    if (name->now != name->synced) {
        uint64_t chosen = random_below(&disk.random, 8);
        if (chosen == 0)
            point(&name->now, NULL); /* the old one deleted, the new one not yet made */
        else if (chosen < 4)
            point(&name->now, file_use(name->synced));
        point(&name->synced, file_use(name->now));
    }
    if (name->now != NULL)
        image_cut(&name->now->image, &disk.random);
    else
        name->text[0] = '\0';
}

void disk_reboot(void)
{
    assert(disk.is_off && disk.handles == 0);
    for (size_t i = 0; i < NAMES_MAX; i++) {
        if (disk.names[i].text[0] != '\0')
            name_cut(&disk.names[i]);
    }
    disk.is_off = false;
    disk.armed = 0;
}

void disk_reset(uint64_t seed, bool lies)
{
    assert(disk.handles == 0);
    for (size_t i = 0; i < NAMES_MAX; i++) {
        point(&disk.names[i].now, NULL);
        point(&disk.names[i].synced, NULL);
        disk.names[i].text[0] = '\0';
    }
    disk.random.state = seed;
    disk.random_said.state = ~seed;
    disk.lies = lies;
    disk.is_off = false;
    disk.armed = 0;
    sqlite3_randomness(0, NULL); /* begin anew, from ours */
}

/* ---- A file --------------------------------------------------------------------------------- */

static struct handle *handle_of(sqlite3_file *file)
{
    return (struct handle *)(void *)file;
}

static int disk_close(sqlite3_file *file)
{
    struct handle *handle = handle_of(file);
    disk.handles--;
    disk.mains -= (handle->flags & SQLITE_OPEN_MAIN_DB) != 0;
    file_drop(handle->file);
    return SQLITE_OK;
}

static int disk_read(sqlite3_file *file, void *bytes, int size, sqlite3_int64 at)
{
    const struct image *image = &handle_of(file)->file->image;
    if (disk.is_off)
        return SQLITE_IOERR_READ;
    size_t from = (size_t)at, wanted = (size_t)size;
    size_t there = from < image->size_now ? image->size_now - from : 0;
    size_t given = there < wanted ? there : wanted;
    if (given > 0)
        memcpy(bytes, image->now + from, given);
    memset((unsigned char *)bytes + given, 0, wanted - given);
    return given == wanted ? SQLITE_OK : SQLITE_IOERR_SHORT_READ;
}

static int disk_write(sqlite3_file *file, const void *bytes, int size, sqlite3_int64 at)
{
    struct handle *handle = handle_of(file);
    if (disk.is_off)
        return SQLITE_IOERR_WRITE;
    image_write(&handle->file->image, bytes, (size_t)size, (size_t)at, &disk.random);
    return step(place_of(handle, false)) ? SQLITE_OK : SQLITE_IOERR_WRITE;
}

static int disk_truncate(sqlite3_file *file, sqlite3_int64 size)
{
    if (disk.is_off)
        return SQLITE_IOERR_TRUNCATE;
    image_truncate(&handle_of(file)->file->image, (size_t)size);
    return step(DISK_OTHER) ? SQLITE_OK : SQLITE_IOERR_TRUNCATE;
}

/* As on the file systems of Linux, a synced file is there under its name too. */
static int disk_sync(sqlite3_file *file, int flags)
{
    struct handle *handle = handle_of(file);
    (void)flags;
    if (disk.is_off || !step(place_of(handle, true)))
        return SQLITE_IOERR_FSYNC;
    if (disk.lies)
        return SQLITE_OK;
    image_sync(&handle->file->image);
    if (handle->name != NULL && handle->name->now == handle->file)
        point(&handle->name->synced, file_use(handle->file));
    return SQLITE_OK;
}

static int disk_file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
    if (disk.is_off)
        return SQLITE_IOERR_FSTAT;
    *ret_size = (sqlite3_int64)handle_of(file)->file->image.size_now;
    return SQLITE_OK;
}

static int disk_sector_size(sqlite3_file *file)
{
    (void)file;
    return SECTOR_SAID;
}

static int disk_characteristics(sqlite3_file *file)
{
    (void)file;
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

/* ---- Shared memory, for the index of the log ------------------------------------------------ */

static int disk_shm_map(sqlite3_file *file, int piece, int piece_size, int extend,
                        void volatile **ret_map)
{
    (void)file;
    assert(piece < SHARED_MAX);
    if (disk.shared[piece] == NULL && extend) {
        disk.shared[piece] = calloc(1, (size_t)piece_size);
        if (disk.shared[piece] == NULL)
            return SQLITE_NOMEM;
    }
    *ret_map = disk.shared[piece];
    return SQLITE_OK;
}

static int disk_shm_unmap(sqlite3_file *file, int is_deleted)
{
    (void)file;
    (void)is_deleted;
    for (size_t i = 0; i < SHARED_MAX && disk.shared[i] != NULL; i++) {
        free(disk.shared[i]);
        disk.shared[i] = NULL;
    }
    return SQLITE_OK;
}

/* ---- The disk ------------------------------------------------------------------------------- */

static int disk_open(sqlite3_vfs *vfs, const char *text, sqlite3_file *base, int flags,
                     int *ret_flags)
{
    (void)vfs;
    struct handle *handle = handle_of(base);
    base->pMethods = NULL;
    if (disk.is_off)
        return SQLITE_CANTOPEN;
    handle->vfs.real = NULL;
    handle->flags = flags;
    handle->name = text != NULL ? name_find(text) : NULL;
    handle->file = handle->name != NULL ? file_use(handle->name->now) : file_new();
    if (handle->file == NULL) {
        if ((flags & SQLITE_OPEN_CREATE) == 0)
            return SQLITE_CANTOPEN;
        handle->file = file_new();
        point(&handle->name->now, file_use(handle->file));
        if (!step(DISK_OTHER)) {
            file_drop(handle->file);
            return SQLITE_CANTOPEN;
        }
    }
    base->pMethods = &disk.methods;
    disk.handles++;
    disk.mains += (flags & SQLITE_OPEN_MAIN_DB) != 0;
    assert(disk.mains <= 1);
    if (ret_flags != NULL)
        *ret_flags = flags;
    return SQLITE_OK;
}

static int disk_delete(sqlite3_vfs *vfs, const char *text, int is_synced)
{
    (void)vfs;
    struct name *name = name_find(text);
    if (disk.is_off)
        return SQLITE_IOERR_DELETE;
    if (name->now == NULL)
        return SQLITE_IOERR_DELETE_NOENT;
    point(&name->now, NULL);
    if (!step(DISK_OTHER))
        return SQLITE_IOERR_DELETE;
    if (is_synced && !disk.lies)
        point(&name->synced, NULL);
    return SQLITE_OK;
}

/* An empty file is not there, as SQLite's own disk has it. */
static int disk_access(sqlite3_vfs *vfs, const char *text, int flags, int *ret_is)
{
    (void)vfs;
    const struct name *name = name_find(text);
    if (disk.is_off)
        return SQLITE_IOERR_ACCESS;
    *ret_is = name->now != NULL && (flags != SQLITE_ACCESS_EXISTS || name->now->image.size_now > 0);
    return SQLITE_OK;
}

static int disk_full_pathname(sqlite3_vfs *vfs, const char *text, int size, char *ret_path)
{
    (void)vfs;
    sqlite3_snprintf(size, ret_path, "%s%s", text[0] == '/' ? "" : "/", text);
    return SQLITE_OK;
}

static int disk_randomness(sqlite3_vfs *vfs, int size, char *ret_bytes)
{
    (void)vfs;
    for (int i = 0; i < size; i++)
        ret_bytes[i] = (char)random_next(&disk.random_said);
    return size;
}

void disk_install(void)
{
    disk.methods = vfs_methods();
    disk.methods.xClose = disk_close;
    disk.methods.xRead = disk_read;
    disk.methods.xWrite = disk_write;
    disk.methods.xTruncate = disk_truncate;
    disk.methods.xSync = disk_sync;
    disk.methods.xFileSize = disk_file_size;
    disk.methods.xSectorSize = disk_sector_size;
    disk.methods.xDeviceCharacteristics = disk_characteristics;
    disk.methods.xShmMap = disk_shm_map;
    disk.methods.xShmUnmap = disk_shm_unmap;
    vfs_install(&disk.vfs, "power", sizeof(struct handle));
    disk.vfs.xOpen = disk_open;
    disk.vfs.xDelete = disk_delete;
    disk.vfs.xAccess = disk_access;
    disk.vfs.xFullPathname = disk_full_pathname;
    disk.vfs.xRandomness = disk_randomness;
}
