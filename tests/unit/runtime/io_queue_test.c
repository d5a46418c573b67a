/* Who is served when: the queue of calls, seen by one thread that plays all sessions in turn. It
 * takes only when there is something for a session, so it never waits. */
#include "runtime/io_queue.h"
#include "test.h"

enum { CALLS_MAX = 64, SESSIONS_MAX = 4 };

struct bench {
    struct batch__io_queue queue;
    struct batch_call calls[CALLS_MAX];
    size_t calls_size;
    enum batch__io_kind at[SESSIONS_MAX]; /* what each session is at */
    batch_call *group[CALLS_MAX];
    size_t group_size; /* as the latest session took it */
    unsigned idle;     /* times it was reported */
};

static struct bench *bench_new(uint32_t sessions)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    assert_true(batch__io_queue_init(&bench->queue, sessions));
    for (size_t i = 0; i < SESSIONS_MAX; i++)
        bench->at[i] = BATCH__IO_NONE;
    return bench;
}

static void bench_free(struct bench *bench)
{
    batch__io_queue_destroy(&bench->queue);
    free(bench);
}

/* Queue `count` calls; group_max other than 0 makes them slow. */
static void push(struct bench *bench, enum batch__stage stage, size_t count, uint32_t group_max)
{
    struct batch__calls calls[BATCH__IO_KINDS];
    memset(calls, 0, sizeof calls);
    for (size_t i = 0; i < count; i++) {
        assert_true(bench->calls_size < CALLS_MAX);
        struct batch_call *call = &bench->calls[bench->calls_size++];
        call->stage = (uint8_t)stage;
        call->batch.group_max = group_max;
        batch__calls_push(&calls[batch__io_kind_of(call)], call);
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
                                             CALLS_MAX, on_idle, bench);
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
    size_t taken = batch__io_queue_take(&bench->queue, &bench->at[session], bench->group, CALLS_MAX,
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

TEST(saves_may_use_every_session)
{
    struct bench *bench = bench_new(3);
    for (int session = 0; session < 3; session++) {
        saves(bench, 1);
        assert_int_equal(take(bench, session), BATCH__IO_SAVE);
    }
    bench_free(bench);
}

TEST(a_single_session_does_everything)
{
    struct bench *bench = bench_new(1);
    loads(bench, 1);
    push(bench, BATCH__STAGE_LOAD, 1, 1);
    saves(bench, 1);
    assert_int_equal(take(bench, 0), BATCH__IO_SLOW);
    assert_int_equal(take(bench, 0), BATCH__IO_SAVE);
    assert_int_equal(take(bench, 0), BATCH__IO_LOAD);
    bench_free(bench);
}

/* With two sessions the other one is left to saves. */
TEST(slow_calls_and_others_take_turns)
{
    for (uint32_t sessions = 1; sessions <= 2; sessions++) {
        struct bench *bench = bench_new(sessions);
        push(bench, BATCH__STAGE_SAVE, 4, 1);
        for (int round = 0; round < 3; round++) {
            loads(bench, 2);
            assert_int_equal(take(bench, 0), BATCH__IO_SLOW);
            assert_int_equal(bench->group_size, 1);
            assert_int_equal(take(bench, 0), BATCH__IO_LOAD);
            assert_int_equal(bench->group_size, 2);
        }
        assert_int_equal(take(bench, 0), BATCH__IO_SLOW);
        push(bench, BATCH__STAGE_SAVE, 1, 1);
        assert_int_equal(take(bench, 0), BATCH__IO_SLOW); /* there is nothing else to do */
        bench_free(bench);
    }
}

TEST(one_session_at_a_time_is_at_slow_calls)
{
    struct bench *bench = bench_new(4);
    push(bench, BATCH__STAGE_SAVE, 9, 1);
    loads(bench, 1);
    assert_int_equal(take(bench, 0), BATCH__IO_SLOW);
    assert_int_equal(take(bench, 1), BATCH__IO_LOAD);
    loads(bench, 1);
    assert_int_equal(take(bench, 2), BATCH__IO_LOAD);
    take_nothing(bench, 3);
    saves(bench, 1);
    assert_int_equal(take(bench, 3), BATCH__IO_SAVE);
    take_nothing(bench, 1);
    assert_int_equal(take(bench, 0), BATCH__IO_SLOW); /* the next one, its own has ended */
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
    static const size_t sizes[] = {4, 1, 1, 2, 2};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(take(bench, 0), BATCH__IO_SLOW);
        assert_int_equal(bench->group_size, sizes[i]);
    }
    assert_int_equal(bench->group[0]->stage, BATCH__STAGE_LOAD);
    assert_int_equal(bench->queue.xsaves, 0);
    assert_int_equal(bench->queue.xloads, 0);
    bench_free(bench);
}

/* Natural batching: a session that may only save is idle, whatever else waits. */
TEST(a_queue_is_idle_if_a_save_would_be_taken_at_once)
{
    struct bench *bench = bench_new(2);
    loads(bench, 1);
    assert_int_equal(take(bench, 0), BATCH__IO_LOAD);
    loads(bench, 1);
    assert_false(batch__io_queue_is_idle(&bench->queue));
    bench->queue.idle = 1; /* session 1 waits, and may not take the load */
    assert_int_equal(take(bench, 0), BATCH__IO_LOAD);
    loads(bench, 1);
    assert_false(batch__io_queue_is_idle(&bench->queue)); /* until a session asks */
    assert_int_equal(take(bench, 0), BATCH__IO_LOAD);
    assert_int_equal(bench->idle, 2);
    assert_true(batch__io_queue_is_idle(&bench->queue));
    saves(bench, 1);
    assert_false(batch__io_queue_is_idle(&bench->queue));
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
