/* files.c: whether the names of a database still lead to the files that SQLite has open.
 *
 * SQLite continues to use the files that it has open, whatever happens to their names: a database
 * that was removed, moved or replaced accepts commits as before, and they are lost. SQLite checks
 * for that only if there is a rollback journal, and never checks the log and its index, although a
 * commit is lost with them as well: processes that have different files open under these names do
 * not see each other. (A file that is open keeps its inode, so a new file of the same name has
 * another one.)
 *
 * Two more faults leave the names as they are:
 *
 *   - The database has a second name (a hard link). Whoever uses that has another log.
 *   - A program other than SQLite wrote to a file, as cp does when it restores a backup over it.
 *     The log must be as long as its index says, and begin as that says. The database is written
 *     only by checkpoints, and each of them is recorded in the index of the log: so if the database
 *     changed and that record did not, it was not SQLite that changed it. If only its time differs,
 *     as after touch, the pages that the last checkpoint copied show whether its content is the
 *     same; before the first checkpoint, that is unknown. The fault is permanent: what SQLite has
 *     of the file, in memory and in the log, no longer matches it.
 *
 * The index of the log is shared memory whose layout is part of SQLite's file format
 * (https://www.sqlite.org/walformat.html, 2.2). If it is not the layout known here, or changes
 * while it is read, what depends on it is not checked this time.
 *
 * Each connection checks for itself, but the connections of a store share what they have seen: any
 * one of them may have been idle while the others wrote.
 *
 * A check is three statx() and 32 bytes read from the log, less than 3 us. No file is opened here:
 * closing a file drops every lock that the process has on it.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* statx */
#endif
#include "files.h"

#include "../../src/base/atomics.h"
#include "../check.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    LOG_HEADER_SIZE = 32,
    LOG_SALT_AT = 16,
    FRAME_HEADER_SIZE = 24,
    INDEX_PIECE_SIZE = 32768, /* the unit that SQLite maps it in */
    PAGES_COMPARED = 16
};

/* The index, in words of 32 bits. */
enum {
    INDEX_VERSION = 0,
    INDEX_PAGE_SIZE = 3, /* its bytes 2 and 3 */
    INDEX_FRAMES = 4,
    INDEX_SALT = 8,
    INDEX_COPY = 12, /* the words from 0 once more */
    INDEX_COPIED = 24,
    INDEX_COPYING = 32,
    INDEX_WORDS = 33
};

#define INDEX_VERSION_KNOWN 3007000u

static const char *const nouns[BATCH__SQLITE_FILES] = {"the file", "the file", "the log (-wal)",
                                                       "the index of the log (-shm)"};

static bool wrong(struct batch__sqlite_problem *ret_problem, enum batch__sqlite_file file,
                  const char *what, const char *advice)
{
    char text[BATCH__SQLITE_TEXT_SIZE];
    snprintf(text, sizeof text, "%s %s: %s", nouns[file], what, advice);
    batch__sqlite_problem_set(ret_problem, SQLITE_READONLY_DBMOVED, text);
    return false;
}

/* ---- Names ---------------------------------------------------------------------------------- */

/* Only the database is asked for its time: who asks for that of a file makes the kernel keep it
 * more exactly for the next write, which costs each commit some 40 us if it is the log. */
static bool ask(const struct batch__sqlite_files *files, enum batch__sqlite_file file,
                struct statx *ret_status)
{
    unsigned mask = STATX_INO | STATX_NLINK | STATX_SIZE;
    if (file == BATCH__SQLITE_FILE_MAIN)
        mask |= STATX_MTIME;
    return statx(AT_FDCWD, files->names[file], 0, mask, ret_status) == 0;
}

static bool look_up(const struct batch__sqlite_files *files, enum batch__sqlite_file file,
                    struct statx *ret_status, struct batch__sqlite_problem *ret_problem)
{
    if (!ask(files, file, ret_status))
        return wrong(ret_problem, file,
                     errno == ENOENT || errno == ENOTDIR ? "was removed or moved"
                                                         : "can no longer be reached",
                     "put it back, or stop and restart all that use it");
    const struct batch__sqlite_identity *known = &files->identities[file];
    if (ret_status->stx_dev_major == known->device_major &&
        ret_status->stx_dev_minor == known->device_minor && ret_status->stx_ino == known->inode)
        return true;
    return wrong(ret_problem, file, "was replaced by another one",
                 "stop and restart all that use it");
}

static bool has_one_name(const struct statx *status, struct batch__sqlite_problem *ret_problem)
{
    return status->stx_nlink <= 1 ||
           wrong(ret_problem, BATCH__SQLITE_FILE_MAIN, "has a second name (a hard link)",
                 "who uses that one has another log; remove it");
}

/* ---- The log -------------------------------------------------------------------------------- */

/* False: it is not known, or is being changed. */
static bool read_log(const struct batch__sqlite_files *files, struct batch__sqlite_log *ret_log)
{
    const sqlite3_io_methods *methods = files->main->pMethods;
    volatile void *piece = NULL;
    if (methods == NULL || methods->iVersion < 2 ||
        methods->xShmMap(files->main, 0, INDEX_PIECE_SIZE, 0, &piece) != SQLITE_OK || piece == NULL)
        return false;
    const volatile uint32_t *index = piece;
    uint32_t words[INDEX_WORDS];
    for (int i = 0; i < INDEX_WORDS; i++)
        words[i] = index[i];
    if (words[INDEX_VERSION] != INDEX_VERSION_KNOWN ||
        memcmp(words, words + INDEX_COPY, INDEX_COPY * sizeof *words) != 0)
        return false;
    uint16_t page_size; /* 65,536 is written as 1 */
    memcpy(&page_size, (const char *)&words[INDEX_PAGE_SIZE] + 2, sizeof page_size);
    *ret_log = (struct batch__sqlite_log){
        .page_size = (page_size & 0xfe00u) + ((page_size & 0x0001u) << 16),
        .frames = words[INDEX_FRAMES],
        .salt = {words[INDEX_SALT], words[INDEX_SALT + 1]},
        .copied = words[INDEX_COPIED],
        .copying = words[INDEX_COPYING],
    };
    return true;
}

static bool is_same_log(const struct batch__sqlite_log *a, const struct batch__sqlite_log *b)
{
    return a->page_size == b->page_size && a->frames == b->frames && a->salt[0] == b->salt[0] &&
           a->salt[1] == b->salt[1] && a->copied == b->copied && a->copying == b->copying;
}

/* `file` is what SQLite has open, `status` of its name. A log that was cut, and written to since,
 * is long enough, but begins with a hole. */
static bool is_log_whole(const struct batch__sqlite_log *log, sqlite3_file *file,
                         const struct statx *status)
{
    unsigned char header[LOG_HEADER_SIZE];
    if (log->frames == 0)
        return true;
    uint64_t size =
        LOG_HEADER_SIZE + (uint64_t)log->frames * (FRAME_HEADER_SIZE + (uint64_t)log->page_size);
    if (status->stx_size < size)
        return false;
    int code = file->pMethods->xRead(file, header, sizeof header, 0);
    if (code != SQLITE_OK && code != SQLITE_IOERR_SHORT_READ)
        return true; /* that is for SQLite to report */
    return code == SQLITE_OK && memcmp(header + LOG_SALT_AT, log->salt, sizeof log->salt) == 0;
}

/* ---- The database --------------------------------------------------------------------------- */

static bool has_same_mark(const struct batch__sqlite_log *a, const struct batch__sqlite_log *b)
{
    return a->salt[0] == b->salt[0] && a->salt[1] == b->salt[1] && a->copied == b->copied &&
           a->copying == b->copying;
}

static uint32_t big_endian(const unsigned char *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static bool is_among(const uint32_t *pages, size_t size, uint32_t page)
{
    size_t i = 0;
    while (i < size && pages[i] != page)
        i++;
    return i < size;
}

/* Are the pages that were copied last in the database as they are in the log? `pages` has room for
 * two. False, too, if none were copied, so that it is not known. */
static bool has_last_pages(const struct batch__sqlite_files *files, sqlite3_file *log_file,
                           const struct batch__sqlite_log *log, unsigned char *pages)
{
    uint32_t compared[PAGES_COMPARED];
    size_t size = 0;
    sqlite3_int64 page_size = log->page_size;
    unsigned char *in_log = pages, *in_main = pages + page_size;
    for (uint32_t frame = log->copied; frame > 0 && size < PAGES_COMPARED; frame--) {
        unsigned char number[4];
        sqlite3_int64 at =
            LOG_HEADER_SIZE + (sqlite3_int64)(frame - 1) * (FRAME_HEADER_SIZE + page_size);
        if (log_file->pMethods->xRead(log_file, number, sizeof number, at) != SQLITE_OK)
            return false;
        uint32_t page = big_endian(number);
        if (page == 0 || is_among(compared, size, page))
            continue;
        compared[size++] = page;
        if (log_file->pMethods->xRead(log_file, in_log, (int)page_size, at + FRAME_HEADER_SIZE) !=
                SQLITE_OK ||
            files->main->pMethods->xRead(files->main, in_main, (int)page_size,
                                         (page - 1) * page_size) != SQLITE_OK ||
            memcmp(in_log, in_main, log->page_size) != 0)
            return false;
    }
    return size > 0;
}

/* The time of the database is another one, and its mark is not: is it as it was? */
static bool is_kept(const struct batch__sqlite_files *files, sqlite3_file *log_file,
                    const struct batch__sqlite_log *log, unsigned char *pages)
{
    struct batch__sqlite_log after;
    return has_last_pages(files, log_file, log, pages) || !read_log(files, &after) ||
           !has_same_mark(log, &after); /* it was copied to meanwhile */
}

/* Is the database as it was, or has a checkpoint written to it meanwhile? With the lock held. */
static bool is_by_checkpoint(const struct batch__sqlite_files *files, sqlite3_file *log_file,
                             const struct batch__sqlite_log *log, const struct statx *status)
{
    struct batch__sqlite_watch *watch = files->watch;
    if (log->copied != log->copying)
        return true; /* one is at work, or was stopped */
    if (watch->is_seen && has_same_mark(log, &watch->log)) {
        if (status->stx_size != watch->size)
            return false;
        if (status->stx_mtime.tv_sec != watch->time_s ||
            status->stx_mtime.tv_nsec != watch->time_ns) {
            unsigned char *pages = sqlite3_malloc64(2 * (sqlite3_uint64)log->page_size);
            if (pages == NULL)
                return true; /* the next look will show */
            bool is_as_it_was = is_kept(files, log_file, log, pages);
            sqlite3_free(pages);
            if (!is_as_it_was)
                return false;
        }
    }
    watch->is_seen = true;
    watch->log = *log;
    watch->time_s = status->stx_mtime.tv_sec;
    watch->time_ns = status->stx_mtime.tv_nsec;
    watch->size = status->stx_size;
    return true;
}

static bool foreign(struct batch__sqlite_watch *watch, enum batch__sqlite_file file,
                    struct batch__sqlite_problem *ret_problem)
{
    wrong(&watch->foreign, file, "was written to by something else than SQLite",
          "stop all that use it, restore it, restart");
    *ret_problem = watch->foreign;
    return false;
}

/* ---- A look --------------------------------------------------------------------------------- */

static sqlite3_file *open_log(const struct batch__sqlite_files *files)
{
    sqlite3_file *log = NULL;
    sqlite3_file_control(files->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &log);
    return log != NULL && log->pMethods != NULL ? log : NULL;
}

/* With the lock held, so that connections see the database in order. */
static bool check(const struct batch__sqlite_files *files,
                  struct batch__sqlite_problem *ret_problem)
{
    struct batch__sqlite_log before, after;
    struct statx main_status, log_status, status;
    struct batch__sqlite_watch *watch = files->watch;
    if (watch->foreign.code != SQLITE_OK) {
        *ret_problem = watch->foreign;
        return false;
    }
    bool is_known = read_log(files, &before);
    if (!look_up(files, BATCH__SQLITE_FILE_MAIN, &main_status, ret_problem) ||
        !look_up(files, BATCH__SQLITE_FILE_LOG, &log_status, ret_problem) ||
        !look_up(files, BATCH__SQLITE_FILE_INDEX, &status, ret_problem) ||
        !has_one_name(&main_status, ret_problem))
        return false;
    if (files->names[BATCH__SQLITE_FILE_GIVEN] != NULL &&
        !look_up(files, BATCH__SQLITE_FILE_GIVEN, &status, ret_problem))
        return false;
    sqlite3_file *log = open_log(files);
    if (!is_known || log == NULL)
        return true;
    bool is_whole = is_log_whole(&before, log, &log_status);
    if (!read_log(files, &after) || !is_same_log(&before, &after))
        return true; /* a write is in progress; the next check comes soon */
    if (!is_whole)
        return foreign(watch, BATCH__SQLITE_FILE_LOG, ret_problem);
    return is_by_checkpoint(files, log, &after, &main_status) ||
           foreign(watch, BATCH__SQLITE_FILE_MAIN, ret_problem);
}

bool batch__sqlite_files_check(const struct batch__sqlite_files *files, uint64_t age_max_ns,
                               struct batch__sqlite_problem *ret_problem)
{
    struct batch__sqlite_watch *watch = files->watch;
    if (watch == NULL)
        return true;
    uint64_t now_ns = batch_now_ns();
    if (now_ns < batch__load_relaxed(&watch->xright_ns) + age_max_ns)
        return true; /* without the lock, which others hold while they ask the system */
    pthread_mutex_lock(&watch->lock);
    bool is_right = check(files, ret_problem);
    batch__store_relaxed(&watch->xright_ns, is_right ? now_ns : 0);
    pthread_mutex_unlock(&watch->lock);
    return is_right;
}

bool batch__sqlite_watch_init(struct batch__sqlite_watch *watch)
{
    *watch = (struct batch__sqlite_watch){.users = 0};
    return pthread_mutex_init(&watch->lock, NULL) == 0;
}

void batch__sqlite_watch_destroy(struct batch__sqlite_watch *watch)
{
    batch__check(watch->users == 0);
    pthread_mutex_destroy(&watch->lock);
}

/* ---- Opening -------------------------------------------------------------------------------- */

static bool note_names(struct batch__sqlite_files *files, sqlite3 *db, const char *given)
{
    const char *main = sqlite3_db_filename(db, "main");
    if (strcmp(given, main) != 0) {
        files->names[BATCH__SQLITE_FILE_GIVEN] = sqlite3_mprintf("%s", given);
        if (files->names[BATCH__SQLITE_FILE_GIVEN] == NULL)
            return false;
    }
    files->names[BATCH__SQLITE_FILE_MAIN] = sqlite3_mprintf("%s", main);
    files->names[BATCH__SQLITE_FILE_LOG] = sqlite3_mprintf("%s-wal", main);
    files->names[BATCH__SQLITE_FILE_INDEX] = sqlite3_mprintf("%s-shm", main);
    return files->names[BATCH__SQLITE_FILE_MAIN] != NULL &&
           files->names[BATCH__SQLITE_FILE_LOG] != NULL &&
           files->names[BATCH__SQLITE_FILE_INDEX] != NULL;
}

static bool note_files(struct batch__sqlite_files *files, struct batch__sqlite_problem *ret_problem)
{
    for (int i = 0; i < BATCH__SQLITE_FILES; i++) {
        struct statx status;
        if (files->names[i] == NULL)
            continue;
        if (!ask(files, (enum batch__sqlite_file)i, &status))
            return wrong(ret_problem, (enum batch__sqlite_file)i, "is gone", "open it once more");
        if (i == BATCH__SQLITE_FILE_MAIN && !has_one_name(&status, ret_problem))
            return false;
        files->identities[i] = (struct batch__sqlite_identity){
            status.stx_dev_major, status.stx_dev_minor, status.stx_ino};
    }
    /* Only now, so that what was noted is what SQLite has open. */
    int has_moved = 0;
    sqlite3_file_control(files->db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved);
    return !has_moved ||
           wrong(ret_problem, BATCH__SQLITE_FILE_MAIN, "was replaced", "open it once more");
}

bool batch__sqlite_files_open(struct batch__sqlite_files *files, sqlite3 *db, const char *given,
                              struct batch__sqlite_watch *watch,
                              struct batch__sqlite_problem *ret_problem)
{
    files->db = db;
    if (!note_names(files, db, given)) {
        batch__sqlite_problem_set(ret_problem, SQLITE_NOMEM, "no memory for the names of files");
        return false;
    }
    /* If this is not known, SQLite does not keep it in files of the system. */
    int has_moved = 0;
    if (sqlite3_file_control(db, "main", SQLITE_FCNTL_HAS_MOVED, &has_moved) == SQLITE_NOTFOUND)
        return true;
    int code = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &files->main);
    batch__check(code == SQLITE_OK && files->main != NULL);
    files->watch = watch;
    pthread_mutex_lock(&watch->lock);
    if (watch->users++ == 0)
        watch->is_seen = false; /* nothing has prevented the log from being recreated */
    bool is_right = note_files(files, ret_problem) && check(files, ret_problem);
    pthread_mutex_unlock(&watch->lock);
    return is_right;
}

void batch__sqlite_files_close(struct batch__sqlite_files *files)
{
    for (int i = 0; i < BATCH__SQLITE_FILES; i++)
        sqlite3_free(files->names[i]);
    if (files->watch == NULL)
        return;
    pthread_mutex_lock(&files->watch->lock);
    batch__check(files->watch->users > 0);
    files->watch->users--;
    pthread_mutex_unlock(&files->watch->lock);
}
