#include "sqlite_fixture.h"

#include "temporary_folder.h"

#include <unistd.h>

/* ---- The file ------------------------------------------------------------------------------- */

void sqlite_file_init(struct sqlite_file *file)
{
    *file = (struct sqlite_file){.db = NULL};
    temporary_folder_make(file->folder, sizeof file->folder, NULL);
    snprintf(file->path, sizeof file->path, "%s/batch.db", file->folder);
    pthread_mutex_init(&file->lock, NULL);
}

void sqlite_file_destroy(struct sqlite_file *file)
{
    assert_int_equal(sqlite3_close(file->db), SQLITE_OK);
    pthread_mutex_destroy(&file->lock);
    temporary_folder_remove(file->folder);
    assert_int_not_equal(access(file->folder, F_OK), 0);
}

int sqlite_file_set_up(void **state)
{
    static struct sqlite_file file;
    sqlite_file_init(&file);
    *state = &file;
    return 0;
}

int sqlite_file_tear_down(void **state)
{
    sqlite_file_destroy(*state);
    return 0;
}

/* The plain connection; NULL if it cannot be opened. With the lock held, or on the only thread. */
static sqlite3 *connection(struct sqlite_file *file)
{
    if (file->db == NULL && sqlite3_open(file->path, &file->db) == SQLITE_OK)
        sqlite3_busy_timeout(file->db, 60000);
    return file->db;
}

void sqlite_file_execute(struct sqlite_file *file, const char *sql)
{
    if (sqlite3_exec(connection(file), sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(file->db));
}

int64_t sqlite_file_number(struct sqlite_file *file, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(connection(file), sql, -1, &statement, NULL) != SQLITE_OK ||
        sqlite3_step(statement) != SQLITE_ROW)
        fail_msg("%s: %s", sql, sqlite3_errmsg(file->db));
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

batch_store *sqlite_file_store(struct sqlite_file *file, const batch_sqlite_options *options)
{
    batch_store *store = NULL;
    batch_result error = {0};
    if (batch_sqlite_open(&store, file->path, options, &error) != BATCH_OK)
        fail_msg("cannot open: %s", error.message);
    return store;
}

/* ---- The fixture ---------------------------------------------------------------------------- */

static void fixture_open(struct store_fixture *fixture)
{
    struct sqlite_file *file = fixture->context;
    sqlite_file_init(file);
    fixture->store = sqlite_file_store(file, NULL);
    sqlite_file_execute(file, "PRAGMA synchronous=OFF"); /* of the plain connection */
}

static void fixture_close(struct store_fixture *fixture)
{
    sqlite_file_destroy(fixture->context);
}

/* Take the connection, with a statement on it whose ?1 is the key. NULL: it cannot be had, and the
 * test will find that what it wants is not there. */
static sqlite3_stmt *take(struct sqlite_file *file, const char *sql, const void *key,
                          size_t key_size)
{
    sqlite3_stmt *statement = NULL;
    pthread_mutex_lock(&file->lock);
    if (sqlite3_prepare_v2(connection(file), sql, -1, &statement, NULL) == SQLITE_OK)
        sqlite3_bind_blob64(statement, 1, key_size > 0 ? key : "", key_size, SQLITE_STATIC);
    return statement;
}

static void give(struct sqlite_file *file, sqlite3_stmt *statement)
{
    sqlite3_finalize(statement);
    pthread_mutex_unlock(&file->lock);
}

static bool fixture_read(struct store_fixture *fixture, const void *key, size_t key_size,
                         void *state, size_t state_size, size_t *ret_state_size,
                         uint64_t *ret_version)
{
    struct sqlite_file *file = fixture->context;
    sqlite3_stmt *select =
        take(file, "SELECT version, state FROM batch WHERE key = ?1", key, key_size);
    bool found = sqlite3_step(select) == SQLITE_ROW;
    if (found) {
        size_t size = (size_t)sqlite3_column_bytes(select, 1);
        if (size > 0 && state_size > 0)
            memcpy(state, sqlite3_column_blob(select, 1), size < state_size ? size : state_size);
        if (ret_state_size != NULL)
            *ret_state_size = size;
        if (ret_version != NULL)
            *ret_version = (uint64_t)sqlite3_column_int64(select, 0);
    }
    give(file, select);
    return found;
}

static void fixture_write(struct store_fixture *fixture, const void *key, size_t key_size,
                          const void *state, size_t state_size)
{
    struct sqlite_file *file = fixture->context;
    sqlite3_stmt *insert = take(file,
                                "INSERT INTO batch (key, version, state) "
                                "VALUES (?1, 1 + (random() >> 12 & 0xfffffffffffff), ?2) "
                                "ON CONFLICT (key) DO UPDATE "
                                "SET version = version + 1, state = excluded.state",
                                key, key_size);
    sqlite3_bind_blob64(insert, 2, state_size > 0 ? state : "", state_size, SQLITE_STATIC);
    sqlite3_step(insert);
    give(file, insert);
}

static bool fixture_remove(struct store_fixture *fixture, const void *key, size_t key_size)
{
    struct sqlite_file *file = fixture->context;
    sqlite3_stmt *statement = take(file, "DELETE FROM batch WHERE key = ?1", key, key_size);
    bool is_removed = sqlite3_step(statement) == SQLITE_DONE && sqlite3_changes(file->db) == 1;
    give(file, statement);
    return is_removed;
}

/* SQLite locks whole files. */
static void fixture_lock(struct store_fixture *fixture, const void *key, size_t key_size)
{
    (void)key;
    (void)key_size;
    sqlite_file_execute(fixture->context, "BEGIN IMMEDIATE");
}

static void fixture_unlock(struct store_fixture *fixture)
{
    sqlite_file_execute(fixture->context, "ROLLBACK");
}

/* ---- Rules ---------------------------------------------------------------------------------- */

#define NO_RULE                                                                                    \
    "DROP TRIGGER IF EXISTS rule_i; DROP TRIGGER IF EXISTS rule_u; DROP TABLE IF EXISTS child; "   \
    "DROP TABLE IF EXISTS parent; "

/* A trigger for each statement that writes, upon rows with the key. */
#define RULE(time, body)                                                                           \
    "CREATE TRIGGER rule_i " time                                                                  \
    " INSERT ON batch WHEN substr(new.key, 1, 6) = CAST('" STORE_RULE_KEY "' AS BLOB) BEGIN " body \
    "; END; "                                                                                      \
    "CREATE TRIGGER rule_u " time                                                                  \
    " UPDATE ON batch WHEN substr(new.key, 1, 6) = CAST('" STORE_RULE_KEY "' AS BLOB) BEGIN " body \
    "; END; "

static const char *const rules[] = {
    [STORE_RULE_NONE] = "",
    [STORE_RULE_REFUSE] = RULE("AFTER", "SELECT RAISE(ABORT, 'poison')"),
    [STORE_RULE_FAIL] = RULE("AFTER", "SELECT abs(-9223372036854775807 - 1)"),
    [STORE_RULE_DEFER] =
        "CREATE TABLE parent (id PRIMARY KEY); "
        "CREATE TABLE child (id REFERENCES parent DEFERRABLE INITIALLY DEFERRED); " RULE(
            "AFTER", "INSERT INTO child VALUES (new.key)"),
    [STORE_RULE_ALTER_STATE] =
        RULE("AFTER", "UPDATE batch SET state = x'00' WHERE key = new.key AND state != x'00'"),
    [STORE_RULE_ALTER_KEY] = RULE("AFTER", "UPDATE batch SET key = CAST('away' || new.key AS BLOB) "
                                           "WHERE key = new.key"),
    [STORE_RULE_LEAVE_OUT] = RULE("BEFORE", "SELECT RAISE(IGNORE)"),
    [STORE_RULE_GONE] = "ALTER TABLE batch RENAME TO away",
};

static bool fixture_impose(struct store_fixture *fixture, enum store_rule rule)
{
    struct sqlite_file *file = fixture->context;
    pthread_mutex_lock(&file->lock);
    sqlite3 *db = connection(file);
    sqlite3_exec(db, "ALTER TABLE away RENAME TO batch", NULL, NULL, NULL); /* if it is there */
    bool is_imposed = sqlite3_exec(db, NO_RULE, NULL, NULL, NULL) == SQLITE_OK &&
                      sqlite3_exec(db, rules[rule], NULL, NULL, NULL) == SQLITE_OK;
    if (!is_imposed)
        print_error("%s: %s\n", rules[rule], sqlite3_errmsg(db));
    pthread_mutex_unlock(&file->lock);
    return is_imposed;
}

struct store_fixture sqlite_fixture(struct sqlite_file *file)
{
    return (struct store_fixture){
        .name = "sqlite",
        .sessions = 4,
        .open = fixture_open,
        .close = fixture_close,
        .read = fixture_read,
        .write = fixture_write,
        .remove = fixture_remove,
        .impose = fixture_impose,
        .lock = fixture_lock,
        .unlock = fixture_unlock,
        .context = file,
    };
}
