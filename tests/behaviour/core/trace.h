/* trace.h: tests of the core that read as scenarios.
 *
 * A test puts events in at virtual times, and compares what the core did with a text:
 *
 *     TRACE_TEST(what_it_shows)
 *     {
 *         trace_submit(t, "a", "AB");          operations A and B on key a, at 0 ms
 *         trace_at(t, 20);                     the clock goes to 20 ms; what is due happens
 *         trace_loaded(t, "a", BATCH_OK);      the store has loaded a
 *         trace_at(t, 100);
 *         trace_expect(t, "[  0] a: load\n"
 *                         "[ 20] a: run A\n"
 *                         "[ 20] a: run B\n"
 *                         "[100] a: save, closed by window\n");
 *     }
 *
 * An operation is named by a letter, and so is a transaction. Of a unit that is saved, "a b?", b is
 * only checked. The store is scripted: a load or save ends when the test says so, or after load_ms
 * and save_ms. The whole state is checked after every event and every action, every operation is
 * seen to be completed exactly once, and trace_end brings everything to its end and finds leaked
 * memory.
 */
#ifndef BATCH_TESTS_TRACE_H
#define BATCH_TESTS_TRACE_H

#include "counting_allocator.h"
#include "core/core.h"
#include "test.h"

#define TRACE_NO_WINDOW UINT64_MAX        /* for window_ms: natural batching */
#define TRACE_MS        UINT64_C(1000000) /* in ns */

/* Zero means the default. */
struct trace_options {
    uint64_t start_ns;    /* where the clock begins; times in the text count from here */
    uint64_t window_ms;   /* default 100 */
    uint64_t deadline_ms; /* of replays; default 200 */
    uint64_t age_ms;      /* of what was loaded; default: any */
    uint64_t ops_max;     /* this and the other limits: default none */
    uint64_t ops_waiting_max;
    uint64_t key_ops_waiting_max;
    uint64_t expire_max;
    uint64_t late_ms;  /* that windows may end late; default: none */
    uint64_t turn_ops; /* of a turn; default: any */
    uint64_t turn_ms;
    uint64_t cache_max; /* this and the next two: default none */
    uint32_t replays_max;
    uint32_t unit_max; /* default 1000 */
    uint64_t load_ms;  /* default: until trace_loaded */
    uint64_t save_ms;  /* default: until trace_saved */
    bool show_records;
};

struct trace_op {
    batch_op op;
    batch_verdict verdict; /* default CHANGED */
    uint64_t takes_ms;
    char name; /* 0: one of many, not in the text */
    bool is_submitted;
    bool has_run;
};

/* A transaction, named by a letter too; `done` shows it with each key, and `complete` at the
 * end of all. */
struct trace_transaction {
    batch_transaction transaction; /* first */
    batch_part parts[BATCH_PARTS_MAX];
    const char *unchanged; /* the keys that it only reads; default none */
    uint64_t takes_ms;
    char name;
    bool is_submitted;
    size_t legs;
};

struct trace_call {
    struct batch__batch *batch;
    bool is_save;
    uint64_t finish_ns; /* UINT64_MAX: when the test says */
};

enum { TRACE_CALLS_MAX = 256, TRACE_NAMES_MAX = 128, TRACE_TEXT_MAX = 32 * 1024 };

struct trace {
    struct batch__core core;
    struct trace_options options;
    struct allocator memory;
    uint64_t now_ns;
    uint64_t load_ended_ns; /* of the next load whose end is put in */
    bool is_held;           /* actions are not taken until trace_go */
    bool has_transactions;
    struct trace_transaction *finished[TRACE_NAMES_MAX]; /* in this line */
    size_t finished_size;

    struct trace_op ops[TRACE_NAMES_MAX];
    struct trace_transaction transactions[TRACE_NAMES_MAX];
    struct trace_call calls[TRACE_CALLS_MAX];
    size_t calls_size;

    /* Seen so far. */
    uint64_t loads, saves, runs, records, releases;
    uint64_t submitted, completed;
    uint64_t completed_as[BATCH_STATUS_COUNT];

    char text[TRACE_TEXT_MAX];
    size_t text_size;
};

struct trace *trace_new(const struct trace_options *options); /* NULL: defaults */

/* Stop, let every call succeed, and free. What happens here is not compared. */
void trace_end(struct trace *t);

/* A test on a trace, `t`: with defaults; with options, as initializers; or with what an expression
 * has made. */
#define TRACE_TEST(name) TRACE_TEST_FROM(name, trace_new(NULL))
#define TRACE_TEST_WITH(name, ...)                                                                 \
    TRACE_TEST_FROM(name, trace_new(&(struct trace_options){__VA_ARGS__}))
#define TRACE_TEST_FROM(name, ...)                                                                 \
    static void name##_trace(struct trace *t);                                                     \
    TEST(name)                                                                                     \
    {                                                                                              \
        struct trace *t = __VA_ARGS__;                                                             \
        name##_trace(t);                                                                           \
        trace_end(t);                                                                              \
    }                                                                                              \
    static void name##_trace(struct trace *t)

struct trace_op *trace_op(struct trace *t, char name);

/* Events, at the present time; then actions, unless held. One event for each letter of `names`. */
void trace_submit(struct trace *t, const char *key, const char *names);
void trace_submit_one(struct trace *t, struct trace_op *op); /* whose op.key is set */
void trace_cancel(struct trace *t, const char *names);       /* one event for all of them */
/* `keys` is as "a b c": one letter each. */
void trace_transact(struct trace *t, char name, const char *keys);
struct trace_transaction *trace_transaction(struct trace *t, char name);
void trace_cancel_transaction(struct trace *t, char name);
void trace_loaded(struct trace *t, const char *keys, int status); /* "a", or "a b" */
void trace_saved(struct trace *t, const char *keys, int status);
/* The load ended at `ms`, and only now does the worker learn of it. */
void trace_loaded_at(struct trace *t, const char *key, uint64_t ms);
void trace_expire(struct trace *t);
uint64_t trace_flush(struct trace *t, uint64_t calls_max);
void trace_stop(struct trace *t);

/* Go to a time, with everything that is due on the way, in order. trace_late: time passes, but the
 * worker is late and nothing is done about what is due. */
void trace_at(struct trace *t, uint64_t ms);
void trace_late(struct trace *t, uint64_t ms);

void trace_hold(struct trace *t);
void trace_go(struct trace *t);
/* While held: take all actions but to run operations; and take one, of any kind. */
void trace_sort(struct trace *t);
void trace_step(struct trace *t);

/* The text since the last time is this; or whatever it is. */
void trace_expect(struct trace *t, const char *expected);
static inline void trace_skip(struct trace *t)
{
    t->text_size = 0;
    t->text[0] = '\0';
}

/* A trace for TRACE_TEST_FROM, with transaction T on a and b: nobody has been loaded, nor run. */
static inline struct trace *trace_transacting(const struct trace_options *options)
{
    struct trace *t = trace_new(options);
    trace_transact(t, 'T', "a b");
    trace_expect(t, "[  0] a: load\n"
                    "[  0] b: load\n");
    return t;
}

struct batch__batch *trace_batch(struct trace *t, const char *key); /* or NULL */
const char *trace_status_name(int status);
uint32_t trace_hash(const void *key, size_t key_size);

/* What batch__panic does: by default it says what broke and aborts. With a jump set, it goes there
 * instead: for tests that provoke it. */
void trace_catch_panic(jmp_buf *jump);
const char *trace_panic_text(void);

#endif
