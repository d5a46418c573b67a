/* deadlock_test.c: callbacks that would wait, for their own processor or for another: nothing
 * hangs, in whatever circle they call each other. */
#include "harness.h"

static batch_verdict do_nothing(void *resource, void *arg)
{
    (void)resource;
    (void)arg;
    return BATCH_UNCHANGED;
}

static int run_on(batch_processor *processor)
{
    batch_op op = BATCH_OP_INIT;
    op.run = do_nothing;
    return batch_run(processor, &op, NULL);
}

/* ---- Circles of operations ------------------------------------------------------------------- */

enum { RING_MAX = 3 };

/* Operations that are all inside at once, each of which then waits for the next processor. */
struct ring {
    struct harness harness[RING_MAX];
    struct gate all_inside;
    int status[RING_MAX];
    size_t size;
};

static void run_on_the_next(struct job *job)
{
    struct ring *ring = job->arg;
    size_t at = 0;
    while (job->harness != &ring->harness[at])
        at++;
    gate_pass(&ring->all_inside);
    ring->status[at] = run_on(ring->harness[(at + 1) % ring->size].processor);
}

static void check_ring(size_t size)
{
    struct ring ring = {.size = size};
    struct job jobs[RING_MAX];
    gate_init(&ring.all_inside);
    gate_close(&ring.all_inside);
    for (size_t i = 0; i < size; i++)
        harness_begin(&ring.harness[i], HARNESS_FUNCTIONS);
    for (size_t i = 0; i < size; i++) {
        job_init(&jobs[i], &ring.harness[i], "k", 1);
        jobs[i].on_run = run_on_the_next;
        jobs[i].arg = &ring;
        job_submit(&jobs[i]);
    }
    gate_await(&ring.all_inside, (unsigned)size);
    gate_open(&ring.all_inside);
    for (size_t i = 0; i < size; i++) {
        assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
        assert_int_equal(ring.status[i], BATCH_DEADLOCK);
    }
    for (size_t i = 0; i < size; i++)
        harness_end(&ring.harness[i]);
    gate_destroy(&ring.all_inside);
}

TEST(operations_that_run_on_their_own_processor_do_not_hang)
{
    check_ring(1);
}

TEST(operations_of_two_processors_that_run_on_each_other_do_not_hang)
{
    check_ring(2);
}

TEST(operations_of_three_processors_that_run_on_each_other_do_not_hang)
{
    check_ring(3);
}

/* ---- Circles of sessions --------------------------------------------------------------------- */

/* Two processors, each with functions, a store or a codec that waits for the other processor; all
 * sessions of both are inside at once. */
struct pair {
    batch_store *memory; /* of both */
    batch_processor *processor[2];
    struct gate all_inside;
    int status[2];
    bool is_save;
};

struct side {
    struct pair *pair;
    int at;
};

static int wait_for_the_other(const struct side *side)
{
    struct pair *pair = side->pair;
    gate_pass(&pair->all_inside);
    pair->status[side->at] = run_on(pair->processor[1 - side->at]);
    return BATCH_OK;
}

static int load_that_waits(batch_call *call, void *resource, void *arg)
{
    const struct side *side = arg;
    (void)call;
    (void)resource;
    return side->pair->is_save ? BATCH_OK : wait_for_the_other(side);
}

static int save_that_waits(batch_call *call, void *resource, void *arg)
{
    const struct side *side = arg;
    (void)call;
    (void)resource;
    return side->pair->is_save ? wait_for_the_other(side) : BATCH_OK;
}

static int decode_that_waits(void *resource, const void *bytes, size_t bytes_size, void *arg)
{
    const struct side *side = arg;
    (void)resource;
    (void)bytes;
    (void)bytes_size;
    return side->pair->is_save ? BATCH_OK : wait_for_the_other(side);
}

static int encode_that_waits(void *resource, const void **ret_bytes, size_t *ret_bytes_size,
                             void *arg)
{
    const struct side *side = arg;
    *ret_bytes = resource;
    *ret_bytes_size = 0;
    return side->pair->is_save ? wait_for_the_other(side) : BATCH_OK;
}

static batch_verdict change(void *resource, void *arg)
{
    (void)resource;
    (void)arg;
    return BATCH_CHANGED;
}

/* The key is the processor's own: two may share a store. */
static void *run_a_change(void *processor)
{
    batch_op op = BATCH_OP_INIT;
    op.key = &processor;
    op.key_size = sizeof processor;
    op.run = change;
    MUST(batch_run(processor, &op, NULL) == BATCH_OK);
    return NULL;
}

static void check_pair(bool has_codec, bool is_save, uint32_t sessions)
{
    struct pair pair = {.is_save = is_save};
    struct side sides[2] = {{&pair, 0}, {&pair, 1}};
    batch_codec codecs[2];
    gate_init(&pair.all_inside);
    gate_close(&pair.all_inside);
    assert_int_equal(batch_memory_open(&pair.memory), BATCH_OK);
    for (int i = 0; i < 2; i++) {
        codecs[i] = (batch_codec){.size = sizeof codecs[i],
                                  .decode = decode_that_waits,
                                  .encode = encode_that_waits,
                                  .arg = &sides[i]};
        batch_options options = BATCH_OPTIONS_INIT;
        options.sessions = sessions;
        options.window_ns = BATCH_WINDOW_NONE;
        options.deadline_ns = LONG_NS;
        options.store = has_codec ? pair.memory : NULL;
        options.codec = has_codec ? &codecs[i] : NULL;
        options.load = has_codec ? NULL : load_that_waits;
        options.save = has_codec ? NULL : save_that_waits;
        options.arg = has_codec ? NULL : &sides[i];
        assert_int_equal(batch_processor_start(&pair.processor[i], &options, NULL), BATCH_OK);
    }
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        threads[i] = thread_start(run_a_change, pair.processor[i]);
    gate_await(&pair.all_inside, 2);
    gate_open(&pair.all_inside);
    for (int i = 0; i < 2; i++) {
        thread_join(threads[i]);
        assert_int_equal(pair.status[i], BATCH_DEADLOCK);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(batch_processor_stop(pair.processor[i], BATCH_FOREVER), 0);
        assert_int_equal(batch_processor_free(pair.processor[i]), BATCH_OK);
    }
    assert_int_equal(batch_store_close(pair.memory), BATCH_OK);
    gate_destroy(&pair.all_inside);
}

TEST(loads_of_two_processors_that_run_on_each_other_do_not_hang)
{
    for (uint32_t sessions = 0; sessions < 2; sessions++)
        check_pair(false, false, sessions);
}

TEST(saves_of_two_processors_that_run_on_each_other_do_not_hang)
{
    for (uint32_t sessions = 0; sessions < 2; sessions++)
        check_pair(false, true, sessions);
}

TEST(codecs_of_two_processors_that_run_on_each_other_do_not_hang)
{
    for (uint32_t sessions = 0; sessions < 2; sessions++) {
        check_pair(true, false, sessions);
        check_pair(true, true, sessions);
    }
}

/* ---- Other functions that wait --------------------------------------------------------------- */

static batch_subscription *subscribe(struct harness *harness, uint32_t queue_max, bool block)
{
    batch_subscription_options options = BATCH_SUBSCRIPTION_OPTIONS_INIT;
    options.queue_max = queue_max;
    options.block = block;
    batch_subscription *subscription = NULL;
    assert_int_equal(batch_metrics_subscribe(harness->processor, &options, &subscription),
                     BATCH_OK);
    return subscription;
}

struct visit {
    struct harness *other;
    batch_subscription *subscription; /* of the other */
    int64_t stop_forever, stop_soon, stop_now;
    int next_forever, next_soon, next_now, free;
};

static void visit(struct job *job)
{
    struct visit *visit = job->arg;
    batch_metric metric;
    visit->next_forever = batch_metrics_next(visit->subscription, BATCH_FOREVER, &metric);
    visit->next_soon = batch_metrics_next(visit->subscription, 1, &metric);
    visit->next_now = batch_metrics_next(visit->subscription, 0, &metric);
    visit->stop_forever = batch_processor_stop(visit->other->processor, BATCH_FOREVER);
    visit->stop_soon = batch_processor_stop(visit->other->processor, 1);
    visit->free = batch_processor_free(visit->other->processor);
    if (visit->stop_now != 0) /* asked for: it does not wait */
        visit->stop_now = batch_processor_stop(visit->other->processor, 0);
}

TEST(operation_that_would_wait_for_another_processor_in_any_function_is_refused)
{
    struct harness harness, other;
    harness_begin(&harness, HARNESS_FUNCTIONS);
    harness_begin(&other, HARNESS_FUNCTIONS);
    struct visit visited = {.other = &other, .subscription = subscribe(&other, 1, false)};
    struct job job;
    job_init(&job, &harness, "k", 1);
    job.on_run = visit;
    job.arg = &visited;
    assert_int_equal(job_run(&job), BATCH_OK);
    assert_int_equal(visited.next_forever, BATCH_DEADLOCK);
    assert_int_equal(visited.next_soon, BATCH_DEADLOCK);
    assert_int_equal(visited.next_now, BATCH_TIMED_OUT);
    assert_int_equal(visited.stop_forever, BATCH_DEADLOCK);
    assert_int_equal(visited.stop_soon, BATCH_DEADLOCK);
    assert_int_equal(visited.free, BATCH_BUSY);
    harness_add(&other, "k", 1); /* nothing was done to it */

    gate_close(&other.save_gate); /* it cannot have stopped when it is asked to */
    struct job cached;
    job_send(&cached, &other, "k", 1);
    gate_await(&other.save_gate, 1);
    visited.stop_now = 1;
    job_init(&job, &harness, "k", 1);
    job.on_run = visit;
    job.arg = &visited;
    assert_int_equal(job_run(&job), BATCH_OK);
    assert_int_equal(visited.stop_now, 1);
    assert_int_equal(batch_submit(other.processor, &job.op), BATCH_STOPPED);
    gate_open(&other.save_gate);
    assert_int_equal(job_wait(&cached), BATCH_OK);
    batch_metrics_unsubscribe(visited.subscription);
    harness_end(&other);
    harness_end(&harness);
}

/* ---- Callbacks on the thread that stops or frees --------------------------------------------- */

struct closing {
    struct store_wrapper wrapper; /* first */
    batch_processor *processor;
    int64_t stop;
    int run, free;
};

static void session_close_that_stops(batch_store *store, void *session)
{
    struct closing *closing = (struct closing *)(void *)store;
    closing->stop = batch_processor_stop(closing->processor, BATCH_FOREVER);
    closing->free = batch_processor_free(closing->processor);
    closing->run = run_on(closing->processor);
    closing->wrapper.inner->session_close(closing->wrapper.inner, session);
}

TEST(session_close_that_stops_its_processor_does_not_hang)
{
    struct closing closing;
    batch_store *memory;
    assert_int_equal(batch_memory_open(&memory), BATCH_OK);
    store_wrapper_init(&closing.wrapper, "closing", memory);
    closing.wrapper.store.session_close = session_close_that_stops;
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = &closing.wrapper.store;
    assert_int_equal(batch_processor_start(&closing.processor, &options, NULL), BATCH_OK);
    assert_int_equal(batch_processor_stop(closing.processor, BATCH_FOREVER), 0);
    assert_int_equal(closing.stop, BATCH_DEADLOCK);
    assert_int_equal(closing.free, BATCH_DEADLOCK);
    assert_int_equal(closing.run, BATCH_STOPPED);
    assert_int_equal(batch_processor_stop(closing.processor, BATCH_FOREVER), 0);
    assert_int_equal(batch_processor_free(closing.processor), BATCH_OK);
    assert_int_equal(batch_store_close(&closing.wrapper.store), BATCH_OK);
    assert_int_equal(batch_store_close(memory), BATCH_OK);
}

static int load_nothing(batch_call *call, void *resource, void *arg)
{
    (void)resource;
    (void)arg;
    batch_call_set_version(call, 1);
    return BATCH_OK;
}

static void release_that_frees(void *resource, void *arg)
{
    struct closing *closing = arg;
    (void)resource;
    closing->stop = batch_processor_stop(closing->processor, BATCH_FOREVER);
    closing->free = batch_processor_free(closing->processor);
}

TEST(release_of_what_is_cached_at_the_end_is_a_callback_too)
{
    struct closing closing = {.stop = 1};
    batch_options options = BATCH_OPTIONS_INIT;
    options.load = load_nothing;
    options.save = load_nothing;
    options.release = release_that_frees;
    options.resource_cache_max = 10; /* what is cached is released at the end */
    options.window_ns = BATCH_WINDOW_NONE;
    options.arg = &closing;
    assert_int_equal(batch_processor_start(&closing.processor, &options, NULL), BATCH_OK);
    run_a_change(closing.processor);
    assert_int_equal(batch_processor_stop(closing.processor, BATCH_FOREVER), 0);
    assert_int_equal(batch_processor_free(closing.processor), BATCH_OK);
    assert_int_equal(closing.stop, BATCH_DEADLOCK);
    assert_int_equal(closing.free, BATCH_DEADLOCK);
}

/* ---- Subscriptions that block, read in callbacks --------------------------------------------- */

static void read_one(struct job *job, const batch_result *result)
{
    batch_metric metric;
    (void)result;
    int status = batch_metrics_next(job->arg, 0, &metric);
    MUST(status == BATCH_OK || status == BATCH_TIMED_OUT);
}

static void send_reader(struct job *job, struct harness *harness, batch_subscription *subscription)
{
    job_init(job, harness, "k", 1);
    job->on_done = read_one;
    job->arg = subscription;
    job_submit(job);
}

HARNESS_TEST(worker_does_not_wait_for_room_that_its_own_callbacks_would_make, HARNESS_FUNCTIONS)
{
    batch_subscription *subscription = subscribe(harness, 1, true);
    struct job job;
    send_reader(&job, harness, subscription); /* nothing is there yet */
    assert_int_equal(job_wait(&job), BATCH_OK);
    for (int i = 0; i < 5; i++)
        harness_add(harness, "k", 1); /* the queue is full from the first on */
    harness_stop(harness);
    assert_int_equal(batch_metrics_dropped(subscription), 5);
    batch_metric metric;
    assert_int_equal(batch_metrics_next(subscription, 0, &metric), BATCH_OK);
    assert_int_equal(batch_metrics_next(subscription, 0, &metric), BATCH_ENDED);
    batch_metrics_unsubscribe(subscription);
    harness_free(harness);
}

TEST(workers_of_two_processors_do_not_wait_for_room_that_the_other_would_make)
{
    struct harness harness[2];
    batch_subscription *subscriptions[2];
    struct job jobs[2];
    for (int i = 0; i < 2; i++) {
        harness_begin(&harness[i], HARNESS_FUNCTIONS);
        subscriptions[i] = subscribe(&harness[i], 1, true);
    }
    for (int i = 0; i < 2; i++) {
        send_reader(&jobs[i], &harness[i], subscriptions[1 - i]);
        assert_int_equal(job_wait(&jobs[i]), BATCH_OK);
    }
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 2; i++)
            harness_add(&harness[i], "k", 1);
    }
    for (int i = 0; i < 2; i++)
        harness_stop(&harness[i]);
    for (int i = 0; i < 2; i++) {
        assert_true(batch_metrics_dropped(subscriptions[i]) > 0);
        batch_metrics_unsubscribe(subscriptions[i]);
        harness_free(&harness[i]);
        harness_destroy(&harness[i]);
    }
}

TEST(worker_that_waits_for_room_goes_on_when_a_callback_becomes_the_reader)
{
    struct harness harness, other;
    harness_begin(&harness, HARNESS_FUNCTIONS);
    harness_begin(&other, HARNESS_FUNCTIONS);
    batch_subscription *watch = subscribe(&harness, 9, false);
    batch_subscription *subscription = subscribe(&harness, 1, true);
    harness_add(&harness, "k", 1);
    harness_add(&harness, "k", 1);
    batch_metric metric;
    assert_int_equal(batch_metrics_next(watch, BATCH_FOREVER, &metric), BATCH_OK);
    assert_int_equal(batch_metrics_next(watch, BATCH_FOREVER, &metric), BATCH_OK); /* it waits */
    struct job job;
    send_reader(&job, &other, subscription);
    assert_int_equal(job_wait(&job), BATCH_OK);
    harness_add(&harness, "k", 1);
    harness_stop(&harness);
    batch_metrics_unsubscribe(watch);
    batch_metrics_unsubscribe(subscription);
    harness_free(&harness);
    harness_destroy(&harness);
    harness_end(&other);
}
