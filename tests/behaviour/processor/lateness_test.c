/* Whoever makes the worker late fails nobody else: the time of the store runs while the store has a
 * call, and not while the worker is busy. */
#include "harness.h"

enum { OTHERS = 1000 };

/* Longer than a load or save may take by default. */
static void take_long(void)
{
    uint64_t until_ns = batch_now_ns() + 1100 * MS;
    while (batch_now_ns() < until_ns)
        ;
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
