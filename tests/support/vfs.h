/* vfs.h: a VFS of SQLite of which a test writes only what it is about.
 *
 * A method that a test does not write is passed on to SQLite's own file behind, if there is one.
 * Without one, locks are granted to everybody, and what is asked beyond that is not known.
 */
#ifndef BATCH_TEST_SUPPORT_VFS_H
#define BATCH_TEST_SUPPORT_VFS_H

#include <sqlite3.h>
#include <stddef.h>

/* The head of a file of such a VFS. */
struct vfs_file {
    sqlite3_file base;  /* first */
    sqlite3_file *real; /* or NULL */
};

/* A table of methods; without memory mapping, so that every read is seen. */
sqlite3_io_methods vfs_methods(void);

/* Make `vfs` a copy of SQLite's own VFS, with files of this size, and the default one of the
 * program; the test replaces functions of it. SQLite's own. */
sqlite3_vfs *vfs_install(sqlite3_vfs *vfs, const char *name, size_t file_size);

#endif
