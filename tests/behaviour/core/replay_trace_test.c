/* A conflict with replays_max: the resource is dropped and loaded, and the same operations run on
 * it again, before any operation is completed. */
#include "trace.h"

static const struct trace_options once = {.replays_max = 1, .deadline_ms = 1000};
static const struct trace_options thrice = {
    .replays_max = 3, .deadline_ms = 1000, .load_ms = 10, .show_records = true};

/* A batch of A, B and C is being saved at 100 ms. */
static struct trace *saving(const struct trace_options *options)
{
    struct trace *t = trace_new(options);
    trace_submit(t, "a", "ABC");
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 100);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] a: run A\n"
                    "[  0] a: run B\n"
                    "[  0] a: run C\n"
                    "[100] a: save, closed by window\n");
    return t;
}

TRACE_TEST_FROM(after_a_conflict_the_same_operations_run_in_the_same_order, saving(&once))
{
    trace_at(t, 110);
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_at(t, 120);
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 130);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[110] a: release\n"
                    "[110] a: load\n"
                    "[120] a: run A\n"
                    "[120] a: run B\n"
                    "[120] a: run C\n"
                    "[120] a: save, closed by window\n"
                    "[130] a: done A B C OK\n"
                    "[130] a: release\n");
}

TRACE_TEST_FROM(without_replays_a_conflict_is_told,
                saving(&(struct trace_options){.deadline_ms = 1000}))
{
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_expect(t, "[100] a: done A B C CONFLICT\n"
                    "[100] a: release\n");
}

TRACE_TEST_FROM(when_the_replays_are_used_up_the_conflict_is_told, trace_new(&thrice))
{
    trace_submit(t, "a", "A");
    trace_at(t, 100);
    for (int i = 0; i < 4; i++) {
        trace_saved(t, "a", BATCH_CONFLICT);
        trace_at(t, 110 + 10 * (uint64_t)i);
    }
    assert_int_equal(t->loads, 4);
    assert_int_equal(t->saves, 4);
    assert_int_equal(t->runs, 4);
    assert_int_equal(t->releases, 4);
    trace_expect(t, "[  0] a: load\n"
                    "[ 10] a: run A\n"
                    "[100] a: save, closed by window\n"
                    "[100] a: release\n"
                    "[100] a: load\n"
                    "[110] a: run A\n"
                    "[110] a: save, closed by window\n"
                    "[110] a: release\n"
                    "[110] a: load\n"
                    "[120] a: run A\n"
                    "[120] a: save, closed by window\n"
                    "[120] a: release\n"
                    "[120] a: load\n"
                    "[130] a: run A\n"
                    "[130] a: save, closed by window\n"
                    "[130] a: done A CONFLICT\n"
                    "[130] a: record of 1 ops, 1 changed: begun 0, load 120-130, first wait 10 ms, "
                    "save 130-130, replays 3, closed by window, CONFLICT\n"
                    "[130] a: release\n");
}

TRACE_TEST_FROM(the_next_batch_has_replays_of_its_own, saving(&once))
{
    trace_submit(t, "a", "D");
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_loaded(t, "a", BATCH_OK);
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 200);
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_loaded(t, "a", BATCH_OK);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[100] a: release\n"
                    "[100] a: load\n"
                    "[100] a: run A\n"
                    "[100] a: run B\n"
                    "[100] a: run C\n"
                    "[100] a: save, closed by window\n"
                    "[100] a: done A B C CONFLICT\n"
                    "[100] a: release\n"
                    "[100] a: load\n"
                    "[100] a: run D\n"
                    "[200] a: save, closed by window\n"
                    "[200] a: release\n"
                    "[200] a: load\n"
                    "[200] a: run D\n"
                    "[200] a: save, closed by window\n"
                    "[200] a: done D OK\n"
                    "[200] a: release\n");
}

/* However late the first conflict is: the time for all replays begins with it. */
TRACE_TEST_FROM(nothing_is_replayed_after_the_deadline,
                saving(&(struct trace_options){.replays_max = 9, .deadline_ms = 200}))
{
    trace_at(t, 900);
    for (uint64_t at = 900; at <= 1100; at += 100) {
        trace_at(t, at < 1100 ? at : 1099);
        trace_saved(t, "a", BATCH_CONFLICT);
        trace_loaded(t, "a", BATCH_OK);
    }
    trace_at(t, 1100);
    trace_skip(t);
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_expect(t, "[1100] a: done A B C CONFLICT\n"
                    "[1100] a: release\n");
    assert_int_equal(t->loads, 4);
}

TRACE_TEST_FROM(the_next_batch_has_a_time_for_replays_of_its_own,
                saving(&(struct trace_options){.replays_max = 1, .deadline_ms = 200}))
{
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_loaded(t, "a", BATCH_OK);
    trace_saved(t, "a", BATCH_OK);
    trace_submit(t, "a", "D");
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 500);
    trace_saved(t, "a", BATCH_CONFLICT);
    assert_int_equal(t->loads, 4);
}

TRACE_TEST_FROM(one_nanosecond_beyond_the_end_of_time_a_replay_has_all_time,
                saving(&(struct trace_options){.replays_max = 1, .deadline_ms = 200}))
{
    t->core.config.deadline_ns = UINT64_MAX - t->now_ns + 1;
    trace_saved(t, "a", BATCH_CONFLICT);
    assert_true(trace_batch(t, "a")->replay_by_ns == UINT64_MAX);
}

TEST(only_a_conflict_is_replayed)
{
    static const int outcomes[] = {BATCH_OK, BATCH_SAVE_FAILED, BATCH_UNKNOWN};
    for (size_t i = 0; i < 3; i++) {
        struct trace *t = saving(&once);
        trace_saved(t, "a", outcomes[i]);
        assert_int_equal(t->loads, 1);
        assert_int_equal(t->runs, 3);
        assert_int_equal(t->completed_as[-outcomes[i]], 3);
        trace_end(t);
    }
}

/* They changed nothing on what is stored now, so there is nothing to save. */
TRACE_TEST_FROM(only_the_last_verdicts_count,
                saving(&(struct trace_options){
                    .replays_max = 1, .deadline_ms = 1000, .show_records = true}))
{
    trace_saved(t, "a", BATCH_CONFLICT);
    for (const char *name = "ABC"; *name != '\0'; name++)
        trace_op(t, *name)->verdict = BATCH_UNCHANGED;
    trace_loaded(t, "a", BATCH_OK);
    assert_int_equal(trace_op(t, 'A')->op.private_changed, 0);
    trace_expect(t, "[100] a: release\n"
                    "[100] a: load\n"
                    "[100] a: run A\n"
                    "[100] a: run B\n"
                    "[100] a: run C\n"
                    "[100] a: done A B C OK\n"
                    "[100] a: record of 3 ops, 0 changed: begun 0, load 100-100, first wait 0 ms, "
                    "replays 1, closed by window, OK\n"
                    "[100] a: release\n");
}

TRACE_TEST_FROM(the_canceled_leave_before_they_run_again, saving(&once))
{
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_cancel(t, "B");
    trace_loaded(t, "a", BATCH_OK);
    trace_saved(t, "a", BATCH_OK);
    assert_int_equal(trace_op(t, 'B')->op.private_changed, 0);
    trace_expect(t, "[100] a: release\n"
                    "[100] a: load\n"
                    "[100] done B CANCELED\n"
                    "[100] a: run A\n"
                    "[100] a: run C\n"
                    "[100] a: save, closed by window\n"
                    "[100] a: done A C OK\n"
                    "[100] a: release\n");
}

TRACE_TEST_FROM(when_all_have_left_nothing_is_saved, saving(&once))
{
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_cancel(t, "ABC");
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[100] a: release\n"
                    "[100] a: load\n"
                    "[100] done A CANCELED\n"
                    "[100] done B CANCELED\n"
                    "[100] done C CANCELED\n"
                    "[100] a: release\n");
}

static const struct trace_options recorded = {
    .replays_max = 1, .deadline_ms = 1000, .show_records = true};

/* Whoever came later is in a batch of its own then: with a window, and all its replays. */
static void d_has_a_batch_of_its_own(struct trace *t)
{
    trace_at(t, 220);
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_loaded(t, "a", BATCH_OK);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[110] a: run D\n"
                    "[210] a: save, closed by window\n"
                    "[220] a: release\n"
                    "[220] a: load\n"
                    "[220] a: run D\n"
                    "[220] a: save, closed by window\n"
                    "[220] a: done D OK\n"
                    "[220] a: record of 1 ops, 1 changed: begun 110, load 220-220, "
                    "first wait 0 ms, save 220-220, replays 1, closed by window, OK\n"
                    "[220] a: release\n");
}

TRACE_TEST_FROM(when_all_leave_during_the_load_of_a_replay_it_is_for_those_who_came_later,
                saving(&recorded))
{
    trace_at(t, 110);
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_submit(t, "a", "D");
    trace_cancel(t, "ABC");
    trace_expect(t, "[110] a: release\n"
                    "[110] a: load\n"
                    "[110] done A CANCELED\n"
                    "[110] done B CANCELED\n"
                    "[110] done C CANCELED\n");
    trace_loaded(t, "a", BATCH_OK);
    d_has_a_batch_of_its_own(t);
}

TRACE_TEST_FROM(
    when_all_leave_before_the_resource_is_released_it_is_loaded_for_those_who_came_later,
    saving(&recorded))
{
    trace_at(t, 110);
    trace_hold(t);
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_submit(t, "a", "D");
    trace_cancel(t, "ABC");
    trace_go(t);
    trace_expect(t, "[110] a: release\n"
                    "[110] a: load\n"
                    "[110] done A CANCELED\n"
                    "[110] done B CANCELED\n"
                    "[110] done C CANCELED\n");
    trace_loaded(t, "a", BATCH_OK);
    d_has_a_batch_of_its_own(t);
}

/* No sweep has seen it. */
TRACE_TEST_FROM(when_all_leave_as_they_are_about_to_run_again_the_others_run, saving(&recorded))
{
    trace_at(t, 110);
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_submit(t, "a", "D");
    for (const char *name = "ABC"; *name != '\0'; name++)
        trace_op(t, *name)->op.private_canceled = 1;
    trace_expect(t, "[110] a: release\n"
                    "[110] a: load\n");
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[110] done A CANCELED\n"
                    "[110] done B CANCELED\n"
                    "[110] done C CANCELED\n"
                    "[110] a: run D\n");
    trace_skip(t);
    trace_at(t, 220);
    trace_saved(t, "a", BATCH_CONFLICT); /* its first */
    trace_expect(t, "[210] a: save, closed by window\n"
                    "[220] a: release\n"
                    "[220] a: load\n");
}

TRACE_TEST_WITH(without_a_window_they_run_too, .window_ms = TRACE_NO_WINDOW, .replays_max = 1,
                .load_ms = 1)
{
    trace_submit(t, "a", "A");
    trace_at(t, 1);
    trace_flush(t, 1);
    trace_submit(t, "a", "B");
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_op(t, 'A')->op.private_canceled = 1;
    trace_at(t, 2);
    trace_flush(t, 1);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n"
                    "[  1] a: save, closed by store\n"
                    "[  1] a: release\n"
                    "[  1] a: load\n"
                    "[  2] done A CANCELED\n"
                    "[  2] a: run B\n"
                    "[  2] a: save, closed by store\n");
}

TRACE_TEST_FROM(those_who_came_later_have_a_window_of_their_own, saving(&once))
{
    trace_at(t, 110);
    trace_submit(t, "a", "D");
    trace_at(t, 120);
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_at(t, 130);
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 140);
    trace_saved(t, "a", BATCH_OK);
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 250);
    trace_expect(t, "[120] a: release\n"
                    "[120] a: load\n"
                    "[130] a: run A\n"
                    "[130] a: run B\n"
                    "[130] a: run C\n"
                    "[130] a: save, closed by window\n"
                    "[140] a: done A B C OK\n"
                    "[140] a: release\n"
                    "[140] a: load\n"
                    "[140] a: run D\n"
                    "[210] a: save, closed by window\n");
}

/* It began in time. */
TRACE_TEST_FROM(start_by_does_not_end_what_has_begun, trace_new(&once))
{
    trace_op(t, 'A')->op.start_by_ns = 50 * TRACE_MS;
    trace_submit(t, "a", "A");
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 100);
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_loaded(t, "a", BATCH_OK);
    trace_saved(t, "a", BATCH_OK);
    assert_int_equal(t->completed_as[BATCH_OK], 1);
}

TRACE_TEST_FROM(what_comes_meanwhile_waits_for_the_next_batch, saving(&once))
{
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_submit(t, "a", "D");
    trace_at(t, 110);
    trace_loaded(t, "a", BATCH_OK);
    trace_submit(t, "a", "E");
    trace_saved(t, "a", BATCH_OK);
    trace_at(t, 120);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[100] a: release\n"
                    "[100] a: load\n"
                    "[110] a: run A\n"
                    "[110] a: run B\n"
                    "[110] a: run C\n"
                    "[110] a: save, closed by window\n"
                    "[110] a: done A B C OK\n"
                    "[110] a: release\n"
                    "[110] a: load\n"
                    "[120] a: run D\n"
                    "[120] a: run E\n");
}

TRACE_TEST_FROM(a_load_that_fails_reaches_those_who_were_to_run_again_and_nobody_else,
                saving(&(struct trace_options){
                    .replays_max = 1, .deadline_ms = 1000, .show_records = true}))
{
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_submit(t, "a", "D");
    trace_at(t, 110);
    trace_loaded(t, "a", BATCH_LOAD_FAILED);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[100] a: release\n"
                    "[100] a: load\n"
                    "[110] a: done A B C LOAD_FAILED\n"
                    "[110] a: record of 3 ops, 0 changed: begun 0, load 100-110, first wait 0 ms, "
                    "replays 1, closed by error, LOAD_FAILED\n"
                    "[110] a: load\n"
                    "[110] a: run D\n");
}

TRACE_TEST_FROM(keys_of_one_group_replay_on_their_own, trace_new(&once))
{
    trace_submit(t, "a", "A");
    trace_submit(t, "b", "B");
    trace_loaded(t, "a b", BATCH_OK);
    trace_at(t, 100);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] a: run A\n"
                    "[  0] b: run B\n"
                    "[100] a: save, closed by window\n"
                    "[100] b: save, closed by window\n");
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_saved(t, "b", BATCH_OK);
    trace_loaded(t, "a", BATCH_OK);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[100] a: release\n"
                    "[100] a: load\n"
                    "[100] b: done B OK\n"
                    "[100] b: release\n"
                    "[100] a: run A\n"
                    "[100] a: save, closed by window\n"
                    "[100] a: done A OK\n"
                    "[100] a: release\n");
}

TRACE_TEST_FROM(stop_waits_for_a_replay, saving(&once))
{
    trace_stop(t);
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_loaded(t, "a", BATCH_OK);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[100] a: release\n"
                    "[100] a: load\n"
                    "[100] a: run A\n"
                    "[100] a: run B\n"
                    "[100] a: run C\n"
                    "[100] a: save, closed by window\n"
                    "[100] a: done A B C OK\n"
                    "[100] a: release\n");
}

TRACE_TEST_FROM(what_runs_again_still_counts_against_the_limits,
                saving(&(struct trace_options){
                    .replays_max = 1, .deadline_ms = 1000, .key_ops_waiting_max = 4}))
{
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_submit(t, "a", "DE");
    assert_int_equal(t->completed_as[-BATCH_BUSY], 1);
}

TRACE_TEST_WITH(a_replay_closes_for_the_reason_that_it_had, .replays_max = 1, .deadline_ms = 1000)
{
    trace_submit(t, "a", "AB");
    trace_loaded(t, "a", BATCH_OK);
    trace_stop(t);
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] a: run A\n"
                    "[  0] a: run B\n"
                    "[  0] a: save, closed by stop\n"
                    "[  0] a: release\n"
                    "[  0] a: load\n"
                    "[  0] a: run A\n"
                    "[  0] a: run B\n"
                    "[  0] a: save, closed by stop\n");
}
