/* The SQLite store: its files are removed, moved, replaced or written to by something else. What
 * would end up where nobody finds it is never reported as saved, and what nobody else sees is not
 * loaded. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* symlink */
#endif
#include "driver.h"
#include "sqlite_fixture.h"
#include "sqlite_probe.h"
#include "test.h"
#include "unit_group.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A file with a store that has been used, a backup of it, and a processor. */
struct setting {
    struct sqlite_file file;
    char log[128], index[128], backup[128], away[128], link[128];
    batch_store *store;
    batch_processor *processor;
};

static void copy_over(const char *from, const char *to)
{
    static char bytes[65536];
    int in = open(from, O_RDONLY);
    int out = open(to, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    assert_true(in >= 0 && out >= 0);
    for (ssize_t size; (size = read(in, bytes, sizeof bytes)) > 0;)
        assert_int_equal(write(out, bytes, (size_t)size), size);
    close(in);
    close(out);
}

static void name_files(struct setting *setting)
{
    const struct sqlite_file *file = &setting->file;
    snprintf(setting->log, sizeof setting->log, "%s-wal", file->path);
    snprintf(setting->index, sizeof setting->index, "%s-shm", file->path);
    snprintf(setting->backup, sizeof setting->backup, "%s/backup.db", file->folder);
    snprintf(setting->away, sizeof setting->away, "%s/away", file->folder);
    snprintf(setting->link, sizeof setting->link, "%s/link.db", file->folder);
}

/* By which name the store is opened. */
static void setting_begin(struct setting *setting, bool by_link)
{
    batch_result error = {0};
    sqlite_file_init(&setting->file);
    name_files(setting);
    if (by_link)
        assert_int_equal(symlink(setting->file.path, setting->link), 0);
    if (batch_sqlite_open(&setting->store, by_link ? setting->link : setting->file.path, NULL,
                          &error) != BATCH_OK)
        fail_msg("%s", error.message);
    batch_options options = number_options(setting->store, 2);
    batch_processor *processor = processor_start(&options);
    assert_int_equal(number_add(processor, "key", 3, 1), 1);
    processor_end(processor); /* the last one copies the log to the file */
    copy_over(setting->file.path, setting->backup);
    setting->processor = processor_start(&options);
    assert_int_equal(number_add(setting->processor, "key", 3, 1), 2);
}

static void setting_end(struct setting *setting)
{
    processor_end(setting->processor);
    assert_int_equal(batch_store_close(setting->store), BATCH_OK);
    sqlite_file_destroy(&setting->file);
}

/* ---- Ways to lose a file -------------------------------------------------------------------- */

static void remove_all(void *arg)
{
    struct setting *setting = arg;
    unlink(setting->file.path);
    unlink(setting->log);
    unlink(setting->index);
}

static void remove_log(void *arg)
{
    unlink(((struct setting *)arg)->log);
}

static void remove_index(void *arg)
{
    unlink(((struct setting *)arg)->index);
}

static void move_file(void *arg)
{
    struct setting *setting = arg;
    rename(setting->file.path, setting->away);
}

static void replace_file(void *arg)
{
    struct setting *setting = arg;
    rename(setting->backup, setting->file.path);
}

static void replace_log(void *arg)
{
    struct setting *setting = arg;
    copy_over(setting->log, setting->away);
    rename(setting->away, setting->log);
}

static void replace_index(void *arg)
{
    struct setting *setting = arg;
    copy_over(setting->index, setting->away);
    rename(setting->away, setting->index);
}

/* Other programs do that, so another process does it here: within this one, to close the file
 * would drop the locks of SQLite. */
static void shell(const char *format, const char *first, const char *second)
{
    char command[400];
    snprintf(command, sizeof command, format, first, second);
    assert_int_equal(system(command), 0);
}

static void copy_over_file(void *arg)
{
    struct setting *setting = arg;
    shell("cp '%s' '%s'", setting->backup, setting->file.path);
}

static void cut_log(void *arg)
{
    shell(": > '%s'%s", ((struct setting *)arg)->log, "");
}

static void link_file(void *arg)
{
    struct setting *setting = arg;
    assert_int_equal(link(setting->file.path, setting->away), 0);
}

static const struct way {
    void (*lose)(void *setting);
    const char *text;

} ways[] = {
    {remove_all, "the file was removed or moved"},
    {move_file, "the file was removed or moved"},
    {replace_file, "the file was replaced"},
    {remove_log, "the log (-wal) was removed"},
    {replace_log, "the log (-wal) was replaced"},
    {remove_index, "the index of the log (-shm) was removed"},
    {replace_index, "the index of the log (-shm) was replaced"},
    {link_file, "second name"},
    {copy_over_file, "the file was written to by something else than SQLite"},
    {cut_log, "the log (-wal) was written to by something else than SQLite"},
};

enum { WAYS = sizeof ways / sizeof ways[0] };

static void assert_failed(const batch_result *result, int status, const struct way *way)
{
    if (result->status != status || strstr(result->message, way->text) == NULL)
        fail_msg("%s (%s) instead of %s (%s)", batch_status_name(result->status), result->message,
                 batch_status_name(status), way->text);
    assert_int_equal(result->store_code, SQLITE_READONLY_DBMOVED);
}

/* What begins may rely on what was seen a millisecond ago. */
static void let_it_age(void)
{
    uint64_t until_ns = batch_now_ns() + 2000000;
    while (batch_now_ns() < until_ns)
        ;
}

/* Nothing is loaded or saved, and the reason has this text. */
static void assert_not_loaded(struct setting *setting, const char *text)
{
    struct request request;
    request_init(&request, "key", 3, 1);
    let_it_age();
    assert_int_equal(request_run(setting->processor, &request), BATCH_LOAD_FAILED);
    if (strstr(request.result.message, text) == NULL)
        fail_msg("\"%s\" is not in: %s", text, request.result.message);
}

TEST(test_what_nobody_else_sees_is_not_loaded)
{
    for (size_t i = 0; i < WAYS; i++) {
        struct setting setting;
        struct request request;
        setting_begin(&setting, false);
        ways[i].lose(&setting);
        let_it_age();
        for (int j = 0; j < 5; j++) { /* on each session */
            request_init(&request, "key", 3, 0);
            request_run(setting.processor, &request);
            assert_failed(&request.result, BATCH_LOAD_FAILED, &ways[i]);
        }
        setting_end(&setting);
    }
}

struct loss {
    struct setting *setting;
    const struct way *way;
};

static void lose_and_age(void *arg)
{
    const struct loss *loss = arg;
    loss->way->lose(loss->setting);
    let_it_age();
}

TEST(test_a_file_that_is_lost_before_the_save_is_told_as_failed)
{
    for (size_t i = 0; i < WAYS; i++) {
        struct setting setting;
        struct request request;
        struct loss loss = {&setting, &ways[i]};
        setting_begin(&setting, false);
        request_init(&request, "key", 3, 1);
        request.meddle = lose_and_age;
        request.meddle_arg = &loss;
        request_run(setting.processor, &request);
        assert_failed(&request.result, BATCH_SAVE_FAILED, &ways[i]);
        setting_end(&setting);
    }
}

TEST(test_a_file_that_is_lost_during_the_save_is_told_as_unknown)
{
    for (size_t i = 0; i < WAYS; i++) {
        struct setting setting;
        struct request request;
        setting_begin(&setting, false);
        sqlite_file_execute(&setting.file, "CREATE TRIGGER t AFTER UPDATE ON batch "
                                           "BEGIN SELECT probe(); END");
        assert_int_equal(number_add(setting.processor, "key", 3, 1), 3);
        sqlite_probe_set(ways[i].lose, &setting);
        request_init(&request, "key", 3, 1);
        request_run(setting.processor, &request);
        sqlite_probe_set(NULL, NULL);
        assert_failed(&request.result, BATCH_UNKNOWN, &ways[i]);
        setting_end(&setting);
    }
}

static void lose_in_the_save(struct unit_group *group)
{
    sqlite_probe_set(ways[1].lose, group->fixture->context);
}

/* Each unit as a whole, like the keys that are alone. */
TEST(test_a_file_that_is_lost_while_units_are_saved_makes_all_of_them_unknown)
{
    struct setting setting = {.store = NULL};
    struct store_fixture fixture = sqlite_fixture(&setting.file);
    fixture.open(&fixture);
    name_files(&setting);
    struct unit_group *group = unit_group_new(&fixture);
    unit_group_start(group);
    unit_plan_bystanders(group, 5, 7);
    unit_plan_bystanders(group, 7, NOT_STORED);
    unit_group_prepare(group);
    sqlite_file_execute(&setting.file, "CREATE TRIGGER t AFTER UPDATE ON batch "
                                       "BEGIN SELECT probe(); END");
    fixture.context = &setting;
    unit_group_run_with(group, lose_in_the_save);
    fixture.context = &setting.file;
    for (size_t i = 0; i < group->size; i++)
        assert_failed(&group->requests[i].result, BATCH_UNKNOWN, &ways[1]);
    assert_int_equal(rename(setting.away, setting.file.path), 0);
    for (size_t i = 0; i < group->size; i++) { /* the commit went to the file, wherever it was */
        const struct planned *planned = &group->planned[i];
        int64_t stored = planned->before == NOT_STORED ? 1 : planned->before + 1;
        assert_int_equal(stored_number(&fixture, planned->key),
                         planned->is_check ? planned->before : stored);
    }
    unit_group_free(group);
    assert_int_equal(batch_store_close(fixture.store), BATCH_OK);
    fixture.close(&fixture);
}

TEST(test_a_file_that_comes_back_is_used_again)
{
    struct setting setting;
    setting_begin(&setting, false);
    move_file(&setting);
    assert_not_loaded(&setting, "removed or moved");
    assert_int_equal(rename(setting.away, setting.file.path), 0);
    assert_int_equal(number_add(setting.processor, "key", 3, 1), 3);
    assert_int_equal(link(setting.file.path, setting.away), 0);
    assert_not_loaded(&setting, "second name");
    assert_int_equal(unlink(setting.away), 0);
    assert_int_equal(number_add(setting.processor, "key", 3, 1), 4);
    setting_end(&setting);
}

TEST(test_a_copy_over_a_file_is_told_from_another_time)
{
    struct setting setting;
    setting_begin(&setting, false);
    sqlite_file_execute(&setting.file, "PRAGMA wal_checkpoint");
    let_it_age();
    assert_int_equal(number_add(setting.processor, "key", 3, 0), 2);
    shell("touch -d 2001-01-01 '%s'%s", setting.file.path, "");
    let_it_age();
    for (int64_t i = 3; i < 6; i++)
        assert_int_equal(number_add(setting.processor, "key", 3, 1), i);
    sqlite_file_execute(&setting.file, "PRAGMA wal_checkpoint");
    let_it_age();
    assert_int_equal(number_add(setting.processor, "key", 3, 0), 5);
    copy_over_file(&setting); /* as large, with the same first page */
    assert_not_loaded(&setting, "something else than SQLite");
    setting_end(&setting);
}

TEST(test_a_file_with_a_second_name_is_not_opened)
{
    struct setting setting;
    setting_begin(&setting, false);
    link_file(&setting);
    batch_store *store = NULL;
    batch_result error = {0};
    assert_int_equal(batch_sqlite_open(&store, setting.away, NULL, &error), BATCH_STORE_FAILED);
    if (strstr(error.message, "second name") == NULL)
        fail_msg("%s", error.message);
    setting_end(&setting);
}

TEST(test_a_link_that_leads_elsewhere_is_noticed)
{
    struct setting setting;
    setting_begin(&setting, true);
    assert_int_equal(number_add(setting.processor, "key", 3, 1), 3);
    assert_int_equal(unlink(setting.link), 0);
    assert_not_loaded(&setting, "removed or moved");
    assert_int_equal(symlink(setting.backup, setting.link), 0);
    assert_not_loaded(&setting, "replaced");
    setting_end(&setting);
}

TEST(test_a_folder_that_is_moved_is_noticed)
{
    struct setting setting;
    char moved[80];
    setting_begin(&setting, false);
    snprintf(moved, sizeof moved, "%s.moved", setting.file.folder);
    assert_int_equal(rename(setting.file.folder, moved), 0);
    assert_not_loaded(&setting, "removed or moved");
    assert_int_equal(mkdir(setting.file.folder, 0755), 0);
    assert_not_loaded(&setting, "removed or moved");
    assert_int_equal(rmdir(setting.file.folder), 0);
    assert_int_equal(rename(moved, setting.file.folder), 0);
    assert_int_equal(number_add(setting.processor, "key", 3, 1), 3);
    setting_end(&setting);
}

/* The last connection of a file removes the log by its name. */
TEST(test_the_log_of_another_database_is_left_alone)
{
    struct setting setting;
    setting_begin(&setting, false);
    assert_int_equal(unlink(setting.log), 0);
    assert_int_equal(unlink(setting.index), 0);
    replace_file(&setting);
    sqlite_file_execute(&setting.file, "CREATE TABLE other (x); INSERT INTO other VALUES (7)");
    processor_end(setting.processor);
    struct stat status;
    assert_int_equal(stat(setting.log, &status), 0);
    assert_true(status.st_size > 0);
    assert_int_equal(sqlite_file_number(&setting.file, "SELECT x FROM other"), 7);
    batch_options options = number_options(setting.store, 1);
    setting.processor = processor_start(&options); /* on the new one */
    assert_int_equal(number_add(setting.processor, "key", 3, 1), 2);
    setting_end(&setting);
}

/* There is nobody left who would hold a lock on it, as its process was killed. */
TEST(test_a_log_in_the_place_of_ours_is_left_alone)
{
    struct setting setting;
    setting_begin(&setting, false);
    assert_int_equal(unlink(setting.log), 0);
    shell("echo 'commits of another process' > '%s'%s", setting.log, "");
    processor_end(setting.processor);
    shell("grep -q commits '%s'%s", setting.log, "");
    assert_int_equal(unlink(setting.log), 0);
    assert_int_equal(unlink(setting.index), 0);
    batch_options options = number_options(setting.store, 1);
    setting.processor = processor_start(&options);
    assert_int_equal(number_add(setting.processor, "key", 3, 1), 2); /* the log was lost before */
    setting_end(&setting);
}

/* ---- What others may do --------------------------------------------------------------------- */

TEST(test_what_sqlite_does_to_the_files_is_no_loss)
{
    struct setting setting;
    setting_begin(&setting, false);
    static const char *const others[] = {
        "CREATE TABLE other (x)",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "INSERT INTO other VALUES (zeroblob(6000000))",
        "PRAGMA wal_checkpoint(PASSIVE)",
        "PRAGMA wal_checkpoint(RESTART)",
        "DELETE FROM other",
        "VACUUM",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "PRAGMA journal_size_limit=0; INSERT INTO other VALUES (1)",
        "PRAGMA user_version=7; ANALYZE",
    };
    int64_t number = 2;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        sqlite_file_execute(&setting.file, others[i]);
        for (int j = 0; j < 3; j++)
            assert_int_equal(number_add(setting.processor, "key", 3, 1), ++number);
    }
    assert_int_equal(chmod(setting.file.path, 0600), 0);
    assert_int_equal(number_add(setting.processor, "key", 3, 1), ++number);
    setting_end(&setting);
}

TEST_GROUP(sqlite_probe_set_up, NULL)
