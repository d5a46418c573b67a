/* The SQLite store: what batch_sqlite_open and the sessions accept, refuse and make. */
#ifndef _DEFAULT_SOURCE
#define _DEFAULT_SOURCE /* seteuid */
#endif
#include "driver.h"
#include "sqlite_fixture.h"
#include "test.h"

#include <sys/stat.h>
#include <unistd.h>

enum { NOBODY = 65534 };

/* Opening must fail like this, with `text` in the message; any code will do if `code` is 0. */
static void assert_refused(const char *path, const batch_sqlite_options *options, int status,
                           int code, const char *text)
{
    batch_store *store = (batch_store *)&store;
    batch_result error = {0};
    assert_int_equal(batch_sqlite_open(&store, path, options, &error), status);
    assert_ptr_equal(store, &store);
    assert_int_equal(error.status, status);
    if (code != 0)
        assert_int_equal(error.store_code, code);
    if (strstr(error.message, text) == NULL)
        fail_msg("\"%s\" is not in: %s", text, error.message);
    assert_int_equal(batch_sqlite_open(&store, path, options, NULL), status);
}

/* A processor on the store adds to a number and finds it again. */
static void assert_usable(batch_store *store)
{
    batch_processor *processor = number_processor(store, 2);
    assert_int_equal(number_add(processor, "key", 3, 4), 4);
    assert_int_equal(number_add(processor, "key", 3, 3), 7);
    processor_end(processor);
}

/* ---- Arguments ------------------------------------------------------------------------------ */

SQLITE_TEST(test_arguments_are_checked)
{
    assert_refused(NULL, NULL, BATCH_INVALID, 0, "path");
    assert_refused("", NULL, BATCH_INVALID, 0, "path");
    assert_refused(":memory:", NULL, BATCH_INVALID, 0, ":memory:");
    assert_int_equal(batch_sqlite_open(NULL, file->path, NULL, NULL), BATCH_INVALID);
    batch_sqlite_options options = BATCH_SQLITE_OPTIONS_INIT;
    options.table = "";
    assert_refused(file->path, &options, BATCH_INVALID, 0, "empty");
    options = (batch_sqlite_options)BATCH_SQLITE_OPTIONS_INIT;
    options.state_column = "";
    assert_refused(file->path, &options, BATCH_INVALID, 0, "empty");
    options = (batch_sqlite_options)BATCH_SQLITE_OPTIONS_INIT;
    options.durability = (batch_sqlite_durability)2;
    assert_refused(file->path, &options, BATCH_INVALID, 0, "durability");
    assert_int_equal(access(file->path, F_OK), -1); /* nothing was made */
}

/* The options of the first release: a program that was compiled with it passes no more. */
struct first_options {
    size_t size;
    const char *table, *key_column, *version_column, *state_column;
    batch_sqlite_durability durability;
};

SQLITE_TEST(test_options_of_an_older_and_of_a_newer_version_are_understood)
{
    struct first_options older = {.size = sizeof older, .table = "older"};
    batch_store *store = sqlite_file_store(file, (batch_sqlite_options *)(void *)&older);
    assert_usable(store);
    batch_store_close(store);
    assert_int_equal(sqlite_file_number(file, "SELECT count(*) FROM older"), 1);
    older.size = offsetof(struct first_options, durability);
    assert_refused(file->path, (batch_sqlite_options *)(void *)&older, BATCH_INVALID, 0, "size");
    older.size = 0;
    assert_refused(file->path, (batch_sqlite_options *)(void *)&older, BATCH_INVALID, 0, "size");

    struct {
        batch_sqlite_options known;
        uint64_t later[2];
    } newer = {.known = BATCH_SQLITE_OPTIONS_INIT};
    newer.known.size = sizeof newer;
    newer.known.table = "newer";
    store = sqlite_file_store(file, &newer.known);
    assert_usable(store);
    batch_store_close(store);
    assert_int_equal(sqlite_file_number(file, "SELECT count(*) FROM newer"), 1);
    newer.later[1] = 1;
    assert_refused(file->path, &newer.known, BATCH_INVALID, 0, "does not know");
}

/* SQLite opens, reads and syncs: at each of these a canceled thread would end, with locks held that
 * all connections of the process share. */
static void *open_canceled(void *file)
{
    pthread_cancel(pthread_self());
    batch_store *store = sqlite_file_store(file, NULL);
    batch_store_close(store);
    return NULL;
}

SQLITE_TEST(test_a_canceled_thread_opens_first)
{
    pthread_t thread;
    void *end = PTHREAD_CANCELED;
    assert_int_equal(pthread_create(&thread, NULL, open_canceled, file), 0);
    assert_int_equal(pthread_join(thread, &end), 0);
    assert_null(end);
    batch_store *store = sqlite_file_store(file, NULL);
    assert_usable(store);
    batch_store_close(store);
}

/* ---- The file ------------------------------------------------------------------------------- */

SQLITE_TEST(test_a_file_that_cannot_be_made_or_opened_is_refused)
{
    char path[160];
    snprintf(path, sizeof path, "%s/missing/batch.db", file->folder);
    assert_refused(path, NULL, BATCH_STORE_FAILED, SQLITE_CANTOPEN, "unable to open");
    assert_refused(file->folder, NULL, BATCH_STORE_FAILED, 0, "unable to open");
}

static void write_file(const char *path, const char *text)
{
    FILE *stream = fopen(path, "w");
    assert_non_null(stream);
    for (int i = 0; i < 200; i++)
        fputs(text, stream);
    fclose(stream);
}

SQLITE_TEST(test_a_file_that_is_not_a_database_is_refused_and_left_alone)
{
    write_file(file->path, "this is a text and no database\n");
    assert_refused(file->path, NULL, BATCH_STORE_FAILED, SQLITE_NOTADB, file->path);
    struct stat status;
    assert_int_equal(stat(file->path, &status), 0);
    assert_int_equal(status.st_size, 200 * 31);
}

/* Root may write everything, so become somebody else for a while. False: not possible here. */
static bool give_up_rights(const struct sqlite_file *file)
{
    if (geteuid() == 0 && seteuid(NOBODY) != 0)
        return false;
    if (chdir(file->folder) == 0)
        return true;
    seteuid(getuid());
    return false;
}

static void take_rights_back(const char *back)
{
    assert_int_equal(seteuid(getuid()), 0);
    assert_int_equal(chdir(back), 0);
}

SQLITE_TEST(test_a_folder_or_file_that_can_only_be_read_is_refused)
{
    char back[256];
    assert_non_null(getcwd(back, sizeof back));
    assert_int_equal(chmod(file->folder, 0555), 0);
    if (!give_up_rights(file))
        skip();
    assert_refused(file->path, NULL, BATCH_STORE_FAILED, SQLITE_CANTOPEN, "unable to open");
    take_rights_back(back);

    assert_int_equal(chmod(file->folder, 0755), 0);
    sqlite_file_execute(file, "CREATE TABLE other (x)");
    assert_int_equal(chmod(file->path, 0444), 0);
    assert_true(give_up_rights(file));
    assert_refused(file->path, NULL, BATCH_STORE_FAILED, SQLITE_READONLY, "read-only");
    take_rights_back(back);

    /* The file may be written, but no log can be made beside it. */
    assert_int_equal(chmod(file->path, 0666), 0);
    assert_int_equal(chmod(file->folder, 0555), 0);
    assert_true(give_up_rights(file));
    assert_refused(file->path, NULL, BATCH_STORE_FAILED, 0, "readonly");
    take_rights_back(back);
    assert_int_equal(chmod(file->folder, 0755), 0);
}

SQLITE_TEST(test_a_path_is_never_a_uri)
{
    char back[256];
    assert_non_null(getcwd(back, sizeof back));
    assert_int_equal(chdir(file->folder), 0);
    batch_store *store = NULL;
    assert_int_equal(batch_sqlite_open(&store, "file:x?mode=memory", NULL, NULL), BATCH_OK);
    assert_int_equal(access("file:x?mode=memory", F_OK), 0);
    /* The store stays with its file, wherever the process goes. */
    assert_int_equal(chdir(back), 0);
    assert_usable(store);
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

SQLITE_TEST(test_a_file_that_is_gone_is_not_made_again_by_a_session)
{
    batch_store *store = sqlite_file_store(file, NULL);
    assert_int_equal(unlink(file->path), 0);
    batch_options options = number_options(store, 1);
    batch_processor *processor = NULL;
    batch_result error = {0};
    assert_int_equal(batch_processor_start(&processor, &options, &error), BATCH_STORE_FAILED);
    assert_int_equal(error.store_code, SQLITE_CANTOPEN);
    assert_int_equal(batch_store_close(store), BATCH_OK);
    assert_int_equal(access(file->path, F_OK), -1);
}

SQLITE_TEST(test_states_outlive_the_store)
{
    for (int64_t i = 0; i < 3; i++) {
        batch_store *store = sqlite_file_store(file, NULL);
        batch_processor *processor = number_processor(store, 2);
        assert_int_equal(number_add(processor, "key", 3, 1), i + 1);
        processor_end_with_store(processor, store);
    }
}

SQLITE_TEST(test_a_file_is_put_into_wal_mode)
{
    sqlite_file_execute(file, "PRAGMA journal_mode=DELETE; CREATE TABLE other (x)");
    batch_store *store = sqlite_file_store(file, NULL);
    assert_int_equal(
        sqlite_file_number(file,
                           "SELECT count(*) FROM pragma_journal_mode WHERE journal_mode = 'wal'"),
        1);
    assert_usable(store);
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

/* ---- The table ------------------------------------------------------------------------------ */

SQLITE_TEST(test_names_may_hold_any_characters)
{
    batch_sqlite_options options = BATCH_SQLITE_OPTIONS_INIT;
    options.table = "a \"table\"; DROP TABLE x --";
    options.key_column = "the 'key' %s %w";
    options.version_column = "select";
    options.state_column = "\xc3\xa9tat [`]";
    for (int i = 0; i < 2; i++) {
        batch_store *store = sqlite_file_store(file, &options);
        if (i == 0)
            assert_usable(store);
        assert_int_equal(batch_store_close(store), BATCH_OK);
    }
    assert_int_equal(
        sqlite_file_number(file, "SELECT count(*) FROM \"a \"\"table\"\"; DROP TABLE x --\" WHERE "
                                 "length(\"the 'key' %s %w\") = 3 AND \"select\" > 1 AND "
                                 "length(\"\xc3\xa9tat [`]\") = 8"),
        1);
}

/* It is opened with the table that is there, used, and closed. */
static void assert_table_usable(struct sqlite_file *file)
{
    batch_store *store = sqlite_file_store(file, NULL);
    assert_usable(store);
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

SQLITE_TEST(test_a_table_of_ones_own_may_have_more_columns)
{
    sqlite_file_execute(file, "CREATE TABLE batch (id INTEGER PRIMARY KEY, state BLOB, version "
                              "BIGINT, note TEXT DEFAULT 'none', key BLOB UNIQUE)");
    assert_table_usable(file);
    assert_int_equal(sqlite_file_number(file, "SELECT count(*) FROM batch WHERE note = 'none'"), 1);
}

SQLITE_TEST(test_a_table_without_rowid_will_do)
{
    sqlite_file_execute(file, "CREATE TABLE batch (key BLOB PRIMARY KEY, version INT, state) "
                              "WITHOUT ROWID");
    assert_table_usable(file);
}

SQLITE_TEST(test_an_unsuitable_table_is_refused)
{
    const struct {
        const char *table;
        const char *text;
    } cases[] = {
        {"CREATE TABLE batch (key TEXT PRIMARY KEY, version INTEGER, state BLOB)",
         "column \"key\" is TEXT, but must be BLOB"},
        {"CREATE TABLE batch (key BLOB PRIMARY KEY, version TEXT, state BLOB)",
         "column \"version\" is TEXT, but must be INTEGER"},
        {"CREATE TABLE batch (key BLOB PRIMARY KEY, version, state BLOB)",
         "column \"version\" is untyped, but must be INTEGER"},
        {"CREATE TABLE batch (key BLOB PRIMARY KEY, version INTEGER, state TEXT)",
         "column \"state\" is TEXT, but must be BLOB"},
        {"CREATE TABLE batch (key BLOB PRIMARY KEY, version INTEGER)", "no such column: state"},
        {"CREATE TABLE batch (key BLOB, version INTEGER, state BLOB)", "UNIQUE"},
        {"CREATE TABLE batch (key BLOB, version INTEGER, state BLOB, PRIMARY KEY (key, version))",
         "UNIQUE"},
        {"CREATE VIEW batch AS SELECT x'00' AS key, 1 AS version, x'00' AS state", "batch"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sqlite_file_execute(file, cases[i].table);
        assert_refused(file->path, NULL, BATCH_STORE_FAILED, 0, cases[i].text);
        sqlite_file_execute(file, strncmp(cases[i].table, "CREATE VIEW", 11) == 0
                                      ? "DROP VIEW batch"
                                      : "DROP TABLE batch");
    }
    batch_sqlite_options options = BATCH_SQLITE_OPTIONS_INIT;
    options.table = "sqlite_mine";
    assert_refused(file->path, &options, BATCH_STORE_FAILED, 0, "sqlite_mine");
    options.table = "mine";
    options.state_column = "key";
    assert_refused(file->path, &options, BATCH_STORE_FAILED, 0, "key");
}

/* Rows that somebody else wrote badly. */
SQLITE_TEST(test_a_row_that_is_not_as_it_should_be_is_not_loaded)
{
    sqlite_file_execute(file, "CREATE TABLE batch (key BLOB PRIMARY KEY, version INT, state BLOB)");
    sqlite_file_execute(file, "INSERT INTO batch VALUES "
                              "(x'61', 0, x'0000000000000000'), (x'62', NULL, x'0000000000000000'),"
                              "(x'63', 'one', x'0000000000000000'), (x'64', 1, NULL),"
                              "(x'65', 1, 'secrets1'), (x'66', 1, 7),"
                              "(x'67', -9223372036854775808, x'0000000000000000'),"
                              "(x'68', 9223372036854775807, x'0000000000000000'),"
                              "(x'69', -1, x'0000000000000000')");
    batch_store *store = sqlite_file_store(file, NULL);
    batch_processor *processor = number_processor(store, 1);
    for (char key = 'a'; key <= 'f'; key++) {
        struct request request;
        request_init(&request, &key, 1, 1);
        assert_int_equal(request_run(processor, &request), BATCH_LOAD_FAILED);
        assert_int_equal(request.result.store_code, SQLITE_MISMATCH);
        assert_non_null(strstr(request.result.message, key < 'd' ? "version" : "state"));
        assert_null(strstr(request.result.message, "secrets1"));
    }
    for (char key = 'g'; key <= 'i'; key++) {
        assert_int_equal(number_add(processor, &key, 1, 1), 1);
        assert_int_equal(number_add(processor, &key, 1, 1), 2);
    }
    processor_end_with_store(processor, store);
}
