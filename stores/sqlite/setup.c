/* setup.c: every setting of a connection, in one place, each of them read back.
 *
 * SQLite ignores a PRAGMA that it does not know, that was left out when it was built, or that comes
 * at the wrong time, without an error. So a setting counts only once it has been read. Three kinds:
 *
 *   - what durability stands on: WAL mode, `synchronous`, and locks that other processes see;
 *   - what the user's table counts on: foreign keys are enforced only if the connection asks for
 *     it, CHECK and triggers unless it asks for the contrary. `recursive_triggers` and
 *     `trusted_schema` stay as SQLite was built, as in the user's other programs;
 *   - memory and log: the cache may grow to 8 MiB. With SQLite's own limit of 2, a group of 4,096
 *     random rows would not fit, so pages would go to the log before their commit and be read back.
 *     A log that had to grow is truncated when it restarts. The file is not mapped: if another
 *     program truncates it, that is an error and not a signal.
 */
#include "setup.h"

#include "../check.h"
#include "error.h"

#include <string.h>

struct setting {
    const char *set;
    const char *read;
    const char *expected;
    bool may_be_missing; /* reading it may give nothing, where there is no such thing */
};

static const struct setting settings[] = {
    {"PRAGMA foreign_keys=ON", "PRAGMA foreign_keys", "1", false},
    {"PRAGMA ignore_check_constraints=OFF", "PRAGMA ignore_check_constraints", "0", false},
    {"PRAGMA writable_schema=OFF", "PRAGMA writable_schema", "0", false},
    {"PRAGMA query_only=OFF", "PRAGMA query_only", "0", false},
    {"PRAGMA main.locking_mode=NORMAL", "PRAGMA main.locking_mode", "normal", false},
    {"PRAGMA main.mmap_size=0", "PRAGMA main.mmap_size", "0", true},
    {"PRAGMA main.cache_size=-8192", "PRAGMA main.cache_size", "-8192", false},
    {"PRAGMA main.journal_size_limit=33554432", "PRAGMA main.journal_size_limit", "33554432",
     false},
};

_Static_assert(BATCH__SQLITE_LOG_SIZE_MAX == 33554432, "journal_size_limit");

/* The same for what is no PRAGMA. */
static const struct {
    int option;
    int value;
    const char *what;
} options[] = {
    {SQLITE_DBCONFIG_ENABLE_FKEY, 1, "foreign keys cannot be switched on"},
    {SQLITE_DBCONFIG_ENABLE_TRIGGER, 1, "triggers cannot be switched on"},
    /* "name" must mean a column, and not be taken for text when there is none. */
    {SQLITE_DBCONFIG_DQS_DML, 0, "text in double quotes cannot be switched off"},
    {SQLITE_DBCONFIG_DQS_DDL, 0, "text in double quotes cannot be switched off"},
};

struct setup {
    sqlite3 *db;
    batch__sqlite_wait_fn *wait;
    void *wait_arg;
    batch_result *reterr;
};

/* Run a pragma and compare its result, if one is expected. SQLite does not always call the busy
 * handler while the file changes its mode, so being busy is waited out here too. */
static int pragma(const struct setup *setup, const char *sql, const char *expected,
                  bool may_be_missing)
{
    sqlite3_stmt *statement = NULL;
    bool is_expected = expected == NULL;
    int code;
    do {
        code = sqlite3_prepare_v2(setup->db, sql, -1, &statement, NULL);
        if (code == SQLITE_OK && sqlite3_step(statement) == SQLITE_ROW) {
            const char *value = (const char *)sqlite3_column_text(statement, 0);
            is_expected = expected == NULL || (value != NULL && strcmp(value, expected) == 0);
        } else if (may_be_missing) {
            is_expected = true;
        }
        if (code == SQLITE_OK)
            code = sqlite3_reset(statement);
        sqlite3_finalize(statement); /* the connection keeps its error */
    } while ((code & 0xff) == SQLITE_BUSY && setup->wait(setup->wait_arg));
    if (code != SQLITE_OK)
        return batch__sqlite_fail_last(
            setup->db,
            (code & 0xff) == SQLITE_NOTADB ? sqlite3_db_filename(setup->db, "main") : sql,
            setup->reterr);
    if (is_expected)
        return BATCH_OK;
    char text[BATCH__SQLITE_TEXT_SIZE];
    sqlite3_snprintf((int)sizeof text, text, "%s had no effect, it must be %s", sql, expected);
    return batch__sqlite_fail(setup->reterr, BATCH_STORE_FAILED, SQLITE_ERROR, text);
}

static int set_options(const struct setup *setup)
{
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        int value = -1;
        int code = sqlite3_db_config(setup->db, options[i].option, options[i].value, &value);
        if (code != SQLITE_OK || value != options[i].value)
            return batch__sqlite_fail(setup->reterr, BATCH_STORE_FAILED, SQLITE_ERROR,
                                      options[i].what);
    }
    return BATCH_OK;
}

/* EXTRA is FULL, and syncs the folder when a rollback journal has been deleted. There is one only
 * when the file is put into WAL mode; if it came back after a power cut, it would make the file as
 * empty as it was then. So that is done with EXTRA in any case. */
static int set_durability(const struct setup *setup, batch_sqlite_durability durability)
{
    bool is_full = durability == BATCH_SQLITE_FULL;
    int status = pragma(setup, "PRAGMA synchronous=EXTRA", NULL, false);
    if (status == BATCH_OK)
        status = pragma(setup, "PRAGMA main.journal_mode=WAL", "wal", false);
    if (status == BATCH_OK && !is_full)
        status = pragma(setup, "PRAGMA synchronous=NORMAL", NULL, false);
    if (status == BATCH_OK)
        status = pragma(setup, "PRAGMA synchronous", is_full ? "3" : "1", false);
    return status;
}

int batch__sqlite_connect(const char *path, bool may_create, sqlite3 **ret_db, batch_result *reterr)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                (may_create ? SQLITE_OPEN_CREATE : 0);
    int code = sqlite3_open_v2(path, ret_db, flags, NULL);
    if (*ret_db == NULL)
        return batch__sqlite_fail_no_memory(reterr, "no memory to open the file");
    sqlite3_extended_result_codes(*ret_db, 1);
    if (code != SQLITE_OK)
        return batch__sqlite_fail_last(*ret_db, path, reterr);
    if (sqlite3_db_readonly(*ret_db, "main") != 1)
        return BATCH_OK;
    char text[BATCH__SQLITE_TEXT_SIZE];
    sqlite3_snprintf((int)sizeof text, text, "%s: the file is read-only", path);
    return batch__sqlite_fail(reterr, BATCH_STORE_FAILED, SQLITE_READONLY, text);
}

int batch__sqlite_set_up(sqlite3 *db, batch_sqlite_durability durability,
                         batch__sqlite_wait_fn *wait, void *wait_arg, batch_result *reterr)
{
    const struct setup setup = {db, wait, wait_arg, reterr};
    batch__check(wait != NULL);
    int status = set_options(&setup);
    if (status == BATCH_OK)
        status = set_durability(&setup, durability);
    for (size_t i = 0; status == BATCH_OK && i < sizeof settings / sizeof settings[0]; i++) {
        status = pragma(&setup, settings[i].set, NULL, false);
        if (status == BATCH_OK)
            status =
                pragma(&setup, settings[i].read, settings[i].expected, settings[i].may_be_missing);
    }
    return status;
}
