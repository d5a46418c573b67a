/* Keys that take no more operations for now, as submitters see them. */
#include "runtime/doors.h"
#include "trace.h"

#include "platform/platform.h"

struct fixture {
    struct trace *t;
    struct batch__doors doors;
};

/* On one key two operations wait, of 10 ms each, and the limit is four. */
static void begin(struct fixture *f)
{
    memset(f, 0, sizeof *f);
    f->t = trace_new(&(struct trace_options){.load_ms = 1, .key_ops_waiting_max = 4});
    trace_submit(f->t, "a", "AB");
    trace_hold(f->t);
    trace_at(f->t, 1);
    trace_batch(f->t, "a")->op_mean_ns = 10 * TRACE_MS;
}

static void end(struct fixture *f)
{
    trace_go(f->t);
    f->t->text_size = 0;
    f->t->text[0] = '\0';
    trace_end(f->t);
}

#define DOORS_TEST(name) TEST_OF(name, struct fixture, f, begin, end)

static uint32_t hash_of(const struct fixture *f)
{
    return trace_batch(f->t, "a")->hash;
}

static uint64_t door(const struct fixture *f)
{
    return batch__door_of(&f->doors, hash_of(f));
}

static void shut(struct fixture *f)
{
    batch__doors_shut(&f->doors, &f->t->core, hash_of(f));
}

static void update(struct fixture *f)
{
    batch__doors_update(&f->doors, &f->t->core);
}

DOORS_TEST(a_key_is_shut_until_less_than_half_waits)
{
    assert_int_equal(door(f), 0);
    shut(f);
    assert_int_equal(door(f), (uint64_t)hash_of(f) << 32 | 20000);
    trace_submit(f->t, "a", "C");
    shut(f); /* it is shut already; what it says becomes true at the end of the iteration */
    assert_int_equal(door(f) & UINT32_MAX, 20000);
    update(f);
    assert_int_equal(door(f) & UINT32_MAX, 30000);
    trace_step(f->t);
    trace_step(f->t);
    assert_int_equal(f->doors.shut, 1);
    update(f);
    assert_int_equal(door(f), 0);
    assert_int_equal(f->doors.shut, 0);
}

DOORS_TEST(one_that_takes_no_more_opens_when_it_does)
{
    trace_submit(f->t, "a", "CD");
    shut(f);
    assert_int_equal(door(f) & UINT32_MAX, UINT32_MAX);
    assert_true(batch__doors_refuse(door(f), &(batch_op){.start_by_ns = UINT64_MAX}, UINT64_MAX));
    update(f);
    assert_int_equal(door(f) & UINT32_MAX, UINT32_MAX);
    trace_cancel(f->t, "D");
    update(f);
    assert_int_equal(door(f), 0);
}

DOORS_TEST(a_key_that_has_no_work_any_more_is_open)
{
    shut(f);
    trace_go(f->t);
    trace_at(f->t, 1000);
    trace_saved(f->t, "a", BATCH_OK);
    update(f);
    assert_int_equal(f->doors.shut, 0);
}

/* As when the limit of all operations is reached. */
DOORS_TEST(a_key_without_others_is_not_shut)
{
    batch__doors_shut(&f->doors, &f->t->core, hash_of(f) + 1);
    assert_int_equal(f->doors.shut, 0);
}

DOORS_TEST(keys_of_the_same_door_are_told_apart)
{
    shut(f);
    assert_int_equal(batch__door_of(&f->doors, hash_of(f) + BATCH__DOORS), 0);
    f->doors.xdoors[hash_of(f) % BATCH__DOORS] += (uint64_t)BATCH__DOORS << 32;
    assert_int_equal(door(f), 0);
    shut(f); /* the last has it */
    assert_int_not_equal(door(f), 0);
    assert_int_equal(f->doors.shut, 1);
}

DOORS_TEST(more_than_an_hour_is_not_told_apart)
{
    trace_submit(f->t, "a", "C");
    trace_batch(f->t, "a")->op_mean_ns = UINT32_MAX;
    f->t->core.config.turn_ns = TRACE_MS;
    f->t->core.lap_mean_ns = UINT64_C(1000000000000);
    shut(f);
    assert_int_equal(door(f) & UINT32_MAX, UINT32_MAX - 1);
}

/* ---- Who is refused ------------------------------------------------------------------------- */

/* 15 ms are fifteen sixteenths of 16 ms. */
TEST(one_without_a_limit_may_wait_for_the_deadline_less_a_margin)
{
    batch_op op = {.start_by_ns = 0};
    assert_false(batch__doors_refuse(15000, &op, 16 * TRACE_MS));
    assert_true(batch__doors_refuse(15001, &op, 16 * TRACE_MS));
}

TEST(one_with_a_limit_may_wait_until_then)
{
    uint64_t now_ns = batch__clock_now_ns();
    uint64_t hour_ns = UINT64_C(3600000000000);
    batch_op op = {.start_by_ns = now_ns + hour_ns};
    assert_true(batch__doors_refuse(hour_ns / 1000, &op, UINT64_MAX));
    assert_false(batch__doors_refuse(1000000, &op, 1));
}

/* The worker says EXPIRED. */
TEST(one_that_has_expired_is_not_busy)
{
    batch_op op = {.start_by_ns = 1};
    assert_false(batch__doors_refuse(1000000, &op, UINT64_MAX));
}
