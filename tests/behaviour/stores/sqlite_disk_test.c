/* The SQLite store on a disk that fails: what was reported must be what is found afterwards, both
 * by a process that goes on and by one that opens what a killed process leaves: file and log as
 * they are. */
#include "driver.h"
#include "faulty_disk.h"
#include "sqlite_fixture.h"
#include "test.h"

#include <sys/stat.h>

enum { KEYS = 3 };

static const char keys[KEYS + 1] = "abc";

/* A file with a store, and a processor that hands over a group at once. */
struct setting {
    struct sqlite_file file;
    batch_store *store;
    batch_processor *processor;
};

static void setting_begin(struct setting *setting, batch_sqlite_durability durability)
{
    batch_sqlite_options options = BATCH_SQLITE_OPTIONS_INIT;
    options.durability = durability;
    sqlite_file_init(&setting->file);
    setting->store = sqlite_file_store(&setting->file, &options);
    batch_options processor_options = number_options(setting->store, 0);
    setting->processor = processor_start(&processor_options);
}

static void setting_end(struct setting *setting)
{
    processor_end(setting->processor);
    assert_int_equal(batch_store_close(setting->store), BATCH_OK);
    sqlite_file_destroy(&setting->file);
}

/* Add 1 to every key in one group. All must end with the same status, which is returned. */
static batch_result add_to_all(struct setting *setting)
{
    struct request requests[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        request_init(&requests[i], &keys[i], 1, 1);
    requests_run(setting->processor, requests, KEYS);
    for (size_t i = 1; i < KEYS; i++)
        assert_int_equal(requests[i].result.status, requests[0].result.status);
    return requests[0].result;
}

/* The number that every key has in a file; they must not differ. */
static int64_t number_in(struct sqlite_file *file)
{
    assert_int_equal(sqlite_file_number(file, "SELECT count(DISTINCT state) FROM batch"), 1);
    return sqlite_file_number(file, "SELECT instr(x'000102030405060708', substr(state, 1, 1)) - 1 "
                                    "FROM batch LIMIT 1");
}

static void copy_file(const char *from, const char *to)
{
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    assert_non_null(in);
    assert_non_null(out);
    for (int byte; (byte = getc(in)) != EOF;)
        putc(byte, out);
    fclose(in);
    assert_int_equal(fclose(out), 0);
}

/* The number that somebody finds who opens the file after this process was killed just now. */
static int64_t number_after_kill(const struct sqlite_file *file)
{
    struct sqlite_file copy;
    char from[128];
    char to[128];
    sqlite_file_init(&copy);
    copy_file(file->path, copy.path);
    snprintf(from, sizeof from, "%s-wal", file->path);
    snprintf(to, sizeof to, "%s-wal", copy.path);
    copy_file(from, to);
    int64_t number = number_in(&copy);
    sqlite_file_destroy(&copy);
    return number;
}

/* ---- Commits -------------------------------------------------------------------------------- */

TEST(test_a_group_is_one_commit_and_one_sync)
{
    struct setting setting;
    setting_begin(&setting, BATCH_SQLITE_FULL);
    assert_int_equal(add_to_all(&setting).status, BATCH_OK); /* begins the log */
    unsigned commits = faulty_disk_commits();
    unsigned syncs = faulty_disk_log_syncs();
    assert_int_equal(add_to_all(&setting).status, BATCH_OK);
    assert_int_equal(faulty_disk_commits() - commits, 1);
    assert_int_equal(faulty_disk_log_syncs() - syncs, 1);
    assert_int_equal(add_to_all(&setting).status, BATCH_OK);
    assert_int_equal(faulty_disk_commits() - commits, 2);
    assert_int_equal(faulty_disk_log_syncs() - syncs, 2);
    assert_int_equal(number_after_kill(&setting.file), 3);
    setting_end(&setting);
}

TEST(test_commits_are_not_synced_if_that_is_asked_for)
{
    struct setting setting;
    setting_begin(&setting, BATCH_SQLITE_MAY_LOSE_LAST_COMMITS);
    assert_int_equal(add_to_all(&setting).status, BATCH_OK);
    unsigned syncs = faulty_disk_log_syncs();
    assert_int_equal(add_to_all(&setting).status, BATCH_OK);
    assert_int_equal(faulty_disk_log_syncs(), syncs);
    assert_int_equal(number_after_kill(&setting.file), 2);
    setting_end(&setting);
}

/* It would be rolled back, and the file be as empty as when it was new. */
TEST(test_the_journal_of_a_new_file_cannot_come_back)
{
    for (int durability = BATCH_SQLITE_FULL; durability <= BATCH_SQLITE_MAY_LOSE_LAST_COMMITS;
         durability++) {
        struct setting setting;
        unsigned journals = faulty_disk_journals();
        unsigned not_synced = faulty_disk_journals_not_synced();
        setting_begin(&setting, (batch_sqlite_durability)durability);
        assert_int_equal(add_to_all(&setting).status, BATCH_OK);
        assert_true(faulty_disk_journals() > journals);
        assert_int_equal(faulty_disk_journals_not_synced(), not_synced);
        setting_end(&setting);
    }
}

TEST(test_a_disk_without_wal_mode_is_refused)
{
    struct sqlite_file file;
    sqlite_file_init(&file);
    faulty_disk_allow_wal(false);
    batch_store *store = NULL;
    batch_result error = {0};
    int status = batch_sqlite_open(&store, file.path, NULL, &error);
    faulty_disk_allow_wal(true);
    assert_int_equal(status, BATCH_STORE_FAILED);
    assert_non_null(strstr(error.message, "journal_mode=WAL had no effect"));
    sqlite_file_destroy(&file);
}

/* ---- The log -------------------------------------------------------------------------------- */

/* Somebody in another process commits whenever a checkpoint is nearly done, so that the log is
 * never empty; unless it is kept out. */
static void commit_in_between(void *arg)
{
    struct sqlite_file *file = arg;
    sqlite3_exec(file->db, "UPDATE other SET x = x + 1", NULL, NULL, NULL);
}

enum { STATE_SIZE = 1000000, LOG_SIZE_MAX = 40000000 };

/* Save a large state this often, and say how long the log is then. */
static int64_t log_size_after(struct setting *setting, int saves)
{
    batch_processor *processor = text_processor(setting->store, 0);
    char *large = malloc(STATE_SIZE);
    assert_non_null(large);
    for (int i = 0; i < saves; i++) {
        memset(large, i, STATE_SIZE); /* pages that stay as they are would not be written */
        text_set(processor, "key", 3, large, STATE_SIZE);
    }
    free(large);
    processor_end(processor);
    char path[128];
    struct stat status;
    snprintf(path, sizeof path, "%s-wal", setting->file.path);
    assert_int_equal(stat(path, &status), 0);
    return status.st_size;
}

TEST(test_the_log_does_not_grow_for_ever)
{
    struct setting setting;
    setting_begin(&setting, BATCH_SQLITE_FULL);
    sqlite_file_execute(&setting.file, "PRAGMA wal_autocheckpoint=0; CREATE TABLE other (x); "
                                       "INSERT INTO other VALUES (0)");
    sqlite3_busy_timeout(setting.file.db, 0);
    faulty_disk_on_checkpoint(commit_in_between, &setting.file);
    int64_t log_size = log_size_after(&setting, 60);
    faulty_disk_on_checkpoint(NULL, NULL);
    assert_true(sqlite_file_number(&setting.file, "SELECT x FROM other") > 0);
    assert_true(log_size > STATE_SIZE);
    assert_true(log_size < LOG_SIZE_MAX);
    setting_end(&setting);
}

/* And once it is gone, so is what the log took. */
TEST(test_a_snapshot_that_makes_the_log_grow_stops_nobody)
{
    struct setting setting;
    setting_begin(&setting, BATCH_SQLITE_FULL);
    add_to_all(&setting);
    sqlite_file_execute(&setting.file, "BEGIN");
    assert_int_equal(number_in(&setting.file), 1);
    int64_t log_size = log_size_after(&setting, 50);
    assert_true(log_size > LOG_SIZE_MAX);
    batch_stats stats = BATCH_STATS_INIT;
    assert_int_equal(batch_processor_stats(setting.processor, &stats), BATCH_OK);
    assert_int_equal(stats.store_wal_bytes, log_size);
    sqlite_file_execute(&setting.file, "COMMIT");
    assert_true(log_size_after(&setting, 2) < LOG_SIZE_MAX);
    for (int64_t i = 2; i <= 4; i++)
        assert_int_equal(add_to_all(&setting).status, BATCH_OK);
    assert_true(log_size_after(&setting, 0) < LOG_SIZE_MAX);
    setting_end(&setting);
}

/* ---- Faults --------------------------------------------------------------------------------- */

struct tally {
    unsigned failed;        /* groups that ended with another status than OK */
    unsigned unknown_there; /* completed with UNKNOWN, found after a kill */
    unsigned unknown_gone;  /* completed with UNKNOWN, not found after a kill */
};

/* Fail once at the n-th write or sync of a group. False: there were fewer. */
static bool check_fault(enum fault fault, unsigned n, struct tally *tally)
{
    struct setting setting;
    setting_begin(&setting, BATCH_SQLITE_FULL);
    assert_int_equal(add_to_all(&setting).status, BATCH_OK);
    faulty_disk_arm(fault, n, false);
    batch_result result = add_to_all(&setting);
    bool has_failed = faulty_disk_disarm();

    int64_t after_kill = number_after_kill(&setting.file);
    int64_t meanwhile = number_in(&setting.file);
    switch (result.status) {
    case BATCH_OK:
        assert_int_equal(after_kill, 2);
        assert_int_equal(meanwhile, 2);
        break;
    case BATCH_SAVE_FAILED:
        assert_int_equal(after_kill, 1);
        assert_int_equal(meanwhile, 1);
        break;
    default:
        assert_int_equal(result.status, BATCH_UNKNOWN);
        assert_true(after_kill == 1 || after_kill == 2);
        assert_true(meanwhile == 1 || meanwhile == 2);
        tally->unknown_there += after_kill == 2;
        tally->unknown_gone += after_kill == 1;
    }
    if (result.status != BATCH_OK) {
        tally->failed++;
        int code = result.store_code & 0xff;
        assert_true(code == SQLITE_IOERR || code == SQLITE_FULL);
    }

    /* The store goes on from what is there. */
    assert_int_equal(add_to_all(&setting).status, BATCH_OK);
    assert_int_equal(number_in(&setting.file), meanwhile + 1);
    assert_int_equal(number_after_kill(&setting.file), meanwhile + 1);
    setting_end(&setting);
    return has_failed;
}

static struct tally check_every_fault(enum fault fault)
{
    struct tally tally = {0, 0, 0};
    unsigned n = 1;
    while (check_fault(fault, n, &tally))
        n++;
    assert_int_equal(tally.failed, n - 1);
    assert_true(n > 1);
    return tally;
}

TEST(test_a_write_that_fails_at_commit_is_unknown)
{
    struct tally tally = check_every_fault(FAULT_LOG_WRITE);
    assert_int_equal(tally.unknown_there, 0);
    assert_true(tally.unknown_gone > 0);
}

TEST(test_a_disk_that_is_full_at_commit_is_unknown)
{
    struct tally tally = check_every_fault(FAULT_LOG_WRITE_HALF);
    assert_true(tally.unknown_gone > 0);
}

/* This is what UNKNOWN is for: a failure is reported, and yet the commit is there. */
TEST(test_a_commit_that_failed_may_come_back)
{
    assert_true(check_every_fault(FAULT_LOG_WRITE_ALL).unknown_there > 0);
    assert_true(check_every_fault(FAULT_LOG_SYNC).unknown_there > 0);
}

TEST(test_saves_go_well_again_when_there_is_room_again)
{
    struct setting setting;
    setting_begin(&setting, BATCH_SQLITE_FULL);
    assert_int_equal(add_to_all(&setting).status, BATCH_OK);
    faulty_disk_arm(FAULT_LOG_WRITE_HALF, 1, true);
    for (int i = 0; i < 5; i++)
        assert_int_equal(add_to_all(&setting).status, BATCH_UNKNOWN);
    assert_true(faulty_disk_disarm());
    assert_int_equal(add_to_all(&setting).status, BATCH_OK);
    assert_int_equal(number_in(&setting.file), 2);
    setting_end(&setting);
}

/* A transaction too large for the cache is written to the log before COMMIT. Whatever fails then is
 * certain. */
TEST(test_a_write_that_fails_before_commit_stores_nothing)
{
    enum { LARGE_SIZE = 10 * STATE_SIZE };
    struct setting setting;
    setting_begin(&setting, BATCH_SQLITE_FULL);
    batch_processor *processor = text_processor(setting.store, 0);
    char *large = malloc(LARGE_SIZE);
    assert_non_null(large);
    memset(large, 'x', LARGE_SIZE);
    text_set(processor, "key", 3, "small", 5);
    for (int i = 0; i < 2; i++) {
        struct text_request request;
        text_request_init(&request, "key", 3, large, LARGE_SIZE);
        faulty_disk_arm(i == 0 ? FAULT_LOG_WRITE : FAULT_LOG_WRITE_HALF, 1, false);
        assert_int_equal(request_run(processor, &request.request), BATCH_SAVE_FAILED);
        assert_true(faulty_disk_disarm());
        free(request.seen);
        size_t size = 0;
        char *text = text_get(processor, "key", 3, &size);
        assert_string_equal(text, "small");
        free(text);
    }
    text_set(processor, "key", 3, large, LARGE_SIZE);
    free(large);
    processor_end(processor);
    setting_end(&setting);
}

TEST(test_a_read_that_fails_fails_the_load)
{
    unsigned failed = 0;
    for (unsigned n = 1; n < 100; n++) {
        struct setting setting;
        setting_begin(&setting, BATCH_SQLITE_FULL);
        assert_int_equal(add_to_all(&setting).status, BATCH_OK);
        batch_processor *processor = number_processor(setting.store, 1); /* its cache is empty */
        struct request request;
        request_init(&request, "a", 1, 1);
        faulty_disk_arm(FAULT_READ, n, false);
        int status = request_run(processor, &request);
        bool has_failed = faulty_disk_disarm();
        if (status != BATCH_OK) {
            failed++;
            assert_true(status == BATCH_LOAD_FAILED || status == BATCH_SAVE_FAILED);
            assert_int_equal(request.result.store_code & 0xff, SQLITE_IOERR);
            assert_int_equal(number_add(processor, "a", 1, 1), 2);
        }
        assert_int_equal(number_add(processor, "a", 1, 0), 2);
        processor_end(processor);
        setting_end(&setting);
        if (!has_failed)
            break;
    }
    assert_true(failed > 0);
}

static int install(void **state)
{
    (void)state;
    faulty_disk_install();
    return 0;
}

TEST_GROUP(install, NULL)
