/* Units: what becomes of keys that transactions have tied together, once they are saved. */
#include "trace.h"

static const struct trace_options replays = {.replays_max = 3, .deadline_ms = 1000};

static struct trace *saving(const struct trace_options *options)
{
    struct trace *t = trace_transacting(options);
    trace_loaded(t, "a b", BATCH_OK);
    trace_at(t, 100);
    trace_expect(t, "[  0] run T on a b\n"
                    "[100] a b: save, closed by window\n");
    return t;
}

/* ---- Outcomes ------------------------------------------------------------------------------- */

TRACE_TEST_FROM(without_replays_a_conflict_fails_all_that_is_tied, saving(NULL))
{
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_expect(t, "");
    trace_saved(t, "b", BATCH_CONFLICT);
    trace_expect(t, "[100] b: done T CONFLICT\n"
                    "[100] b: release\n"
                    "[100] a: done T CONFLICT\n"
                    "[100] complete T CONFLICT\n"
                    "[100] a: release\n");
}

TRACE_TEST_FROM(after_a_conflict_each_key_is_loaded_and_run_again, saving(&replays))
{
    assert_int_equal(t->core.unit_max, 1000);
    trace_submit(t, "a", "A");
    trace_saved(t, "b a", BATCH_CONFLICT);
    assert_int_equal(t->core.unit_max, 1);
    assert_int_equal(t->core.units_conflicted, 1);
    assert_int_equal(t->core.units_dissolved, 1);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[100] a: release\n"
                    "[100] b: release\n"
                    "[100] a: load\n"
                    "[100] b: load\n");
    trace_loaded(t, "b", BATCH_OK);
    trace_expect(t, "[100] run T on a b\n"
                    "[100] a b: save, closed by window\n");
    trace_saved(t, "a b", BATCH_OK);
    assert_int_equal(t->core.unit_max, 2);
    trace_expect(t, "[100] b: done T OK\n"
                    "[100] b: release\n"
                    "[100] a: done T OK\n"
                    "[100] complete T OK\n"
                    "[100] a: release\n"
                    "[100] a: load\n");
}

TRACE_TEST_FROM(when_no_replay_is_left_all_fail,
                saving(&(struct trace_options){.replays_max = 1, .deadline_ms = 1000}))
{
    trace_saved(t, "a b", BATCH_CONFLICT);
    trace_loaded(t, "a b", BATCH_OK);
    trace_saved(t, "a b", BATCH_CONFLICT);
    trace_expect(t, "[100] b: release\n"
                    "[100] a: release\n"
                    "[100] b: load\n"
                    "[100] a: load\n"
                    "[100] run T on a b\n"
                    "[100] a b: save, closed by window\n"
                    "[100] b: done T CONFLICT\n"
                    "[100] b: release\n"
                    "[100] a: done T CONFLICT\n"
                    "[100] complete T CONFLICT\n"
                    "[100] a: release\n");
}

/* A has had its replay; b, which is tied to it now, would have one. */
TRACE_TEST_WITH(a_key_without_a_replay_decides_for_the_others, .replays_max = 1,
                .deadline_ms = 1000)
{
    trace_submit(t, "a", "A");
    trace_transact(t, 'T', "a b");
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 100);
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_loaded(t, "a", BATCH_OK);
    trace_saved(t, "a", BATCH_OK);
    trace_loaded(t, "b a", BATCH_OK);
    trace_skip(t);
    trace_batch(t, "a")->replays = 1;
    trace_submit(t, "b", "B");
    trace_saved(t, "a b", BATCH_CONFLICT);
    trace_expect(t, "[100] b: release\n"
                    "[100] a: done T CONFLICT\n"
                    "[100] a: release\n"
                    "[100] b: load\n");
    trace_loaded(t, "b", BATCH_OK);
    trace_expect(t, "[100] done T CONFLICT\n"
                    "[100] complete T CONFLICT\n"
                    "[100] b: run B\n");
}

TRACE_TEST_FROM(a_unit_that_the_store_refuses_is_tried_once_more_in_parts, saving(NULL))
{
    trace_saved(t, "a b", BATCH_SAVE_FAILED);
    assert_int_equal(t->core.units_dissolved, 1);
    assert_int_equal(t->core.units_conflicted, 0);
    assert_int_equal(t->core.unit_max, 1000);
    trace_submit(t, "a", "A");
    trace_transact(t, 'U', "b c");
    trace_loaded(t, "a b c", BATCH_OK);
    trace_expect(t, "[100] b: release\n"
                    "[100] a: release\n"
                    "[100] b: load\n"
                    "[100] a: load\n"
                    "[100] c: load\n"
                    "[100] run T on a b\n"
                    "[100] a b: save, closed by window\n");
    trace_saved(t, "a b", BATCH_SAVE_FAILED);
    trace_expect(t, "[100] b: done T SAVE_FAILED\n"
                    "[100] b: release\n"
                    "[100] a: done T SAVE_FAILED\n"
                    "[100] complete T SAVE_FAILED\n"
                    "[100] a: release\n"
                    "[100] b: load\n"
                    "[100] a: load\n");
}

/* Each transaction alone, so that the row at fault fails one only. */
TRACE_TEST(isolated_keys_are_tied_to_no_others)
{
    trace_transact(t, 'T', "a b");
    trace_transact(t, 'U', "b c");
    trace_loaded(t, "a b c", BATCH_OK);
    trace_at(t, 100);
    trace_saved(t, "a b c", BATCH_SAVE_FAILED);
    trace_skip(t);
    trace_loaded(t, "a b c", BATCH_OK);
    trace_expect(t, "[100] run T on a b\n"
                    "[100] b a: save, closed by window\n");
    trace_saved(t, "a b", BATCH_SAVE_FAILED);
    trace_loaded(t, "b", BATCH_OK);
    trace_expect(t, "[100] b: done T SAVE_FAILED\n"
                    "[100] b: release\n"
                    "[100] a: done T SAVE_FAILED\n"
                    "[100] complete T SAVE_FAILED\n"
                    "[100] a: release\n"
                    "[100] b: load\n"
                    "[100] run U on b c\n"
                    "[100] b c: save, closed by window\n");
    trace_saved(t, "b c", BATCH_OK);
    trace_expect(t, "[100] c: done U OK\n"
                    "[100] c: release\n"
                    "[100] b: done U OK\n"
                    "[100] complete U OK\n"
                    "[100] b: release\n");
}

TRACE_TEST_FROM(what_is_unknown_is_unknown_for_all, saving(&replays))
{
    trace_saved(t, "a b", BATCH_UNKNOWN);
    trace_expect(t, "[100] b: done T UNKNOWN\n"
                    "[100] b: release\n"
                    "[100] a: done T UNKNOWN\n"
                    "[100] complete T UNKNOWN\n"
                    "[100] a: release\n");
    assert_int_equal(t->core.unit_max, 1000);
}

/* That would be a bug of the store. */
TRACE_TEST_FROM(if_a_store_reports_several_outcomes_nothing_is_known, saving(&replays))
{
    trace_saved(t, "a", BATCH_OK);
    trace_saved(t, "b", BATCH_CONFLICT);
    trace_expect(t, "[100] b: done T UNKNOWN\n"
                    "[100] b: release\n"
                    "[100] a: done T UNKNOWN\n"
                    "[100] complete T UNKNOWN\n"
                    "[100] a: release\n");
}

/* ---- Without windows, and with cached resources ---------------------------------------------- */

TRACE_TEST_WITH(natural_batching_closes_a_unit_as_one, .window_ms = TRACE_NO_WINDOW)
{
    trace_transaction(t, 'T')->unchanged = "b";
    trace_transact(t, 'T', "a b");
    trace_submit(t, "c", "C");
    trace_loaded(t, "a c", BATCH_OK);
    trace_flush(t, 1);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] c: load\n"
                    "[  0] c: run C\n"
                    "[  0] c: save, closed by store\n");
    trace_loaded(t, "b", BATCH_OK);
    trace_flush(t, 0);
    trace_expect(t, "[  0] run T on a b\n");
    trace_flush(t, 1);
    trace_expect(t, "[  0] a b?: save, closed by store\n");
}

TRACE_TEST_WITH(natural_batching_counts_all_keys_of_a_unit, .window_ms = TRACE_NO_WINDOW)
{
    trace_transact(t, 'T', "a b");
    trace_transact(t, 'U', "c d");
    trace_loaded(t, "a b c d", BATCH_OK);
    trace_skip(t);
    trace_flush(t, 3);
    trace_expect(t, "[  0] a b: save, closed by store\n"
                    "[  0] c d: save, closed by store\n");
}

TRACE_TEST_WITH(it_runs_on_cached_resources, .cache_max = 2)
{
    trace_submit(t, "a", "A");
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 100);
    trace_saved(t, "a", BATCH_OK);
    trace_transaction(t, 'T')->unchanged = "ab";
    trace_transact(t, 'T', "a b");
    trace_loaded(t, "b", BATCH_OK);
    trace_at(t, 200);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] a: run A\n"
                    "[100] a: save, closed by window\n"
                    "[100] a: done A OK\n"
                    "[100] b: load\n"
                    "[100] run T on a b\n"
                    "[200] a? b?: save, closed by window\n");
    trace_saved(t, "a b", BATCH_CONFLICT);
    assert_int_equal(t->core.cached_size, 0);
    trace_expect(t, "[200] b: done T CONFLICT\n"
                    "[200] b: release\n"
                    "[200] a: done T CONFLICT\n"
                    "[200] complete T CONFLICT\n"
                    "[200] a: release\n");
}

/* The first of those that are replayed is saved without the others, which wait for b. */
TRACE_TEST_WITH(part_of_a_replay_is_saved_while_the_rest_waits, .replays_max = 1,
                .deadline_ms = 1000, .show_records = true)
{
    trace_transact(t, 'S', "a b");
    trace_submit(t, "a", "A");
    trace_transact(t, 'T', "a b");
    trace_submit(t, "a", "B");
    trace_loaded(t, "a b", BATCH_OK);
    trace_at(t, 100);
    trace_submit(t, "a", "C");
    trace_submit(t, "b", "D");
    trace_op(t, 'D')->takes_ms = 0;
    trace_saved(t, "a b", BATCH_CONFLICT);
    trace_skip(t);
    trace_cancel_transaction(t, 'S');
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[100] done S CANCELED\n"
                    "[100] done S CANCELED\n"
                    "[100] complete S CANCELED\n"
                    "[100] a: run A\n"
                    "[100] a: save, closed by window\n");
    trace_saved(t, "a", BATCH_OK);
    trace_loaded(t, "b", BATCH_OK);
    trace_expect(t, "[100] a: done A OK\n"
                    "[100] a: record of 1 ops, 1 changed: begun 0, load 100-100, first wait 0 ms, "
                    "save 100-100, replays 1, closed by window, OK\n"
                    "[100] a: release\n"
                    "[100] a: load\n");
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[100] run T on a b\n"
                    "[100] a: run B\n"
                    "[100] a b: save, closed by window\n");
}

TRACE_TEST_FROM(the_records_show_how_many_keys_were_tied_together,
                saving(&(struct trace_options){.show_records = true}))
{
    trace_submit(t, "b", "B");
    trace_saved(t, "a b", BATCH_OK);
    assert_int_equal(t->core.units_dissolved, 0);
    trace_loaded(t, "b", BATCH_OK);
    trace_at(t, 300);
    trace_saved(t, "b", BATCH_OK);
    trace_expect(t, "[100] b: done T OK\n"
                    "[100] b: record of 1 ops, 1 changed: begun 0, load 0-0, first wait 0 ms, save "
                    "100-100, one of a unit of 2, closed by window, OK\n"
                    "[100] b: release\n"
                    "[100] a: done T OK\n"
                    "[100] complete T OK\n"
                    "[100] a: record of 1 ops, 1 changed: begun 0, load 0-0, first wait 0 ms, save "
                    "100-100, first of a unit of 2, closed by window, OK\n"
                    "[100] a: release\n"
                    "[100] b: load\n"
                    "[100] b: run B\n"
                    "[200] b: save, closed by window\n"
                    "[300] b: done B OK\n"
                    "[300] b: record of 1 ops, 1 changed: begun 100, load 100-100, first wait 0 "
                    "ms, save 200-300, closed by window, OK\n"
                    "[300] b: release\n");
}

/* A and C have been saved without T, so a and c are not isolated any more; but b is, and T ties it
 * to a. */
TRACE_TEST(a_unit_with_one_isolated_key_takes_no_other)
{
    trace_submit(t, "a", "A");
    trace_transact(t, 'T', "a b");
    trace_submit(t, "c", "C");
    trace_transact(t, 'U', "a c");
    trace_loaded(t, "a b c", BATCH_OK);
    trace_at(t, 100);
    trace_saved(t, "a b c", BATCH_SAVE_FAILED);
    trace_loaded(t, "a c", BATCH_OK);
    trace_saved(t, "a c", BATCH_OK);
    trace_skip(t);
    trace_loaded(t, "a c b", BATCH_OK);
    trace_expect(t, "[100] run T on a b\n"
                    "[100] a b: save, closed by size\n");
}

/* The windows of a and b have ended; those of the others have not. */
TRACE_TEST(a_unit_that_is_about_to_close_closes_what_is_tied_to_it)
{
    trace_transact(t, 'S', "a b");
    trace_at(t, 90);
    trace_transact(t, 'U', "b c");
    trace_transact(t, 'V', "d e f g");
    trace_loaded(t, "b c", BATCH_OK);
    trace_loaded(t, "d e f g", BATCH_OK);
    trace_transact(t, 'W', "c d");
    trace_at(t, 120);
    trace_skip(t);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[120] run S on a b\n"
                    "[120] run U on b c\n"
                    "[120] run W on c d\n"
                    "[120] c b a g f e d: save, closed by window\n");
}

TRACE_TEST_WITH(what_is_left_of_a_replay_is_rechecked_on_its_own, .replays_max = 1, .age_ms = 200,
                .deadline_ms = 9000)
{
    trace_op(t, 'A')->verdict = trace_op(t, 'C')->verdict = BATCH_UNCHANGED;
    trace_submit(t, "a", "A");
    trace_transact(t, 'T', "a b");
    trace_submit(t, "a", "C");
    trace_loaded(t, "a b", BATCH_OK);
    trace_at(t, 100);
    trace_saved(t, "a b", BATCH_CONFLICT);
    trace_late(t, 1000);
    trace_loaded_at(t, "a", 100); /* A runs, and T waits for b */
    trace_loaded(t, "a", BATCH_OK);
    assert_int_equal(t->completed_as[BATCH_OK], 1);
    trace_cancel_transaction(t, 'T');
    trace_late(t, 2000);
    trace_skip(t);
    trace_loaded_at(t, "a", 1000);
    trace_expect(t, "[2000] a: run C\n"
                    "[2000] a: release\n"
                    "[2000] a: load\n");
}

/* All windows have ended when b is loaded at last. Each key is blocked once, b by C, a by V; what
 * they wait for runs in the same unit, so they go on, and W joins it too. */
TRACE_TEST(what_was_blocked_for_a_moment_joins_all_the_same)
{
    trace_transact(t, 'T', "a b c");
    trace_submit(t, "c", "C");
    trace_transact(t, 'V', "b c");
    trace_transact(t, 'W', "a b");
    trace_loaded(t, "a", BATCH_OK);
    trace_loaded(t, "c", BATCH_OK);
    trace_at(t, 150);
    t->text_size = 0;
    trace_loaded(t, "b", BATCH_OK);
    trace_expect(t, "[150] run T on a b c\n"
                    "[150] c: run C\n"
                    "[150] run V on b c\n"
                    "[150] run W on a b\n"
                    "[150] a c b: save, closed by window\n");
}
