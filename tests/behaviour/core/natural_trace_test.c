/* BATCH_WINDOW_NONE: a batch closes as soon as the store is free to take it. The runtime says so by
 * a flush. */
#include "trace.h"

static const struct trace_options natural = {.window_ms = TRACE_NO_WINDOW, .load_ms = 1};

TRACE_TEST_FROM(a_batch_closes_when_the_store_is_free_and_not_before, trace_new(&natural))
{
    trace_submit(t, "a", "A");
    trace_at(t, 1000);
    trace_submit(t, "a", "B");
    assert_int_equal(batch__core_deadline_ns(&t->core), UINT64_MAX);
    trace_flush(t, 1);
    trace_at(t, 1001);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[1000] a: run B\n"
                    "[1000] a: save, closed by store\n"
                    "[1001] a: done A B OK\n"
                    "[1001] a: release\n");
}

TRACE_TEST_FROM(the_store_takes_the_oldest_batches_first_and_no_more_than_it_has_room_for,
                trace_new(&natural))
{
    trace_submit(t, "a", "A");
    trace_submit(t, "b", "B");
    trace_submit(t, "c", "C");
    trace_at(t, 1);
    trace_flush(t, 0);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] c: load\n"
                    "[  1] a: run A\n"
                    "[  1] b: run B\n"
                    "[  1] c: run C\n");
    trace_flush(t, 2);
    trace_expect(t, "[  1] a: save, closed by store\n"
                    "[  1] b: save, closed by store\n");
    trace_flush(t, 2);
    trace_expect(t, "[  1] c: save, closed by store\n");
    trace_flush(t, 2);
    trace_expect(t, "");
}

TRACE_TEST_FROM(what_was_only_read_closes_though_a_save_would_wait, trace_new(&natural))
{
    t->ops['A'].verdict = BATCH_UNCHANGED;
    trace_submit(t, "b", "B");
    trace_submit(t, "a", "A");
    trace_at(t, 1);
    trace_expect(t, "[  0] b: load\n"
                    "[  0] a: load\n"
                    "[  1] b: run B\n"
                    "[  1] a: run A\n");
    trace_flush(t, 0);
    trace_expect(t, "[  1] a: done A OK\n"
                    "[  1] a: release\n");
}

TRACE_TEST_FROM(what_comes_while_the_store_is_busy_is_the_next_batch, trace_new(&natural))
{
    trace_submit(t, "a", "A");
    trace_at(t, 1);
    trace_flush(t, 9);
    trace_at(t, 5);
    trace_submit(t, "a", "BC");
    trace_flush(t, 9); /* nothing of a is open */
    trace_at(t, 6);
    trace_saved(t, "a", BATCH_OK);
    trace_at(t, 7);
    trace_flush(t, 9);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[  1] a: save, closed by store\n"
                    "[  6] a: done A OK\n"
                    "[  6] a: release\n"
                    "[  6] a: load\n"
                    "[  7] a: run B\n"
                    "[  7] a: run C\n"
                    "[  7] a: save, closed by store\n");
}

TRACE_TEST_WITH(a_flush_closes_nothing_that_has_not_had_its_turn, .window_ms = TRACE_NO_WINDOW)
{
    trace_submit(t, "a", "AB");
    trace_hold(t);
    trace_loaded(t, "a", BATCH_OK);
    trace_flush(t, 1);
    trace_submit(t, "a", "C");
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] a: run A\n"
                    "[  0] a: run B\n"
                    "[  0] a: run C\n");
}

TRACE_TEST_WITH(a_flush_in_the_middle_of_a_turn_takes_what_has_come, .window_ms = TRACE_NO_WINDOW)
{
    trace_submit(t, "a", "AB");
    trace_hold(t);
    trace_loaded(t, "a", BATCH_OK);
    trace_step(t);
    trace_flush(t, 1);
    trace_submit(t, "a", "C");
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] a: run A\n"
                    "[  0] a: run B\n"
                    "[  0] a: save, closed by store\n");
}

TRACE_TEST_WITH(a_full_batch_does_not_wait_for_the_store, .window_ms = TRACE_NO_WINDOW,
                .ops_max = 2, .load_ms = 1)
{
    trace_submit(t, "a", "ABC");
    trace_at(t, 1);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[  1] a: run B\n"
                    "[  1] a: save, closed by size\n");
}

TRACE_TEST_FROM(stop_does_not_wait_for_the_store_to_be_free, trace_new(&natural))
{
    trace_submit(t, "a", "A");
    trace_at(t, 1);
    trace_submit(t, "b", "B");
    trace_stop(t);
    trace_at(t, 2);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[  1] b: load\n"
                    "[  1] a: save, closed by stop\n"
                    "[  2] b: run B\n"
                    "[  2] b: save, closed by stop\n");
}

TRACE_TEST_WITH(a_failed_load_or_one_that_everybody_left_is_not_there_for_the_store,
                .window_ms = TRACE_NO_WINDOW)
{
    trace_submit(t, "a", "A");
    trace_submit(t, "b", "B");
    trace_submit(t, "c", "C");
    trace_cancel(t, "B");
    trace_op(t, 'C')->op.private_canceled = 1;
    trace_loaded(t, "a", BATCH_LOAD_FAILED);
    trace_loaded(t, "b c", BATCH_OK);
    trace_flush(t, 9);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] c: load\n"
                    "[  0] done B CANCELED\n"
                    "[  0] a: done A LOAD_FAILED\n"
                    "[  0] b: release\n"
                    "[  0] c: release\n"
                    "[  0] done C CANCELED\n");
    assert_null(t->core.due.first);
}

/* The record of a batch begins with its first operation. */
TRACE_TEST_WITH(a_batch_begins_with_the_first_operation_that_stays, .window_ms = TRACE_NO_WINDOW,
                .show_records = true)
{
    trace_submit(t, "a", "A");
    trace_at(t, 20);
    trace_cancel(t, "A");
    trace_at(t, 50);
    trace_submit(t, "a", "B");
    trace_at(t, 60);
    trace_loaded(t, "a", BATCH_OK);
    trace_flush(t, 1);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[ 20] done A CANCELED\n"
                    "[ 60] a: run B\n"
                    "[ 60] a: save, closed by store\n"
                    "[ 60] a: done B OK\n"
                    "[ 60] a: record of 1 ops, 1 changed: begun 50, load 0-60, first wait 10 ms, "
                    "save 60-60, closed by store, OK\n"
                    "[ 60] a: release\n");
}

TRACE_TEST_WITH(a_batch_begins_with_the_first_that_was_not_refused_at_its_turn,
                .window_ms = TRACE_NO_WINDOW, .show_records = true)
{
    trace_submit(t, "a", "AB");
    trace_op(t, 'A')->op.private_canceled = 1;
    trace_late(t, 60);
    trace_loaded(t, "a", BATCH_OK);
    trace_flush(t, 1);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[ 60] done A CANCELED\n"
                    "[ 60] a: run B\n"
                    "[ 60] a: save, closed by store\n"
                    "[ 60] a: done B OK\n"
                    "[ 60] a: record of 1 ops, 1 changed: begun 60, load 0-60, first wait 60 ms, "
                    "save 60-60, closed by store, OK\n"
                    "[ 60] a: release\n");
}

TRACE_TEST_WITH(a_flush_is_nothing_to_a_batch_with_a_window, .load_ms = 1)
{
    trace_submit(t, "a", "A");
    trace_at(t, 50);
    trace_flush(t, 9);
    trace_at(t, 200);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[100] a: save, closed by window\n");
}

/* Two that changed nothing; somebody waits for a turn in the one, and may change something. */
TRACE_TEST_FROM(what_may_still_change_something_counts_as_a_save, trace_new(&natural))
{
    trace_op(t, 'A')->verdict = BATCH_UNCHANGED;
    trace_op(t, 'B')->verdict = BATCH_UNCHANGED;
    trace_submit(t, "a", "A");
    trace_at(t, 1);
    trace_submit(t, "b", "B");
    trace_at(t, 2);
    trace_hold(t);
    trace_submit(t, "b", "C");
    assert_int_equal(trace_flush(t, 0), 1);
    assert_int_equal(trace_flush(t, 0), 0);
    assert_int_equal(trace_flush(t, 1), 1);
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[  1] b: load\n"
                    "[  2] b: run B\n"
                    "[  2] a: done A OK\n"
                    "[  2] a: release\n"
                    "[  2] b: run C\n"
                    "[  2] b: save, closed by store\n");
}

/* The transaction that it was opened for has left. */
TRACE_TEST_WITH(a_batch_that_somebody_else_enters_waits_for_the_store_too,
                .window_ms = TRACE_NO_WINDOW)
{
    trace_transact(t, 'T', "a b");
    trace_loaded(t, "a", BATCH_OK);
    trace_hold(t);
    trace_cancel_transaction(t, 'T');
    trace_submit(t, "a", "A");
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] done T CANCELED\n"
                    "[  0] done T CANCELED\n"
                    "[  0] complete T CANCELED\n"
                    "[  0] a: run A\n");
}
