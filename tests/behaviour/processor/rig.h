/* rig.h: a processor with a store that a test holds in its hands.
 *
 * Loads, saves and operations go through gates: a test closes one, waits until somebody stands at
 * it, does what it wants to see the effect of, and opens it. So every order is made to happen, and
 * no time that passes decides a result.
 *
 * States are numbers (int64_t), kept in a memory store. Either the rig's `load` and `save`
 * functions reach it, or the rig's own store, which passes groups on to it; both count, wait at the
 * gates, and fail when told to.
 *
 * All memory of the processor comes from an allocator that counts: rig_end fails a test that leaks,
 * whichever behaviour it is about.
 *
 * Threads: what the library's threads find wrong cannot fail a cmocka test from there: MUST prints
 * and aborts.
 */
#ifndef BATCH_TEST_RUNTIME_RIG_H
#define BATCH_TEST_RUNTIME_RIG_H

#include <batch/metrics.h>
#include <batch/store.h>

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "allocator.h"
#include "gate.h"
#include "must.h"

#define MS 1000000u

/* No test waits for it: it is there so that no machine is slow enough to reach it. */
#define LONG_NS 600000000000u

/* ---- The rig -------------------------------------------------------------------------------- */

enum rig_kind {
    RIG_FUNCTIONS, /* options.load, save and release */
    RIG_STORE,     /* options.store, grouped */
    RIG_BARE       /* neither: nothing is loaded or saved */
};

enum { RIG_KEY_SHOWN = 64 };

struct rig {
    batch_store store;  /* first: the rig as a store */
    batch_store *inner; /* memory */
    struct allocator memory;
    batch_options options;
    batch_processor *processor;
    struct gate load_gate; /* one pass for a group */
    struct gate save_gate;

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
    uint32_t users, users_most; /* threads inside load or save, now and at most */
    uint32_t answered;          /* jobs */
    bool is_stop_over;          /* set by the test: no callback may come any more */
    uint64_t order;             /* the next number for what runs or is answered */
    bool was_canceled;          /* a call said so, after the gate */
    uint64_t save_version;      /* that the latest save was given */
    uint64_t deadline_ns;       /* of the latest call */
    char key[RIG_KEY_SHOWN];    /* of the latest call, cut */
};

/* Options are filled: a window of NONE, a deadline of LONG_NS, one session, an int64_t. Change
 * them, then rig_start. */
void rig_init(struct rig *rig, enum rig_kind kind);
void rig_start(struct rig *rig);

/* Stop for ever, free, close the store; all memory must be back. */
void rig_end(struct rig *rig);
/* The parts of it. */
void rig_stop(struct rig *rig);
void rig_free(struct rig *rig);
void rig_destroy(struct rig *rig);

void rig_fault(struct rig *rig, int load_status, int save_status, int code, const char *text);
uint32_t rig_loads(struct rig *rig);
uint32_t rig_saves(struct rig *rig);
int64_t rig_stored(struct rig *rig, const char *key); /* 0 if nothing is */
batch_stats rig_stats(struct rig *rig);

/* Until everything submitted before has gone through the worker (of a single shard), and its calls
 * to the store. What is answered, or waits for the store, is not waited for. */
void rig_settle(struct rig *rig);

/* ---- Jobs: operations that are watched ------------------------------------------------------ */

struct job {
    batch_op op; /* first */
    struct rig *rig;
    int64_t add; /* 0: reads only, and says UNCHANGED */
    void (*on_run)(struct job *job);
    void (*on_done)(struct job *job, const batch_result *result);
    void *arg;         /* for both */
    struct gate *gate; /* passed while running, after on_run; or NULL */

    /* Under the rig's lock. */
    int64_t seen; /* the number after it ran */
    void *resource;
    unsigned runs, answers;
    uint64_t ran_as, answered_as; /* in order of all jobs of the rig, from 1 */
    batch_result result;
};

void job_init(struct job *job, struct rig *rig, const char *key, int64_t add);
void job_init_bytes(struct job *job, struct rig *rig, const void *key, size_t key_size,
                    int64_t add);
void job_submit(struct job *job); /* must be accepted */
int job_wait(struct job *job);    /* until it is answered; its status */
int job_run(struct job *job);     /* batch_run; its status */
bool job_is_answered(struct job *job);

/* Submit and wait for one that adds; must go well. */
void rig_add(struct rig *rig, const char *key, int64_t add);

/* ---- Threads of the test -------------------------------------------------------------------- */

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
