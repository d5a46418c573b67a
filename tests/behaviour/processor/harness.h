/* harness.h: a processor with a store that is in the hands of a test.
 *
 * Loads, saves and operations go through gates: a test closes one, waits until somebody stands at
 * it, acts, and opens it. So every order is made to happen, and no result depends on time.
 *
 * States are numbers (int64_t), stored in a memory store. Either the harness's `load` and `save`
 * functions reach it, or the harness's own store, which passes groups on to it; both count, wait at
 * the gates, and fail on demand.
 *
 * All memory of the processor comes from an allocator that counts: harness_end fails a test that
 * leaks, whichever behaviour it is about.
 *
 * Threads: an assertion of cmocka cannot fail on a thread of the library: there, MUST prints and
 * aborts.
 */
#ifndef BATCH_TEST_RUNTIME_HARNESS_H
#define BATCH_TEST_RUNTIME_HARNESS_H

#include <batch/metrics.h>
#include <batch/store.h>

#include <pthread.h>

#include "counting_allocator.h"
#include "gate.h"
#include "must.h"
#include "store_wrapper.h"
#include "test.h"

#define MS 1000000u

/* No test waits for it: it is there so that no machine is slow enough to reach it. */
#define LONG_NS 600000000000u

/* ---- The harness ----------------------------------------------------------------------------- */

enum harness_kind {
    HARNESS_FUNCTIONS, /* options.load, save and release */
    HARNESS_STORE,     /* options.store, grouped */
    HARNESS_BARE       /* neither: nothing is loaded or saved */
};

enum { HARNESS_KEY_SHOWN = 64 };

struct harness {
    struct store_wrapper wrapper; /* first: the harness as a store, around a memory store */
    struct allocator memory;
    batch_options options;
    batch_processor *processor;
    struct gate load_gate; /* one pass for a group */
    struct gate save_gate;
    struct gate run_gate;   /* for a job's `gate` */
    struct gate close_gate; /* of each session of HARNESS_STORE */
    bool has_ended;

    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under lock: set by the test. Faults are for calls of `fault_key`, or NULL: of all. */
    const char *fault_key;
    int load_status; /* BATCH_OK: goes well */
    int save_status;
    int fault_code; /* 0, with no text: the error is not set */
    const char *fault_text;
    int open_status; /* of sessions */
    uint32_t open_failures_after;

    /* Under lock: seen so far. */
    uint32_t loads, saves; /* calls */
    uint32_t load_groups, save_groups;
    uint32_t group_largest;
    uint32_t releases;
    uint32_t sessions_opened, sessions_closed;
    uint32_t users, users_most;  /* threads inside load or save, now and at most */
    uint32_t completed;          /* jobs */
    bool is_stop_over;           /* set by the test: no callback may come any more */
    uint64_t order;              /* the next number for what runs or completes */
    bool was_canceled;           /* a call was, after the gate */
    uint64_t save_version;       /* that the latest save was given */
    uint64_t deadline_ns;        /* of the latest call */
    char key[HARNESS_KEY_SHOWN]; /* of the latest call, cut */
};

/* A test with a processor, `harness`, that is started before it and ended after it. Operations on
 * its stack must be complete when it returns, or it calls harness_end itself. */
#define HARNESS_TEST(name, kind) HARNESS_TEST_WITH(name, kind, .shards = 0)

/* With options, as initializers: HARNESS_TEST_WITH(name, kind, .sessions = 2, .shards = 2). */
#define HARNESS_TEST_WITH(name, kind, ...)                                                         \
    static void name##_on(struct harness *harness);                                                \
    TEST(name)                                                                                     \
    {                                                                                              \
        struct harness harness;                                                                    \
        harness_begin_with(&harness, kind, __VA_ARGS__);                                           \
        name##_on(&harness);                                                                       \
        harness_end(&harness);                                                                     \
    }                                                                                              \
    static void name##_on(struct harness *harness)

/* Start a processor with these options, unless others are given: a window of NONE, a deadline of
 * LONG_NS, one session, an int64_t, one shard. */
void harness_begin(struct harness *harness, enum harness_kind kind);
#define harness_begin_with(harness, kind, ...)                                                     \
    harness_begin_as(harness, kind, &(batch_options){HARNESS_OPTIONS, __VA_ARGS__})

/* What is given comes after what it replaces. */
#pragma GCC diagnostic ignored "-Woverride-init"
#define HARNESS_OPTIONS                                                                            \
    .size = sizeof(batch_options), .sessions = 1, .resource_size = sizeof(int64_t),                \
    .window_ns = BATCH_WINDOW_NONE, .deadline_ns = LONG_NS, .load = harness_load,                  \
    .save = harness_save, .release = harness_release

/* A codec for resources of an int64_t that loads nothing. */
int harness_decode(void *resource, const void *bytes, size_t bytes_size, void *arg);
int harness_encode(void *resource, const void **ret_bytes, size_t *ret_bytes_size, void *arg);

/* The functions of HARNESS_FUNCTIONS. The other kinds leave them out. */
int harness_load(batch_call *call, void *resource, void *arg);
int harness_save(batch_call *call, void *resource, void *arg);
void harness_release(void *resource, void *arg);

/* The parts of it, for a test of what starting does. */
void harness_init(struct harness *harness, enum harness_kind kind);
#define harness_init_with(harness, kind, ...)                                                      \
    harness_init_as(harness, kind, &(batch_options){HARNESS_OPTIONS, __VA_ARGS__})
void harness_init_as(struct harness *harness, enum harness_kind kind, const batch_options *options);
void harness_start(struct harness *harness);
void harness_begin_as(struct harness *harness, enum harness_kind kind,
                      const batch_options *options);

/* Stop for ever, free, close the store; all memory must be back. Has no effect if it is ended. */
void harness_end(struct harness *harness);
/* The parts of it. */
void harness_stop(struct harness *harness);
void harness_free(struct harness *harness);
void harness_destroy(struct harness *harness);

void harness_fault(struct harness *harness, int load_status, int save_status, int code,
                   const char *text);
uint32_t harness_loads(struct harness *harness);
uint32_t harness_saves(struct harness *harness);
int64_t harness_stored(struct harness *harness, const char *key); /* 0 if nothing is */
void harness_store(struct harness *harness, const char *key, int64_t number);
batch_stats harness_stats(struct harness *harness);
batch_subscription *harness_subscribe(struct harness *harness);
void harness_await_completed(struct harness *harness, uint32_t jobs); /* so many in all */

/* Until everything submitted before has gone through the worker (of a single shard), and its calls
 * to the store. What is complete, or waits for the store, is not waited for. */
void harness_settle(struct harness *harness);

/* Return when so much time has passed, without leaving the processor to others. */
void harness_spin(uint64_t time_ns);

/* ---- Jobs: operations that are watched ------------------------------------------------------- */

struct job {
    batch_op op; /* first */
    struct harness *harness;
    int64_t add; /* 0: reads only, and returns UNCHANGED */
    void (*on_run)(struct job *job);
    void (*on_done)(struct job *job, const batch_result *result);
    void *arg;         /* for both */
    char number[12];   /* the key of job_init_number */
    struct gate *gate; /* passed while running, after on_run; or NULL */

    /* Under the harness's lock. */
    int64_t seen; /* the number after it ran */
    void *resource;
    unsigned runs, completions;
    uint64_t ran_as, completed_as; /* in order of all jobs of the harness, from 1 */
    batch_result result;
};

void job_init(struct job *job, struct harness *harness, const char *key, int64_t add);
void job_init_bytes(struct job *job, struct harness *harness, const void *key, size_t key_size,
                    int64_t add);
void job_init_number(struct job *job, struct harness *harness, int key, int64_t add); /* "7" */
void job_submit(struct job *job); /* must be accepted */
void job_send(struct job *job, struct harness *harness, const char *key, int64_t add); /* both */
int job_wait(struct job *job); /* until it is complete; its status */
int job_run(struct job *job);  /* batch_run; its status */
int job_call(struct job *job, struct harness *harness, const char *key, int64_t add); /* anew */
bool job_is_complete(struct job *job);

/* Several of one key; in one call of batch_submit_many; and until all are complete, all OK. */
void jobs_send(struct job *jobs, size_t size, struct harness *harness, const char *key,
               int64_t add);
void jobs_submit_many(struct job *jobs, size_t size);
void jobs_wait(struct job *jobs, size_t size);

/* Submit and wait for one that adds; must go well. */
void harness_add(struct harness *harness, const char *key, int64_t add);

/* ---- Threads of the test --------------------------------------------------------------------- */

pthread_t thread_start(void *(*body)(void *arg), void *arg);
void thread_join(pthread_t thread);

/* batch_run in a thread of its own. */
struct runner {
    struct job *job;
    pthread_t thread;
    int status;
};

void runner_start(struct runner *runner, struct job *job);
int runner_join(struct runner *runner);

#endif
