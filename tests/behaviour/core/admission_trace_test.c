/* Admission control: an operation that would expire before it can begin, going by how long saves
 * have taken, fails with BUSY at once instead of EXPIRED in the end. */
#include "trace.h"

static const struct trace_options early = {
    .refuses_early = true, .deadline_ms = 10000, .load_ms = 20};

/* Saves have taken 400 ms and loads 20 ms; the save of A's key has just begun, at 1000 ms. */
static struct trace *saving(const struct trace_options *options)
{
    struct trace *t = trace_new(options);
    trace_submit(t, "before", "Z");
    trace_at(t, 100);
    trace_at(t, 500);
    trace_saved(t, "before", BATCH_OK);
    trace_at(t, 900);
    trace_submit(t, "a", "A");
    trace_at(t, 1000);
    trace_skip(t);
    t->text[0] = '\0';
    return t;
}

static void submit_by(struct trace *t, const char *key, const char *name, uint64_t start_by_ms)
{
    trace_op(t, *name)->op.start_by_ns = t->options.start_ns + start_by_ms * TRACE_MS;
    trace_submit(t, key, name);
}

TRACE_TEST_FROM(what_cannot_begin_in_time_is_busy_at_once, saving(&early))
{
    submit_by(t, "a", "B", 1419);
    submit_by(t, "a", "C", 1420);
    trace_expect(t, "[1000] done B BUSY\n");
    trace_at(t, 1400);
    trace_saved(t, "a", BATCH_OK);
    trace_at(t, 1420);
    trace_expect(t, "[1400] a: done A OK\n"
                    "[1400] a: release\n"
                    "[1400] a: load\n"
                    "[1420] a: run C\n"
                    "[1420] a: save, closed by window\n");
}

TRACE_TEST_FROM(if_not_asked_for_it_expires_in_the_end,
                saving(&(struct trace_options){.deadline_ms = 10000, .load_ms = 20}))
{
    submit_by(t, "a", "B", 1100);
    trace_expect(t, "");
    trace_at(t, 1200);
    trace_expect(t, "[1100] done B EXPIRED\n");
}

TRACE_TEST_FROM(the_time_that_the_save_has_taken_so_far_is_counted, saving(&early))
{
    trace_at(t, 1300);
    submit_by(t, "a", "B", 1419);
    submit_by(t, "a", "C", 1420);
    trace_expect(t, "[1300] done B BUSY\n");
}

/* Nothing is known of how late it will be, and it may end at any moment. */
TRACE_TEST_FROM(a_save_that_takes_longer_than_ever_refuses_only_for_the_load, saving(&early))
{
    trace_at(t, 2000);
    submit_by(t, "a", "B", 2019);
    submit_by(t, "a", "C", 2020);
    trace_expect(t, "[2000] done B BUSY\n");
}

TRACE_TEST_FROM(an_operation_without_a_limit_waits, saving(&early))
{
    trace_submit(t, "a", "B");
    trace_expect(t, "");
}

TRACE_TEST_FROM(a_key_at_rest_or_open_is_never_refused, saving(&early))
{
    submit_by(t, "b", "B", 1001); /* the load may be quick this time, and then it is known */
    trace_submit(t, "c", "C");
    trace_at(t, 1020);
    submit_by(t, "c", "D", 1020);
    trace_expect(t, "[1000] b: load\n"
                    "[1000] c: load\n"
                    "[1001] done B EXPIRED\n"
                    "[1020] b: release\n"
                    "[1020] c: run C\n"
                    "[1020] c: run D\n");
}

TRACE_TEST_FROM(before_the_first_save_nothing_is_known, trace_new(&early))
{
    trace_submit(t, "a", "A");
    trace_at(t, 100);
    submit_by(t, "a", "B", 101);
    assert_int_equal(t->completed, 0);
}

TRACE_TEST_FROM(a_new_save_time_counts_for_an_eighth, saving(&early))
{
    trace_at(t, 1800);
    trace_saved(t, "a", BATCH_OK);
    assert_int_equal(t->core.save_mean_ns, 450 * TRACE_MS);
}

TRACE_TEST_FROM(cached_resources_need_no_load,
                saving(&(struct trace_options){
                    .refuses_early = true, .cache_max = 1, .deadline_ms = 10000, .load_ms = 20}))
{
    submit_by(t, "a", "B", 1399);
    submit_by(t, "a", "C", 1400);
    trace_expect(t, "[1000] done B BUSY\n");
}

static const struct trace_options replays = {
    .refuses_early = true, .replays_max = 1, .deadline_ms = 10000, .load_ms = 20};

TRACE_TEST_FROM(a_replay_means_a_load_and_a_save_more, saving(&replays))
{
    trace_at(t, 1400);
    trace_saved(t, "a", BATCH_CONFLICT); /* loading until 1420, then saving for 400, then a load */
    submit_by(t, "a", "B", 1839);
    submit_by(t, "a", "C", 1840);
    trace_expect(t, "[1400] a: release\n"
                    "[1400] a: load\n"
                    "[1400] done B BUSY\n");
}

/* The same 440 ms, whichever step of the replay it is in, but for the time that has gone by. */
TRACE_TEST_FROM(a_replay_is_considered_in_each_of_its_steps, saving(&replays))
{
    trace_at(t, 1400);
    trace_hold(t);
    trace_saved(t, "a", BATCH_CONFLICT);
    assert_int_equal(trace_batch(t, "a")->phase, BATCH__RELEASE);
    submit_by(t, "a", "B", 1839);
    submit_by(t, "a", "C", 1840);
    trace_go(t);
    trace_at(t, 1405); /* it loads */
    submit_by(t, "a", "D", 1839);
    submit_by(t, "a", "E", 1840);
    trace_expect(t, "[1400] a: release\n"
                    "[1400] a: load\n"
                    "[1400] done B BUSY\n"
                    "[1405] done D BUSY\n");
    trace_hold(t);
    trace_loaded(t, "a", BATCH_OK);
    t->calls_size = 0;
    assert_int_equal(trace_batch(t, "a")->phase, BATCH__OPEN);
    uint64_t by_ns = t->now_ns + t->core.save_mean_ns + t->core.load_mean_ns;
    trace_op(t, 'F')->op.start_by_ns = by_ns - 1;
    trace_op(t, 'G')->op.start_by_ns = by_ns;
    trace_submit(t, "a", "FG");
    trace_go(t);
    trace_expect(t, "[1405] done F BUSY\n"
                    "[1405] a: run A\n"
                    "[1405] a: save, closed by window\n");
}

TRACE_TEST_FROM(a_load_of_a_replay_that_takes_longer_than_ever_leaves_the_save,
                saving(&(struct trace_options){
                    .refuses_early = true, .replays_max = 1, .deadline_ms = 10000, .load_ms = 20}))
{
    trace_at(t, 1400);
    t->options.load_ms = 0;
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_at(t, 1500);
    submit_by(t, "a", "B", 1919);
    submit_by(t, "a", "C", 1920);
    trace_expect(t, "[1400] a: release\n"
                    "[1400] a: load\n"
                    "[1500] done B BUSY\n");
}

/* ---- Behind other operations ---------------------------------------------------------------- */

/* A has taken 10 ms, B and C wait. */
static struct trace *backlog(void)
{
    struct trace *t = trace_new(&(struct trace_options){.refuses_early = true, .load_ms = 1});
    trace_op(t, 'A')->takes_ms = 10;
    trace_submit(t, "a", "ABC");
    trace_hold(t);
    trace_at(t, 1);
    trace_step(t);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n");
    return t;
}

TRACE_TEST_FROM(what_cannot_run_in_time_behind_others_is_busy_at_once, backlog())
{
    submit_by(t, "a", "D", 30);
    submit_by(t, "a", "E", 31);
    submit_by(t, "b", "F", 12);
    trace_go(t);
    trace_expect(t, "[ 11] b: load\n"
                    "[ 11] done D BUSY\n"
                    "[ 11] a: run B\n"
                    "[ 11] a: run C\n"
                    "[ 11] a: run E\n");
}

/* No time at all has passed by the clock: that measures nothing. */
TRACE_TEST_FROM(an_operation_without_a_time_does_not_count, backlog())
{
    trace_step(t);
    submit_by(t, "a", "D", 20);
    trace_go(t);
    trace_expect(t, "[ 11] a: run B\n"
                    "[ 11] done D BUSY\n"
                    "[ 11] a: run C\n");
}

/* One that takes long for once says nothing of the others, and neither does one that does not. */
TRACE_TEST_FROM(the_last_operation_or_the_mean_counts_whichever_is_less, backlog())
{
    trace_op(t, 'B')->takes_ms = 2;
    trace_step(t);
    submit_by(t, "a", "D", 14);
    submit_by(t, "a", "E", 15);
    trace_op(t, 'C')->takes_ms = 90;
    trace_sort(t);
    trace_step(t);
    uint64_t by_ns = t->now_ns + t->core.op_mean_ns;
    assert_true(t->core.op_mean_ns < 90 * TRACE_MS);
    trace_op(t, 'F')->op.start_by_ns = by_ns - 1;
    trace_op(t, 'G')->op.start_by_ns = by_ns;
    trace_op(t, 'E')->op.start_by_ns = 0;
    trace_submit(t, "a", "FG");
    trace_go(t);
    trace_expect(t, "[ 11] a: run B\n"
                    "[ 13] done D BUSY\n"
                    "[ 13] a: run C\n"
                    "[103] done F BUSY\n"
                    "[103] a: save, closed by window\n");
}

TRACE_TEST_WITH(more_than_there_is_time_is_too_much, .refuses_early = true, .load_ms = 1)
{
    trace_op(t, 'A')->takes_ms = UINT64_C(7000000000000);
    trace_submit(t, "a", "ABCD");
    trace_hold(t);
    trace_at(t, 1);
    trace_step(t);
    trace_op(t, 'E')->op.start_by_ns = UINT64_MAX - 1;
    trace_submit(t, "a", "E");
    trace_sort(t);
    assert_int_equal(t->completed_as[-BATCH_BUSY], 1);
    trace_go(t);
    trace_skip(t);
}
