/* No key starves: whatever one key does, or loads that hang, the others are served. */
#include "harness.h"

#include "store_wrapper.h"

#include <sched.h>

enum { KEYS = 12 };

TEST(loads_that_hang_hold_up_no_save)
{
    for (uint32_t sessions = 2; sessions <= 4; sessions++) {
        struct harness harness;
        /* The second operation ends a batch. */
        harness_begin_with(&harness, HARNESS_STORE, .sessions = sessions, .group_max = 1,
                           .window_ns = LONG_NS, .ops_max = 2);
        struct job first, second, many[KEYS];
        gate_close(&harness.run_gate);
        job_init(&first, &harness, "open", 1);
        job_init(&second, &harness, "open", 1);
        first.gate = &harness.run_gate;
        job_submit(&first);
        gate_await(&harness.run_gate, 1); /* so it has been loaded */
        gate_open(&harness.run_gate);
        gate_close(&harness.load_gate);
        for (int i = 0; i < KEYS; i++)
            job_init_number(&many[i], &harness, i, 1);
        jobs_submit_many(many, KEYS);
        gate_await(&harness.load_gate, sessions - 1);
        harness_settle(&harness);
        batch_stats stats = harness_stats(&harness);
        assert_int_equal(stats.loads_queued, KEYS - (sessions - 1));
        assert_int_equal(stats.saves_queued, 0);

        job_submit(&second);
        assert_int_equal(job_wait(&first), BATCH_OK);
        assert_int_equal(job_wait(&second), BATCH_OK);
        assert_int_equal(harness_stored(&harness, "open"), 2);
        gate_open(&harness.load_gate);
        harness_stop(&harness);
        jobs_wait(many, KEYS);
        harness_end(&harness);
    }
}

/* Saves of a store that says how many of them are of use, or does not, behind a lock that somebody
 * else holds: other keys are read meanwhile, and what waits to be saved gathers. */
TEST(saves_that_hang_hold_up_no_load)
{
    for (uint32_t saves_max = 0; saves_max <= 2; saves_max++) {
        for (uint32_t sessions = 2; sessions <= 5; sessions++) {
            struct harness harness;
            harness_init_with(&harness, HARNESS_STORE, .sessions = sessions, .window_ns = 1 * MS,
                              .group_max = saves_max == 0 ? 1 : 4096);
            harness.wrapper.store.saves_max = saves_max;
            harness_start(&harness);
            uint32_t hanging = saves_max == 0 || saves_max >= sessions ? sessions - 1 : saves_max;
            struct job read, many[KEYS];
            gate_close(&harness.save_gate);
            for (int i = 0; i < KEYS; i++) { /* one by one, each in a group of its own */
                job_init_number(&many[i], &harness, i, 1);
                job_submit(&many[i]);
                gate_await(&harness.save_gate, i + 1 < (int)hanging ? (unsigned)i + 1 : hanging);
            }
            assert_int_equal(job_call(&read, &harness, "read", 0), BATCH_OK);
            assert_int_equal(harness.save_gate.waiting, hanging);
            while (harness_stats(&harness).saves_queued < KEYS - hanging) /* windows must end */
                sched_yield();

            gate_open(&harness.save_gate);
            jobs_wait(many, KEYS);
            assert_int_equal(harness.saves, KEYS);
            assert_int_equal(harness.save_groups, saves_max == 0 ? KEYS : hanging + 1);
            harness_end(&harness);
        }
    }
}

/* ---- Load and save functions ----------------------------------------------------------------- */

/* They are called one after the other, so what one session took would wait for its first call. */
TEST(functions_are_called_in_as_many_sessions_as_there_are)
{
    for (uint32_t sessions = 2; sessions <= 8; sessions += 3) {
        struct harness harness;
        harness_begin_with(&harness, HARNESS_FUNCTIONS, .sessions = sessions);
        struct job many[KEYS];
        gate_close(&harness.load_gate);
        for (int i = 0; i < KEYS; i++)
            job_init_number(&many[i], &harness, i, 1);
        jobs_submit_many(many, KEYS);
        gate_await(&harness.load_gate, sessions - 1); /* one is left to saves */
        gate_close(&harness.save_gate);
        gate_open(&harness.load_gate);
        gate_await(&harness.save_gate, sessions - 1); /* one is left to loads */
        gate_open(&harness.save_gate);
        jobs_wait(many, KEYS);
        harness_end(&harness);
    }
}

static struct gate first_gate;

static int load_that_hangs_first(batch_call *call, void *resource, void *arg)
{
    size_t key_size;
    const char *key = batch_call_key(call, &key_size);
    (void)resource;
    (void)arg;
    if (key_size == 1 && key[0] == '0')
        gate_pass(&first_gate);
    return BATCH_OK;
}

TEST(a_load_function_that_hangs_holds_up_its_own_key_alone)
{
    struct harness harness;
    harness_init_with(&harness, HARNESS_FUNCTIONS, .sessions = 3);
    harness.options.load = load_that_hangs_first;
    gate_init(&first_gate);
    gate_close(&first_gate);
    harness_start(&harness);
    struct job many[KEYS];
    for (int i = 0; i < KEYS; i++)
        job_init_number(&many[i], &harness, i, 1);
    jobs_submit_many(many, KEYS);
    jobs_wait(many + 1, KEYS - 1);
    gate_await(&first_gate, 1);
    assert_false(job_is_complete(&many[0]));
    gate_open(&first_gate);
    jobs_wait(many, KEYS);
    harness_end(&harness);
    gate_destroy(&first_gate);
}

/* ---- A store that finishes a group of saves on demand ---------------------------------------- */

/* Loads go well. The first group of saves hangs until its deadline has passed, and fails. No group
 * of HUNG returns before what comes of it is queued again. */
enum { HUNG = 8 };

struct slow_store {
    struct store_wrapper wrapper; /* first */
    batch_processor *processor;
    struct gate gate; /* where the hung group waits, too */
    unsigned save_groups, load_groups;
    size_t save_group_largest; /* after the failure */
};

static void await_queued(const struct slow_store *store, uint64_t loads, uint64_t saves)
{
    batch_stats stats = BATCH_STATS_INIT;
    while (stats.loads_queued < loads || stats.saves_queued < saves) {
        sched_yield();
        batch_processor_stats(store->processor, &stats);
    }
}

static void slow_load(batch_store *base, void *session, batch_call *const *calls, size_t calls_size)
{
    struct slow_store *store = (struct slow_store *)base;
    (void)session;
    MUST(calls_size == HUNG);
    store->load_groups++;
    for (size_t i = 0; i < calls_size; i++)
        batch_call_finish(calls[i], BATCH_OK);
    await_queued(store, 0, HUNG);
}

static void slow_save(batch_store *base, void *session, batch_call *const *calls, size_t calls_size)
{
    struct slow_store *store = (struct slow_store *)base;
    (void)session;
    bool hangs = store->save_groups++ == 0;
    if (hangs)
        gate_pass(&store->gate);
    while (hangs && !batch_call_is_canceled(calls[calls_size - 1]))
        sched_yield();
    if (!hangs && calls_size > store->save_group_largest)
        store->save_group_largest = calls_size;
    for (size_t i = 0; i < calls_size; i++)
        batch_call_finish(calls[i], hangs ? BATCH_SAVE_FAILED : BATCH_OK);
    if (hangs)
        await_queued(store, HUNG, 0);
}

static void slow_store_init(struct slow_store *store)
{
    *store = (struct slow_store){.save_groups = 0};
    gate_init(&store->gate);
    gate_close(&store->gate);
    store_wrapper_init(&store->wrapper, "slow", NULL);
    store->wrapper.store.load = slow_load;
    store->wrapper.store.save = slow_save;
}

struct simple {
    batch_op op; /* first */
    char key[8];
    int status; /* under lock */
    bool is_answered;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static batch_verdict change(void *resource, void *arg)
{
    (void)resource;
    (void)arg;
    return BATCH_CHANGED;
}

static void done(batch_op *op, const batch_result *result)
{
    struct simple *simple = (struct simple *)op;
    pthread_mutex_lock(&lock);
    simple->status = result->status;
    simple->is_answered = true;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

/* One on each of the keys "0", "1", …, all at once. */
static void simple_submit(struct simple *simples, int count, batch_processor *processor)
{
    batch_op *ops[KEYS];
    for (int i = 0; i < count; i++) {
        struct simple *simple = &simples[i];
        *simple = (struct simple){.op = BATCH_OP_INIT};
        snprintf(simple->key, sizeof simple->key, "%d", i);
        simple->op.key = simple->key;
        simple->op.key_size = strlen(simple->key);
        simple->op.run = change;
        simple->op.done = done;
        ops[i] = &simple->op;
    }
    MUST(batch_submit_many(processor, ops, (size_t)count) == BATCH_OK);
}

static int simple_wait(struct simple *simple)
{
    pthread_mutex_lock(&lock);
    while (!simple->is_answered)
        pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    return simple->status;
}

/* Eight keys hang in one group: any of them may be the one to blame, so the next time they are
 * saved in groups of four at the most, though all eight wait together; and though the load in
 * between was quick. */
TEST(a_group_that_hung_is_divided)
{
    struct slow_store store;
    slow_store_init(&store);
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = &store.wrapper.store;
    options.sessions = 1;
    options.ops_max = 1; /* a batch is saved as soon as it is loaded */
    options.window_ns = 50 * MS;
    options.deadline_ns = 2000 * MS;
    struct simple firsts[HUNG], seconds[HUNG];
    assert_int_equal(batch_processor_start(&store.processor, &options, NULL), BATCH_OK);
    simple_submit(firsts, HUNG, store.processor);
    gate_await(&store.gate, 1);
    simple_submit(seconds, HUNG, store.processor); /* wait for the next batch of their key */
    gate_open(&store.gate);
    for (int i = 0; i < HUNG; i++) {
        assert_int_equal(simple_wait(&firsts[i]), BATCH_SAVE_FAILED);
        assert_int_equal(simple_wait(&seconds[i]), BATCH_OK);
    }
    assert_int_equal(batch_processor_stop(store.processor, BATCH_FOREVER), 0);
    assert_int_equal(batch_processor_free(store.processor), BATCH_OK);
    assert_int_equal(store.save_group_largest, HUNG / 2);
    assert_int_equal(store.save_groups, 3);
    assert_int_equal(store.load_groups, 2);
    gate_destroy(&store.gate);
}

/* ---- A hot key ------------------------------------------------------------------------------- */

enum { ROOM = 100 };

HARNESS_TEST_WITH(a_key_that_is_stuck_leaves_room_to_the_others, HARNESS_STORE, .sessions = 3,
                  .ops_waiting_max = ROOM)
{
    gate_close(&harness->load_gate);
    struct job stuck[ROOM];
    jobs_send(stuck, ROOM, harness, "stuck", 1);
    gate_await(&harness->load_gate, 1);
    harness_settle(harness);
    struct job other;
    job_send(&other, harness, "other", 1);
    gate_await(&harness->load_gate, 2);
    gate_open(&harness->load_gate);
    assert_int_equal(job_wait(&other), BATCH_OK);
    int busy = 0;
    for (int i = 0; i < ROOM; i++)
        busy += job_wait(&stuck[i]) == BATCH_BUSY;
    assert_int_equal(busy, ROOM - (ROOM / 2 + 1));
    harness_end(harness);
}
