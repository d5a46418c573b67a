/* Resources cached between batches: the next batch of the key skips its load, and what nothing has
 * shown to be stored is never reported. */
#include "trace.h"

static const struct trace_options caches_two = {.cache_max = 2, .deadline_ms = 1000, .load_ms = 10};
static const struct trace_options caches_two_and_replays = {
    .cache_max = 2, .replays_max = 1, .deadline_ms = 1000, .load_ms = 10};

/* A batch of A on "a" was saved at 100 ms, and its resource is cached. */
static struct trace *cached(const struct trace_options *options)
{
    struct trace *t = trace_new(options);
    trace_submit(t, "a", "A");
    trace_at(t, 100);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[ 10] a: run A\n"
                    "[100] a: save, closed by window\n"
                    "[100] a: done A OK\n");
    assert_int_equal(batch__core_cached(&t->core), 1);
    assert_int_equal(batch__core_open(&t->core), 0);
    return t;
}

TRACE_TEST_FROM(the_next_batch_skips_its_load_and_has_a_window_of_its_own, cached(&caches_two))
{
    trace_at(t, 500);
    trace_submit(t, "a", "B");
    assert_int_equal(batch__core_cached(&t->core), 0);
    assert_int_equal(batch__core_open(&t->core), 1);
    trace_at(t, 550);
    trace_submit(t, "a", "C");
    trace_at(t, 600);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[500] a: run B\n"
                    "[550] a: run C\n"
                    "[600] a: save, closed by window\n"
                    "[600] a: done B C OK\n");
}

TRACE_TEST_FROM(those_who_waited_for_the_save_run_at_once, trace_new(&caches_two))
{
    trace_submit(t, "a", "A");
    trace_at(t, 100);
    trace_submit(t, "a", "BC");
    trace_at(t, 110);
    trace_saved(t, "a", BATCH_OK);
    trace_at(t, 210);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[ 10] a: run A\n"
                    "[100] a: save, closed by window\n"
                    "[110] a: done A OK\n"
                    "[110] a: run B\n"
                    "[110] a: run C\n"
                    "[200] a: save, closed by window\n"
                    "[210] a: done B C OK\n");
}

TEST(a_save_that_is_not_ok_drops_it)
{
    static const int outcomes[] = {BATCH_SAVE_FAILED, BATCH_CONFLICT, BATCH_UNKNOWN};
    for (size_t i = 0; i < 3; i++) {
        struct trace *t = cached(&caches_two);
        trace_submit(t, "a", "B");
        trace_at(t, 200);
        trace_saved(t, "a", outcomes[i]);
        assert_int_equal(t->releases, 1);
        assert_int_equal(t->core.cached_size, 0);
        trace_submit(t, "a", "C");
        assert_int_equal(t->loads, 2);
        trace_end(t);
    }
}

TRACE_TEST_WITH(a_load_that_fails_leaves_nothing_to_keep, .cache_max = 2)
{
    trace_submit(t, "a", "A");
    trace_loaded(t, "a", BATCH_LOAD_FAILED);
    assert_int_equal(t->core.cached_size, 0);
    assert_int_equal(t->core.table.count, 0);
}

TRACE_TEST_FROM(the_one_used_longest_ago_is_dropped_for_another, trace_new(&caches_two))
{
    static const char *const keys[] = {"a", "b", "a", "c"};
    static const char *const names[] = {"A", "B", "C", "D"};
    for (size_t i = 0; i < 4; i++) {
        trace_submit(t, keys[i], names[i]);
        trace_at(t, 100 * (i + 1) + i);
        trace_saved(t, keys[i], BATCH_OK);
    }
    trace_expect(t, "[  0] a: load\n"
                    "[ 10] a: run A\n"
                    "[100] a: save, closed by window\n"
                    "[100] a: done A OK\n"
                    "[100] b: load\n"
                    "[110] b: run B\n"
                    "[200] b: save, closed by window\n"
                    "[201] b: done B OK\n"
                    "[201] a: run C\n"
                    "[301] a: save, closed by window\n"
                    "[302] a: done C OK\n"
                    "[302] c: load\n"
                    "[312] c: run D\n"
                    "[402] c: save, closed by window\n"
                    "[403] c: done D OK\n"
                    "[403] b: release\n");
    assert_int_equal(t->core.cached_size, 2);
    assert_null(trace_batch(t, "b"));
}

TRACE_TEST_WITH(an_operation_that_comes_while_it_is_dropped_loads_it, .cache_max = 1,
                .deadline_ms = 1000)
{
    trace_submit(t, "a", "A");
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 100);
    trace_saved(t, "a", BATCH_OK);
    trace_submit(t, "b", "B");
    trace_loaded(t, "b", BATCH_OK);
    trace_at(t, 200);
    trace_hold(t);
    trace_saved(t, "b", BATCH_OK);
    struct batch__action action;
    while (batch__core_next(&t->core, &action) && action.kind != BATCH__METRIC)
        trace_op(t, 'B')->is_submitted = false; /* DONE: not part of the trace */
    t->completed++;
    trace_submit(t, "a", "C"); /* still cached here */
    trace_go(t);
    assert_int_equal(t->core.cached_size, 1);
    assert_int_equal(t->loads, 2);
}

/* Somebody else may have saved meanwhile, and no save looks. */
TRACE_TEST_FROM(a_batch_that_changes_nothing_is_run_again_on_what_is_stored, cached(&caches_two))
{
    trace_op(t, 'B')->verdict = BATCH_UNCHANGED;
    trace_op(t, 'C')->verdict = BATCH_UNCHANGED;
    trace_submit(t, "a", "BC");
    trace_at(t, 300);
    trace_expect(t, "[100] a: run B\n"
                    "[100] a: run C\n"
                    "[200] a: release\n"
                    "[200] a: load\n"
                    "[210] a: run B\n"
                    "[210] a: run C\n"
                    "[210] a: done B C OK\n");
    assert_int_equal(t->core.cached_size, 1); /* as it was loaded */
}

TRACE_TEST_FROM(what_changes_only_then_is_saved, cached(&caches_two))
{
    trace_op(t, 'B')->verdict = BATCH_UNCHANGED;
    trace_submit(t, "a", "B");
    trace_at(t, 205);
    trace_op(t, 'B')->verdict = BATCH_CHANGED;
    trace_at(t, 220);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[100] a: run B\n"
                    "[200] a: release\n"
                    "[200] a: load\n"
                    "[210] a: run B\n"
                    "[210] a: save, closed by window\n"
                    "[220] a: done B OK\n");
}

TRACE_TEST_FROM(to_look_again_is_not_a_replay,
                cached(&(struct trace_options){
                    .cache_max = 2, .deadline_ms = 1000, .load_ms = 10, .show_records = false}))
{
    trace_op(t, 'B')->verdict = BATCH_UNCHANGED;
    trace_submit(t, "a", "B");
    trace_at(t, 205);
    assert_int_equal(trace_batch(t, "a")->replays, 0);
}

TRACE_TEST_FROM(a_conflict_of_a_cached_resource_is_replayed_on_what_is_stored,
                cached(&caches_two_and_replays))
{
    trace_submit(t, "a", "B");
    trace_at(t, 200);
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_at(t, 220);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[100] a: run B\n"
                    "[200] a: save, closed by window\n"
                    "[200] a: release\n"
                    "[200] a: load\n"
                    "[210] a: run B\n"
                    "[210] a: save, closed by window\n"
                    "[220] a: done B OK\n");
    assert_int_equal(t->core.cached_size, 1);
}

TRACE_TEST_FROM(when_all_leave_before_they_begin_it_is_dropped, cached(&caches_two))
{
    trace_hold(t);
    trace_submit(t, "a", "B");
    trace_op(t, 'B')->op.private_canceled = 1;
    trace_go(t);
    trace_expect(t, "[100] a: release\n"
                    "[100] done B CANCELED\n");
    assert_int_equal(t->core.table.count, 0);
}

TRACE_TEST_WITH(natural_batching_closes_a_batch_that_skipped_its_load, .cache_max = 2,
                .window_ms = TRACE_NO_WINDOW, .load_ms = 1)
{
    trace_submit(t, "a", "A");
    trace_at(t, 1);
    trace_flush(t, 9);
    trace_submit(t, "a", "B");
    trace_saved(t, "a", BATCH_OK);
    trace_submit(t, "a", "C");
    trace_flush(t, 9);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[  1] a: save, closed by store\n"
                    "[  1] a: done A OK\n"
                    "[  1] a: run B\n"
                    "[  1] a: run C\n"
                    "[  1] a: save, closed by store\n"
                    "[  1] a: done B C OK\n");
}

TRACE_TEST_FROM(stop_drops_what_is_cached, cached(&caches_two))
{
    trace_submit(t, "b", "B");
    trace_at(t, 150);
    trace_stop(t);
    trace_saved(t, "b", BATCH_OK);
    trace_expect(t, "[100] b: load\n"
                    "[110] b: run B\n"
                    "[150] a: release\n"
                    "[150] b: save, closed by stop\n"
                    "[150] b: done B OK\n"
                    "[150] b: release\n");
    assert_int_equal(t->core.table.count, 0);
}

/* The batch has ended, and its resource is about to be cached, when stop comes. */
TRACE_TEST_FROM(stop_that_comes_just_before_it_is_cached_drops_it_too, trace_new(&caches_two))
{
    trace_submit(t, "a", "A");
    trace_at(t, 100);
    trace_hold(t);
    trace_saved(t, "a", BATCH_OK);
    struct batch__action action;
    while (batch__core_next(&t->core, &action) && action.kind != BATCH__METRIC)
        trace_op(t, 'A')->is_submitted = false;
    t->completed++;
    trace_stop(t);
    trace_go(t);
    assert_int_equal(t->releases, 1);
    assert_int_equal(t->core.table.count, 0);
}

/* It was not loaded, so no load has a time. */
TRACE_TEST_FROM(the_times_of_an_earlier_batch_are_not_its_own,
                cached(&(struct trace_options){.cache_max = 2, .deadline_ms = 1000, .load_ms = 10}))
{
    trace_op(t, 'B')->verdict = BATCH_UNCHANGED;
    trace_at(t, 500);
    trace_submit(t, "a", "B");
    assert_int_equal(trace_batch(t, "a")->load_ns, 0);
    assert_int_equal(trace_batch(t, "a")->loaded_ns, 0);
    trace_at(t, 605);
    trace_expect(t, "[500] a: run B\n"
                    "[600] a: release\n"
                    "[600] a: load\n");
}

TRACE_TEST_FROM(those_who_waited_join_though_the_first_takes_longer_than_the_window,
                trace_new(&caches_two))
{
    trace_submit(t, "a", "A");
    trace_at(t, 100);
    trace_op(t, 'B')->takes_ms = 150;
    trace_submit(t, "a", "BC");
    trace_at(t, 110);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[ 10] a: run A\n"
                    "[100] a: save, closed by window\n"
                    "[110] a: done A OK\n"
                    "[110] a: run B\n"
                    "[260] a: run C\n"
                    "[260] a: save, closed by window\n");
}
