/* Times: those of the record, when expire is next needed, the pace of sweeps, and the edges of the
 * clock. */
#include "trace.h"

/* ---- The record ----------------------------------------------------------------------------- */

TRACE_TEST_WITH(the_record_tells_when_each_stage_of_a_batch_was, .show_records = true)
{
    trace_op(t, 'B')->verdict = BATCH_UNCHANGED;
    trace_at(t, 5);
    trace_submit(t, "a", "A");
    trace_at(t, 20);
    trace_submit(t, "a", "B");
    trace_at(t, 30);
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 40);
    trace_submit(t, "a", "C");
    trace_at(t, 112);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[  5] a: load\n"
                    "[ 30] a: run A\n"
                    "[ 30] a: run B\n"
                    "[ 40] a: run C\n"
                    "[105] a: save, closed by window\n"
                    "[112] a: done A B C OK\n"
                    "[112] a: record of 3 ops, 2 changed: begun 5, load 5-30, first wait 25 ms, "
                    "save 105-112, closed by window, OK\n"
                    "[112] a: release\n");
}

TRACE_TEST_WITH(the_first_of_a_backlog_has_waited_since_it_was_accepted, .load_ms = 10,
                .save_ms = 20, .show_records = true)
{
    trace_submit(t, "a", "A");
    trace_at(t, 105);
    trace_submit(t, "a", "B");
    trace_at(t, 300);
    trace_expect(t, "[  0] a: load\n"
                    "[ 10] a: run A\n"
                    "[100] a: save, closed by window\n"
                    "[120] a: done A OK\n"
                    "[120] a: record of 1 ops, 1 changed: begun 0, load 0-10, first wait 10 ms, "
                    "save 100-120, closed by window, OK\n"
                    "[120] a: release\n"
                    "[120] a: load\n"
                    "[130] a: run B\n"
                    "[205] a: save, closed by window\n"
                    "[225] a: done B OK\n"
                    "[225] a: record of 1 ops, 1 changed: begun 120, load 120-130, "
                    "first wait 25 ms, save 205-225, closed by window, OK\n"
                    "[225] a: release\n");
}

TRACE_TEST_WITH(a_failed_load_after_a_good_batch_has_no_time_of_the_good_one, .show_records = true)
{
    trace_submit(t, "a", "A");
    trace_at(t, 30);
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 105);
    trace_submit(t, "a", "B");
    trace_saved(t, "a", BATCH_OK);
    trace_at(t, 110);
    trace_loaded(t, "a", BATCH_LOAD_FAILED);
    trace_expect(t, "[  0] a: load\n"
                    "[ 30] a: run A\n"
                    "[100] a: save, closed by window\n"
                    "[105] a: done A OK\n"
                    "[105] a: record of 1 ops, 1 changed: begun 0, load 0-30, first wait 30 ms, "
                    "save 100-105, closed by window, OK\n"
                    "[105] a: release\n"
                    "[105] a: load\n"
                    "[110] a: done B LOAD_FAILED\n"
                    "[110] a: record of 1 ops, 0 changed: begun 105, load 105-110, "
                    "first wait 0 ms, closed by error, LOAD_FAILED\n");
}

TRACE_TEST_WITH(a_save_begins_when_flush_or_stop_says_so, .window_ms = TRACE_NO_WINDOW,
                .load_ms = 1, .save_ms = 5, .show_records = true)
{
    trace_submit(t, "a", "A");
    trace_submit(t, "b", "B");
    trace_at(t, 50);
    trace_flush(t, 1);
    trace_at(t, 60);
    trace_stop(t);
    trace_at(t, 70);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  1] a: run A\n"
                    "[  1] b: run B\n"
                    "[ 50] a: save, closed by store\n"
                    "[ 55] a: done A OK\n"
                    "[ 55] a: record of 1 ops, 1 changed: begun 0, load 0-1, first wait 1 ms, "
                    "save 50-55, closed by store, OK\n"
                    "[ 55] a: release\n"
                    "[ 60] b: save, closed by stop\n"
                    "[ 65] b: done B OK\n"
                    "[ 65] b: record of 1 ops, 1 changed: begun 0, load 0-1, first wait 1 ms, "
                    "save 60-65, closed by stop, OK\n"
                    "[ 65] b: release\n");
}

TRACE_TEST_WITH(what_did_not_happen_has_no_time, .start_ns = 7 * TRACE_MS)
{
    trace_op(t, 'A')->verdict = BATCH_UNCHANGED;
    trace_submit(t, "a", "A");
    trace_loaded(t, "a", BATCH_OK);
    trace_hold(t);
    trace_late(t, 100);
    trace_expire(t);
    struct batch__action action;
    assert_true(batch__core_next(&t->core, &action));
    assert_int_equal(action.kind, BATCH__DONE);
    trace_op(t, 'A')->is_submitted = false; /* completed */
    t->completed++;
    assert_true(batch__core_next(&t->core, &action));
    assert_int_equal(action.kind, BATCH__METRIC);
    assert_int_equal(action.batch->save_ns, 0);
    assert_int_equal(action.batch->saved_ns, 0);
    assert_int_equal(action.batch->begun_ns, 7 * TRACE_MS);
}

/* ---- When expire is next needed ------------------------------------------------------------- */

TRACE_TEST(expire_is_next_needed_for_the_first_window_or_the_first_start_by)
{
    assert_int_equal(batch__core_deadline_ns(&t->core), UINT64_MAX);
    trace_submit(t, "a", "A");
    trace_at(t, 10);
    trace_submit(t, "b", "B");
    assert_int_equal(batch__core_deadline_ns(&t->core), 100 * TRACE_MS);
    trace_op(t, 'C')->op.start_by_ns = 60 * TRACE_MS;
    trace_submit(t, "b", "C");
    assert_int_equal(batch__core_deadline_ns(&t->core), 60 * TRACE_MS + 1);
    trace_op(t, 'D')->op.start_by_ns = 70 * TRACE_MS;
    trace_submit(t, "a", "D");
    assert_int_equal(batch__core_deadline_ns(&t->core), 60 * TRACE_MS + 1);
    trace_at(t, 65);
    assert_int_equal(batch__core_deadline_ns(&t->core), 70 * TRACE_MS + 1);
    trace_at(t, 80);
    assert_int_equal(batch__core_deadline_ns(&t->core), 100 * TRACE_MS);
    trace_at(t, 100); /* a's window is over, though it is still loading */
    assert_int_equal(batch__core_deadline_ns(&t->core), 110 * TRACE_MS);
    trace_at(t, 110);
    assert_int_equal(batch__core_deadline_ns(&t->core), UINT64_MAX);
}

TRACE_TEST_WITH(an_operation_that_ran_needs_no_expire_for_its_start_by, .load_ms = 1)
{
    trace_op(t, 'A')->op.start_by_ns = 50 * TRACE_MS;
    trace_submit(t, "a", "A");
    trace_at(t, 1);
    trace_op(t, 'B')->op.start_by_ns = 50 * TRACE_MS;
    trace_submit(t, "a", "B");
    trace_expire(t);
    assert_int_equal(batch__core_deadline_ns(&t->core), 100 * TRACE_MS);
}

TRACE_TEST_WITH(those_who_have_run_in_time_leave_no_start_by_to_wake_for, .load_ms = 1)
{
    trace_op(t, 'A')->op.start_by_ns = 50 * TRACE_MS;
    trace_submit(t, "a", "A");
    trace_at(t, 100); /* the save has begun */
    trace_submit(t, "a", "B");
    assert_int_equal(batch__core_deadline_ns(&t->core), 200 * TRACE_MS); /* of the next window */
}

TRACE_TEST_WITH(many_windows_that_end_together_may_end_in_lots, .load_ms = 1, .expire_max = 2)
{
    trace_submit(t, "a", "A");
    trace_submit(t, "b", "B");
    trace_submit(t, "c", "C");
    trace_at(t, 1);
    trace_late(t, 120);
    trace_expire(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] c: load\n"
                    "[  1] a: run A\n"
                    "[  1] b: run B\n"
                    "[  1] c: run C\n"
                    "[120] a: save, closed by window\n"
                    "[120] b: save, closed by window\n");
    assert_int_equal(batch__core_deadline_ns(&t->core), 100 * TRACE_MS); /* there is more */
    trace_expire(t);
    trace_expect(t, "[120] c: save, closed by window\n");
    assert_int_equal(batch__core_deadline_ns(&t->core), UINT64_MAX);
}

TRACE_TEST_WITH(lots_of_one_are_the_smallest, .load_ms = 1, .expire_max = 1)
{
    trace_submit(t, "a", "A");
    trace_submit(t, "b", "B");
    trace_at(t, 1);
    trace_late(t, 120);
    trace_expire(t);
    assert_int_equal(t->saves, 1);
    trace_expire(t);
    assert_int_equal(t->saves, 2);
}

TRACE_TEST(a_batch_in_which_nothing_ran_has_no_first_wait)
{
    trace_submit(t, "a", "A");
    trace_hold(t);
    trace_loaded(t, "a", BATCH_LOAD_FAILED);
    assert_int_equal(trace_batch(t, "a")->first_wait_ns, 0);
    trace_go(t);
}

TRACE_TEST_WITH(calling_expire_too_early_or_too_often_is_harmless, .load_ms = 1)
{
    trace_expire(t);
    trace_submit(t, "a", "A");
    trace_expire(t);
    trace_at(t, 99);
    trace_expire(t);
    trace_expire(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n");
    trace_late(t, 150);
    trace_expire(t);
    trace_expire(t);
    trace_expect(t, "[150] a: save, closed by window\n");
}

/* A clock that is read on several threads may seem to go back a little. */
TRACE_TEST_WITH(an_event_with_an_earlier_time_does_not_turn_the_clock_back, .show_records = true)
{
    trace_at(t, 50);
    trace_submit(t, "a", "A");
    t->now_ns = 40 * TRACE_MS;
    trace_loaded(t, "a", BATCH_OK);
    assert_int_equal(t->core.now_ns, 50 * TRACE_MS);
    trace_at(t, 149);
    assert_int_equal(t->saves, 0);
    trace_at(t, 150);
    assert_int_equal(t->saves, 1);
}

/* ---- The pace of sweeps --------------------------------------------------------------------- */

enum { CROWD = 10000 };

static struct trace_op *crowd_wait(struct trace *t)
{
    struct trace_op *crowd = calloc(CROWD, sizeof *crowd);
    assert_non_null(crowd);
    trace_hold(t);
    for (size_t i = 0; i < CROWD; i++) {
        crowd[i].verdict = BATCH_CHANGED;
        crowd[i].op.key = "a";
        crowd[i].op.key_size = 1;
        crowd[i].op.arg = &crowd[i];
        crowd[i].op.private_hash = trace_hash("a", 1);
        crowd[i].is_submitted = true;
        batch__core_submit(&t->core, &crowd[i].op, t->now_ns);
    }
    t->submitted += CROWD;
    trace_go(t);
    return crowd;
}

/* Looking at each of n costs so much that the next look comes n microseconds later at the soonest,
 * however often cancel is called. */
TEST(ten_thousand_waiting_are_looked_through_once_in_ten_milliseconds)
{
    struct trace *t = trace_new(NULL);
    struct trace_op *crowd = crowd_wait(t);
    trace_submit(t, "a", "ABC");
    trace_at(t, 1);
    trace_cancel(t, "A");
    trace_cancel(t, "B");
    assert_int_equal(batch__core_deadline_ns(&t->core), 11 * TRACE_MS + 3000);
    trace_at(t, 5);
    trace_cancel(t, "C");
    trace_expect(t, "[  0] a: load\n"
                    "[  1] done A CANCELED\n");
    trace_at(t, 30);
    trace_expect(t, "[ 11] done B CANCELED\n"
                    "[ 11] done C CANCELED\n");
    trace_end(t);
    free(crowd);
}

TEST(expired_operations_wait_for_the_pace_too)
{
    struct trace *t = trace_new(NULL);
    struct trace_op *crowd = crowd_wait(t);
    for (char name = 'A'; name <= 'C'; name++)
        trace_op(t, name)->op.start_by_ns = (uint64_t)(name - 'A' + 1) * TRACE_MS;
    trace_submit(t, "a", "ABC");
    trace_at(t, 30);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] done A EXPIRED\n"
                    "[ 11] done B EXPIRED\n"
                    "[ 11] done C EXPIRED\n");
    trace_end(t);
    free(crowd);
}

TRACE_TEST_WITH(a_cancel_with_nobody_waiting_does_not_wake_anybody_later, .load_ms = 1)
{
    trace_cancel(t, "A");
    assert_int_equal(batch__core_deadline_ns(&t->core), UINT64_MAX);
    trace_op(t, 'A')->op.private_canceled = 0;
    trace_submit(t, "a", "A");
    assert_int_equal(batch__core_deadline_ns(&t->core), 100 * TRACE_MS);
}

/* ---- The edges of the clock ----------------------------------------------------------------- */

TRACE_TEST_WITH(at_the_end_of_time_windows_do_not_wrap, .start_ns = UINT64_MAX - 50 * TRACE_MS,
                .load_ms = 10)
{
    trace_submit(t, "a", "A");
    trace_at(t, 40);
    trace_submit(t, "a", "B");
    struct batch__batch *batch = trace_batch(t, "a");
    assert_int_equal(batch->closes_ns, UINT64_MAX);
    trace_expect(t, "[  0] a: load\n"
                    "[ 10] a: run A\n"
                    "[ 40] a: run B\n");
    trace_stop(t);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[ 40] a: save, closed by stop\n"
                    "[ 40] a: done A B OK\n"
                    "[ 40] a: release\n");
}

TRACE_TEST_WITH(at_the_end_of_time_sweeps_go_on, .start_ns = UINT64_MAX - 1000)
{
    trace_op(t, 'C')->op.start_by_ns = UINT64_MAX - 1;
    trace_op(t, 'D')->op.start_by_ns = UINT64_MAX;
    trace_submit(t, "a", "ABCDE");
    trace_cancel(t, "A");
    t->now_ns = UINT64_MAX;
    trace_cancel(t, "B");
    trace_expire(t);
    trace_expire(t);
    trace_loaded(t, "a", BATCH_OK);
    assert_int_equal(t->completed_as[-BATCH_CANCELED], 2);
    assert_int_equal(t->completed_as[-BATCH_EXPIRED], 1);
    assert_int_equal(t->runs, 2);
}

TEST(a_window_as_long_as_it_can_be)
{
    uint64_t longest_ms = (UINT64_MAX - 1) / TRACE_MS;
    struct trace *t = trace_new(&(struct trace_options){.window_ms = longest_ms, .load_ms = 1});
    trace_at(t, 1000);
    trace_submit(t, "a", "A");
    trace_at(t, 1000000);
    assert_int_equal(trace_batch(t, "a")->closes_ns, UINT64_MAX);
    assert_int_equal(t->runs, 1);
    assert_int_equal(t->saves, 0);
    trace_stop(t);
    assert_int_equal(t->saves, 1);
    trace_end(t);
}
