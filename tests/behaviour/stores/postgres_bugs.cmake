# Injected bugs of the PostgreSQL store, each in a copy of the one file that it is in: which rule of the
# store is broken, and which test shows it.
batch_find_module("libpq libsodium" postgres_module)
set(postgres_modules PkgConfig::${postgres_module})

# Whom an error belongs to.
store_mutant(postgres context-of-all poison blame.c
    "if (size == 0)
        return all(blame, class);"
    "if (size == 0 || has_context)
        return all(blame, class);"
    test_whatever_a_trigger_raises_fails_its_row_alone)
store_mutant(postgres each-row-tried poison blame.c
    "? BATCH__POSTGRES_SINGLES_ROW\n" "? SIZE_MAX\n"
    test_values_that_are_all_rejected_take_as_many_statements_however_many_there_are)
store_mutant(postgres stale-not-sent-again settings blame.c
    "BATCH__POSTGRES_ERROR_STALE   ? 1" "BATCH__POSTGRES_ERROR_STALE   ? 0"
    test_synchronous_commit_that_a_deferred_trigger_turned_off_is_on_for_the_next_save)

# Whose session it is, and which table.
store_mutant(postgres fence-not-compared pool sql.c
    "EQUALS \" '@f' THEN \"" "EQUALS \" '@f' OR true THEN \""
    test_a_session_that_became_somebody_elses_is_not_used)
store_mutant(postgres pool-not-probed pool settings.c
    "!is_value(result, LOOK_IS_OWN, \"t\") &&" "false &&"
    test_a_pool_that_is_not_of_sessions_is_refused_and_left_as_it_was)
store_mutant(postgres stamp-not-compared settings sql.c
    "\"CASE WHEN @x THEN true" "\"CASE WHEN @x OR true THEN true"
    test_a_table_or_partition_that_becomes_unlogged_is_refused)

store_mutant(postgres encoding-not-compared altered statement.c
    "return has_texts && PQclient" "return false && has_texts && PQclient"
    test_a_trigger_that_changes_the_encoding_changes_no_key)
store_mutant(postgres columns-not-compared altered sql.c
    "AND a.xmin OPERATOR(pg_catalog.<>) ALL" "AND false AND a.xmin OPERATOR(pg_catalog.<>) ALL"
    test_a_column_in_the_place_of_another_one_cuts_off_no_blanks)
store_mutant(postgres file-not-compared altered sql.c
    "\" '@o'::pg_catalog.oid AND" "\" '@o'::pg_catalog.oid IS NOT NULL AND"
    test_a_load_that_waited_for_a_change_does_not_find_an_empty_table)
store_mutant(postgres index-not-looked-for altered sql.c
    "pg_catalog.pg_relation_filenode('@d'::pg_catalog.oid) IS NOT NULL" "'@d' IS NOT NULL"
    test_keys_that_are_no_longer_unique_are_noticed)
store_mutant(postgres rules-not-noticed altered save.c
    "!group->connection->table.shape.has_rules" "true"
    test_a_rule_that_stores_rows_elsewhere_is_noticed)

# What is stored is what was sent.
store_mutant(postgres state-not-compared altered sql.c
    "AND t.@s@Z \" EQUALS \" \" i \\
    \".state THEN" "AND t.@s@Z \" EQUALS \" t.@s@Z OR \" i \\
    \".ord < 0 THEN"
    test_what_a_trigger_alters_is_refused)
store_mutant(postgres insert-not-compared altered sql.c
    "\"NOT EXISTS (SELECT n.key" "\"true OR NOT EXISTS (SELECT n.key"
    test_blanks_that_a_column_cuts_off_are_refused)

store_mutant(postgres one-not-compared units sql.c
    "($2::@i[])[1], ($3" "(SELECT x.@v FROM @t AS x WHERE x.@k = ($1::@K[])[1]), ($3"
    test_a_single_row_that_is_there_has_a_statement_of_its_own)

# What is durable.
store_mutant(postgres any-warning rows connection.c
    "is_field(notice, PG_DIAG_SOURCE_FUNCTION, \"SyncRepWaitForLSN\") &&" ""
    test_a_deferred_trigger_warns_of_one)
store_mutant(postgres no-warning settings connection.c
    "connection->is_warned |= is_of_standby(notice);" "(void)is_of_standby;"
    test_a_wait_for_a_standby_that_somebody_else_cancels)
store_mutant(postgres canceled-but-done faults statement.c
    "is_dubious(receiving) && !is_without_standbys(receiving)"
    "is_dubious(receiving) && !is_without_standbys(receiving) && false"
    test_a_standby_is_not_there_and_a_trigger_hides_the_warning)
store_mutant(postgres commit-not-checked settings sql.c
    "\"pg_catalog.current_setting('synchronous_commit') \" EQUALS"
    "\"pg_catalog.current_setting('synchronous_commit') IS NOT NULL OR '' \" EQUALS"
    test_a_trigger_that_turns_synchronous_commit_off_fails_the_save)
store_mutant(postgres fsync-not-checked settings sql.c
    "\"WHEN pg_catalog.current_setting('fsync') OPERATOR(pg_catalog.<>) 'on' \""
    "\"WHEN pg_catalog.current_setting('fsync') OPERATOR(pg_catalog.=) 'no' \""
    test_fsync_that_is_turned_off_fails_saves)

# The set-up, and the cancel.
store_mutant(postgres standby-accepted hosts settings.c
    "if (!check_writable(result, reterr))" "if (!check_writable(result, reterr) && false)"
    test_a_switch_over_between_two_servers_with_a_pooler_each)
store_mutant(postgres rows-hidden settings settings.c
    "{0, 0, \"row_security\", \"off\"}," ""
    test_a_row_that_is_hidden_is_not_taken_for_missing)
store_mutant(postgres wrong-secret pool cancel.c
    "put32(to, key->secret);" "put32(to, key->secret + 1);"
    test_a_save_that_hangs_is_canceled_through_a_pool)
store_mutant(postgres cancel-closed-at-once pool cancel.c
    "while (cancel->is_open && cancel->sent > 0 &&" "while (cancel->is_open && cancel->sent > 16 &&"
    test_a_pool_outlives_many_cancels)

# Units.
store_mutant(postgres half-a-unit units sql.c
    "#define IS_COMPLETE \"b.n \" EQUALS \" b.size AND" "#define IS_COMPLETE \"b.n \" EQUALS \" b.n AND"
    test_a_key_that_was_changed_is_a_conflict_of_its_unit_alone)
store_mutant(postgres whole-not-counted units sql.c
    "THEN false WHEN ((SELECT pg_catalog.count(*) FROM u)" "THEN false WHEN true OR ((SELECT pg_catalog.count(*) FROM u)"
    test_a_key_that_was_changed_is_a_conflict_of_its_unit_alone)
store_mutant(postgres check-saved-whole units save.c
    "if (group->part[i]->is_check)" "if (group->part[i]->is_check && group->part[i]->version == 0)"
    test_one_that_makes_what_the_other_one_did_not_find)
store_mutant(postgres check-not-compared units sql.c
    "(ARRAY[i.key]) AND t.@v \" EQUALS \" i.old \"                  \\
    \"WHERE \" time" "(ARRAY[i.key]) AND (i.new IS NULL OR t.@v \" EQUALS \" i.old) \"                  \\
    \"WHERE \" time"
    test_a_key_that_was_changed_is_a_conflict_of_its_unit_alone)
store_mutant(postgres torn-not-noticed units sql.c
    "\"EXCEPT SELECT n.key::@K@C FROM n) THEN \" RAISE(" "\"EXCEPT SELECT n.key::@K@C FROM n) THEN true OR \" RAISE("
    test_a_row_that_is_made_while_the_statement_waits_for_it)
store_mutant(postgres absence-not-locked units save.c
    "bool has_locks = group->part_size > 0 &&" "bool has_locks = false &&"
    test_two_that_each_make_what_the_other_one_did_not_find)
store_mutant(postgres looked-before-locked units statement.c
    "!step(connection, send_prepared(connection, BATCH__POSTGRES_LOCK_UNITS, locks), limit,
              ret_reply)"
    "(void *)locks == (void *)limit"
    test_one_that_makes_what_the_other_one_did_not_find)
store_mutant(postgres snapshot-of-the-lock units statement.c
    "#define BEGIN_READ_COMMITTED \"BEGIN ISOLATION LEVEL READ COMMITTED\""
    "#define BEGIN_READ_COMMITTED \"BEGIN\""
    test_one_that_makes_what_the_other_one_did_not_find)
store_mutant(postgres all-locks-shared absence sql.c
    "\"THEN pg_catalog.pg_advisory_xact_lock(\" LOCK_ALL" "\"THEN pg_catalog.pg_advisory_xact_lock_shared(\" LOCK_ALL"
    test_a_large_unit_and_a_small_one_that_make_what_the_other_one_did_not_find)
store_mutant(postgres any-number-of-locks absence group.c
    "room->locks <= BATCH__POSTGRES_LOCKS_MAX" "room->locks <= SIZE_MAX"
    test_transactions_that_check_what_is_not_there_leave_locks_for_others)
store_mutant(postgres every-lock-taken absence values.c
    "absent <= BATCH__POSTGRES_LOCKS_MAX ? absent : 0" "absent"
    test_transactions_that_check_what_is_not_there_leave_locks_for_others)
store_mutant(postgres read-only-overruled absence statement.c
    "\"BEGIN ISOLATION LEVEL READ COMMITTED\"" "\"BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE\""
    test_a_check_of_what_is_not_there_does_not_write_where_writes_are_switched_off)
