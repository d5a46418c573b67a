/* Who is served when: the queue of calls, seen by one thread that plays all sessions in turn. It
 * takes only when there is something for a session, so it never waits. */
#include "random.h"
#include "runtime/io_queue.h"
#include "runtime/shard.h"
#include "test.h"

enum { CALLS_MAX = 64, GROUP_MAX = 32, SESSIONS_MAX = 8 };

struct bench {
    struct batch__io_queue queue;
    struct batch__shard shard; /* of the calls, which look at its clock */
    struct batch_call calls[CALLS_MAX];
    size_t calls_size;
    enum batch__io_kind at[SESSIONS_MAX]; /* what each session is at */
    batch_call *group[CALLS_MAX];
    size_t group_size; /* as the latest session took it */
    unsigned idle;     /* times it was reported */
};

static struct bench *bench_with(uint32_t sessions, uint32_t saves_max)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    assert_true(batch__io_queue_init(&bench->queue, sessions, saves_max));
    batch__store_clock_init(&bench->shard.store_clock, 1000000000, batch__clock_now_ns());
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        bench->at[i] = BATCH__IO_NONE;
    return bench;
}

static struct bench *bench_new(uint32_t sessions)
{
    return bench_with(sessions, 0);
}

static void bench_free(struct bench *bench)
{
    batch__io_queue_destroy(&bench->queue);
    free(bench);
}

/* Queue `count` calls; group_max other than 0 makes them slow. */
static void push(struct bench *bench, enum batch__stage stage, size_t count, uint16_t group_max)
{
    struct batch__calls calls[BATCH__IO_KINDS];
    memset(calls, 0, sizeof calls);
    for (size_t i = 0; i < count; i++) {
        assert_true(bench->calls_size < CALLS_MAX);
        struct batch_call *call = &bench->calls[bench->calls_size++];
        call->stage = (uint8_t)stage;
        call->shard = &bench->shard;
        call->batch.group_max[stage] = group_max;
        batch__calls_push(&calls[batch__io_kind_of(call)], call);
    }
    batch__io_queue_push(&bench->queue, calls);
}

/* Queue the calls of a unit. */
static void push_unit(struct bench *bench, uint16_t size)
{
    struct batch__calls calls[BATCH__IO_KINDS];
    memset(calls, 0, sizeof calls);
    for (uint16_t i = 0; i < size; i++) {
        assert_true(bench->calls_size < CALLS_MAX);
        struct batch_call *call = &bench->calls[bench->calls_size++];
        call->stage = BATCH__STAGE_SAVE;
        call->shard = &bench->shard;
        call->unit = (uint16_t)(size - i);
        batch__calls_push(&calls[BATCH__IO_SAVE], call);
    }
    batch__io_queue_push(&bench->queue, calls);
}

static void loads(struct bench *bench, size_t count)
{
    push(bench, BATCH__STAGE_LOAD, count, 0);
}

static void saves(struct bench *bench, size_t count)
{
    push(bench, BATCH__STAGE_SAVE, count, 0);
}

static void on_idle(void *arg)
{
    struct bench *bench = arg;
    bench->idle++;
}

/* The session is done with what it had, and takes the next group; there is one. What it took. */
static enum batch__io_kind take(struct bench *bench, int session)
{
    bench->group_size = batch__io_queue_take(&bench->queue, &bench->at[session], bench->group,
                                             GROUP_MAX, on_idle, bench);
    assert_true(bench->group_size > 0);
    for (size_t i = 0; i < bench->group_size; i++) {
        assert_int_equal(bench->group[i]->group_index, i);
        assert_int_equal(bench->group[i]->group_size, bench->group_size);
        assert_int_equal(bench->group[i]->stage, bench->group[0]->stage);
        assert_true(bench->group[i]->taken_ns > 0);
    }
    return bench->at[session];
}

/* There is nothing for the session, though calls may wait: it would end if the queue closed. */
static void take_nothing(struct bench *bench, int session)
{
    bool was_closed = bench->queue.is_closed;
    bench->queue.is_closed = true;
    size_t taken = batch__io_queue_take(&bench->queue, &bench->at[session], bench->group, GROUP_MAX,
                                        on_idle, bench);
    bench->queue.is_closed = was_closed;
    assert_int_equal(taken, 0);
    assert_int_equal(bench->at[session], BATCH__IO_NONE);
}

TEST(saves_go_before_loads)
{
    struct bench *bench = bench_new(3);
    loads(bench, 4);
    saves(bench, 5);
    assert_int_equal(bench->queue.xloads, 4);
    assert_int_equal(bench->queue.xsaves, 5);
    assert_int_equal(take(bench, 0), BATCH__IO_SAVE);
    assert_int_equal(bench->group_size, 5);
    assert_int_equal(bench->queue.xsaves, 0);
    assert_int_equal(take(bench, 1), BATCH__IO_LOAD);
    assert_int_equal(bench->group_size, 4);
    assert_int_equal(bench->queue.xloads, 0);
    bench_free(bench);
}

TEST(loads_leave_one_session_to_saves)
{
    struct bench *bench = bench_new(3);
    for (int session = 0; session < 2; session++) {
        loads(bench, 1);
        assert_int_equal(take(bench, session), BATCH__IO_LOAD);
    }
    loads(bench, 1);
    take_nothing(bench, 2);
    saves(bench, 1);
    assert_int_equal(take(bench, 2), BATCH__IO_SAVE);
    assert_int_equal(take(bench, 0), BATCH__IO_LOAD); /* its own load has ended */
    bench_free(bench);
}

TEST(saves_leave_one_session_to_loads)
{
    for (uint32_t sessions = 2; sessions <= SESSIONS_MAX; sessions++) {
        struct bench *bench = bench_new(sessions);
        int last = (int)sessions - 1;
        for (int session = 0; session < last; session++) {
            saves(bench, 1);
            assert_int_equal(take(bench, session), BATCH__IO_SAVE);
        }
        saves(bench, 1);
        take_nothing(bench, last);
        loads(bench, 1);
        assert_int_equal(take(bench, last), BATCH__IO_LOAD);
        assert_int_equal(take(bench, 0), BATCH__IO_SAVE); /* its own save has ended */
        bench_free(bench);
    }
}

/* A store with one writer: what comes while it saves is one group. */
TEST(saves_gather_behind_as_many_as_are_of_use)
{
    struct bench *bench = bench_with(4, 1);
    saves(bench, 1);
    assert_int_equal(take(bench, 0), BATCH__IO_SAVE);
    saves(bench, 2);
    push(bench, BATCH__STAGE_SAVE, 1, 1);
    take_nothing(bench, 1);
    saves(bench, 3);
    for (int session = 1; session < 4; session++) {
        loads(bench, 1);
        assert_int_equal(take(bench, session), BATCH__IO_LOAD);
    }
    assert_int_equal(take(bench, 0), BATCH__IO_SLOW_SAVE); /* alternating, as there is one */
    assert_int_equal(take(bench, 0), BATCH__IO_SAVE);
    assert_int_equal(bench->group_size, 5);
    bench_free(bench);
}

TEST(a_limit_on_saves_above_what_there_is_changes_nothing)
{
    struct bench *bench = bench_with(2, 5);
    saves(bench, 1);
    assert_int_equal(take(bench, 0), BATCH__IO_SAVE);
    saves(bench, 1);
    take_nothing(bench, 1);
    bench_free(bench);
    bench = bench_with(1, 5);
    saves(bench, 1);
    assert_int_equal(take(bench, 0), BATCH__IO_SAVE);
    bench_free(bench);
}

TEST(a_single_session_does_everything)
{
    struct bench *bench = bench_new(1);
    loads(bench, 1);
    push(bench, BATCH__STAGE_LOAD, 1, 1);
    saves(bench, 1);
    assert_int_equal(take(bench, 0), BATCH__IO_SLOW_LOAD);
    assert_int_equal(take(bench, 0), BATCH__IO_SAVE);
    assert_int_equal(take(bench, 0), BATCH__IO_LOAD);
    bench_free(bench);
}

/* ---- Slow calls ------------------------------------------------------------------------------ */

/* With two sessions each stage has one. */
TEST(slow_calls_and_others_alternate)
{
    for (uint32_t sessions = 1; sessions <= 2; sessions++) {
        struct bench *bench = bench_new(sessions);
        push(bench, BATCH__STAGE_LOAD, 5, 1);
        for (int round = 0; round < 3; round++) {
            loads(bench, 2);
            assert_int_equal(take(bench, 0), BATCH__IO_SLOW_LOAD);
            assert_int_equal(bench->group_size, 1);
            assert_int_equal(take(bench, 0), BATCH__IO_LOAD);
            assert_int_equal(bench->group_size, 2);
        }
        assert_int_equal(take(bench, 0), BATCH__IO_SLOW_LOAD);
        assert_int_equal(take(bench, 0), BATCH__IO_SLOW_LOAD); /* there is nothing else to do */
        bench_free(bench);
    }
}

/* Neither slow saves nor slow loads keep a single session from anything else. */
TEST(a_single_session_serves_every_kind_in_turn)
{
    struct bench *bench = bench_new(1);
    push(bench, BATCH__STAGE_SAVE, 3, 1);
    push(bench, BATCH__STAGE_LOAD, 3, 1);
    for (int round = 0; round < 3; round++) {
        loads(bench, 1);
        assert_int_equal(take(bench, 0), BATCH__IO_SLOW_SAVE);
        assert_int_equal(take(bench, 0), BATCH__IO_LOAD);
        saves(bench, 1);
        assert_int_equal(take(bench, 0), BATCH__IO_SLOW_LOAD);
        assert_int_equal(take(bench, 0), BATCH__IO_SAVE);
    }
    bench_free(bench);
}

/* What one session saves meanwhile is no turn of the other one's loads. */
TEST(each_stage_has_its_own_turns)
{
    struct bench *bench = bench_new(2);
    push(bench, BATCH__STAGE_LOAD, 2, 1);
    loads(bench, 1);
    assert_int_equal(take(bench, 0), BATCH__IO_SLOW_LOAD);
    saves(bench, 1);
    assert_int_equal(take(bench, 1), BATCH__IO_SAVE);
    assert_int_equal(take(bench, 0), BATCH__IO_LOAD);
    assert_int_equal(take(bench, 0), BATCH__IO_SLOW_LOAD);
    bench_free(bench);
}

TEST(of_three_sessions_one_is_at_slow_calls)
{
    struct bench *bench = bench_new(3);
    push(bench, BATCH__STAGE_SAVE, 2, 1);
    push(bench, BATCH__STAGE_LOAD, 1, 1);
    loads(bench, 1);
    assert_int_equal(take(bench, 0), BATCH__IO_SLOW_SAVE);
    assert_int_equal(take(bench, 1), BATCH__IO_LOAD);
    loads(bench, 1);
    take_nothing(bench, 2); /* it is for saves */
    saves(bench, 1);
    assert_int_equal(take(bench, 2), BATCH__IO_SAVE);
    saves(bench, 1);
    assert_int_equal(take(bench, 1), BATCH__IO_LOAD);      /* which is for loads */
    assert_int_equal(take(bench, 0), BATCH__IO_SLOW_LOAD); /* the next one, its own has ended */
    bench_free(bench);
}

/* Beside a slow save and a slow load there is one session for other saves and one for other loads,
 * whichever of them comes first. */
TEST(of_four_sessions_two_are_at_slow_calls)
{
    for (int is_load_first = 0; is_load_first < 2; is_load_first++) {
        struct bench *bench = bench_new(4);
        push(bench, BATCH__STAGE_SAVE, 2, 1);
        push(bench, BATCH__STAGE_LOAD, 2, 1);
        assert_int_equal(take(bench, 0), BATCH__IO_SLOW_SAVE);
        assert_int_equal(take(bench, 1), BATCH__IO_SLOW_LOAD);
        take_nothing(bench, 2);
        push(bench, is_load_first ? BATCH__STAGE_LOAD : BATCH__STAGE_SAVE, 1, 0);
        assert_int_equal(take(bench, 2), is_load_first ? BATCH__IO_LOAD : BATCH__IO_SAVE);
        push(bench, is_load_first ? BATCH__STAGE_LOAD : BATCH__STAGE_SAVE, 1, 0);
        take_nothing(bench, 3);
        push(bench, is_load_first ? BATCH__STAGE_SAVE : BATCH__STAGE_LOAD, 1, 0);
        assert_int_equal(take(bench, 3), is_load_first ? BATCH__IO_SAVE : BATCH__IO_LOAD);
        bench_free(bench);
    }
}

TEST(of_many_sessions_a_quarter_is_at_slow_calls)
{
    struct bench *bench = bench_new(8);
    push(bench, BATCH__STAGE_SAVE, 3, 1);
    assert_int_equal(take(bench, 0), BATCH__IO_SLOW_SAVE);
    assert_int_equal(take(bench, 1), BATCH__IO_SLOW_SAVE);
    take_nothing(bench, 2);
    bench_free(bench);
}

/* Saves that hang in all sessions that they may have: a slow load waits for them rather than take
 * the last one, where it might hang too. */
TEST(a_slow_load_does_not_take_the_session_that_loads_have)
{
    struct bench *bench = bench_new(4);
    for (int session = 0; session < 3; session++) {
        saves(bench, 1);
        assert_int_equal(take(bench, session), BATCH__IO_SAVE);
    }
    push(bench, BATCH__STAGE_LOAD, 1, 1);
    take_nothing(bench, 3);
    loads(bench, 1);
    assert_int_equal(take(bench, 3), BATCH__IO_LOAD);
    assert_int_equal(take(bench, 0), BATCH__IO_SLOW_LOAD);
    bench_free(bench);
}

TEST(slow_calls_go_with_no_more_than_they_may)
{
    struct bench *bench = bench_new(3);
    push(bench, BATCH__STAGE_SAVE, 5, 4);
    push(bench, BATCH__STAGE_SAVE, 1, 1);
    push(bench, BATCH__STAGE_SAVE, 2, 4);
    push(bench, BATCH__STAGE_LOAD, 2, 4);
    assert_int_equal(bench->queue.xsaves, 8);
    assert_int_equal(bench->queue.xloads, 2);
    static const size_t save_sizes[] = {4, 1, 1, 2};
    size_t saved = 0;
    for (int i = 0; i < 5; i++) {
        if (take(bench, 0) == BATCH__IO_SLOW_LOAD)
            assert_int_equal(bench->group_size, 2);
        else
            assert_int_equal(bench->group_size, save_sizes[saved++]);
    }
    assert_int_equal(saved, 4);
    assert_int_equal(bench->queue.xsaves, 0);
    assert_int_equal(bench->queue.xloads, 0);
    bench_free(bench);
}

/* Whatever comes, and hangs: there is a session left for a quick load and one for a quick save, or
 * such a one is in it. */
TEST(no_stage_waits_for_the_other)
{
    for (unsigned seed = 0; seed < 20000; seed++) {
        uint32_t sessions = 2 + seed % 4;
        struct bench *bench = bench_with(sessions, seed / 4 % 3);
        struct random random = {seed};
        uint32_t at_work[BATCH__IO_KINDS] = {0};
        for (uint32_t session = 0; session < sessions; session++) {
            push(bench, random_below(&random, 2) ? BATCH__STAGE_SAVE : BATCH__STAGE_LOAD, 1,
                 random_below(&random, 2) ? 1 : 0);
            enum batch__io_kind kind = BATCH__IO_NONE;
            bench->queue.is_closed = true;
            size_t taken =
                batch__io_queue_take(&bench->queue, &kind, bench->group, GROUP_MAX, NULL, NULL);
            bench->queue.is_closed = false;
            if (taken > 0)
                at_work[kind]++;
            else
                session--; /* it waits; something else has come */
            if (bench->calls_size == CALLS_MAX)
                break;
        }
        uint32_t slow_loads = at_work[BATCH__IO_SLOW_LOAD];
        uint32_t slow_saves = at_work[BATCH__IO_SLOW_SAVE];
        uint32_t loads = at_work[BATCH__IO_LOAD] + slow_loads;
        uint32_t saves = at_work[BATCH__IO_SAVE] + slow_saves;
        assert_true(saves <= bench->queue.saves_max && saves < sessions && loads < sessions);
        if (sessions > 2) {
            assert_true(saves + slow_loads < sessions);
            if (bench->queue.saves_max > 1) {
                assert_true(loads + slow_saves < sessions);
                assert_true(sessions > 3 || slow_loads + slow_saves <= 1);
            }
        }
        bench_free(bench);
    }
}

/* ---- Natural batching ------------------------------------------------------------------------ */

/* A session that may only save is idle, whatever else waits. */
TEST(a_queue_is_idle_if_a_save_would_be_taken_at_once)
{
    struct bench *bench = bench_new(2);
    loads(bench, 1);
    assert_int_equal(take(bench, 0), BATCH__IO_LOAD);
    loads(bench, 1);
    assert_int_equal(batch__io_queue_idle(&bench->queue), BATCH__IO_BUSY);
    bench->queue.idle = 1; /* session 1 waits, and may not take the load */
    assert_int_equal(take(bench, 0), BATCH__IO_LOAD);
    loads(bench, 1);
    assert_int_equal(batch__io_queue_idle(&bench->queue),
                     BATCH__IO_BUSY); /* until a session asks */
    assert_int_equal(take(bench, 0), BATCH__IO_LOAD);
    assert_int_equal(bench->idle, 2);
    assert_int_equal(batch__io_queue_idle(&bench->queue), BATCH__IO_MAY_SAVE);
    saves(bench, 1);
    assert_int_equal(batch__io_queue_idle(&bench->queue), BATCH__IO_BUSY);
    bench_free(bench);
}

/* With nobody to take its save, a batch had better stay open; but not what was only read. */
TEST(a_queue_is_idle_for_reads_while_a_save_would_wait)
{
    struct bench *bench = bench_with(3, 1);
    loads(bench, 1);
    assert_int_equal(take(bench, 2), BATCH__IO_LOAD);
    saves(bench, 1);
    assert_int_equal(take(bench, 0), BATCH__IO_SAVE);
    bench->queue.idle = 1; /* session 1 waits */
    loads(bench, 1);
    assert_int_equal(take(bench, 2), BATCH__IO_LOAD);
    assert_int_equal(batch__io_queue_idle(&bench->queue), BATCH__IO_MAY_LOAD);
    assert_int_equal(bench->idle, 1);
    loads(bench, 1);
    assert_int_equal(take(bench, 0), BATCH__IO_LOAD); /* its save has ended */
    bench->queue.idle = 1;
    assert_int_equal(batch__io_queue_idle(&bench->queue), BATCH__IO_MAY_SAVE);
    assert_int_equal(bench->idle, 2);
    bench_free(bench);
}

/* One group ahead, when more keys than one commit can take have something to save. */
TEST(behind_a_full_group_the_next_one_is_prepared)
{
    struct bench *bench = bench_with(3, 1);
    loads(bench, 1);
    assert_int_equal(take(bench, 2), BATCH__IO_LOAD);
    saves(bench, GROUP_MAX);
    assert_int_equal(take(bench, 0), BATCH__IO_SAVE);
    bench->queue.idle = 1; /* session 1 waits */
    loads(bench, 1);
    assert_int_equal(take(bench, 2), BATCH__IO_LOAD);
    assert_int_equal(batch__io_queue_idle(&bench->queue), BATCH__IO_MAY_SAVE);
    saves(bench, 1);
    loads(bench, 1);
    assert_int_equal(take(bench, 2), BATCH__IO_LOAD);
    assert_int_equal(batch__io_queue_idle(&bench->queue), BATCH__IO_MAY_LOAD); /* one is enough */
    assert_int_equal(take(bench, 0), BATCH__IO_SAVE);
    assert_int_equal(bench->group_size, 1);
    bench->queue.idle = 1;
    loads(bench, 1);
    assert_int_equal(take(bench, 2), BATCH__IO_LOAD);
    assert_int_equal(batch__io_queue_idle(&bench->queue), BATCH__IO_MAY_LOAD); /* it is not full */
    bench_free(bench);
}

TEST(a_closed_queue_gives_what_is_there_and_then_nothing)
{
    struct bench *bench = bench_new(2);
    saves(bench, 1);
    batch__io_queue_close(&bench->queue);
    assert_int_equal(take(bench, 0), BATCH__IO_SAVE);
    take_nothing(bench, 0);
    take_nothing(bench, 1);
    bench_free(bench);
}

/* ---- Units ---------------------------------------------------------------------------------- */

static size_t take_up_to(struct bench *bench, size_t calls_max)
{
    return batch__io_queue_take(&bench->queue, &bench->at[0], bench->group, calls_max, on_idle,
                                bench);
}

TEST(a_unit_is_never_split)
{
    struct bench *bench = bench_new(2);
    saves(bench, 2);
    push_unit(bench, 3);
    push_unit(bench, 2);
    saves(bench, 1);
    assert_int_equal(take_up_to(bench, 4), 2); /* the unit does not fit */
    assert_int_equal(bench->group[0]->unit, 0);
    assert_int_equal(take_up_to(bench, 2), 3); /* none is too large to be the first */
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(bench->group[i]->unit, 1);
    assert_int_equal(take_up_to(bench, 4), 3);
    assert_int_equal(bench->group[0]->unit, 1);
    assert_int_equal(bench->group[1]->unit, 1);
    assert_int_equal(bench->group[2]->unit, 0);
    bench_free(bench);
}

TEST(the_units_of_a_group_have_different_numbers)
{
    struct bench *bench = bench_new(2);
    saves(bench, 1);
    push_unit(bench, 2);
    push_unit(bench, 2);
    assert_int_equal(take_up_to(bench, 9), 5);
    static const uint16_t units[] = {0, 2, 2, 4, 4};
    for (size_t i = 0; i < 5; i++)
        assert_int_equal(bench->group[i]->unit, units[i]);
    bench_free(bench);
}
