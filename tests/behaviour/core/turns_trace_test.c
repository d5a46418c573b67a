/* Who runs next when several keys have operations to run. */
#include "trace.h"

/* Two keys that have been loaded, and nothing has run yet. */
static struct trace *two_keys(const struct trace_options *options)
{
    struct trace *t = trace_new(options);
    trace_submit(t, "a", "ABCD");
    trace_submit(t, "b", "XY");
    trace_hold(t);
    trace_loaded(t, "a b", BATCH_OK);
    return t;
}

/* ---- A turn --------------------------------------------------------------------------------- */

TRACE_TEST_FROM(a_turn_is_so_many_operations, two_keys(&(struct trace_options){.turn_ops = 3}))
{
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] a: run A\n"
                    "[  0] a: run B\n"
                    "[  0] a: run C\n"
                    "[  0] b: run X\n"
                    "[  0] b: run Y\n"
                    "[  0] a: run D\n");
}

TRACE_TEST_FROM(a_turn_is_over_when_its_operations_have_taken_so_long,
                two_keys(&(struct trace_options){.turn_ms = 10}))
{
    trace_op(t, 'A')->takes_ms = 4;
    trace_op(t, 'B')->takes_ms = 6;
    trace_op(t, 'X')->takes_ms = 11;
    trace_op(t, 'C')->takes_ms = 9;
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] a: run A\n"
                    "[  4] a: run B\n"
                    "[ 10] b: run X\n"
                    "[ 21] a: run C\n"
                    "[ 30] a: run D\n"
                    "[ 30] b: run Y\n");
}

/* Its time begins with its first operation, however long it has waited for that. */
TRACE_TEST_FROM(a_turn_begins_when_it_comes, two_keys(&(struct trace_options){.turn_ms = 10}))
{
    trace_op(t, 'A')->takes_ms = 50;
    trace_op(t, 'X')->takes_ms = 9;
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] a: run A\n"
                    "[ 50] b: run X\n"
                    "[ 59] b: run Y\n"
                    "[ 59] a: run B\n"
                    "[ 59] a: run C\n"
                    "[ 59] a: run D\n");
}

TRACE_TEST_WITH(a_key_alone_runs_on, .turn_ops = 2, .load_ms = 1)
{
    trace_submit(t, "a", "ABCDE");
    trace_at(t, 1);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[  1] a: run B\n"
                    "[  1] a: run C\n"
                    "[  1] a: run D\n"
                    "[  1] a: run E\n");
}

/* However much the others have. The turn of `a` is over, and `c` comes before its next one. */
TRACE_TEST_WITH(a_key_that_comes_waits_for_one_turn_of_each_other, .turn_ms = 10, .load_ms = 1)
{
    static const char names[] = "ABCDEFGHI";
    for (const char *name = names; *name != '\0'; name++)
        trace_op(t, *name)->takes_ms = 11;
    trace_submit(t, "a", "ADG");
    trace_submit(t, "b", "BEH");
    trace_hold(t);
    trace_at(t, 1);
    trace_step(t);
    trace_submit(t, "c", "C");
    trace_sort(t);
    trace_loaded(t, "c", BATCH_OK);
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  1] a: run A\n"
                    "[ 12] c: load\n"
                    "[ 12] b: run B\n"
                    "[ 23] c: run C\n"
                    "[ 34] a: run D\n"
                    "[ 45] b: run E\n"
                    "[ 56] a: run G\n"
                    "[ 67] b: run H\n");
}

/* ---- Other actions -------------------------------------------------------------------------- */

TRACE_TEST_WITH(nothing_waits_for_a_turn_but_operations, .turn_ops = 1)
{
    trace_submit(t, "a", "AB");
    trace_submit(t, "b", "X");
    trace_submit(t, "c", "Y");
    trace_loaded(t, "c", BATCH_OK);
    trace_at(t, 100);
    trace_hold(t);
    trace_loaded(t, "a", BATCH_OK);
    trace_loaded(t, "b", BATCH_LOAD_FAILED);
    trace_saved(t, "c", BATCH_OK);
    trace_submit(t, "d", "Z");
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] c: load\n"
                    "[  0] c: run Y\n"
                    "[100] c: save, closed by window\n"
                    "[100] b: done X LOAD_FAILED\n"
                    "[100] c: done Y OK\n"
                    "[100] c: release\n"
                    "[100] d: load\n"
                    "[100] a: run A\n"
                    "[100] a: run B\n"
                    "[100] a: save, closed by window\n");
}

TRACE_TEST_FROM(what_has_come_is_sorted_before_anything_runs_on,
                two_keys(&(struct trace_options){.turn_ops = 2}))
{
    trace_step(t);
    assert_true(batch__core_has_turns(&t->core));
    trace_submit(t, "c", "1");
    trace_sort(t);
    trace_loaded(t, "c", BATCH_OK);
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] a: run A\n"
                    "[  0] c: load\n"
                    "[  0] a: run B\n"
                    "[  0] b: run X\n"
                    "[  0] b: run Y\n"
                    "[  0] c: run 1\n"
                    "[  0] a: run C\n"
                    "[  0] a: run D\n");
    assert_false(batch__core_has_turns(&t->core));
}

TRACE_TEST_WITH(a_replay_takes_turns_too, .turn_ops = 1, .replays_max = 1)
{
    trace_submit(t, "a", "AB");
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 100);
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_submit(t, "a", "C"); /* for the next batch */
    trace_submit(t, "b", "XY");
    trace_hold(t);
    trace_loaded(t, "a b", BATCH_OK);
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] a: run A\n"
                    "[  0] a: run B\n"
                    "[100] a: save, closed by window\n"
                    "[100] a: release\n"
                    "[100] a: load\n"
                    "[100] b: load\n"
                    "[100] a: run A\n"
                    "[100] b: run X\n"
                    "[100] a: run B\n"
                    "[100] a: save, closed by window\n"
                    "[100] b: run Y\n");
}

/* ---- While they wait for their turn --------------------------------------------------------- */

TRACE_TEST_FROM(who_waits_for_a_turn_can_be_canceled,
                two_keys(&(struct trace_options){.turn_ops = 1}))
{
    trace_step(t);
    trace_cancel(t, "BXY");
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] a: run A\n"
                    "[  0] b: release\n"
                    "[  0] done B CANCELED\n"
                    "[  0] done X CANCELED\n"
                    "[  0] done Y CANCELED\n"
                    "[  0] a: run C\n"
                    "[  0] a: run D\n");
}

TRACE_TEST_WITH(who_waits_for_a_turn_expires_in_time, .turn_ops = 1, .load_ms = 1)
{
    trace_op(t, 'B')->op.start_by_ns = 20 * TRACE_MS;
    trace_submit(t, "a", "ABC");
    trace_hold(t);
    trace_at(t, 1);
    trace_step(t);
    assert_int_equal(batch__core_deadline_ns(&t->core), 20 * TRACE_MS + 1);
    trace_late(t, 21);
    trace_expire(t);
    trace_sort(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[ 21] done B EXPIRED\n");
    trace_go(t);
    trace_expect(t, "[ 21] a: run C\n");
}

TRACE_TEST_WITH(who_waits_for_a_turn_counts_for_the_pause_after_a_sweep, .turn_ops = 1)
{
    trace_submit(t, "a", "AB");
    trace_submit(t, "b", "X");
    trace_hold(t);
    trace_loaded(t, "a", BATCH_OK);
    trace_step(t);
    trace_cancel(t, "");
    assert_int_equal(t->core.sweep_after_ns, t->now_ns + 2000);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] a: run A\n");
}

/* The others still join, and no more of them than before. */
TRACE_TEST_WITH(who_leaves_takes_no_place_in_the_batch, .turn_ops = 1)
{
    trace_submit(t, "a", "ABC");
    trace_hold(t);
    trace_loaded(t, "a", BATCH_OK);
    trace_step(t);
    trace_late(t, 100);
    trace_expire(t);
    trace_submit(t, "a", "D");
    trace_cancel(t, "B");
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] a: run A\n"
                    "[100] done B CANCELED\n"
                    "[100] a: run C\n"
                    "[100] a: save, closed by window\n");
}

TRACE_TEST_WITH(the_window_begins_with_the_first_that_stays, .turn_ops = 1)
{
    trace_submit(t, "a", "AB");
    trace_late(t, 40);
    trace_hold(t);
    trace_loaded(t, "a", BATCH_OK);
    trace_cancel(t, "A");
    trace_go(t);
    trace_at(t, 200);
    trace_expect(t, "[  0] a: load\n"
                    "[ 40] done A CANCELED\n"
                    "[ 40] a: run B\n"
                    "[140] a: save, closed by window\n");
}

/* Everybody has left an open batch, and somebody comes before it is dropped. */
TRACE_TEST_WITH(the_window_begins_with_who_comes_when_all_have_left, .turn_ops = 1)
{
    trace_submit(t, "a", "A");
    trace_hold(t);
    trace_loaded(t, "a", BATCH_OK);
    trace_late(t, 40);
    trace_cancel(t, "A");
    trace_late(t, 50);
    trace_submit(t, "a", "B");
    trace_go(t);
    trace_at(t, 200);
    trace_expect(t, "[  0] a: load\n"
                    "[ 50] done A CANCELED\n"
                    "[ 50] a: run B\n"
                    "[150] a: save, closed by window\n");
}

/* ---- Windows -------------------------------------------------------------------------------- */

TRACE_TEST_WITH(what_waits_for_its_turn_when_the_window_ends_joins, .turn_ops = 1)
{
    trace_submit(t, "a", "A");
    trace_hold(t);
    trace_loaded(t, "a", BATCH_OK);
    trace_step(t);
    trace_submit(t, "a", "BC");
    trace_late(t, 100);
    trace_expire(t);
    trace_submit(t, "a", "D");
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] a: run A\n"
                    "[100] a: run B\n"
                    "[100] a: run C\n"
                    "[100] a: save, closed by window\n");
}

TRACE_TEST_WITH(what_is_too_old_when_its_window_ends_takes_nobody, .turn_ops = 1, .age_ms = 50)
{
    trace_submit(t, "a", "A");
    trace_hold(t);
    trace_loaded(t, "a", BATCH_OK);
    trace_step(t);
    trace_submit(t, "a", "B");
    trace_late(t, 100);
    trace_expire(t);
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] a: run A\n"
                    "[100] a: save, closed by window\n");
}

TRACE_TEST_WITH(what_waits_for_its_turn_when_stop_comes_joins, .turn_ops = 1)
{
    trace_submit(t, "a", "A");
    trace_hold(t);
    trace_loaded(t, "a", BATCH_OK);
    trace_step(t);
    trace_submit(t, "a", "B");
    trace_stop(t);
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] a: run A\n"
                    "[  0] a: run B\n"
                    "[  0] a: save, closed by stop\n");
}

TRACE_TEST_WITH(a_window_ends_so_late_in_a_backlog, .late_ms = 30, .load_ms = 1)
{
    trace_op(t, 'B')->op.start_by_ns = 60 * TRACE_MS;
    trace_submit(t, "a", "A");
    assert_int_equal(batch__core_deadline_ns(&t->core), 100 * TRACE_MS);
    assert_int_equal(batch__core_backlog_deadline_ns(&t->core), 130 * TRACE_MS);
    trace_submit(t, "b", "B"); /* who expires is told in time */
    assert_int_equal(batch__core_backlog_deadline_ns(&t->core), 60 * TRACE_MS + 1);
}

TRACE_TEST_WITH(without_a_window_nothing_is_due_in_a_backlog, .window_ms = TRACE_NO_WINDOW,
                .late_ms = 30, .load_ms = 1)
{
    trace_submit(t, "a", "A");
    trace_at(t, 1);
    assert_int_equal(batch__core_backlog_deadline_ns(&t->core), UINT64_MAX);
}
