/* When a batch begins and ends, and who is in it. */
#include "trace.h"

/* ---- As in the original --------------------------------------------------------------------- */

TRACE_TEST(many_operations_are_loaded_and_saved_once_and_completed_after_the_save)
{
    trace_submit(t, "a", "AB");
    trace_at(t, 20);
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 40);
    trace_submit(t, "a", "C");
    trace_at(t, 105);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[ 20] a: run A\n"
                    "[ 20] a: run B\n"
                    "[ 40] a: run C\n"
                    "[100] a: save, closed by window\n"
                    "[105] a: done A B C OK\n"
                    "[105] a: release\n");
}

TRACE_TEST_WITH(a_batch_takes_operations_for_at_least_its_window, .load_ms = 1)
{
    trace_submit(t, "a", "A");
    trace_late(t, 99);
    trace_expire(t);
    trace_loaded(t, "a", BATCH_OK);
    t->now_ns = 100 * TRACE_MS - 1;
    trace_expire(t);
    trace_submit(t, "a", "B");
    trace_late(t, 100);
    trace_expire(t);
    trace_expect(t, "[  0] a: load\n"
                    "[ 99] a: run A\n"
                    "[ 99] a: run B\n"
                    "[100] a: save, closed by window\n");
}

/* A worker that comes late to the end of a window still takes what has come before it. */
TRACE_TEST_WITH(a_window_ends_when_it_is_told_so, .load_ms = 1)
{
    trace_submit(t, "a", "A");
    trace_at(t, 50);
    trace_late(t, 103);
    trace_submit(t, "a", "B");
    trace_expire(t);
    trace_submit(t, "a", "C");
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[103] a: run B\n"
                    "[103] a: save, closed by window\n");
}

TRACE_TEST_WITH(each_operation_runs_after_the_one_before_it, .load_ms = 1, .save_ms = 1)
{
    trace_op(t, 'A')->takes_ms = 10;
    trace_op(t, 'B')->takes_ms = 10;
    trace_submit(t, "a", "ABC");
    trace_at(t, 200);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[ 11] a: run B\n"
                    "[ 21] a: run C\n"
                    "[100] a: save, closed by window\n"
                    "[101] a: done A B C OK\n"
                    "[101] a: release\n");
}

TRACE_TEST_WITH(an_operation_that_outlives_the_window_ends_its_batch_and_the_next_opens_another,
                .load_ms = 5, .save_ms = 5)
{
    trace_op(t, 'A')->takes_ms = 120;
    trace_submit(t, "a", "A");
    trace_late(t, 5);
    trace_hold(t);
    trace_loaded(t, "a", BATCH_OK); /* A begins at 5 ms and ends at 125 ms */
    trace_go(t);
    trace_submit(t, "a", "B");
    trace_at(t, 300);
    trace_expect(t, "[  0] a: load\n"
                    "[  5] a: run A\n"
                    "[125] a: save, closed by window\n"
                    "[130] a: done A OK\n"
                    "[130] a: release\n"
                    "[130] a: load\n"
                    "[135] a: run B\n"
                    "[225] a: save, closed by window\n"
                    "[230] a: done B OK\n"
                    "[230] a: release\n");
}

TRACE_TEST(an_operation_that_takes_all_of_the_window_ends_its_batch)
{
    trace_op(t, 'A')->takes_ms = 90;
    trace_submit(t, "a", "A");
    trace_late(t, 10);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[ 10] a: run A\n"
                    "[100] a: save, closed by window\n");
}

TRACE_TEST(keys_do_not_wait_for_each_other)
{
    trace_submit(t, "a", "A");
    trace_at(t, 10);
    trace_submit(t, "b", "B");
    trace_loaded(t, "b", BATCH_OK);
    trace_at(t, 110);
    trace_saved(t, "b", BATCH_OK);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[ 10] b: load\n"
                    "[ 10] b: run B\n"
                    "[110] b: save, closed by window\n"
                    "[110] b: done B OK\n"
                    "[110] b: release\n"
                    "[110] a: run A\n"
                    "[110] a: save, closed by window\n");
}

TRACE_TEST_WITH(windows_end_in_the_order_in_which_they_began, .load_ms = 1)
{
    trace_submit(t, "a", "A");
    trace_at(t, 1);
    trace_submit(t, "b", "B");
    trace_at(t, 2);
    trace_submit(t, "c", "C");
    trace_submit(t, "a", "D");
    trace_at(t, 50);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[  1] b: load\n"
                    "[  2] b: run B\n"
                    "[  2] c: load\n"
                    "[  2] a: run D\n"
                    "[  3] c: run C\n");
    trace_at(t, 150);
    trace_expect(t, "[100] a: save, closed by window\n"
                    "[101] b: save, closed by window\n"
                    "[102] c: save, closed by window\n");
}

/* ---- Decided differently -------------------------------------------------------------------- */

/* 10 ms of window, 20 ms of load, 200 waiting: the original made about 100 batches of them. */
TRACE_TEST_WITH(a_load_longer_than_the_window_does_not_scatter_the_waiting_over_many_batches,
                .window_ms = 10, .load_ms = 20, .save_ms = 5, .show_records = true)
{
    struct trace_op many[200] = {{.verdict = BATCH_UNCHANGED}};
    for (uint64_t i = 0; i < 200; i++) {
        many[i] = (struct trace_op){.verdict = BATCH_CHANGED};
        many[i].op.key = "a";
        many[i].op.key_size = 1;
        trace_at(t, i / 10); /* ten each millisecond */
        trace_submit_one(t, &many[i]);
    }
    trace_at(t, 100);
    trace_expect(t, "[  0] a: load\n"
                    "[ 20] a: save, closed by window\n"
                    "[ 25] a: record of 200 ops, 200 changed: begun 0, load 0-20, "
                    "first wait 20 ms, save 20-25, closed by window, OK\n"
                    "[ 25] a: release\n");
    assert_int_equal(t->completed_as[0], 200);
}

TRACE_TEST_WITH(after_a_long_load_the_window_is_looked_at_when_all_who_waited_have_run,
                .window_ms = 10, .load_ms = 20)
{
    trace_submit(t, "a", "AB");
    trace_op(t, 'A')->takes_ms = 1;
    trace_late(t, 20);
    trace_hold(t);
    trace_loaded(t, "a", BATCH_OK);
    trace_submit(t, "a", "C"); /* after the end of the load: the window decides */
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[ 20] a: run A\n"
                    "[ 21] a: run B\n"
                    "[ 21] a: save, closed by window\n");
}

TRACE_TEST_WITH(waiters_do_not_overtake_each_other, .ops_max = 2)
{
    trace_submit(t, "a", "ABC");
    trace_loaded(t, "a", BATCH_OK);
    trace_submit(t, "a", "D");
    trace_saved(t, "a", BATCH_OK);
    trace_submit(t, "a", "E");
    trace_loaded(t, "a", BATCH_OK);
    trace_saved(t, "a", BATCH_OK);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] a: run A\n"
                    "[  0] a: run B\n"
                    "[  0] a: save, closed by size\n"
                    "[  0] a: done A B OK\n"
                    "[  0] a: release\n"
                    "[  0] a: load\n"
                    "[  0] a: run C\n"
                    "[  0] a: run D\n"
                    "[  0] a: save, closed by size\n"
                    "[  0] a: done C D OK\n"
                    "[  0] a: release\n"
                    "[  0] a: load\n"
                    "[  0] a: run E\n");
}

TRACE_TEST_WITH(operations_that_come_while_the_batch_is_saved_are_the_next_batch, .load_ms = 1)
{
    trace_submit(t, "a", "A");
    trace_at(t, 100);
    trace_submit(t, "a", "BC");
    trace_at(t, 110);
    trace_submit(t, "a", "D");
    trace_saved(t, "a", BATCH_OK);
    trace_at(t, 111);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[100] a: save, closed by window\n"
                    "[110] a: done A OK\n"
                    "[110] a: release\n"
                    "[110] a: load\n"
                    "[111] a: run B\n"
                    "[111] a: run C\n"
                    "[111] a: run D\n");
    trace_at(t, 300);
    trace_expect(t, "[200] a: save, closed by window\n");
}

/* The cycle of a key that always has work is the longer of its window, and load and save. */
TRACE_TEST_WITH(a_window_begins_with_the_first_who_waits_for_the_batch_before, .load_ms = 30,
                .save_ms = 90)
{
    trace_submit(t, "a", "A");
    trace_at(t, 101);
    trace_submit(t, "a", "B");
    trace_at(t, 192);
    trace_submit(t, "a", "C");
    trace_at(t, 225);
    trace_submit(t, "a", "D"); /* the window has ended meanwhile */
    trace_at(t, 400);
    trace_expect(t, "[  0] a: load\n"
                    "[ 30] a: run A\n"
                    "[100] a: save, closed by window\n"
                    "[190] a: done A OK\n"
                    "[190] a: release\n"
                    "[190] a: load\n"
                    "[220] a: run B\n"
                    "[220] a: run C\n"
                    "[220] a: save, closed by window\n"
                    "[310] a: done B C OK\n"
                    "[310] a: release\n"
                    "[310] a: load\n"
                    "[340] a: run D\n"
                    "[340] a: save, closed by window\n");
}

TRACE_TEST_WITH(when_the_first_who_waits_leaves_the_next_one_begins_the_window, .load_ms = 1,
                .save_ms = 50)
{
    trace_submit(t, "a", "A");
    trace_at(t, 101);
    trace_submit(t, "a", "B");
    trace_at(t, 120);
    trace_submit(t, "a", "C");
    trace_cancel(t, "B");
    trace_at(t, 122);
    trace_cancel(t, "C");
    trace_at(t, 130);
    assert_int_equal(batch__core_deadline_ns(&t->core), UINT64_MAX); /* nobody waits */
    trace_submit(t, "a", "DE");
    trace_at(t, 300);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[100] a: save, closed by window\n"
                    "[120] done B CANCELED\n"
                    "[122] done C CANCELED\n"
                    "[150] a: done A OK\n"
                    "[150] a: release\n"
                    "[150] a: load\n"
                    "[151] a: run D\n"
                    "[151] a: run E\n"
                    "[230] a: save, closed by window\n"
                    "[280] a: done D E OK\n"
                    "[280] a: release\n");
}

/* It had been accepted for the batch that was full. */
TRACE_TEST_WITH(who_finds_no_place_begins_the_next_window_when_the_batch_closes, .load_ms = 1,
                .save_ms = 10, .ops_max = 1)
{
    trace_submit(t, "a", "A");
    trace_submit(t, "a", "B");
    assert_int_equal(batch__core_deadline_ns(&t->core), 100 * TRACE_MS);
    trace_at(t, 5);
    assert_int_equal(batch__core_deadline_ns(&t->core), 101 * TRACE_MS);
}

TRACE_TEST_WITH(a_batch_that_nothing_changed_is_not_saved, .load_ms = 1)
{
    trace_op(t, 'A')->verdict = BATCH_UNCHANGED;
    trace_op(t, 'B')->verdict = BATCH_UNCHANGED;
    trace_submit(t, "a", "AB");
    trace_at(t, 200);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[  1] a: run B\n"
                    "[100] a: done A B OK\n"
                    "[100] a: release\n");
}

TRACE_TEST_WITH(one_change_among_refusals_is_saved, .load_ms = 1, .save_ms = 1)
{
    trace_op(t, 'A')->verdict = BATCH_UNCHANGED;
    trace_op(t, 'C')->verdict = BATCH_UNCHANGED;
    trace_submit(t, "a", "ABC");
    trace_at(t, 200);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[  1] a: run B\n"
                    "[  1] a: run C\n"
                    "[100] a: save, closed by window\n"
                    "[101] a: done A B C OK\n"
                    "[101] a: release\n");
    assert_false(trace_op(t, 'A')->op.private_changed);
    assert_true(trace_op(t, 'B')->op.private_changed);
}

/* ---- ops_max -------------------------------------------------------------------------------- */

TRACE_TEST_WITH(a_full_batch_closes_before_its_window_ends, .ops_max = 3, .load_ms = 1,
                .save_ms = 1)
{
    trace_submit(t, "a", "AB");
    trace_at(t, 10);
    trace_submit(t, "a", "CD");
    trace_at(t, 200);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[  1] a: run B\n"
                    "[ 10] a: run C\n"
                    "[ 10] a: save, closed by size\n"
                    "[ 11] a: done A B C OK\n"
                    "[ 11] a: release\n"
                    "[ 11] a: load\n"
                    "[ 12] a: run D\n"
                    "[110] a: save, closed by window\n"
                    "[111] a: done D OK\n"
                    "[111] a: release\n");
}

TRACE_TEST_WITH(one_operation_per_batch_is_possible, .ops_max = 1, .load_ms = 1, .save_ms = 1)
{
    trace_submit(t, "a", "AB");
    trace_at(t, 10);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[  1] a: save, closed by size\n"
                    "[  2] a: done A OK\n"
                    "[  2] a: release\n"
                    "[  2] a: load\n"
                    "[  3] a: run B\n"
                    "[  3] a: save, closed by size\n"
                    "[  4] a: done B OK\n"
                    "[  4] a: release\n");
}
