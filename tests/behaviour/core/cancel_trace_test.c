/* Operations that should not begin any more: canceled, or past their start_by_ns. */
#include "trace.h"

/* ---- They never begin, and open no batch ---------------------------------------------------- */

TRACE_TEST(an_operation_canceled_before_it_is_submitted_opens_no_batch)
{
    trace_op(t, 'A')->op.private_canceled = 1;
    trace_submit(t, "a", "A");
    trace_expect(t, "[  0] done A CANCELED\n");
    assert_int_equal(t->core.table.count, 0);
    assert_int_equal(batch__core_deadline_ns(&t->core), UINT64_MAX);
}

TRACE_TEST(an_operation_that_is_late_when_submitted_opens_no_batch)
{
    trace_at(t, 50);
    trace_op(t, 'A')->op.start_by_ns = 50 * TRACE_MS - 1;
    trace_submit(t, "a", "A");
    trace_expect(t, "[ 50] done A EXPIRED\n");
    assert_int_equal(t->core.table.count, 0);
}

TRACE_TEST(beginning_at_start_by_itself_is_in_time)
{
    trace_op(t, 'A')->op.start_by_ns = 20 * TRACE_MS;
    trace_op(t, 'B')->op.start_by_ns = 20 * TRACE_MS - 1;
    trace_submit(t, "a", "BA");
    trace_late(t, 20);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[ 20] done B EXPIRED\n"
                    "[ 20] a: run A\n");
}

TRACE_TEST_WITH(canceled_before_the_load_was_taken_nothing_is_loaded, .show_records = true)
{
    trace_hold(t);
    trace_submit(t, "a", "A");
    trace_cancel(t, "A");
    trace_go(t);
    trace_expect(t, "[  0] done A CANCELED\n");
    assert_int_equal(t->core.table.count, 0);
}

TRACE_TEST(canceled_and_submitted_again_before_the_load_was_taken_it_is_loaded_once)
{
    trace_hold(t);
    trace_submit(t, "a", "A");
    trace_cancel(t, "A");
    trace_submit(t, "a", "B"); /* joins a batch that has ended and begins again */
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] done A CANCELED\n");
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: run B\n");
}

/* ---- While the key is loaded or saved ------------------------------------------------------- */

TRACE_TEST(a_waiting_operation_is_completed_as_soon_as_it_is_canceled)
{
    trace_submit(t, "a", "ABC");
    trace_at(t, 10);
    trace_cancel(t, "B");
    trace_at(t, 20);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[ 10] done B CANCELED\n"
                    "[ 20] a: run A\n"
                    "[ 20] a: run C\n");
}

TRACE_TEST(a_waiting_operation_is_completed_as_soon_as_it_expires)
{
    trace_op(t, 'B')->op.start_by_ns = 15 * TRACE_MS - 1;
    trace_submit(t, "a", "ABC");
    assert_int_equal(batch__core_deadline_ns(&t->core), 15 * TRACE_MS);
    trace_at(t, 20);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[ 15] done B EXPIRED\n"
                    "[ 20] a: run A\n"
                    "[ 20] a: run C\n");
}

TRACE_TEST_WITH(operations_behind_a_save_are_canceled_and_expire_at_once, .load_ms = 1)
{
    trace_submit(t, "a", "A");
    trace_at(t, 100);
    trace_op(t, 'C')->op.start_by_ns = 120 * TRACE_MS - 1;
    trace_submit(t, "a", "BCD");
    trace_at(t, 110);
    trace_cancel(t, "B");
    trace_at(t, 130);
    trace_saved(t, "a", BATCH_OK);
    trace_at(t, 131);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[100] a: save, closed by window\n"
                    "[110] done B CANCELED\n"
                    "[120] done C EXPIRED\n"
                    "[130] a: done A OK\n"
                    "[130] a: release\n"
                    "[130] a: load\n"
                    "[131] a: run D\n");
}

TRACE_TEST_WITH(canceled_when_about_to_run_and_then_without_a_place_it_is_not_left_waiting,
                .ops_max = 1)
{
    trace_submit(t, "a", "AB");
    trace_hold(t);
    trace_loaded(t, "a", BATCH_OK);
    trace_cancel(t, "B"); /* in an open batch, which A will fill */
    trace_go(t);
    trace_at(t, 1);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] done B CANCELED\n"
                    "[  0] a: run A\n"
                    "[  0] a: save, closed by size\n");
}

TRACE_TEST_WITH(everybody_behind_a_save_leaves_and_the_key_is_forgotten, .load_ms = 1)
{
    trace_submit(t, "a", "A");
    trace_at(t, 100);
    trace_submit(t, "a", "BC");
    trace_cancel(t, "BC");
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[100] a: save, closed by window\n"
                    "[100] done B CANCELED\n"
                    "[100] done C CANCELED\n"
                    "[100] a: done A OK\n"
                    "[100] a: release\n");
    assert_int_equal(t->core.table.count, 0);
}

TRACE_TEST_WITH(cancel_after_an_operation_ran_changes_nothing, .load_ms = 1)
{
    trace_op(t, 'A')->op.start_by_ns = 10 * TRACE_MS;
    trace_submit(t, "a", "A");
    trace_at(t, 50);
    trace_cancel(t, "A");
    trace_at(t, 100);
    trace_cancel(t, "A");
    trace_saved(t, "a", BATCH_OK);
    trace_cancel(t, "A");
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[100] a: save, closed by window\n"
                    "[100] a: done A OK\n"
                    "[100] a: release\n");
}

TRACE_TEST(canceled_twice_it_is_completed_once)
{
    trace_submit(t, "a", "AB");
    trace_hold(t);
    trace_cancel(t, "A");
    trace_cancel(t, "A");
    trace_go(t);
    trace_cancel(t, "A");
    trace_expect(t, "[  0] a: load\n"
                    "[  0] done A CANCELED\n");
}

/* ---- Batches that everybody left ------------------------------------------------------------ */

TRACE_TEST_WITH(a_batch_that_everybody_left_is_released_without_run_save_or_record,
                .show_records = true)
{
    trace_submit(t, "a", "AB");
    trace_at(t, 10);
    trace_cancel(t, "AB");
    trace_at(t, 300);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[ 10] done A CANCELED\n"
                    "[ 10] done B CANCELED\n"
                    "[300] a: release\n");
    assert_int_equal(t->core.table.count, 0);
}

TRACE_TEST_WITH(a_failed_load_that_everybody_left_is_nobodys_error, .show_records = true)
{
    trace_submit(t, "a", "A");
    trace_cancel(t, "A");
    trace_loaded(t, "a", BATCH_LOAD_FAILED);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] done A CANCELED\n");
    assert_int_equal(t->core.table.count, 0);
}

TRACE_TEST_WITH(everybody_left_between_the_end_of_the_load_and_their_turn, .show_records = true)
{
    trace_submit(t, "a", "AB");
    trace_op(t, 'A')->op.private_canceled = 1; /* its event comes after that of the load */
    trace_op(t, 'B')->op.private_canceled = 1;
    trace_loaded(t, "a", BATCH_OK);
    trace_cancel(t, "");
    trace_expect(t, "[  0] a: load\n"
                    "[  0] done A CANCELED\n"
                    "[  0] a: release\n"
                    "[  0] done B CANCELED\n");
    assert_int_equal(t->core.table.count, 0);
}

TRACE_TEST_WITH(a_load_that_everybody_left_serves_who_comes_next, .load_ms = 60)
{
    trace_submit(t, "a", "A");
    trace_at(t, 10);
    trace_cancel(t, "A");
    trace_at(t, 50);
    trace_submit(t, "a", "B");
    trace_at(t, 200);
    trace_expect(t, "[  0] a: load\n"
                    "[ 10] done A CANCELED\n"
                    "[ 60] a: run B\n"
                    "[150] a: save, closed by window\n");
}

/* ---- The window of those who stay ----------------------------------------------------------- */

TRACE_TEST_WITH(a_canceled_opener_does_not_shorten_the_window_of_the_next, .load_ms = 50)
{
    trace_submit(t, "a", "A");
    trace_at(t, 40);
    trace_submit(t, "a", "B");
    trace_cancel(t, "A");
    trace_at(t, 139);
    trace_submit(t, "a", "C");
    trace_at(t, 200);
    trace_expect(t, "[  0] a: load\n"
                    "[ 40] done A CANCELED\n"
                    "[ 50] a: run B\n"
                    "[139] a: run C\n"
                    "[140] a: save, closed by window\n");
}

TRACE_TEST(an_opener_refused_at_its_turn_does_not_shorten_the_window_of_the_next)
{
    trace_submit(t, "a", "AB");
    trace_op(t, 'A')->op.private_canceled = 1;
    trace_late(t, 40);
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 300);
    trace_expect(t, "[  0] a: load\n"
                    "[ 40] done A CANCELED\n"
                    "[ 40] a: run B\n"
                    "[140] a: save, closed by window\n");
}

TRACE_TEST_WITH(one_in_the_middle_that_leaves_does_not_lengthen_the_window, .load_ms = 50)
{
    trace_submit(t, "a", "AB");
    trace_at(t, 40);
    trace_cancel(t, "B");
    trace_at(t, 300);
    trace_expect(t, "[  0] a: load\n"
                    "[ 40] done B CANCELED\n"
                    "[ 50] a: run A\n"
                    "[100] a: save, closed by window\n");
}

TRACE_TEST(one_in_the_middle_refused_at_its_turn_does_not_lengthen_the_window)
{
    trace_submit(t, "a", "ABC");
    trace_op(t, 'B')->op.private_canceled = 1;
    trace_late(t, 40);
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 300);
    trace_expect(t, "[  0] a: load\n"
                    "[ 40] a: run A\n"
                    "[ 40] done B CANCELED\n"
                    "[ 40] a: run C\n"
                    "[100] a: save, closed by window\n");
}

TRACE_TEST_WITH(the_window_begins_anew_when_the_opener_left_while_loading, .deadline_ms = 100,
                .load_ms = 50)
{
    trace_submit(t, "a", "A");
    trace_at(t, 40);
    trace_submit(t, "a", "B");
    trace_cancel(t, "A");
    trace_at(t, 200);
    trace_expect(t, "[  0] a: load\n"
                    "[ 40] done A CANCELED\n"
                    "[ 50] a: run B\n"
                    "[140] a: save, closed by window\n");
}

TRACE_TEST_WITH(the_window_begins_anew_when_the_opener_is_refused_at_its_turn, .deadline_ms = 100)
{
    trace_submit(t, "a", "AB");
    trace_op(t, 'A')->op.private_canceled = 1;
    trace_late(t, 50);
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 300);
    trace_expect(t, "[  0] a: load\n"
                    "[ 50] done A CANCELED\n"
                    "[ 50] a: run B\n"
                    "[150] a: save, closed by window\n");
}

TRACE_TEST_WITH(the_window_begins_anew_when_the_opener_expires_behind_another_keys_long_operation,
                .deadline_ms = 100)
{
    trace_submit(t, "a", "A");
    trace_op(t, 'B')->op.start_by_ns = 30 * TRACE_MS;
    trace_submit(t, "b", "BC");
    trace_op(t, 'A')->takes_ms = 60;
    trace_hold(t);
    trace_loaded(t, "a b", BATCH_OK);
    trace_go(t);
    trace_at(t, 300);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] a: run A\n"
                    "[ 60] done B EXPIRED\n"
                    "[ 60] b: run C\n"
                    "[100] a: save, closed by window\n"
                    "[160] b: save, closed by window\n");
}
