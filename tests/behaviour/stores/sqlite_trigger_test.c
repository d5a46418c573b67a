/* The SQLite store: rows that the database refuses. Only the refused key may notice, and nothing of
 * the refused statement may stay.
 *
 * Every trigger first writes a note into another table, so that the tests see what stays. */
#include "driver.h"
#include "sqlite_fixture.h"
#include "test.h"

enum { KEYS = 9 }; /* "a" to "i" */

static const char keys[KEYS + 1] = "abcdefghi";

/* A file with a table, its store, and a processor that hands over a group at once. */
struct setting {
    struct sqlite_file file;
    batch_store *store;
    batch_processor *processor;
    struct request requests[KEYS];
};

static int set_up(void **state)
{
    static struct setting setting;
    sqlite_file_init(&setting.file);
    setting.store = sqlite_file_store(&setting.file, NULL);
    batch_options options = number_options(setting.store, 0);
    setting.processor = processor_start(&options);
    sqlite_file_execute(&setting.file, "CREATE TABLE note (key)");
    *state = &setting;
    return 0;
}

static int tear_down(void **state)
{
    struct setting *setting = *state;
    processor_end(setting->processor);
    int status = batch_store_close(setting->store);
    sqlite_file_destroy(&setting->file);
    return status;
}

#define TRIGGER_TEST(name) TEST_ON(name, struct setting *setting, set_up, tear_down)

/* Add `number` to every key, in one group. */
static void add_to_all(struct setting *setting, int64_t number)
{
    for (size_t i = 0; i < KEYS; i++)
        request_init(&setting->requests[i], &keys[i], 1, number);
    requests_run(setting->processor, setting->requests, KEYS);
}

/* The keys in `refused` have this status, code and text; all others are OK. */
static void assert_only_refused(struct setting *setting, const char *refused, int status, int code,
                                const char *text)
{
    for (size_t i = 0; i < KEYS; i++) {
        const batch_result *result = &setting->requests[i].result;
        if (strchr(refused, keys[i]) == NULL) {
            if (result->status != BATCH_OK)
                fail_msg("%s", result->message);
            continue;
        }
        assert_int_equal(result->status, status);
        assert_int_equal(result->store_code, code);
        if (strstr(result->message, text) == NULL)
            fail_msg("\"%s\" is not in: %s", text, result->message);
    }
}

static int64_t count_stored(struct setting *setting, int64_t number)
{
    char sql[80];
    sprintf(sql, "SELECT count(*) FROM batch WHERE hex(state) LIKE '%02x%%'", (int)number);
    return sqlite_file_number(&setting->file, sql);
}

static int64_t count_notes(struct setting *setting)
{
    return sqlite_file_number(&setting->file, "SELECT count(*) FROM note");
}

static void make_trigger(struct setting *setting, const char *when, const char *refusal)
{
    char sql[400];
    snprintf(sql, sizeof sql,
             "CREATE TRIGGER t %s ON batch BEGIN INSERT INTO note VALUES (new.key); "
             "SELECT %s WHERE new.key IN (x'63', x'66', x'69'); END",
             when, refusal);
    sqlite_file_execute(&setting->file, sql);
}

/* "c", "f" and "i" are refused, first as new rows and then as rows that are there. */
static void check_refusal(struct setting *setting, const char *time, const char *refusal, int code,
                          const char *text)
{
    char when[40];
    snprintf(when, sizeof when, "%s INSERT", time);
    make_trigger(setting, when, refusal);
    add_to_all(setting, 1);
    assert_only_refused(setting, "cfi", BATCH_SAVE_FAILED, code, text);
    assert_int_equal(count_stored(setting, 1), KEYS - 3);
    assert_int_equal(count_notes(setting), KEYS - 3);

    sqlite_file_execute(&setting->file, "DROP TRIGGER t; DELETE FROM batch");
    add_to_all(setting, 1);
    assert_only_refused(setting, "", 0, 0, "");
    sqlite_file_execute(&setting->file, "DELETE FROM note");
    snprintf(when, sizeof when, "%s UPDATE", time);
    make_trigger(setting, when, refusal);
    add_to_all(setting, 1);
    assert_only_refused(setting, "cfi", BATCH_SAVE_FAILED, code, text);
    assert_int_equal(count_stored(setting, 1), 3);
    assert_int_equal(count_stored(setting, 2), KEYS - 3);
    assert_int_equal(count_notes(setting), KEYS - 3);
}

TRIGGER_TEST(test_a_trigger_that_aborts_refuses_its_key_alone)
{
    check_refusal(setting, "AFTER", "RAISE(ABORT, 'not this one')", SQLITE_CONSTRAINT_TRIGGER,
                  "not this one");
}

TRIGGER_TEST(test_a_trigger_that_fails_leaves_nothing_behind)
{
    check_refusal(setting, "AFTER", "RAISE(FAIL, 'not this one')", SQLITE_CONSTRAINT_TRIGGER,
                  "not this one");
}

TRIGGER_TEST(test_a_trigger_that_rolls_back_refuses_its_key_alone)
{
    check_refusal(setting, "BEFORE", "RAISE(ROLLBACK, 'not this one')", SQLITE_CONSTRAINT_TRIGGER,
                  "not this one");
}

TRIGGER_TEST(test_a_trigger_that_ignores_the_row_refuses_it)
{
    check_refusal(setting, "BEFORE", "RAISE(IGNORE)", SQLITE_CONSTRAINT, "trigger");
}

TRIGGER_TEST(test_a_constraint_refuses_its_key_alone)
{
    sqlite_file_execute(&setting->file, "ALTER TABLE batch ADD COLUMN c INT CHECK (key != x'64' OR "
                                        "substr(state, 1, 1) < x'02') DEFAULT 0");
    add_to_all(setting, 1);
    assert_only_refused(setting, "", 0, 0, "");
    add_to_all(setting, 1);
    assert_only_refused(setting, "d", BATCH_SAVE_FAILED, SQLITE_CONSTRAINT_CHECK, "CHECK");
    assert_int_equal(count_stored(setting, 2), KEYS - 1);
}

TRIGGER_TEST(test_another_unique_column_is_no_conflict)
{
    sqlite_file_execute(&setting->file, "CREATE UNIQUE INDEX one ON batch (state)");
    add_to_all(setting, 1);
    assert_only_refused(setting, "bcdefghi", BATCH_SAVE_FAILED, SQLITE_CONSTRAINT_UNIQUE, "UNIQUE");
    assert_int_equal(count_stored(setting, 1), 1);
}

static void insert_behind_the_back(void *arg)
{
    struct sqlite_file *file = arg; /* its connection is open since set_up */
    sqlite3_exec(file->db, "INSERT INTO batch VALUES (x'65', 77, x'00'); DELETE FROM note", NULL,
                 NULL, NULL);
}

TRIGGER_TEST(test_a_conflict_of_a_new_row_leaves_nothing_behind)
{
    make_trigger(setting, "BEFORE INSERT", "1");
    for (size_t i = 0; i < KEYS; i++)
        request_init(&setting->requests[i], &keys[i], 1, 1);
    setting->requests[0].meddle = insert_behind_the_back;
    setting->requests[0].meddle_arg = &setting->file;
    requests_run(setting->processor, setting->requests, KEYS);
    assert_only_refused(setting, "e", BATCH_CONFLICT, 0, "version");
    assert_int_equal(count_notes(setting), KEYS - 1);
}

/* A state that is longer than SQLite's limit; SQLite refuses it before it looks at the bytes. */
static int encode_too_much(void *resource, const void **ret_bytes, size_t *ret_bytes_size,
                           void *arg)
{
    (void)arg;
    *ret_bytes = resource;
    *ret_bytes_size = *(int64_t *)resource == 1 ? sizeof(int64_t) : 2000000000;
    return BATCH_OK;
}

static int decode_number(void *resource, const void *bytes, size_t bytes_size, void *arg)
{
    (void)arg;
    if (bytes != NULL)
        memcpy(resource, bytes, bytes_size);
    return BATCH_OK;
}

TRIGGER_TEST(test_a_state_that_is_too_long_refuses_its_key_alone)
{
    batch_codec codec = {.size = sizeof codec, .decode = decode_number, .encode = encode_too_much};
    batch_options options = number_options(setting->store, 0);
    options.codec = &codec;
    batch_processor *processor = processor_start(&options);
    for (size_t i = 0; i < KEYS; i++)
        request_init(&setting->requests[i], &keys[i], 1, keys[i] == 'c' ? 2 : 1);
    requests_run(processor, setting->requests, KEYS);
    processor_end(processor);
    assert_only_refused(setting, "c", BATCH_SAVE_FAILED, SQLITE_TOOBIG, "too big");
    assert_int_equal(count_stored(setting, 1), KEYS - 1);
}

TRIGGER_TEST(test_a_table_that_is_gone_refuses_all_and_may_come_back)
{
    add_to_all(setting, 1);
    sqlite_file_execute(&setting->file, "ALTER TABLE batch RENAME TO away");
    add_to_all(setting, 1);
    assert_only_refused(setting, keys, BATCH_LOAD_FAILED, SQLITE_ERROR, "no such table");
    sqlite_file_execute(&setting->file, "ALTER TABLE away RENAME TO batch; "
                                        "ALTER TABLE batch RENAME COLUMN version TO v");
    add_to_all(setting, 1);
    assert_only_refused(setting, keys, BATCH_LOAD_FAILED, SQLITE_ERROR, "no such column");
    sqlite_file_execute(&setting->file, "ALTER TABLE batch RENAME COLUMN v TO version");
    add_to_all(setting, 1);
    assert_only_refused(setting, "", 0, 0, "");
    assert_int_equal(count_stored(setting, 2), KEYS);
}

/* ---- The order ------------------------------------------------------------------------------ */

/* Neighbours in the index are written one after the other, whichever order they came in. */
TRIGGER_TEST(test_a_group_is_written_in_the_order_of_its_keys)
{
    static const char mixed[KEYS + 1] = "ifagchebd";
    sqlite_file_execute(&setting->file, "CREATE TRIGGER t AFTER INSERT ON batch "
                                        "BEGIN INSERT INTO note VALUES (new.key); END");
    for (size_t i = 0; i < KEYS; i++)
        request_init(&setting->requests[i], &mixed[i], 1, 1);
    requests_run(setting->processor, setting->requests, KEYS);
    assert_int_equal(count_notes(setting), KEYS);
    assert_int_equal(sqlite_file_number(&setting->file,
                                        "SELECT count(*) FROM note a JOIN note b "
                                        "ON b.rowid = a.rowid + 1 WHERE b.key < a.key"),
                     0);
}
