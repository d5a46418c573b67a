/* Admission control: an operation that could not begin in time, going by how long saves and
 * operations have taken, fails with BUSY at once instead of EXPIRED in the end. */
#include "trace.h"

static const struct trace_options early = {.deadline_ms = 10000, .load_ms = 20};

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
                    .cache_max = 1, .deadline_ms = 10000, .load_ms = 20}))
{
    submit_by(t, "a", "B", 1399);
    submit_by(t, "a", "C", 1400);
    trace_expect(t, "[1000] done B BUSY\n");
}

static const struct trace_options replays = {.replays_max = 1, .deadline_ms = 10000, .load_ms = 20};

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
                    .replays_max = 1, .deadline_ms = 10000, .load_ms = 20}))
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

static const struct trace_options many = {.load_ms = 1};

/* Of three operations, of which one takes 10 ms, the first has run. */
static struct trace *backlog(void)
{
    struct trace *t = trace_new(&many);
    trace_op(t, 'A')->takes_ms = 10;
    trace_submit(t, "a", "ABC");
    trace_hold(t);
    trace_at(t, 1);
    trace_batch(t, "a")->op_mean_ns = 10 * TRACE_MS;
    trace_step(t);
    assert_int_equal(trace_batch(t, "a")->op_mean_ns, 10 * TRACE_MS);
    trace_expect(t, "[  0] a: load\n"
                    "[  1] a: run A\n");
    return t;
}

TRACE_TEST_FROM(what_cannot_run_in_time_behind_others_is_busy_at_once, backlog())
{
    submit_by(t, "a", "D", 30);
    submit_by(t, "a", "E", 31);
    submit_by(t, "b", "F", 12); /* what is known of one key says nothing of another */
    submit_by(t, "b", "G", 11);
    trace_go(t);
    trace_expect(t, "[ 11] b: load\n"
                    "[ 11] done D BUSY\n"
                    "[ 11] a: run B\n"
                    "[ 11] a: run C\n"
                    "[ 11] a: run E\n");
}

/* One without a limit of its own waits for as long as the deadline, which is 200 ms here. */
TRACE_TEST_FROM(nobody_waits_behind_others_for_longer_than_the_deadline, backlog())
{
    trace_submit(t, "a", "DEFGHIJKLMNOPQRSTUVWX");
    assert_int_equal(trace_batch(t, "a")->waiting.count, 21);
    trace_submit(t, "b", "Y");
    trace_sort(t);
    trace_expect(t, "[ 11] b: load\n"
                    "[ 11] done W BUSY\n"
                    "[ 11] done X BUSY\n");
    trace_step(t);
    t->text_size = 0;
    trace_op(t, 'Z')->op.start_by_ns = UINT64_MAX; /* it may wait for ever */
    trace_submit(t, "a", "WXZ");
    trace_sort(t);
    trace_expect(t, "[ 11] done X BUSY\n");
}

/* ---- What an operation takes ---------------------------------------------------------------- */

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

TRACE_TEST_FROM(a_new_time_of_an_operation_counts_for_an_eighth, backlog())
{
    trace_op(t, 'B')->takes_ms = 18;
    trace_step(t);
    assert_int_equal(trace_batch(t, "a")->op_mean_ns, 11 * TRACE_MS);
}

TRACE_TEST_FROM(an_operation_that_takes_long_once_refuses_nobody, backlog())
{
    trace_op(t, 'B')->takes_ms = 20000;
    trace_step(t);
    assert_int_equal(trace_batch(t, "a")->op_mean_ns, 13750125); /* as if 40.001 ms */
    submit_by(t, "a", "D", 20025);
    submit_by(t, "a", "E", 20060);
    trace_sort(t);
    trace_go(t);
    trace_expect(t, "[ 11] a: run B\n"
                    "[20011] a: run C\n" /* D and E came after the window */
                    "[20011] a: save, closed by window\n");
}

TRACE_TEST_WITH(of_the_first_operation_a_microsecond_counts, .load_ms = 1)
{
    trace_op(t, 'A')->takes_ms = 7000;
    trace_op(t, 'B')->takes_ms = 9000;
    trace_submit(t, "a", "ABC");
    trace_hold(t);
    trace_at(t, 1);
    trace_step(t);
    assert_int_equal(trace_batch(t, "a")->op_mean_ns, 1000);
    trace_step(t);
    assert_int_equal(trace_batch(t, "a")->op_mean_ns, 1500);
    trace_go(t);
    t->text_size = 0;
}

/* From then on it is as much as can be told apart. */
TRACE_TEST_FROM(four_seconds_are_a_long_time_for_an_operation, backlog())
{
    trace_batch(t, "a")->op_mean_ns = UINT32_MAX;
    trace_op(t, 'B')->takes_ms = 20000;
    trace_step(t);
    assert_int_equal(trace_batch(t, "a")->op_mean_ns, UINT32_MAX);
    trace_go(t);
    t->text_size = 0;
}

/* ---- The turns of others -------------------------------------------------------------------- */

/* Turns of 10 ms; `a` and `b` have each had one of a single operation, which takes as long. */
static struct trace *turns(void)
{
    struct trace *t = trace_new(&(struct trace_options){.load_ms = 1, .turn_ms = 10});
    for (char name = 'A'; name <= 'Z'; name++)
        trace_op(t, name)->takes_ms = 10;
    trace_submit(t, "a", "ABCDE");
    trace_submit(t, "b", "VWXYZ");
    trace_hold(t);
    trace_at(t, 1);
    trace_step(t);
    trace_step(t);
    trace_batch(t, "a")->op_mean_ns = 9 * TRACE_MS;
    t->text_size = 0;
    return t;
}

TRACE_TEST_FROM(how_long_a_key_waits_for_its_next_turn_is_measured, turns())
{
    assert_int_equal(t->core.lap_mean_ns, 0);
    trace_step(t);
    trace_expect(t, "[ 21] a: run B\n");
    assert_int_equal(t->core.lap_mean_ns, 10 * TRACE_MS);
    trace_op(t, 'W')->takes_ms = 18;
    trace_step(t);
    assert_int_equal(t->core.lap_mean_ns, 10 * TRACE_MS); /* `b` has waited for as long */
    trace_go(t);
    t->text_size = 0;
}

TRACE_TEST_FROM(a_wait_for_a_turn_that_is_far_longer_counts_for_little, turns())
{
    trace_op(t, 'W')->takes_ms = 20000;
    trace_step(t);
    trace_step(t);
    assert_int_equal(t->core.lap_mean_ns, 10 * TRACE_MS);
    trace_step(t); /* whose wait begins */
    trace_step(t);
    trace_step(t);
    uint64_t most_ns = 4 * 10 * TRACE_MS + 10 * TRACE_MS;
    assert_true(t->core.lap_mean_ns <= 10 * TRACE_MS - 1250000 + most_ns / 8);
    trace_go(t);
    t->text_size = 0;
}

/* For each turn that those before it need. */
TRACE_TEST_FROM(the_turns_of_other_keys_count, turns())
{
    trace_step(t);
    trace_batch(t, "a")->op_mean_ns = 9 * TRACE_MS;
    t->text_size = 0;
    uint64_t now_ms = t->now_ns / TRACE_MS;
    submit_by(t, "a", "F", now_ms + 27 + 20 - 1); /* 27 ms are two whole turns */
    submit_by(t, "a", "G", now_ms + 27 + 20);
    submit_by(t, "a", "H", now_ms + 36 + 30 - 1);
    submit_by(t, "a", "I", now_ms + 36 + 30);
    trace_sort(t);
    trace_expect(t, "[ 31] done F BUSY\n"
                    "[ 31] done H BUSY\n");
    trace_go(t);
    t->text_size = 0;
}

TRACE_TEST_FROM(less_than_a_turn_waits_for_no_other, turns())
{
    trace_step(t);
    trace_batch(t, "a")->op_mean_ns = TRACE_MS;
    uint64_t now_ms = t->now_ns / TRACE_MS;
    submit_by(t, "a", "F", now_ms + 3);
    trace_sort(t);
    assert_int_equal(t->completed, 0);
    trace_batch(t, "a")->op_mean_ns = TRACE_MS * 10 / 4;
    submit_by(t, "a", "G", now_ms + 19); /* but a whole turn for one of each */
    submit_by(t, "a", "H", now_ms + 20);
    trace_sort(t);
    assert_int_equal(t->completed_as[-BATCH_BUSY], 1);
    trace_go(t);
    trace_skip(t);
}

TRACE_TEST_FROM(more_than_there_is_time_is_too_much, turns())
{
    trace_step(t);
    t->core.lap_mean_ns = UINT64_MAX;
    trace_op(t, 'F')->op.start_by_ns = UINT64_MAX - 1;
    trace_submit(t, "a", "F");
    trace_sort(t);
    assert_int_equal(t->completed_as[-BATCH_BUSY], 1);
    trace_go(t); /* and four times as much is not little */
    t->text_size = 0;
}

/* Who has nothing to run any more waits for no turn. */
TRACE_TEST_FROM(a_wait_for_a_turn_that_never_comes_is_not_measured, turns())
{
    assert_ptr_equal(t->core.lap_batch, trace_batch(t, "a"));
    trace_cancel(t, "BCDE");
    trace_sort(t);
    assert_ptr_equal(t->core.lap_batch, NULL);
    trace_go(t);
    t->text_size = 0;
}

/* ---- What the owner is told ----------------------------------------------------------------- */

TRACE_TEST_WITH(how_long_one_would_wait_is_known_by_the_hash, .load_ms = 1,
                .key_ops_waiting_max = 3)
{
    assert_int_equal(batch__core_backlog_ns(&t->core, 0), 0);
    trace_submit(t, "a", "AB");
    trace_hold(t);
    trace_at(t, 1);
    struct batch__batch *batch = trace_batch(t, "a");
    batch->op_mean_ns = 10 * TRACE_MS;
    assert_int_equal(batch__core_backlog_ns(&t->core, batch->hash + 1), 0);
    assert_int_equal(batch__core_backlog_ns(&t->core, batch->hash), 20 * TRACE_MS);
    trace_step(t);
    assert_int_equal(batch__core_backlog_ns(&t->core, batch->hash), 10 * TRACE_MS);
    trace_submit(t, "a", "C");
    assert_int_equal(batch__core_backlog_ns(&t->core, batch->hash), UINT64_MAX);
    trace_go(t);
    t->text_size = 0;
}
