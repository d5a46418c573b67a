/* Keys take turns: what waits on one key holds up no other, whether its operations take long or
 * there are very many of them; and windows end while more and more comes. */
#include "harness.h"

#include <sched.h>

/* ---- Operations that take long -------------------------------------------------------------- */

enum { HOT = 1000 };

/* Longer than a turn. */
static void take_long(struct job *job)
{
    (void)job;
    harness_spin(MS / 5);
}

/* HOT operations on one key, and then one on another, are all there before the first has ended.
 * How many ran before the last. */
static uint64_t ran_before_cold(struct harness *harness)
{
    static struct job jobs[HOT + 1];
    struct job *cold = &jobs[HOT];
    struct gate gate;
    gate_init_closed(&gate);
    for (int i = 0; i <= HOT; i++) {
        job_init(&jobs[i], harness, i < HOT ? "hot" : "cold", 1);
        jobs[i].on_run = i < HOT ? take_long : NULL;
    }
    jobs[0].gate = &gate;
    jobs_submit_many(jobs, HOT);
    gate_await(&gate, 1);
    job_submit(cold);
    gate_open(&gate);
    jobs_wait(jobs, HOT + 1);
    gate_destroy(&gate);
    return cold->ran_as - 1;
}

/* It waited for all of them. */
HARNESS_TEST_WITH(a_cold_key_does_not_wait_for_the_backlog_of_a_hot_one, HARNESS_STORE,
                  .window_ns = 10 * MS, .sessions = 0)
{
    assert_true(ran_before_cold(harness) < HOT / 4);
}

HARNESS_TEST_WITH(nor_without_a_window, HARNESS_STORE, .sessions = 0)
{
    assert_true(ran_before_cold(harness) < HOT / 4);
}

/* The worker saves by itself, and saved one key after the other. Once is enough: where it gets no
 * processor for a tenth of a second, it saves what there is. */
HARNESS_TEST_WITH(what_waits_for_its_turn_is_saved_with_what_has_had_one, HARNESS_STORE,
                  .sessions = 0)
{
    enum { KEYS = 20 };
    static struct job jobs[KEYS];
    static const char keys[KEYS][2] = {"a", "b", "c", "d", "e", "f", "g", "h", "i", "j",
                                       "k", "l", "m", "n", "o", "p", "q", "r", "s", "t"};
    uint64_t largest = 0;
    for (int round = 0; round < 50 && largest < KEYS; round++) {
        for (int i = 0; i < KEYS; i++) {
            job_init(&jobs[i], harness, keys[i], 1);
            jobs[i].on_run = take_long;
        }
        jobs_submit_many(jobs, KEYS);
        jobs_wait(jobs, KEYS);
        batch_stats stats = BATCH_STATS_INIT;
        assert_int_equal(batch_processor_stats(harness->processor, &stats), BATCH_OK);
        largest = stats.save_group.max;
    }
    assert_int_equal(largest, KEYS);
}

/* It gathers for a tenth of a second, however long its operations take. */
static uint64_t ran_hot, ran_hot_then;

static void take_a_millisecond(struct job *job)
{
    (void)job;
    ran_hot++;
    harness_spin(MS);
}

static void note_ran_hot(struct job *job, const batch_result *result)
{
    (void)job;
    MUST(result->status == BATCH_OK);
    ran_hot_then = ran_hot;
}

HARNESS_TEST_WITH(what_has_had_its_turn_does_not_wait_for_many_turns_of_others, HARNESS_STORE,
                  .sessions = 0)
{
    enum { TURNS = 300 };
    static struct job jobs[TURNS + 1];
    ran_hot = 0;
    for (int i = 0; i <= TURNS; i++) {
        job_init(&jobs[i], harness, i > 0 ? "hot" : "cold", 1);
        jobs[i].on_run = i > 0 ? take_a_millisecond : NULL;
    }
    jobs[0].on_done = note_ran_hot;
    jobs_submit_many(jobs, TURNS + 1);
    jobs_wait(jobs, TURNS + 1);
    assert_true(ran_hot_then < TURNS / 2);
}

/* ---- At the door ----------------------------------------------------------------------------- */

/* What cannot begin in time is refused by the worker first, and then by batch_submit itself, but
 * on that key alone; and when its backlog has run, nobody is refused any more. */
HARNESS_TEST_WITH(a_key_in_overload_refuses_at_the_door, HARNESS_STORE, .window_ns = 10 * MS,
                  .key_ops_waiting_max = 2)
{
    struct job first, second, third, refused, cold, last;
    gate_close(&harness->save_gate);
    job_send(&first, harness, "hot", 1);
    gate_await(&harness->save_gate, 1);
    job_send(&second, harness, "hot", 1);
    job_init(&refused, harness, "hot", 1);
    job_submit(&refused); /* one more than may wait */
    assert_int_equal(job_wait(&refused), BATCH_BUSY);
    job_init(&third, harness, "hot", 1);
    assert_int_equal(batch_submit(harness->processor, &third.op), BATCH_BUSY);
    job_init(&cold, harness, "cold", 1);
    job_submit(&cold);
    gate_open(&harness->save_gate);
    assert_int_equal(job_wait(&first), BATCH_OK);
    assert_int_equal(job_wait(&second), BATCH_OK);
    assert_int_equal(job_wait(&cold), BATCH_OK);
    job_init(&last, harness, "hot", 1); /* it is open before the last of its backlog is complete */
    job_submit(&last);
    assert_int_equal(job_wait(&last), BATCH_OK);
}

/* ---- Very many that take hardly any time ---------------------------------------------------- */

enum { MANY = 200000 };

struct crowd {
    batch_op ops[MANY + 1]; /* the last on a key of its own */
    batch_op *chain[MANY + 1];
    uint32_t ran;      /* of the others */
    uint32_t ran_then; /* when the last one ran, or was completed */
    uint32_t completed;
};

static batch_verdict count_run(void *resource, void *arg)
{
    struct crowd *crowd = arg;
    ++*(int64_t *)resource;
    crowd->ran++;
    return BATCH_CHANGED;
}

static batch_verdict note_run(void *resource, void *arg)
{
    struct crowd *crowd = arg;
    ++*(int64_t *)resource;
    crowd->ran_then = crowd->ran;
    return BATCH_CHANGED;
}

static void count_done(batch_op *op, const batch_result *result)
{
    struct crowd *crowd = op->arg;
    MUST(result->status == BATCH_OK);
    __atomic_fetch_add(&crowd->completed, 1, __ATOMIC_RELEASE);
}

static void note_done(batch_op *op, const batch_result *result)
{
    struct crowd *crowd = op->arg;
    crowd->ran_then = crowd->ran;
    count_done(op, result);
}

static struct crowd *crowd_new(bool is_noted_when_done)
{
    struct crowd *crowd = calloc(1, sizeof *crowd);
    assert_non_null(crowd);
    for (int i = 0; i <= MANY; i++) {
        bool is_last = i == MANY;
        crowd->ops[i] = (batch_op)BATCH_OP_INIT;
        crowd->ops[i].key = is_last ? "few" : "many";
        crowd->ops[i].key_size = is_last ? 3 : 4;
        crowd->ops[i].run = is_last && !is_noted_when_done ? note_run : count_run;
        crowd->ops[i].done = is_last && is_noted_when_done ? note_done : count_done;
        crowd->ops[i].arg = crowd;
        crowd->chain[i] = &crowd->ops[i];
    }
    return crowd;
}

static void crowd_await(struct crowd *crowd)
{
    while (__atomic_load_n(&crowd->completed, __ATOMIC_ACQUIRE) < MANY + 1)
        sched_yield();
}

/* All windows stayed open until the inbox was empty. */
HARNESS_TEST_WITH(a_window_ends_while_more_waits_in_the_inbox, HARNESS_STORE, .window_ns = MS,
                  .sessions = 0, .key_ops_waiting_max = 2 * MANY)
{
    struct crowd *crowd = crowd_new(true);
    crowd->chain[0] = &crowd->ops[MANY]; /* the first to come */
    crowd->chain[MANY] = &crowd->ops[0];
    assert_int_equal(batch_submit_many(harness->processor, crowd->chain, MANY + 1), BATCH_OK);
    crowd_await(crowd);
    assert_true(crowd->ran_then < MANY);
    free(crowd);
}

/* Two keys are loaded at one time, and many operations wait for the first: they all ran at once. */
HARNESS_TEST_WITH(what_waited_for_a_load_holds_up_no_other_key, HARNESS_STORE, .window_ns = MS,
                  .sessions = 0, .key_ops_waiting_max = 2 * MANY)
{
    enum { TURN = 1024 };
    struct crowd *crowd = crowd_new(false);
    crowd->chain[1] = &crowd->ops[MANY];
    crowd->chain[MANY] = &crowd->ops[1];
    assert_int_equal(batch_submit_many(harness->processor, crowd->chain, MANY + 1), BATCH_OK);
    crowd_await(crowd);
    assert_true(crowd->ran_then <= TURN);
    free(crowd);
}
