/* Stop: open windows end early, everything accepted is completed, nothing later is taken. */
#include "trace.h"

TRACE_TEST_WITH(stop_ends_open_windows_early_and_waits_for_the_saves, .load_ms = 1, .save_ms = 5)
{
    trace_submit(t, "a", "A");
    trace_submit(t, "b", "B");
    trace_at(t, 10);
    trace_stop(t);
    assert_int_equal(t->core.ops, 2);
    trace_at(t, 20);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  1] a: run A\n"
                    "[  1] b: run B\n"
                    "[ 10] a: save, closed by stop\n"
                    "[ 10] b: save, closed by stop\n"
                    "[ 15] a: done A OK\n"
                    "[ 15] a: release\n"
                    "[ 15] b: done B OK\n"
                    "[ 15] b: release\n");
    assert_int_equal(t->core.ops, 0);
    assert_int_equal(t->core.table.count, 0);
    assert_int_equal(batch__core_deadline_ns(&t->core), UINT64_MAX);
}

TRACE_TEST_WITH(stop_during_a_load_runs_and_saves_what_waits_for_it, .load_ms = 10, .save_ms = 5)
{
    trace_submit(t, "a", "AB");
    trace_at(t, 5);
    trace_stop(t);
    trace_at(t, 20);
    trace_expect(t, "[  0] a: load\n"
                    "[ 10] a: run A\n"
                    "[ 10] a: run B\n"
                    "[ 10] a: save, closed by stop\n"
                    "[ 15] a: done A B OK\n"
                    "[ 15] a: release\n");
}

/* The original left them incomplete, or ran them after Stop had returned. */
TRACE_TEST_WITH(those_who_wait_behind_a_save_when_stop_comes_are_run_saved_and_completed,
                .ops_max = 2, .load_ms = 1, .save_ms = 5)
{
    trace_submit(t, "a", "ABCDE");
    trace_at(t, 2);
    trace_stop(t);
    trace_at(t, 50);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[  1] a: run B\n"
                    "[  1] a: save, closed by size\n"
                    "[  6] a: done A B OK\n"
                    "[  6] a: release\n"
                    "[  6] a: load\n"
                    "[  7] a: run C\n"
                    "[  7] a: run D\n"
                    "[  7] a: save, closed by size\n"
                    "[ 12] a: done C D OK\n"
                    "[ 12] a: release\n"
                    "[ 12] a: load\n"
                    "[ 13] a: run E\n"
                    "[ 13] a: save, closed by stop\n"
                    "[ 18] a: done E OK\n"
                    "[ 18] a: release\n");
}

TRACE_TEST_WITH(after_stop_operations_are_refused, .load_ms = 10)
{
    trace_submit(t, "a", "A");
    trace_stop(t);
    trace_submit(t, "a", "B");
    trace_submit(t, "b", "C");
    trace_expect(t, "[  0] a: load\n"
                    "[  0] done B STOPPED\n"
                    "[  0] done C STOPPED\n");
    assert_int_equal(t->core.table.count, 1);
}

TRACE_TEST_WITH(an_operation_accepted_in_the_same_turn_as_stop_is_run, .load_ms = 1, .save_ms = 1)
{
    trace_hold(t);
    trace_submit(t, "a", "A");
    trace_stop(t);
    trace_submit(t, "a", "B");
    trace_go(t);
    trace_at(t, 10);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] done B STOPPED\n"
                    "[  1] a: run A\n"
                    "[  1] a: save, closed by stop\n"
                    "[  2] a: done A OK\n"
                    "[  2] a: release\n");
}

TRACE_TEST_WITH(a_second_stop_changes_nothing, .load_ms = 1)
{
    trace_stop(t);
    trace_stop(t);
    trace_submit(t, "a", "A");
    trace_stop(t);
    trace_expect(t, "[  0] done A STOPPED\n");
}

TRACE_TEST(errors_while_stopping_are_told_as_ever)
{
    trace_submit(t, "a", "A");
    trace_submit(t, "b", "B");
    trace_submit(t, "c", "C");
    trace_loaded(t, "a", BATCH_OK);
    trace_stop(t);
    trace_submit(t, "a", "D");
    trace_cancel(t, "C");
    trace_loaded(t, "b", BATCH_LOAD_FAILED);
    trace_saved(t, "a", BATCH_UNKNOWN);
    trace_loaded(t, "c", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] c: load\n"
                    "[  0] a: run A\n"
                    "[  0] a: save, closed by stop\n"
                    "[  0] done D STOPPED\n"
                    "[  0] done C CANCELED\n"
                    "[  0] b: done B LOAD_FAILED\n"
                    "[  0] a: done A UNKNOWN\n"
                    "[  0] a: release\n"
                    "[  0] c: release\n");
    assert_int_equal(t->core.table.count, 0);
}

/* No operation is left, but the store still has the resource in its hands: whoever stops must wait
 * for that too. */
TRACE_TEST(a_load_that_everybody_left_keeps_its_key_until_it_ends)
{
    trace_submit(t, "a", "A");
    trace_cancel(t, "A");
    trace_stop(t);
    assert_int_equal(t->core.ops, 0);
    assert_int_equal(t->core.table.count, 1);
    trace_loaded(t, "a", BATCH_OK);
    assert_int_equal(t->core.table.count, 0);
}

TRACE_TEST_WITH(an_unchanged_batch_is_completed_by_stop_at_once, .load_ms = 1)
{
    trace_op(t, 'A')->verdict = BATCH_UNCHANGED;
    trace_submit(t, "a", "A");
    trace_at(t, 10);
    trace_stop(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[ 10] a: done A OK\n"
                    "[ 10] a: release\n");
}
