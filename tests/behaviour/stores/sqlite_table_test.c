/* The SQLite store: what the table makes of what is sent to it, while it changes too; and what that
 * costs. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* setenv */
#endif
#include "driver.h"
#include "sqlite_fixture.h"
#include "sqlite_probe.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEYS = 1000 };

static struct sqlite_file file;
static batch_store *store;
static batch_processor *processor;
static char keys[KEYS][8];
static struct request requests[KEYS];

/* A store on a table made by this, and a processor that hands over a group at once. */
static void begin(const char *sql)
{
    sqlite_file_init(&file);
    if (sql != NULL)
        sqlite_file_execute(&file, sql);
    store = sqlite_file_store(&file, NULL);
    batch_options options = number_options(store, 0);
    processor = processor_start(&options);
    for (size_t i = 0; i < KEYS; i++)
        sprintf(keys[i], "%03zu", i);
}

static void end(void)
{
    processor_end_with_store(processor, store);
    sqlite_file_destroy(&file);
}

static void add_to_all(int64_t number)
{
    for (size_t i = 0; i < KEYS; i++)
        request_init(&requests[i], keys[i], 3, number);
    requests_run(processor, requests, KEYS);
}

static void assert_result(const batch_result *result, int status, const char *text)
{
    if (result->status != status || strstr(result->message, text) == NULL)
        fail_msg("%s: %s", batch_status_name(result->status), result->message);
}

static void assert_all(int status, const char *text)
{
    for (size_t i = 0; i < KEYS; i++)
        assert_result(&requests[i].result, status, text);
}

/* All are saved but those that have this digit; how many that are. */
static size_t assert_all_but(const char *with, const char *text)
{
    size_t failed = 0;
    for (size_t i = 0; i < KEYS; i++) {
        bool is_refused = strstr(keys[i], with) != NULL;
        assert_result(&requests[i].result, is_refused ? BATCH_SAVE_FAILED : BATCH_OK,
                      is_refused ? text : "");
        failed += is_refused;
    }
    return failed;
}

static int run_one(const char *key, int64_t number)
{
    request_init(&requests[0], key, strlen(key), number);
    return request_run(processor, &requests[0]);
}

#define COLUMNS "version INTEGER NOT NULL, state BLOB NOT NULL"

/* ---- Refusals ------------------------------------------------------------------------------- */

TEST(test_a_foreign_key_is_respected)
{
    begin("CREATE TABLE trains (id BLOB PRIMARY KEY); CREATE TABLE batch (key BLOB PRIMARY KEY "
          "REFERENCES trains(id), " COLUMNS "); INSERT INTO trains VALUES (x'61')");
    assert_int_equal(run_one("b", 1), BATCH_SAVE_FAILED);
    assert_result(&requests[0].result, BATCH_SAVE_FAILED, "FOREIGN KEY");
    assert_int_equal(requests[0].result.store_code, SQLITE_CONSTRAINT_FOREIGNKEY);
    assert_int_equal(run_one("a", 1), BATCH_OK);
    assert_int_equal(sqlite_file_number(&file, "SELECT count(*) FROM batch"), 1);
    end();
}

/* Keys with a 7 have no parent. Each that has a 3 needs the one before it, which sorts after. */
TEST(test_a_foreign_key_that_is_checked_at_commit_refuses_its_rows_alone)
{
    begin("CREATE TABLE trains (id BLOB PRIMARY KEY); CREATE TABLE batch (key BLOB PRIMARY KEY "
          "REFERENCES trains(id) DEFERRABLE INITIALLY DEFERRED, " COLUMNS ")");
    for (size_t i = 0; i < KEYS; i++) {
        char sql[80];
        snprintf(sql, sizeof sql, "INSERT INTO trains VALUES (CAST('%.7s' AS BLOB))", keys[i]);
        if (strchr(keys[i], '7') == NULL)
            sqlite_file_execute(&file, sql);
    }
    add_to_all(1);
    assert_true(assert_all_but("7", "FOREIGN KEY") > 200);
    assert_int_equal(sqlite_file_number(&file, "SELECT count(*) FROM batch "
                                               "WHERE instr(CAST(key AS TEXT), '7') > 0"),
                     0);
    end();
}

TEST(test_rows_of_a_group_may_need_each_other)
{
    begin("CREATE TABLE batch (key BLOB PRIMARY KEY, " COLUMNS
          ", next BLOB REFERENCES batch(key) DEFERRABLE INITIALLY DEFERRED);"
          "CREATE TRIGGER t AFTER INSERT ON batch WHEN new.key < x'303035' BEGIN UPDATE batch SET "
          "next = CAST('00' || (CAST(new.key AS TEXT) + 1) AS BLOB) WHERE key = new.key; END;"
          "CREATE TRIGGER u AFTER INSERT ON batch WHEN new.key = x'303039' BEGIN UPDATE batch SET "
          "next = x'00' WHERE key = new.key; END");
    add_to_all(1);
    assert_int_equal(assert_all_but("009", "FOREIGN KEY"), 1);
    end();
}

static void check_refused_digit(const char *sql, const char *text)
{
    begin(sql);
    add_to_all(1);
    assert_true(assert_all_but("7", text) > 200);
    sqlite_probe_statements();
    add_to_all(1);
    assert_all_but("7", text);
    unsigned statements = sqlite_probe_statements();
    if (statements > 10 * KEYS)
        fail_msg("%u statements for %d keys", statements, KEYS);
    end();
}

#define HAS_7 "instr(CAST(new.key AS TEXT), '7') > 0"

TEST(test_what_refuses_many_rows_costs_each_a_few_statements)
{
    static const struct {
        const char *sql;
        const char *text;
    } cases[] = {
        {"CREATE TABLE batch (key BLOB PRIMARY KEY CHECK (instr(CAST(key AS TEXT), '7') = "
         "0), " COLUMNS ")",
         "CHECK"},
        {"CREATE TABLE batch (key BLOB PRIMARY KEY, " COLUMNS
         ", own INT NOT NULL DEFAULT 0); CREATE TRIGGER t AFTER INSERT ON batch WHEN " HAS_7
         " BEGIN UPDATE batch SET own = NULL WHERE key = new.key; END",
         "NOT NULL"},
        {"CREATE TABLE batch (key BLOB PRIMARY KEY, " COLUMNS
         ", own INT AS (CASE WHEN instr(CAST(key AS TEXT), '7') > 0 THEN json('{') END) STORED)",
         "malformed JSON"},
        {"CREATE TABLE batch (key BLOB PRIMARY KEY, version INT NOT NULL, state BLOB NOT NULL, own "
         "INT) STRICT; CREATE TRIGGER t AFTER INSERT ON batch WHEN " HAS_7
         " BEGIN UPDATE batch SET own = 'text' WHERE key = new.key; END",
         "cannot store TEXT value in INT column"},
        {"CREATE TABLE batch (key BLOB PRIMARY KEY, " COLUMNS "); CREATE TRIGGER t AFTER INSERT ON "
         "batch WHEN " HAS_7 " BEGIN SELECT RAISE(ROLLBACK, 'all of it'); END",
         "all of it"},
        {"CREATE TABLE batch (key BLOB PRIMARY KEY, " COLUMNS "); CREATE TRIGGER t AFTER INSERT ON "
         "batch WHEN " HAS_7 " BEGIN SELECT zeroblob(2000000000); END",
         "too big"},
        {"CREATE TABLE batch (key BLOB PRIMARY KEY, " COLUMNS "); CREATE TRIGGER t AFTER INSERT ON "
         "batch WHEN " HAS_7 " BEGIN DELETE FROM batch WHERE key = new.key; END",
         "deleted the row"},
        {"CREATE TABLE batch (key BLOB PRIMARY KEY, " COLUMNS "); CREATE TRIGGER t AFTER INSERT ON "
         "batch WHEN " HAS_7 " BEGIN UPDATE batch SET state = 'text' WHERE key = new.key; END",
         "changed the state"},
        {"CREATE TABLE batch (key BLOB PRIMARY KEY, " COLUMNS "); CREATE TRIGGER t AFTER INSERT ON "
         "batch WHEN " HAS_7 " BEGIN UPDATE batch SET version = 0 WHERE key = new.key; END",
         "changed the version"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_refused_digit(cases[i].sql, cases[i].text);
}

/* One row, or all of them, meet an error that may be everybody's. */
static void check_doubtful(int code)
{
    static const char trigger[] =
        "DROP TRIGGER IF EXISTS t; CREATE TRIGGER t AFTER %s ON batch WHEN "
        "%s BEGIN SELECT fail(%d); END";
    char sql[200];
    begin(NULL);
    snprintf(sql, sizeof sql, trigger, "INSERT", "new.key = x'363131'", code);
    sqlite_file_execute(&file, sql);
    sqlite_probe_statements();
    add_to_all(1);
    unsigned statements = sqlite_probe_statements();
    assert_int_equal(assert_all_but("611", "cannot write the row"), 1);
    assert_int_equal(sqlite_file_number(&file, "SELECT count(*) FROM batch"), KEYS - 1);
    if (statements > 6 * KEYS)
        fail_msg("%u statements for one of %d keys", statements, KEYS);

    snprintf(sql, sizeof sql, trigger, "UPDATE", "1", code);
    sqlite_file_execute(&file, sql);
    sqlite_file_execute(&file,
                        "INSERT INTO batch SELECT x'363131', version, state FROM batch LIMIT 1");
    sqlite_probe_statements();
    add_to_all(1);
    statements = sqlite_probe_statements();
    assert_all(BATCH_SAVE_FAILED, "cannot write the row");
    if (statements > KEYS + 100)
        fail_msg("%u statements where nothing can be written", statements);
    end();
}

TEST(test_an_error_of_one_row_is_told_from_that_of_all)
{
    check_doubtful(SQLITE_FULL);
    check_doubtful(SQLITE_IOERR);
    check_doubtful(SQLITE_NOMEM);
    check_doubtful(SQLITE_CORRUPT);
}

/* As those whose page in some index is damaged: 32 in a row and some more. With `refused`, another
 * row makes each have a savepoint. */
static void check_neighbours(int code, const char *refused)
{
    char sql[512];
    begin(NULL);
    snprintf(sql, sizeof sql,
             "CREATE TRIGGER t BEFORE INSERT ON batch WHEN instr(CAST(new.key AS TEXT), '61') > 0 "
             "OR new.key BETWEEN x'333030' AND x'333331' BEGIN SELECT fail(%d); END; "
             "CREATE TRIGGER r BEFORE INSERT ON batch WHEN CAST(new.key AS TEXT) = '%s' "
             "BEGIN SELECT RAISE(ABORT, 'refused'); END",
             code, refused);
    sqlite_file_execute(&file, sql);
    sqlite_probe_statements();
    add_to_all(1);
    unsigned statements = sqlite_probe_statements();
    for (size_t i = 0; i < KEYS; i++) {
        bool is_failed = strstr(keys[i], "61") != NULL || (i >= 300 && i <= 331);
        bool is_refused = strcmp(keys[i], refused) == 0;
        assert_result(&requests[i].result, is_failed || is_refused ? BATCH_SAVE_FAILED : BATCH_OK,
                      is_failed || is_refused ? "cannot write the row" : "");
    }
    if (statements > 8 * KEYS)
        fail_msg("%u statements", statements);
    end();
}

TEST(test_rows_side_by_side_that_fail_leave_the_others)
{
    static const int codes[] = {SQLITE_FULL, SQLITE_IOERR, SQLITE_NOMEM, SQLITE_CORRUPT};
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        check_neighbours(codes[i], "none");
        check_neighbours(codes[i], "950");
    }
}

/* ---- The whole table ------------------------------------------------------------------------ */

TEST(test_what_concerns_the_whole_table_costs_a_few_statements)
{
    static const struct {
        const char *spoil;
        const char *mend;
        int status;
        const char *text;
    } cases[] = {
        {"ALTER TABLE batch RENAME TO away", "ALTER TABLE away RENAME TO batch", BATCH_LOAD_FAILED,
         "no such table"},
        {"ALTER TABLE batch RENAME COLUMN state TO s", "ALTER TABLE batch RENAME COLUMN s TO state",
         BATCH_LOAD_FAILED, "no such column"},
        {"CREATE TRIGGER t AFTER UPDATE ON batch BEGIN INSERT INTO missing VALUES (1); END",
         "DROP TRIGGER t", BATCH_SAVE_FAILED, "no such table: main.missing"},
        {"CREATE TRIGGER t AFTER UPDATE ON batch BEGIN SELECT unknown(new.key); END",
         "DROP TRIGGER t", BATCH_SAVE_FAILED, "no such function: unknown"},
    };
    begin(NULL);
    add_to_all(1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        sqlite_file_execute(&file, cases[i].spoil);
        sqlite_probe_statements();
        add_to_all(1);
        unsigned statements = sqlite_probe_statements();
        assert_all(cases[i].status, cases[i].text);
        unsigned loads = cases[i].status == BATCH_SAVE_FAILED ? KEYS : 0;
        if (statements > 40 + loads)
            fail_msg("%s: %u statements", cases[i].spoil, statements);
        sqlite_file_execute(&file, cases[i].mend);
        add_to_all(1);
        assert_all(BATCH_OK, "");
    }
    end();
}

/* Only inserting is broken: rows that are there are saved. */
TEST(test_a_trigger_that_breaks_one_statement_leaves_the_other)
{
    begin(NULL);
    add_to_all(1);
    sqlite_file_execute(&file, "DELETE FROM batch WHERE instr(CAST(key AS TEXT), '7') > 0; CREATE "
                               "TRIGGER t AFTER INSERT ON batch BEGIN SELECT unknown(1); END");
    add_to_all(1);
    assert_all_but("7", "no such function: unknown");
    end();
}

TEST(test_a_table_that_changes_under_way_is_looked_at_again)
{
    begin(NULL);
    assert_int_equal(run_one("key", 1), BATCH_OK);
    sqlite_file_execute(&file, "DROP TABLE batch; CREATE TABLE batch (key TEXT PRIMARY KEY, "
                               "version INTEGER, state BLOB)");
    run_one("key", 1);
    assert_result(&requests[0].result, BATCH_LOAD_FAILED, "\"key\" is TEXT");
    sqlite_file_execute(&file, "DROP TABLE batch; CREATE TABLE batch (key BLOB, version INTEGER, "
                               "state BLOB)");
    run_one("key", 1);
    assert_result(&requests[0].result, BATCH_SAVE_FAILED, "UNIQUE");
    sqlite_file_execute(&file, "DROP TABLE batch; CREATE VIEW batch AS SELECT x'00' AS key, 1 AS "
                               "version, x'00' AS state");
    run_one("key", 1);
    assert_result(&requests[0].result, BATCH_LOAD_FAILED, "batch");
    sqlite_file_execute(&file, "DROP VIEW batch; CREATE TABLE batch (state BLOB, key BLOB PRIMARY "
                               "KEY, version INT) WITHOUT ROWID");
    assert_int_equal(run_one("key", 1), BATCH_OK);
    assert_int_equal(requests[0].seen, 1);
    /* A trigger that comes later is noticed too. */
    sqlite_file_execute(&file,
                        "CREATE TRIGGER t AFTER UPDATE ON batch BEGIN UPDATE batch SET state "
                        "= x'00' WHERE key = new.key; END");
    run_one("key", 1);
    assert_result(&requests[0].result, BATCH_SAVE_FAILED, "changed the state");
    sqlite_file_execute(&file, "DROP TRIGGER t");
    assert_int_equal(run_one("key", 1), BATCH_OK);
    assert_int_equal(requests[0].seen, 2);
    end();
}

/* ---- What is stored ------------------------------------------------------------------------- */

TEST(test_a_key_that_is_stored_as_text_is_not_taken_for_a_new_one)
{
    begin(NULL);
    sqlite_file_execute(&file, "INSERT INTO batch VALUES ('text', 1, x'0000000000000000'), ('nul' "
                               "|| char(0), 1, x'0000000000000000'), (42, 1, x'0000000000000000'), "
                               "(1.5, 1, x'0000000000000000')");
    static const char *const strange[] = {"text", "nul", "42", "1.5"};
    for (size_t i = 0; i < 4; i++) {
        for (int number = 0; number <= 1; number++) {
            run_one(strange[i], number);
            assert_result(&requests[0].result, BATCH_LOAD_FAILED, "as TEXT or as a number");
            assert_int_equal(requests[0].result.store_code, SQLITE_MISMATCH);
        }
    }
    static const char *const fine[] = {"Text", "tex", "042", "1", "nulx", ""};
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(run_one(fine[i], 1), BATCH_OK);
    sqlite_file_execute(&file, "UPDATE batch SET key = CAST(key AS BLOB) WHERE key = 'text'");
    assert_int_equal(run_one("text", 1), BATCH_OK);
    end();
}

/* Collations are for TEXT, and keys are BLOBs. */
TEST(test_a_collation_makes_no_two_keys_equal)
{
    static const char *const tables[] = {
        "CREATE TABLE batch (key BLOB COLLATE NOCASE PRIMARY KEY, " COLUMNS ")",
        "CREATE TABLE batch (key BLOB COLLATE RTRIM PRIMARY KEY, " COLUMNS ") WITHOUT ROWID",
        "CREATE TABLE batch (key COLLATE NOCASE PRIMARY KEY, " COLUMNS ")",
    };
    static const char *const alike[] = {"abc", "ABC", "abc ", "1", "01", "1e0", "1.0"};
    for (size_t i = 0; i < 3; i++) {
        begin(tables[i]);
        for (int64_t number = 0; number < 7; number++)
            assert_int_equal(run_one(alike[number], number + 1), BATCH_OK);
        for (int64_t number = 0; number < 7; number++) {
            assert_int_equal(run_one(alike[number], 0), BATCH_OK);
            assert_int_equal(requests[0].seen, number + 1);
        }
        end();
    }
}

/* "REPLACE" would delete the row of another key, whose save was reported as done. */
TEST(test_a_row_never_makes_room_for_another_one)
{
    begin("CREATE TABLE batch (key BLOB PRIMARY KEY, version INTEGER NOT NULL, state BLOB NOT NULL "
          "UNIQUE ON CONFLICT REPLACE)");
    assert_int_equal(run_one("a", 1), BATCH_OK);
    run_one("b", 1);
    assert_result(&requests[0].result, BATCH_SAVE_FAILED, "UNIQUE");
    assert_int_equal(run_one("b", 2), BATCH_OK);
    run_one("a", 1);
    assert_result(&requests[0].result, BATCH_SAVE_FAILED, "UNIQUE");
    assert_int_equal(sqlite_file_number(&file, "SELECT count(*) FROM batch"), 2);
    /* A statement that overrides it would do so in triggers too. */
    sqlite_file_execute(&file,
                        "CREATE TABLE note (x UNIQUE); CREATE TRIGGER t AFTER UPDATE ON batch "
                        "BEGIN INSERT OR REPLACE INTO note VALUES (1); END");
    run_one("a", 7);
    assert_result(&requests[0].result, BATCH_LOAD_FAILED, "ON CONFLICT REPLACE");
    end();

    begin(
        "CREATE TABLE note (x UNIQUE); CREATE TABLE batch (key BLOB PRIMARY KEY, " COLUMNS "); "
        "CREATE TRIGGER t AFTER INSERT ON batch BEGIN INSERT OR REPLACE INTO note VALUES (1); END");
    add_to_all(1);
    assert_all(BATCH_OK, "");
    end();
}

TEST(test_a_trigger_that_counts_versions_does_no_harm)
{
    begin("CREATE TABLE batch (key BLOB PRIMARY KEY, " COLUMNS
          "); CREATE TRIGGER t AFTER UPDATE OF "
          "state ON batch BEGIN UPDATE batch SET version = version + 1 WHERE key = new.key; END");
    processor_end(processor);
    batch_options options = number_options(store, 1);
    options.resource_cache_max = 10;
    processor = processor_start(&options);
    for (int64_t i = 1; i <= 5; i++)
        assert_int_equal(number_add(processor, "key", 3, 1), i);
    end();
}

TEST(test_a_parent_key_that_cascades_into_the_table_is_noticed)
{
    begin(
        "CREATE TABLE batch (key BLOB PRIMARY KEY, version INTEGER NOT NULL UNIQUE, state BLOB NOT "
        "NULL); CREATE TABLE child (v REFERENCES batch(version) ON UPDATE CASCADE); CREATE TRIGGER "
        "t AFTER UPDATE ON child BEGIN UPDATE batch SET state = x'00'; END");
    assert_int_equal(run_one("key", 1), BATCH_OK);
    sqlite_file_execute(&file, "INSERT INTO child SELECT version FROM batch");
    run_one("key", 1);
    assert_result(&requests[0].result, BATCH_SAVE_FAILED, "changed the state");
    end();
}

TEST_GROUP(sqlite_probe_set_up, NULL)
