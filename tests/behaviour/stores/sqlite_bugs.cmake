# Injected bugs of the SQLite store, each in a copy of the one file that it is in: which rule of the store
# is broken, and which test shows it.
set(sqlite_modules PkgConfig::${sqlite})

# Are the files still those that the next process will open?
set(lost_before_load test_what_nobody_else_sees_is_not_loaded)
set(lost_before_save test_a_file_that_is_lost_before_the_save_is_told_as_failed)
set(lost_in_save test_a_file_that_is_lost_during_the_save_is_told_as_unknown)
store_mutant(sqlite replaced-not-seen files files.c
    " && ret_status->stx_ino == known->inode)" ")" ${lost_before_load})
store_mutant(sqlite index-not-looked-up files files.c
    "        !look_up(files, BATCH__SQLITE_FILE_INDEX, &status, ret_problem) ||\n" "" ${lost_before_load})
store_mutant(sqlite checks-kept-for-a-second files session.c
    "CHECK_AGE_MAX_NS = 1000 * 1000," "CHECK_AGE_MAX_NS = 1000 * 1000 * 1000," ${lost_before_load})
store_mutant(sqlite not-checked-at-begin files session.c
    "batch__sqlite_files_check(&session->files, CHECK_AGE_MAX_NS, ret_problem))" "true)"
    ${lost_before_save})
store_mutant(sqlite not-checked-after-commit files save.c
    "} else if (batch__sqlite_files_check(&session->files, 0, &problem)) {" "} else if (true) {"
    ${lost_in_save})
store_mutant(sqlite commit-checked-too-early files save.c
    "batch__sqlite_files_check(&session->files, 0, &problem)"
    "batch__sqlite_files_check(&session->files, 1000000000, &problem)" ${lost_in_save})
store_mutant(sqlite cut-log-not-seen files files.c
    "memcmp(header + LOG_SALT_AT, log->salt, sizeof log->salt) == 0;" "true;" ${lost_in_save})
store_mutant(sqlite second-name files files.c
    "return status->stx_nlink <= 1 ||" "return (status != NULL) ||" test_a_file_with_a_second_name_is_not_opened)
store_mutant(sqlite foreign-write-not-seen files files.c
    "return has_last_pages(files, log_file, log, pages) ||"
    "return has_last_pages(files, log_file, log, pages) || log != NULL ||"
    test_a_copy_over_a_file_is_told_from_another_time)
store_mutant(sqlite time-alone-is-foreign files files.c
    "bool is_as_it_was = is_kept(files, log_file, log, pages);"
    "bool is_as_it_was = is_kept(files, log_file, log, pages) && log == NULL;"
    test_a_copy_over_a_file_is_told_from_another_time)
store_mutant(sqlite removes-the-log-of-another files session.c
    "SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1," "SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0,"
    test_a_log_in_the_place_of_ours_is_left_alone)

# Whom an error belongs to.
store_mutant(sqlite constraint-of-all table row.c
    "    case SQLITE_CONSTRAINT:\n" "" test_what_refuses_many_rows_costs_each_a_few_statements)
store_mutant(sqlite refused-row-not-undone trigger unit.c
    "(!is_written && batch__sqlite_run(session, BATCH__SQLITE_UNDO) != SQLITE_OK) ||"
    "(is_written && batch__sqlite_run(session, BATCH__SQLITE_UNDO) < 0) ||"
    test_a_trigger_that_fails_leaves_nothing_behind)
store_mutant(sqlite conflict-not-undone trigger save.c
    "if (unit->unit == 0 && batch_call_version(unit->call) == 0 &&
                session->found.may_alter) {" "if (false) {"
    test_a_conflict_of_a_new_row_leaves_nothing_behind)
store_mutant(sqlite first-row-speaks-for-all table save.c
    "if (++group->alone == ALONE_MAX)" "if (++group->alone > 0)" test_an_error_of_one_row_is_told_from_that_of_all)
store_mutant(sqlite each-row-tried table save.c
    "if (++group->alone == ALONE_MAX)" "if (++group->alone > 100000)"
    test_an_error_of_one_row_is_told_from_that_of_all)
store_mutant(sqlite neighbours-speak-for-all table save.c
    "skipped = spread(group->alone, group->pending);" "(void)spread;"
    test_rows_side_by_side_that_fail_leave_the_others)
store_mutant(sqlite not-halved table save.c
    "group->limit = (others + 1) / 2;" "group->limit = 1;" test_an_error_of_one_row_is_told_from_that_of_all)

# What the user's table counts on.
store_mutant(sqlite foreign-keys-off table setup.c
    "{\"PRAGMA foreign_keys=ON\", \"PRAGMA foreign_keys\", \"1\", false}"
    "{\"PRAGMA foreign_keys=OFF\", \"PRAGMA foreign_keys\", \"0\", false}" test_a_foreign_key_is_respected)
store_mutant(sqlite violation-of-all table unit.c
    "return count != 0;" "return false && count != 0;"
    test_a_foreign_key_that_is_checked_at_commit_refuses_its_rows_alone)
store_mutant(sqlite one-round table save.c
    "round.is_last = round.written == written || count + 1 == ROUNDS_MAX;"
    "round.is_last = round.written >= written || count + 1 == ROUNDS_MAX;"
    test_rows_of_a_group_may_need_each_other)
store_mutant(sqlite not-read-back table save.c
    "for (; group->session->found.may_alter && unit < end; unit += unit->unit_size) {"
    "for (; !group->session && unit < end; unit += unit->unit_size) {"
    test_a_trigger_that_counts_versions_does_no_harm)
store_mutant(sqlite cascade-not-seen table table.c
    "*ret_has_triggers || (code == SQLITE_ROW && sqlite3_column_int64(statement, 1) > 0);"
    "*ret_has_triggers;" test_a_parent_key_that_cascades_into_the_table_is_noticed)
store_mutant(sqlite others-make-room table table.c
    "const char *or_abort = has_triggers ? \"\" : \"OR ABORT\";" "const char *or_abort = \"\";"
    test_a_row_never_makes_room_for_another_one)
store_mutant(sqlite looked-at-once table session.c
    "if (!found->is_known || found->schema_version != schema_version) {" "if (!found->is_known) {"
    test_a_table_that_changes_under_way_is_looked_at_again)
store_mutant(sqlite text-key-is-new table load.c
    "found = find_stranger(session, item);" "found = find_stranger(session, item) == SQLITE_OK ? 0 : SQLITE_DONE;"
    test_a_key_that_is_stored_as_text_is_not_taken_for_a_new_one)

# What the log takes.
store_mutant(sqlite log-not-cut disk setup.c
    "{\"PRAGMA main.journal_size_limit=33554432\", \"PRAGMA main.journal_size_limit\", \"33554432\","
    "{\"PRAGMA main.journal_size_limit=-1\", \"PRAGMA main.journal_size_limit\", \"-1\","
    test_a_snapshot_that_makes_the_log_grow_stops_nobody)
store_mutant(sqlite log-never-restarted disk session.c
    "session->is_checkpoint_long ? SQLITE_CHECKPOINT_RESTART" "false ? SQLITE_CHECKPOINT_RESTART"
    test_the_log_does_not_grow_for_ever)

# What is stored all together or not at all.
store_mutant(sqlite half-a-unit suite unit.c
    "        if (outcome != BATCH__SQLITE_WRITTEN)
            return outcome;
        was_violated" "        if (outcome != BATCH__SQLITE_WRITTEN)
            break;
        was_violated" test_a_conflict_of_one_key_is_one_of_its_unit)
store_mutant(sqlite unit-not-undone suite unit.c
    "(!is_written && batch__sqlite_run(session, BATCH__SQLITE_UNDO) != SQLITE_OK) ||"
    "(is_written && batch__sqlite_run(session, BATCH__SQLITE_UNDO) < 0) ||"
    test_a_conflict_of_one_key_is_one_of_its_unit)
store_mutant(sqlite first-unit-not-undone suite save.c
    "if (unit->unit != 0 && is_first)" "if (false)" test_a_conflict_of_the_first_unit_is_not_one_of_the_others)
store_mutant(sqlite unit-not-kept-together suite items.c
    "if (left->unit != right->unit)" "if (false)" test_units_at_random)
store_mutant(sqlite check-not-compared suite unit.c
    "item->is_check ? batch__sqlite_row_check(session, item, ret_problem)"
    "item->is_check ? BATCH__SQLITE_WRITTEN" test_what_was_only_read_is_compared_and_not_written)
store_mutant(sqlite check-written suite items.c
    "item->is_check = batch_call_is_check(calls[i]);" "item->is_check = false;"
    test_what_was_only_read_is_compared_and_not_written)
store_mutant(sqlite unit-read-back-in-part suite unit.c
    "*item = unit; item < unit + unit->unit_size; item++) {
        enum batch__sqlite_outcome outcome =
            item->is_check ? BATCH__SQLITE_WRITTEN"
    "*item = unit + 1; item < unit + unit->unit_size; item++) {
        enum batch__sqlite_outcome outcome =
            item->is_check ? BATCH__SQLITE_WRITTEN"
    test_a_row_whose_state_is_changed_on_the_way_fails_its_unit)
