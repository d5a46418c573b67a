/* Whoever makes the worker late fails nobody else: the time of the store runs while the store has a
 * call, and not while the worker is busy. */
#include "harness.h"

enum { OTHERS = 1000 };

/* Longer than a load or save may take by default. */
static void take_long(void)
{
    harness_spin(1100 * MS);
}

static void slow_run(struct job *job)
{
    (void)job;
    take_long();
}

static void slow_done(struct job *job, const batch_result *result)
{
    (void)job;
    (void)result;
    take_long();
}

/* The slow one comes first, in the middle, or last; the defaults hold but for the window. */
static void run_beside(uint64_t window_ns, void (*on_run)(struct job *job),
                       void (*on_done)(struct job *job, const batch_result *result))
{
    struct harness harness;
    harness_begin_with(&harness, HARNESS_STORE, .window_ns = window_ns, .deadline_ns = 0,
                       .sessions = 3);
    struct job *jobs = calloc(OTHERS, sizeof *jobs);
    char(*keys)[8] = calloc(OTHERS, sizeof *keys);
    assert_true(jobs != NULL && keys != NULL);
    for (int i = 0; i < OTHERS; i++) {
        snprintf(keys[i], sizeof keys[i], "%d", i);
        job_init(&jobs[i], &harness, keys[i], 1);
        jobs[i].on_run = i == OTHERS / 2 ? on_run : NULL;
        jobs[i].on_done = i == OTHERS / 2 ? on_done : NULL;
        job_submit(&jobs[i]);
    }
    jobs_wait(jobs, OTHERS);
    free(keys);
    free(jobs);
    harness_end(&harness);
}

/* One operation of 1 s: 1,001 of 1,001 other keys failed. */
TEST(a_slow_operation_fails_no_other_key)
{
    run_beside(10 * MS, slow_run, NULL);
    run_beside(BATCH_WINDOW_NONE, slow_run, NULL);
}

TEST(a_slow_completion_fails_no_other_key)
{
    run_beside(10 * MS, NULL, slow_done);
    run_beside(BATCH_WINDOW_NONE, NULL, slow_done);
}

/* ---- The clock of the store ------------------------------------------------------------------ */

/* A load that asks again and again whether it is late. */
struct patience {
    uint32_t is_held; /* the worker is, from here on */
    uint64_t held_deadline_ns;
    bool was_late_unheld; /* too slow a machine: nothing is shown */
    bool was_late_held;
    struct gate gate; /* where the worker is held */
};

static int load_patiently(batch_call *call, void *resource, void *arg)
{
    struct patience *patience = arg;
    size_t key_size;
    (void)resource;
    const char *key = batch_call_key(call, &key_size);
    if (key[0] != 'p')
        return BATCH_OK;
    while (__atomic_load_n(&patience->is_held, __ATOMIC_ACQUIRE) == 0)
        ;
    uint64_t deadline_ns = batch_call_deadline_ns(call);
    uint64_t until_ns = deadline_ns + 1000 * MS;
    patience->was_late_unheld = batch_now_ns() + 500 * MS > deadline_ns;
    while (batch_now_ns() < until_ns)
        patience->was_late_held = patience->was_late_held || batch_call_is_canceled(call);
    gate_open(&patience->gate);
    while (!batch_call_is_canceled(call))
        MUST(batch_call_deadline_ns(call) < batch_now_ns() + LONG_NS);
    return BATCH_LOAD_FAILED;
}

static void hold_worker(struct job *job)
{
    struct patience *patience = job->arg;
    __atomic_store_n(&patience->is_held, 1, __ATOMIC_RELEASE);
    gate_pass(&patience->gate);
}

/* While the worker stands still no limit passes; when it goes on, and then sleeps, it does. */
TEST(a_limit_stands_still_with_the_worker)
{
    struct patience patience;
    do {
        struct harness harness;
        memset(&patience, 0, sizeof patience);
        gate_init_closed(&patience.gate);
        harness_begin_with(&harness, HARNESS_BARE, .load = load_patiently, .arg = &patience,
                           .deadline_ns = 0, .sessions = 4);
        struct job patient, holder;
        job_init(&patient, &harness, "p", 1);
        job_init(&holder, &harness, "h", 1);
        holder.on_run = hold_worker;
        holder.arg = &patience;
        job_submit(&patient);
        job_submit(&holder);
        assert_int_equal(job_wait(&patient), BATCH_LOAD_FAILED);
        assert_int_equal(job_wait(&holder), BATCH_OK);
        harness_end(&harness);
        gate_destroy(&patience.gate);
    } while (patience.was_late_unheld);
    assert_false(patience.was_late_held);
}
