/* Limits and memory: what is refused is completed at once, and what is accepted is never lost. */
#include "trace.h"

/* ---- BUSY ----------------------------------------------------------------------------------- */

TRACE_TEST_WITH(more_operations_than_may_wait_in_all_are_told_busy, .ops_waiting_max = 2,
                .load_ms = 1)
{
    trace_submit(t, "a", "A");
    trace_submit(t, "b", "B");
    trace_submit(t, "a", "C");
    trace_submit(t, "c", "D");
    assert_int_equal(t->core.table.count, 2);
    trace_at(t, 100);
    trace_submit(t, "c", "E"); /* A and B have run, but are not completed */
    trace_saved(t, "a", BATCH_OK);
    trace_submit(t, "c", "F");
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] done C BUSY\n"
                    "[  0] done D BUSY\n"
                    "[  1] a: run A\n"
                    "[  1] b: run B\n"
                    "[100] a: save, closed by window\n"
                    "[100] b: save, closed by window\n"
                    "[100] done E BUSY\n"
                    "[100] a: done A OK\n"
                    "[100] a: release\n"
                    "[100] c: load\n");
}

TRACE_TEST_WITH(more_operations_than_may_wait_on_one_key_are_told_busy, .key_ops_waiting_max = 2,
                .load_ms = 1, .save_ms = 5)
{
    trace_submit(t, "a", "ABC");
    trace_submit(t, "b", "D");
    trace_at(t, 50);
    trace_submit(t, "a", "E"); /* A and B have run, but are not completed */
    trace_at(t, 105);
    trace_submit(t, "a", "F");
    trace_expect(t, "[  0] a: load\n"
                    "[  0] done C BUSY\n"
                    "[  0] b: load\n"
                    "[  1] a: run A\n"
                    "[  1] a: run B\n"
                    "[  1] b: run D\n"
                    "[ 50] done E BUSY\n"
                    "[100] a: save, closed by window\n"
                    "[100] b: save, closed by window\n"
                    "[105] a: done A B OK\n"
                    "[105] a: release\n"
                    "[105] b: done D OK\n"
                    "[105] b: release\n"
                    "[105] a: load\n");
}

TRACE_TEST_WITH(an_operation_that_is_canceled_makes_room, .ops_waiting_max = 3,
                .key_ops_waiting_max = 2)
{
    trace_submit(t, "a", "ABC");
    trace_cancel(t, "A");
    trace_submit(t, "a", "D");
    trace_expect(t, "[  0] a: load\n"
                    "[  0] done C BUSY\n"
                    "[  0] done A CANCELED\n");
    assert_int_equal(t->core.ops, 2);
}

/* The outcome is known and DONE has not been taken: they are not completed yet. */
TRACE_TEST_WITH(those_who_are_about_to_be_completed_still_count, .key_ops_waiting_max = 2,
                .load_ms = 1)
{
    trace_submit(t, "a", "AB");
    trace_at(t, 100);
    trace_hold(t);
    trace_saved(t, "a", BATCH_OK);
    trace_submit(t, "a", "C");
    trace_go(t);
    assert_int_equal(t->completed_as[-BATCH_BUSY], 1);
    assert_int_equal(t->completed_as[-BATCH_OK], 2);
}

/* ---- Memory --------------------------------------------------------------------------------- */

enum { ROUNDS = 4, KEYS = 100 };

struct keys {
    char names[ROUNDS][KEYS][64];
    struct trace_op ops[ROUNDS][KEYS];
};

/* Many keys at a time, long and short, so that pool, table and long keys all take memory. */
static void submit_to_many_keys(struct trace *t, struct keys *keys)
{
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < KEYS; i++) {
            struct trace_op *op = &keys->ops[round][i];
            char *name = keys->names[round][i];
            const char *tail = i % 3 == 0 ? ", a key too long to be stored in place" : "";
            snprintf(name, sizeof keys->names[round][i], "key %d%s", i, tail);
            *op = (struct trace_op){.verdict = BATCH_CHANGED};
            op->op.key = name;
            op->op.key_size = strlen(name);
            trace_submit_one(t, op);
        }
    }
}

/* Fails the Nth allocation, for every N until none is reached any more. */
static void without_memory(bool fails_from_there)
{
    uint64_t refused_ever = 0, fail_at = 0;
    struct keys *keys = calloc(1, sizeof *keys);
    assert_non_null(keys);
    for (bool is_reached = true; is_reached;) {
        struct trace *t =
            trace_new(&(struct trace_options){.window_ms = 5, .load_ms = 1, .save_ms = 1});
        t->memory.fail_at = ++fail_at;
        t->memory.fails_from_there = fails_from_there;
        submit_to_many_keys(t, keys);
        is_reached = t->memory.taken >= fail_at;
        uint64_t refused = t->completed_as[-BATCH_NO_MEMORY];
        refused_ever += refused;
        if (!is_reached)
            assert_int_equal(refused, 0);
        else if (fails_from_there)
            assert_true(refused > 0);

        t->memory.fail_at = 0; /* memory is there again, and so is everything else */
        trace_skip(t);
        trace_at(t, 10);
        assert_int_equal(t->completed_as[-BATCH_OK], ROUNDS * KEYS - refused);
        trace_submit(t, "this key is also too long to be stored in place", "A");
        trace_at(t, 20);
        assert_int_equal(t->completed_as[-BATCH_OK], ROUNDS * KEYS - refused + 1);
        trace_end(t);
    }
    assert_true(refused_ever > 0);
    assert_true(fail_at > 10);
    free(keys);
}

TEST(when_one_allocation_fails_that_operation_fails_and_nothing_is_lost)
{
    without_memory(false);
}

TEST(when_memory_is_at_its_end_operations_fail_and_nothing_is_lost)
{
    without_memory(true);
}

TRACE_TEST_WITH(an_accepted_operation_needs_no_more_memory, .ops_max = 2, .load_ms = 1,
                .save_ms = 1)
{
    trace_submit(t, "a", "A");
    t->memory.fail_at = 1;
    t->memory.fails_from_there = true;
    trace_submit(t, "a", "BC"); /* its key has a batch: nothing has to be reserved */
    trace_at(t, 300);
    assert_int_equal(t->completed_as[-BATCH_OK], 3);
    assert_int_equal(t->core.table.count, 0);
    trace_submit(t, "a", "D"); /* the pool has an object to give */
    trace_at(t, 600);
    assert_int_equal(t->completed_as[-BATCH_OK], 4);
}

TRACE_TEST_WITH(memory_grows_with_the_keys_that_have_work_at_one_time_and_not_with_all_keys,
                .window_ms = 1, .load_ms = 1, .save_ms = 1)
{
    uint64_t taken = 0;
    for (uint64_t i = 0; i < 2000; i++) {
        char key[16];
        snprintf(key, sizeof key, "key %u", (unsigned)i);
        struct trace_op op = {.verdict = BATCH_CHANGED};
        op.op.key = key;
        op.op.key_size = strlen(key);
        trace_submit_one(t, &op);
        trace_at(t, 10 * (i + 1));
        trace_skip(t);
        assert_false(op.is_submitted);
        if (i == 0)
            taken = t->memory.taken;
    }
    assert_int_equal(t->memory.taken, taken);
}

/* What an owner may ask of a core. */
TRACE_TEST_WITH(questions_to_a_core, .start_ns = 7, .ops_waiting_max = 2, .cache_max = 1)
{
    assert_true(batch__core_is_idle(&t->core));
    assert_false(batch__core_is_full(&t->core));
    assert_false(batch__core_has_due(&t->core));
    trace_submit(t, "a", "A");
    assert_false(batch__core_is_idle(&t->core));
    assert_false(batch__core_is_full(&t->core));
    assert_true(batch__core_has_due(&t->core));
    assert_int_equal(batch__core_now_ns(&t->core), 7);
    trace_submit(t, "a", "B");
    assert_true(batch__core_is_full(&t->core));
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 100);
    assert_false(batch__core_has_due(&t->core));
    assert_int_equal(batch__core_now_ns(&t->core), 100 * TRACE_MS + 7);
    trace_saved(t, "a", BATCH_OK);
    assert_false(batch__core_is_idle(&t->core)); /* the resource is cached */
    assert_false(batch__core_is_full(&t->core));
    trace_stop(t);
    assert_true(batch__core_is_idle(&t->core));
    trace_hold(t);
    trace_submit(t, "a", "C");
    assert_false(batch__core_is_idle(&t->core)); /* it is refused, and not completed yet */
    trace_go(t);
    assert_true(batch__core_is_idle(&t->core));
}
