/* How old what was loaded may become. A batch that is too old takes no more operations; and if it
 * changed nothing, it is loaded again and replayed before it completes. Time here is that of a
 * worker that was suspended, or slow. */
#include "trace.h"

/* A has run at 10 ms and changed nothing; the load ended then. */
static struct trace *unchanged(const struct trace_options *options)
{
    struct trace *t = trace_new(options);
    for (char name = 'A'; name <= 'C'; name++)
        trace_op(t, name)->verdict = BATCH_UNCHANGED;
    trace_submit(t, "a", "A");
    trace_at(t, 10);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[ 10] a: run A\n");
    return t;
}

static const struct trace_options two_hundred = {.age_ms = 200};

/* After a pause of 3 s an increment was refused on a state 3 s old. */
TRACE_TEST_FROM(what_was_refused_on_an_old_state_is_checked_on_a_new_one, unchanged(&two_hundred))
{
    trace_late(t, 3000);
    trace_expire(t);
    trace_op(t, 'A')->verdict = BATCH_CHANGED;
    trace_at(t, 3005);
    trace_loaded(t, "a", BATCH_OK);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[3000] a: release\n"
                    "[3000] a: load\n"
                    "[3005] a: run A\n"
                    "[3005] a: save, closed by window\n"
                    "[3005] a: done A OK\n"
                    "[3005] a: release\n");
}

TEST(at_its_age_limit_it_completes_and_a_nanosecond_later_it_does_not)
{
    for (uint64_t more_ns = 0; more_ns < 2; more_ns++) {
        struct trace *t = unchanged(&two_hundred);
        t->now_ns = 210 * TRACE_MS + more_ns;
        trace_expire(t);
        assert_int_equal(t->completed, 1 - more_ns);
        assert_int_equal(t->loads, 1 + more_ns);
        trace_end(t);
    }
}

TRACE_TEST_WITH(it_is_as_old_as_its_load_and_not_as_what_the_worker_knows_of_it, .age_ms = 200,
                .show_records = true)
{
    trace_op(t, 'A')->verdict = BATCH_UNCHANGED;
    trace_submit(t, "a", "A");
    trace_late(t, 2000); /* suspended */
    trace_loaded_at(t, "a", 20);
    trace_expire(t);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[2000] a: run A\n"
                    "[2000] a: release\n"
                    "[2000] a: load\n"
                    "[2000] a: run A\n"
                    "[2000] a: done A OK\n"
                    "[2000] a: record of 1 ops, 0 changed: begun 0, load 2000-2000, "
                    "first wait 2000 ms, closed by window, OK\n"
                    "[2000] a: release\n");
}

/* The time of another clock may be a little ahead, or behind. */
TRACE_TEST(a_load_ends_between_its_beginning_and_now)
{
    trace_at(t, 50);
    trace_submit(t, "a", "A");
    trace_loaded_at(t, "a", 49);
    assert_int_equal(trace_batch(t, "a")->loaded_ns, 50 * TRACE_MS);
    trace_submit(t, "b", "B");
    trace_loaded_at(t, "b", 51);
    assert_int_equal(trace_batch(t, "b")->loaded_ns, 50 * TRACE_MS);
}

TRACE_TEST_FROM(what_changed_is_checked_by_its_save_however_old, unchanged(&two_hundred))
{
    trace_submit(t, "a", "D");
    trace_late(t, 3000);
    trace_expire(t);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[ 10] a: run D\n"
                    "[3000] a: save, closed by window\n"
                    "[3000] a: done A D OK\n"
                    "[3000] a: release\n");
}

/* Or nobody who is slow would ever complete. */
TRACE_TEST_FROM(it_is_loaded_again_once, unchanged(&two_hundred))
{
    trace_op(t, 'A')->takes_ms = 300;
    trace_late(t, 3000);
    trace_expire(t);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[3000] a: release\n"
                    "[3000] a: load\n"
                    "[3000] a: run A\n"
                    "[3300] a: done A OK\n"
                    "[3300] a: release\n");
}

TRACE_TEST_FROM(the_next_batch_of_the_key_may_be_loaded_again_too, unchanged(&two_hundred))
{
    trace_late(t, 3000);
    trace_expire(t);
    trace_submit(t, "a", "B");
    trace_loaded(t, "a a", BATCH_OK);
    trace_late(t, 9000);
    trace_expire(t);
    trace_loaded(t, "a", BATCH_OK);
    assert_int_equal(t->loads, 4);
    assert_int_equal(t->completed_as[BATCH_OK], 2);
}

TRACE_TEST_FROM(those_who_left_are_not_replayed, unchanged(&two_hundred))
{
    trace_late(t, 3000);
    trace_expire(t);
    trace_cancel(t, "A");
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[3000] a: release\n"
                    "[3000] a: load\n"
                    "[3000] done A CANCELED\n"
                    "[3000] a: release\n");
}

/* A conflict is replayed as often as before, and its replay may get too old as well. */
TRACE_TEST_FROM(a_replay_of_a_conflict_is_judged_by_its_own_load,
                unchanged(&(struct trace_options){.age_ms = 200, .replays_max = 1}))
{
    trace_submit(t, "a", "D");
    trace_late(t, 3000);
    trace_expire(t);
    trace_saved(t, "a", BATCH_CONFLICT);
    trace_op(t, 'D')->verdict = BATCH_UNCHANGED;
    trace_late(t, 4000);
    trace_loaded_at(t, "a", 3100);
    trace_expect(t, "[ 10] a: run D\n"
                    "[3000] a: save, closed by window\n"
                    "[3000] a: release\n"
                    "[3000] a: load\n"
                    "[4000] a: run A\n"
                    "[4000] a: run D\n"
                    "[4000] a: release\n"
                    "[4000] a: load\n");
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[4000] a: run A\n"
                    "[4000] a: run D\n"
                    "[4000] a: done A D OK\n"
                    "[4000] a: release\n");
}

/* ---- Who joins ------------------------------------------------------------------------------- */

TRACE_TEST_FROM(a_batch_that_is_too_old_takes_nobody_new,
                unchanged(&(struct trace_options){.age_ms = 200, .window_ms = 200}))
{
    t->core.config.window_ns = 10000 * TRACE_MS; /* so that its age comes first */
    trace_submit(t, "b", "D");
    trace_loaded(t, "b", BATCH_OK);
    trace_late(t, 210);
    trace_submit(t, "b", "E");
    t->now_ns++;
    trace_submit(t, "b", "F");
    trace_expect(t, "[ 10] b: load\n"
                    "[ 10] b: run D\n"
                    "[210] b: run E\n"
                    "[210] b: save, closed by age\n");
    trace_saved(t, "b", BATCH_OK);
    trace_loaded(t, "b", BATCH_OK);
    trace_expect(t, "[210] b: done D E OK\n"
                    "[210] b: release\n"
                    "[210] b: load\n"
                    "[210] b: run F\n");
}

/* They cannot wait for ever for a load that is younger. */
TRACE_TEST_WITH(those_who_waited_for_the_load_join_however_old_it_is, .age_ms = 200,
                .window_ms = 5000)
{
    trace_submit(t, "a", "ABC");
    trace_late(t, 2000);
    trace_loaded_at(t, "a", 20);
    trace_expect(t, "[  0] a: load\n"
                    "[2000] a: run A\n"
                    "[2000] a: run B\n"
                    "[2000] a: run C\n"
                    "[2000] a: save, closed by age\n");
}

TRACE_TEST_FROM(while_nobody_ran_the_first_to_come_joins, trace_new(&two_hundred))
{
    trace_submit(t, "a", "A");
    trace_op(t, 'A')->op.private_canceled = 1;
    trace_late(t, 2000);
    trace_hold(t);
    trace_loaded_at(t, "a", 20);
    trace_submit(t, "a", "B");
    trace_go(t);
    trace_expect(t, "[  0] a: load\n"
                    "[2000] done A CANCELED\n"
                    "[2000] a: run B\n"
                    "[2000] a: save, closed by age\n");
}

/* It is checked in any case: by the save, or on a load. */
TRACE_TEST_WITH(a_cached_resource_has_no_age, .age_ms = 200, .cache_max = 1)
{
    trace_submit(t, "a", "A");
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 100);
    trace_saved(t, "a", BATCH_OK);
    trace_at(t, 9000);
    trace_submit(t, "a", "BC");
    trace_at(t, 9100);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] a: run A\n"
                    "[100] a: save, closed by window\n"
                    "[100] a: done A OK\n"
                    "[9000] a: run B\n"
                    "[9000] a: run C\n"
                    "[9100] a: save, closed by window\n"
                    "[9100] a: done B C OK\n");
}
