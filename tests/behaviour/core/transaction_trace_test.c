/* Transactions: when one runs, what it ties together, and what becomes of all of it. */
#include "trace.h"

/* ---- When it runs --------------------------------------------------------------------------- */

TRACE_TEST_FROM(it_runs_when_all_its_keys_are_loaded_and_completes_when_all_are_saved,
                trace_transacting(NULL))
{
    trace_at(t, 5);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "");
    trace_at(t, 10);
    trace_loaded(t, "b", BATCH_OK);
    trace_at(t, 100);
    trace_saved(t, "b", BATCH_OK);
    trace_expect(t, "[ 10] run T on a b\n"
                    "[100] a b: save, closed by window\n");
    trace_at(t, 110);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[110] a: done T OK\n"
                    "[110] a: release\n"
                    "[110] b: done T OK\n"
                    "[110] complete T OK\n"
                    "[110] b: release\n");
}

TRACE_TEST_FROM(what_comes_later_does_not_overtake_it, trace_transacting(NULL))
{
    trace_submit(t, "a", "A");
    trace_submit(t, "b", "B");
    trace_loaded(t, "a", BATCH_OK);
    trace_submit(t, "a", "C");
    trace_expect(t, "");
    trace_loaded(t, "b", BATCH_OK);
    trace_expect(t, "[  0] run T on a b\n"
                    "[  0] b: run B\n"
                    "[  0] a: run A\n"
                    "[  0] a: run C\n");
}

/* Nobody who ran waits for the load of another key longer than his window. */
TRACE_TEST(a_key_that_waits_for_another_saves_what_ran_and_then_stays_open)
{
    trace_submit(t, "a", "A");
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 10);
    trace_transact(t, 'T', "a b");
    trace_submit(t, "a", "B");
    trace_at(t, 110);
    trace_saved(t, "a", BATCH_OK);
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 900);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] a: run A\n"
                    "[ 10] b: load\n"
                    "[100] a: save, closed by window\n"
                    "[110] a: done A OK\n"
                    "[110] a: release\n"
                    "[110] a: load\n");
    trace_loaded(t, "b", BATCH_OK);
    trace_expect(t, "[900] run T on a b\n"
                    "[900] a: run B\n"
                    "[900] a b: save, closed by window\n");
}

TRACE_TEST(transactions_on_the_same_keys_run_in_their_order)
{
    trace_transact(t, 'S', "a b");
    trace_transact(t, 'T', "b c");
    trace_transact(t, 'U', "c a");
    trace_loaded(t, "c a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] c: load\n");
    trace_loaded(t, "b", BATCH_OK);
    trace_at(t, 100);
    trace_expect(t, "[  0] run S on a b\n"
                    "[  0] run T on b c\n"
                    "[  0] run U on c a\n"
                    "[100] a c b: save, closed by window\n");
}

TRACE_TEST(a_transaction_on_one_key_ties_nothing)
{
    trace_transact(t, 'T', "a");
    trace_submit(t, "a", "A");
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 100);
    trace_saved(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] run T on a\n"
                    "[  0] a: run A\n"
                    "[100] a: save, closed by window\n"
                    "[100] a: done T A OK\n"
                    "[100] complete T OK\n"
                    "[100] a: release\n");
}

/* ---- What is saved -------------------------------------------------------------------------- */

TRACE_TEST(a_key_that_was_only_read_is_checked)
{
    trace_transaction(t, 'T')->unchanged = "b";
    trace_transact(t, 'T', "a b");
    trace_loaded(t, "a b", BATCH_OK);
    trace_at(t, 100);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] run T on a b\n"
                    "[100] a b?: save, closed by window\n");
}

TRACE_TEST(what_was_read_together_is_checked_together)
{
    trace_transaction(t, 'T')->unchanged = "ab";
    trace_transact(t, 'T', "a b");
    trace_loaded(t, "a b", BATCH_OK);
    trace_at(t, 100);
    trace_saved(t, "a b", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] run T on a b\n"
                    "[100] a? b?: save, closed by window\n"
                    "[100] b: done T OK\n"
                    "[100] b: release\n"
                    "[100] a: done T OK\n"
                    "[100] complete T OK\n"
                    "[100] a: release\n");
}

TRACE_TEST(a_unit_closes_with_the_first_of_its_windows)
{
    trace_submit(t, "a", "A");
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 60);
    trace_transact(t, 'T', "a b");
    trace_loaded(t, "b", BATCH_OK);
    trace_at(t, 90);
    trace_submit(t, "b", "B");
    trace_at(t, 100);
    trace_submit(t, "b", "C");
    trace_expect(t, "[  0] a: load\n"
                    "[  0] a: run A\n"
                    "[ 60] b: load\n"
                    "[ 60] run T on a b\n"
                    "[ 90] b: run B\n"
                    "[100] a b: save, closed by window\n");
}

/* Those who waited for the load of b all run before a, whose window has ended, closes with it. */
TRACE_TEST(a_unit_does_not_close_while_operations_join)
{
    trace_transact(t, 'S', "a b");
    trace_transact(t, 'T', "a c");
    trace_transact(t, 'U', "a d");
    trace_submit(t, "b", "B");
    trace_loaded(t, "b c d", BATCH_OK);
    trace_at(t, 150);
    trace_loaded(t, "a", BATCH_OK);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] c: load\n"
                    "[  0] d: load\n"
                    "[150] run S on a b\n"
                    "[150] run T on a c\n"
                    "[150] run U on a d\n"
                    "[150] b: run B\n"
                    "[150] b a d c: save, closed by window\n");
}

TRACE_TEST_WITH(a_unit_that_would_be_too_large_closes_first, .unit_max = 3)
{
    trace_transact(t, 'S', "a b");
    trace_transact(t, 'T', "c d");
    trace_loaded(t, "a b c d", BATCH_OK);
    trace_at(t, 10);
    trace_transact(t, 'U', "b c");
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] c: load\n"
                    "[  0] d: load\n"
                    "[  0] run S on a b\n"
                    "[  0] run T on c d\n"
                    "[ 10] a b: save, closed by size\n");
    trace_saved(t, "a b", BATCH_OK);
    trace_loaded(t, "b", BATCH_OK);
    trace_expect(t, "[ 10] b: done S OK\n"
                    "[ 10] b: release\n"
                    "[ 10] a: done S OK\n"
                    "[ 10] complete S OK\n"
                    "[ 10] a: release\n"
                    "[ 10] b: load\n"
                    "[ 10] run U on b c\n");
}

TRACE_TEST_FROM(one_transaction_alone_may_have_more_keys,
                trace_transacting(&(struct trace_options){.unit_max = 1}))
{
    trace_loaded(t, "a b", BATCH_OK);
    trace_transact(t, 'U', "b a");
    trace_expect(t, "[  0] run T on a b\n"
                    "[  0] run U on b a\n");
}

TRACE_TEST_FROM(a_full_batch_closes_its_unit,
                trace_transacting(&(struct trace_options){.ops_max = 2}))
{
    trace_loaded(t, "a b", BATCH_OK);
    trace_hold(t);
    trace_submit(t, "a", "A");
    trace_transact(t, 'U', "a b");
    trace_go(t);
    trace_expect(t, "[  0] run T on a b\n"
                    "[  0] a: run A\n"
                    "[  0] a b: save, closed by size\n");
}

/* ---- Leaving -------------------------------------------------------------------------------- */

TRACE_TEST_FROM(it_is_canceled_on_all_its_keys_at_once, trace_transacting(NULL))
{
    trace_submit(t, "a", "A");
    trace_cancel_transaction(t, 'T');
    trace_loaded(t, "b a", BATCH_OK);
    trace_expect(t, "[  0] done T CANCELED\n"
                    "[  0] done T CANCELED\n"
                    "[  0] complete T CANCELED\n"
                    "[  0] b: release\n"
                    "[  0] a: run A\n");
}

TRACE_TEST_FROM(it_is_canceled_while_an_open_key_waits_for_another, trace_transacting(NULL))
{
    trace_submit(t, "a", "A");
    trace_loaded(t, "a", BATCH_OK);
    trace_cancel_transaction(t, 'T');
    trace_expect(t, "[  0] done T CANCELED\n"
                    "[  0] done T CANCELED\n"
                    "[  0] complete T CANCELED\n"
                    "[  0] a: run A\n");
    trace_at(t, 99);
    trace_expect(t, "");
    trace_at(t, 100);
    trace_expect(t, "[100] a: save, closed by window\n");
}

TRACE_TEST_FROM(nobody_is_left_on_a_key_that_is_open, trace_transacting(NULL))
{
    trace_loaded(t, "a", BATCH_OK);
    trace_cancel_transaction(t, 'T');
    trace_expect(t, "[  0] a: release\n"
                    "[  0] done T CANCELED\n"
                    "[  0] done T CANCELED\n"
                    "[  0] complete T CANCELED\n");
}

TRACE_TEST(it_expires_on_all_its_keys_at_once)
{
    trace_transaction(t, 'T')->transaction.start_by_ns = 20 * TRACE_MS;
    trace_transact(t, 'T', "a b");
    trace_at(t, 10);
    trace_loaded(t, "a", BATCH_OK);
    trace_at(t, 50);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[ 20] a: release\n"
                    "[ 20] done T EXPIRED\n"
                    "[ 20] done T EXPIRED\n"
                    "[ 20] complete T EXPIRED\n");
}

TRACE_TEST(a_load_that_fails_takes_it_from_its_other_keys)
{
    trace_submit(t, "b", "B");
    trace_loaded(t, "b", BATCH_OK);
    trace_transact(t, 'T', "a b c");
    trace_submit(t, "b", "C");
    trace_at(t, 10);
    trace_loaded(t, "a", BATCH_LOAD_FAILED);
    trace_at(t, 20);
    trace_expect(t, "[  0] b: load\n"
                    "[  0] b: run B\n"
                    "[  0] a: load\n"
                    "[  0] c: load\n"
                    "[ 10] a: done T LOAD_FAILED\n"
                    "[ 10] done T LOAD_FAILED\n"
                    "[ 10] b: run C\n"
                    "[ 10] done T LOAD_FAILED\n"
                    "[ 10] complete T LOAD_FAILED\n");
}

TRACE_TEST(canceled_before_it_is_taken_it_waits_nowhere)
{
    trace_transaction(t, 'T')->transaction.private_canceled = 1;
    trace_transact(t, 'T', "a b");
    trace_expect(t, "[  0] done T CANCELED\n"
                    "[  0] done T CANCELED\n"
                    "[  0] complete T CANCELED\n");
}

TRACE_TEST(without_memory_for_one_key_it_opens_none)
{
    trace_submit(t, "a", "A");
    while (t->core.pool.free->todo_next != NULL) /* one is left */
        t->core.pool.free = t->core.pool.free->todo_next;
    allocator_refuse(&t->memory, true);
    trace_transact(t, 'T', "a b c");
    allocator_refuse(&t->memory, false);
    trace_expect(t, "[  0] a: load\n"
                    "[  0] done T NO_MEMORY\n"
                    "[  0] done T NO_MEMORY\n"
                    "[  0] done T NO_MEMORY\n"
                    "[  0] complete T NO_MEMORY\n");
}

/* Nor does it close one that others have opened. */
TRACE_TEST(without_memory_those_who_came_before_stay)
{
    trace_submit(t, "z", "Z");                              /* the pool has memory */
    while (t->core.pool.free->todo_next->todo_next != NULL) /* two are left */
        t->core.pool.free = t->core.pool.free->todo_next;
    trace_hold(t);
    trace_submit(t, "a", "A");
    allocator_refuse(&t->memory, true);
    trace_transact(t, 'T', "a b c");
    allocator_refuse(&t->memory, false);
    trace_go(t);
    trace_expect(t, "[  0] z: load\n"
                    "[  0] a: load\n"
                    "[  0] done T NO_MEMORY\n"
                    "[  0] done T NO_MEMORY\n"
                    "[  0] done T NO_MEMORY\n"
                    "[  0] complete T NO_MEMORY\n");
}

TRACE_TEST_WITH(each_key_counts_against_the_limits, .ops_waiting_max = 3, .key_ops_waiting_max = 2)
{
    trace_transact(t, 'S', "a b");
    trace_transact(t, 'T', "a b");
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n"
                    "[  0] done T BUSY\n"
                    "[  0] done T BUSY\n"
                    "[  0] complete T BUSY\n");
    trace_submit(t, "a", "A");
    trace_expect(t, "");
    trace_cancel_transaction(t, 'S');
    trace_submit(t, "a", "B");
    trace_skip(t);
    trace_transact(t, 'U', "a");
    trace_expect(t, "[  0] done U BUSY\n"
                    "[  0] complete U BUSY\n");
}

TRACE_TEST_WITH(a_transaction_larger_than_the_limit_is_busy, .ops_waiting_max = 1)
{
    trace_transact(t, 'T', "a b");
    trace_expect(t, "[  0] done T BUSY\n"
                    "[  0] done T BUSY\n"
                    "[  0] complete T BUSY\n");
}

TRACE_TEST_FROM(stop_waits_until_it_has_run, trace_transacting(NULL))
{
    trace_loaded(t, "a", BATCH_OK);
    trace_stop(t);
    trace_loaded(t, "b", BATCH_OK);
    trace_saved(t, "a b", BATCH_OK);
    trace_transact(t, 'U', "a b");
    trace_expect(t, "[  0] run T on a b\n"
                    "[  0] a b: save, closed by stop\n"
                    "[  0] b: done T OK\n"
                    "[  0] b: release\n"
                    "[  0] a: done T OK\n"
                    "[  0] complete T OK\n"
                    "[  0] a: release\n"
                    "[  0] done U STOPPED\n"
                    "[  0] done U STOPPED\n"
                    "[  0] complete U STOPPED\n");
}

TRACE_TEST_FROM(a_load_that_fails_wakes_the_keys_that_waited_for_it, trace_transacting(NULL))
{
    trace_loaded(t, "a", BATCH_OK);
    trace_loaded(t, "b", BATCH_LOAD_FAILED);
    trace_expect(t, "[  0] b: done T LOAD_FAILED\n"
                    "[  0] a: release\n"
                    "[  0] done T LOAD_FAILED\n"
                    "[  0] complete T LOAD_FAILED\n");
}

TRACE_TEST_FROM(it_can_be_submitted_again_after_it_failed, trace_transacting(NULL))
{
    trace_cancel_transaction(t, 'T');
    trace_transaction(t, 'T')->transaction.private_canceled = 0;
    trace_transact(t, 'T', "a b");
    trace_loaded(t, "a b", BATCH_OK);
    trace_expect(t, "[  0] done T CANCELED\n"
                    "[  0] done T CANCELED\n"
                    "[  0] complete T CANCELED\n"
                    "[  0] run T on a b\n");
}
