/* What the store's failures mean for whom. */
#include "trace.h"

/* ---- Load ----------------------------------------------------------------------------------- */

/* The original completed one of them and loaded again for the next: 50 waiters, 50 failed loads. */
TRACE_TEST(a_failed_load_completes_everybody_who_waits_for_it)
{
    struct trace_op many[50];
    for (size_t i = 0; i < 50; i++) {
        many[i] = (struct trace_op){.verdict = BATCH_CHANGED};
        many[i].op.key = "a";
        many[i].op.key_size = 1;
        trace_submit_one(t, &many[i]);
    }
    trace_at(t, 10);
    trace_loaded(t, "a", BATCH_LOAD_FAILED);
    assert_int_equal(t->loads, 1);
    assert_int_equal(t->runs, 0);
    assert_int_equal(t->saves, 0);
    assert_int_equal(t->releases, 0);
    assert_int_equal(t->records, 1);
    assert_int_equal(t->completed_as[-BATCH_LOAD_FAILED], 50);
    assert_int_equal(t->core.table.count, 0);
}

TRACE_TEST_WITH(an_operation_that_comes_after_a_failed_load_opens_a_new_batch, .show_records = true)
{
    trace_submit(t, "a", "AB");
    trace_at(t, 10);
    trace_loaded(t, "a", BATCH_LOAD_FAILED);
    trace_submit(t, "a", "C");
    trace_at(t, 20);
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 200);
    trace_expect(t, "[  0] a: load\n"
                    "[ 10] a: done A B LOAD_FAILED\n"
                    "[ 10] a: record of 2 ops, 0 changed: begun 0, load 0-10, first wait 0 ms, "
                    "closed by error, LOAD_FAILED\n"
                    "[ 10] a: load\n"
                    "[ 20] a: run C\n"
                    "[110] a: save, closed by window\n");
}

TRACE_TEST(an_operation_that_comes_before_the_failure_is_told_opens_a_new_batch)
{
    trace_submit(t, "a", "A");
    trace_hold(t);
    trace_loaded(t, "a", BATCH_LOAD_FAILED);
    trace_submit(t, "a", "B");
    trace_go(t);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] a: done A LOAD_FAILED\n"
                    "[  0] a: load\n"
                    "[  0] a: run B\n");
}

TRACE_TEST(a_load_that_fails_after_the_window_is_completed_too)
{
    trace_submit(t, "a", "A");
    trace_at(t, 500);
    trace_submit(t, "a", "B");
    trace_loaded(t, "a", BATCH_LOAD_FAILED);
    trace_expect(t, "[  0] a: load\n"
                    "[500] a: done A B LOAD_FAILED\n");
}

TRACE_TEST_WITH(more_than_ops_max_wait_for_a_load_that_fails, .ops_max = 2)
{
    trace_submit(t, "a", "ABC");
    trace_loaded(t, "a", BATCH_LOAD_FAILED);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] a: done A B C LOAD_FAILED\n");
}

/* ---- Save ----------------------------------------------------------------------------------- */

static void save_ends_with(int status, const char *expected)
{
    struct trace *t = trace_new(&(struct trace_options){.load_ms = 1});
    trace_op(t, 'B')->verdict = BATCH_UNCHANGED;
    trace_submit(t, "a", "ABC");
    trace_at(t, 100);
    trace_submit(t, "a", "D");
    trace_at(t, 110);
    trace_saved(t, "a", status);
    trace_expect(t, expected);
    trace_at(t, 300);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[111] a: run D\n"
                    "[200] a: save, closed by window\n"
                    "[300] a: done D OK\n"
                    "[300] a: release\n");
    trace_end(t);
}

TEST(a_save_error_reaches_everybody_of_that_batch_and_nobody_else)
{
    save_ends_with(BATCH_SAVE_FAILED, "[  0] a: load\n"
                                      "[  1] a: run A\n"
                                      "[  1] a: run B\n"
                                      "[  1] a: run C\n"
                                      "[100] a: save, closed by window\n"
                                      "[110] a: done A B C SAVE_FAILED\n"
                                      "[110] a: release\n"
                                      "[110] a: load\n");
}

TEST(an_unknown_outcome_stays_unknown_and_nothing_is_run_again)
{
    save_ends_with(BATCH_UNKNOWN, "[  0] a: load\n"
                                  "[  1] a: run A\n"
                                  "[  1] a: run B\n"
                                  "[  1] a: run C\n"
                                  "[100] a: save, closed by window\n"
                                  "[110] a: done A B C UNKNOWN\n"
                                  "[110] a: release\n"
                                  "[110] a: load\n");
}

TEST(a_conflict_is_reported_as_a_conflict)
{
    save_ends_with(BATCH_CONFLICT, "[  0] a: load\n"
                                   "[  1] a: run A\n"
                                   "[  1] a: run B\n"
                                   "[  1] a: run C\n"
                                   "[100] a: save, closed by window\n"
                                   "[110] a: done A B C CONFLICT\n"
                                   "[110] a: release\n"
                                   "[110] a: load\n");
}

TRACE_TEST(a_save_error_is_not_told_to_those_who_left_the_batch_or_to_other_keys)
{
    trace_submit(t, "a", "AB");
    trace_submit(t, "b", "C");
    trace_cancel(t, "A");
    trace_loaded(t, "a b", BATCH_OK);
    trace_at(t, 100);
    trace_saved(t, "a", BATCH_SAVE_FAILED);
    trace_saved(t, "b", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] done A CANCELED\n"
                    "[  0] a: run B\n"
                    "[  0] b: run C\n"
                    "[100] b: save, closed by window\n"
                    "[100] a: save, closed by window\n"
                    "[100] a: done B SAVE_FAILED\n"
                    "[100] a: release\n"
                    "[100] b: done C OK\n"
                    "[100] b: release\n");
}

/* The core never keeps a resource from one batch to the next: what a failed save left in memory is
 * gone, and the truth is loaded. */
TRACE_TEST_WITH(after_every_batch_the_resource_is_loaded_again, .ops_max = 1)
{
    static const int outcomes[] = {BATCH_OK, BATCH_SAVE_FAILED, BATCH_CONFLICT, BATCH_UNKNOWN};
    trace_submit(t, "a", "ABCDE");
    for (size_t i = 0; i < 4; i++) {
        trace_loaded(t, "a", BATCH_OK);
        trace_saved(t, "a", outcomes[i]);
        assert_int_equal(t->releases, i + 1);
        assert_int_equal(t->loads, i + 2);
    }
    assert_int_equal(t->runs, 4);
}
