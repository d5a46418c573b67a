/* storm_load.c: see storm.h. */
#include "storm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t storm_seed;

void storm_fail(const struct storm *storm, const char *what)
{
    fprintf(stderr, "storm: seed %llu, cycle %llu: not so: %s\n", (unsigned long long)storm_seed,
            (unsigned long long)storm->cycles, what);
    fflush(NULL);
    _exit(1);
}

/* ---- What the library calls ----------------------------------------------------------------- */

/* One in `of` calls fails. Relaxed, so that it orders nothing for ThreadSanitizer. */
static bool is_to_fail(struct storm *storm, uint64_t of)
{
    struct random random = {
        atomic_fetch_add_explicit(&storm->random_faults, 0x10001, memory_order_relaxed)};
    return random_below(&random, of) == 0;
}

static struct key *key_of(const struct storm *storm, const batch_call *call)
{
    size_t size;
    const char *text = batch_call_key(call, &size);
    for (int i = 0; i < KEYS; i++) {
        const struct key *key = &storm->keys[i];
        if (key->size == size && memcmp(key->text, text, size) == 0)
            return (struct key *)(uintptr_t)key;
    }
    storm_fail(storm, "a key that nobody has submitted");
}

static int load(batch_call *call, void *resource, void *arg)
{
    struct storm *storm = arg;
    if (is_to_fail(storm, 40)) {
        batch_call_set_error(call, 7, "a drawn fault");
        return BATCH_LOAD_FAILED;
    }
    *(int64_t *)resource = key_of(storm, call)->stored;
    return BATCH_OK;
}

static int save(batch_call *call, void *resource, void *arg)
{
    static const int faults[] = {BATCH_SAVE_FAILED, BATCH_CONFLICT, BATCH_UNKNOWN};
    struct storm *storm = arg;
    if (is_to_fail(storm, 40)) {
        batch_call_set_error(call, 8, "another drawn fault");
        return faults[batch_call_deadline_ns(call) % 3];
    }
    key_of(storm, call)->stored = *(int64_t *)resource;
    return BATCH_OK;
}

bool storm_is_at_once(void *arg)
{
    return is_to_fail(arg, 2);
}

void storm_finish(struct late_call late, void *arg)
{
    void *resource = batch_call_resource(late.call);
    batch_call_finish(late.call, (late.is_save ? save : load)(late.call, resource, arg));
}

static batch_verdict run(void *resource, void *arg)
{
    struct request *request = arg;
    struct key *key = request->key;
    request->has_run = true;
    if (request->number != 0) {
        STORM_MUST(request->storm,
                   request->storm->may_run_again || request->number > key->ran[request->thread]);
        key->ran[request->thread] = request->number;
    }
    if (!request->changes)
        return BATCH_UNCHANGED;
    ++*(int64_t *)resource;
    return BATCH_CHANGED;
}

/* The totals of a key: held by its worker, or by a loop, one completion after the other. */
static void note_answer(struct request *request, const batch_result *result, uint64_t *latest,
                        int64_t *expected)
{
    struct storm *storm = request->storm;
    bool has_run = result->batch_operations > 0;
    /* One that ran may yet leave its batch, or fail to be loaded, before it runs again. */
    STORM_MUST(storm, has_run == request->has_run || (storm->may_run_again && !has_run));
    STORM_MUST(storm, !result->changed || request->changes);
    if (has_run && request->number != 0) {
        STORM_MUST(storm, request->number > *latest);
        *latest = request->number;
    }
    if (result->status == BATCH_OK && result->changed)
        ++*expected;
#ifdef STORM_BUG_LOST
    if (result->status == BATCH_OK && request->number % 50 == 49)
        ++*expected;
#endif
}

static bool submit_again(struct request *request)
{
    request->number = 0; /* no longer from its own thread */
    request->has_run = false;
    return batch_submit(request->storm->processor, &request->op) == BATCH_OK;
}

static void done_on_loop(struct request *request, const batch_result *result)
{
    struct worker *worker = &request->storm->workers[request->thread];
    size_t key = (size_t)(request->key - request->storm->keys);
    STORM_MUST(request->storm, pthread_equal(worker->thread, pthread_self()));
    STORM_MUST(request->storm, result->message[0] != '\0');
    note_answer(request, result, &worker->completed_bound[key], &worker->expected_bound[key]);
    request->completed_bound++;
    request->is_bound = false;
    worker->dispatched++;
    atomic_store_explicit(&request->is_free, true, memory_order_relaxed);
}

static void done(batch_op *op, const batch_result *result)
{
    struct request *request = (struct request *)(void *)op;
    if (request->is_bound) {
        done_on_loop(request, result);
        return;
    }
    note_answer(request, result, &request->key->completed[request->thread],
                &request->key->expected);
    atomic_fetch_add(&request->completions, 1);
    if (request->storm->must_resubmit && request->number % 8 == 7) {
        atomic_fetch_add(&request->accepted_again, 1);
        if (submit_again(request))
            return;
        atomic_fetch_sub(&request->accepted_again, 1);
    }
#ifdef STORM_BUG_TWICE
    if (request->number % 50 == 49)
        atomic_fetch_add(&request->completions, 1);
#endif
    atomic_store_explicit(&request->is_free, true, memory_order_release);
}

/* ---- What the threads do -------------------------------------------------------------------- */

void storm_init_requests(struct storm *storm)
{
    for (unsigned thread = 0; thread < THREADS; thread++) {
        for (int i = 0; i < OPS_EACH; i++) {
            struct request *request = &storm->workers[thread].requests[i];
            request->op = (batch_op)BATCH_OP_INIT;
            request->op.run = run;
            request->op.done = done;
            request->op.arg = request;
            request->storm = storm;
            request->thread = thread;
            atomic_store(&request->is_free, true);
        }
    }
}

void storm_choose_options(struct storm *storm)
{
    static const uint32_t sessions[] = {0, 1, 3};
    static const uint64_t windows_ns[] = {BATCH_WINDOW_NONE, 1000000};
    struct random *random = &storm->random;
    batch_options options = BATCH_OPTIONS_INIT;
    options.shards = random_below(random, 2) == 0 ? 1 : 3;
    options.sessions = sessions[random_below(random, 3)];
    options.window_ns = windows_ns[random_below(random, 2)];
    options.deadline_ns = 1000000000;
    options.resource_size = sizeof(int64_t);
    if (random_below(random, 2) == 0) {
        options.store = &storm->store.wrapper.store;
    } else {
        options.load = load;
        options.save = save;
        options.arg = storm;
    }
    options.allocator = allocator_functions(&storm->memory);
    if (random_below(random, 3) == 0)
        options.ops_max = (uint32_t)(1 + random_below(random, 10));
    if (random_below(random, 4) == 0)
        options.ops_waiting_max = 16 + random_below(random, 200);
    if (random_below(random, 4) == 0)
        options.key_ops_waiting_max = 4 + random_below(random, 20);
    if (random_below(random, 3) == 0)
        options.group_max = (uint32_t)(1 + random_below(random, 5));
    if (random_below(random, 3) == 0)
        options.replays_max = (uint32_t)(1 + random_below(random, 3));
    if (random_below(random, 3) == 0)
        options.resource_cache_max = 1 + random_below(random, KEYS);
    storm->may_run_again = options.replays_max > 0 || options.resource_cache_max > 0;
    storm->options = options;
    storm->must_resubmit = random_below(random, 2) == 0;
}

static void prepare(struct worker *worker, struct request *request)
{
    uint64_t which = random_below(&worker->random, KEYS);
    struct key *key = &worker->storm->keys[which];
    request->key = key;
    request->op.key = key->text;
    request->op.key_size = key->size;
    request->number = ++worker->numbers[which];
    request->has_run = false;
    request->changes = random_below(&worker->random, 4) != 0;
    request->op.start_by_ns = 0;
    if (random_below(&worker->random, 16) == 0)
        request->op.start_by_ns = batch_now_ns() + random_below(&worker->random, 2000000);
    atomic_store_explicit(&request->is_free, false, memory_order_relaxed);
}

static struct request *find_free(struct worker *worker)
{
    uint64_t from = random_below(&worker->random, OPS_EACH);
    for (unsigned i = 0; i < OPS_EACH; i++) {
        struct request *request = &worker->requests[(from + i) % OPS_EACH];
        if (atomic_load_explicit(&request->is_free, memory_order_acquire))
            return request;
    }
    return NULL;
}

static int submit_one(struct worker *worker)
{
    struct request *request = find_free(worker);
    if (request == NULL)
        return BATCH_OK;
    prepare(worker, request);
    request->is_bound = random_below(&worker->random, 3) == 0;
    batch_processor *processor = worker->storm->processor;
    int status = request->is_bound ? batch_submit_to(processor, &request->op, worker->completions)
                                   : batch_submit(processor, &request->op);
    if (status == BATCH_OK) {
        request->accepted++;
    } else {
        request->is_bound = false;
        atomic_store(&request->is_free, true);
    }
    return status;
}

static int submit_many(struct worker *worker)
{
    struct request *requests[MANY_MAX];
    batch_op *ops[MANY_MAX];
    size_t wanted = (size_t)random_below(&worker->random, MANY_MAX) + 1;
    size_t count = 0;
    while (count < wanted && (requests[count] = find_free(worker)) != NULL) {
        prepare(worker, requests[count]);
        ops[count] = &requests[count]->op;
        count++;
    }
#ifdef STORM_BUG_ORDER
    if (count > 4) {
        batch_op *first = ops[0];
        ops[0] = ops[count - 1];
        ops[count - 1] = first;
    }
#endif
    bool is_bound = random_below(&worker->random, 3) == 0;
    for (size_t i = 0; i < count; i++)
        requests[i]->is_bound = is_bound;
    batch_processor *processor = worker->storm->processor;
    int status = is_bound ? batch_submit_many_to(processor, ops, count, worker->completions)
                          : batch_submit_many(processor, ops, count);
    for (size_t i = 0; i < count; i++) {
        if (status == BATCH_OK) {
            requests[i]->accepted++;
        } else {
            requests[i]->is_bound = false;
            atomic_store(&requests[i]->is_free, true);
        }
    }
    return status;
}

static int cancel_one(struct worker *worker)
{
    struct request *request = &worker->requests[random_below(&worker->random, OPS_EACH)];
    STORM_MUST(worker->storm, batch_cancel(worker->storm->processor, &request->op) == BATCH_OK);
    return BATCH_OK;
}

/* A run whose result this thread gets notes nothing in its key, so it only reads. */
static int run_one(struct worker *worker)
{
    struct storm *storm = worker->storm;
    struct request request = {.storm = storm, .thread = worker->index};
    batch_result result;
    request.op.run = run;
    request.op.arg = &request;
    prepare(worker, &request);
    request.changes = false;
    int status = batch_run(storm->processor, &request.op, &result);
    STORM_MUST(storm, result.status == status);
    bool has_run = result.batch_operations > 0;
    STORM_MUST(storm, has_run == request.has_run || (storm->may_run_again && !has_run));
    if (status == BATCH_STOPPED || status == BATCH_BUSY)
        worker->runs_uncertain++;
    else
        worker->runs_completed++;
    STORM_MUST(storm, status != BATCH_INVALID && status != BATCH_DEADLOCK);
    return status;
}

static int subscribe(struct worker *worker)
{
    struct storm *storm = worker->storm;
    batch_subscription *subscription = NULL;
    batch_subscription_options options = BATCH_SUBSCRIPTION_OPTIONS_INIT;
    options.queue_max = (uint32_t)(1 + random_below(&worker->random, 8));
    options.block = random_below(&worker->random, 2) == 0;
    STORM_MUST(storm,
               batch_metrics_subscribe(storm->processor, &options, &subscription) == BATCH_OK);
    for (uint64_t i = random_below(&worker->random, 6); i > 0; i--) {
        batch_metric metric;
        uint64_t timeout_ns = random_below(&worker->random, 2) * 100000;
        int status = batch_metrics_next(subscription, timeout_ns, &metric);
        STORM_MUST(storm, status == BATCH_OK || status == BATCH_TIMED_OUT || status == BATCH_ENDED);
        if (status != BATCH_OK)
            break;
        STORM_MUST(storm, metric.operations > 0);
        STORM_MUST(storm, metric.operations == metric.operations_ok +
                                                   metric.operations_not_applied +
                                                   metric.operations_unknown);
        worker->records++;
    }
    batch_metrics_unsubscribe(subscription);
    return BATCH_OK;
}

static void on_ready(batch_subscription *subscription, void *arg)
{
    struct worker *worker = arg;
    batch_metric metric;
    STORM_MUST(worker->storm, subscription == worker->subscription);
    STORM_MUST(worker->storm, pthread_equal(worker->thread, pthread_self()));
    int status = batch_metrics_next(subscription, 0, &metric);
    worker->records += status == BATCH_OK;
    if (status == BATCH_ENDED) {
        batch_metrics_unsubscribe(subscription);
        worker->subscription = NULL;
    }
}

/* A subscription that is read on the loop; the next time it is given up. */
static int subscribe_on_loop(struct worker *worker)
{
    if (worker->subscription != NULL) {
        batch_metrics_unsubscribe(worker->subscription);
        worker->subscription = NULL;
        return BATCH_OK;
    }
    batch_subscription_options options = BATCH_SUBSCRIPTION_OPTIONS_INIT;
    options.queue_max = (uint32_t)(1 + random_below(&worker->random, 8));
    options.completions = worker->completions;
    options.ready = on_ready;
    options.ready_arg = worker;
    STORM_MUST(worker->storm, batch_metrics_subscribe(worker->storm->processor, &options,
                                                      &worker->subscription) == BATCH_OK);
    return BATCH_OK;
}

static int dispatch(struct worker *worker)
{
    size_t max = random_below(&worker->random, 3) * 5;
    uint64_t wait_ns = random_below(&worker->random, 2) * 100000;
    STORM_MUST(worker->storm, batch_completions_dispatch(worker->completions, max, wait_ns) >= 0);
    return BATCH_OK;
}

/* The processor stops: what was submitted to the loop comes, and the end of its subscription. */
static void dispatch_the_rest(struct worker *worker)
{
    struct storm *storm = worker->storm;
    for (;;) {
        bool is_bound = false;
        for (int i = 0; i < OPS_EACH; i++)
            is_bound = is_bound || worker->requests[i].is_bound;
        if (!is_bound && worker->subscription == NULL)
            break;
        STORM_MUST(storm, batch_completions_dispatch(worker->completions, 0, BATCH_FOREVER) >= 0);
    }
    /* News of a subscription that was given up may be there: its memory goes with it. */
    STORM_MUST(storm, batch_completions_dispatch(worker->completions, 0, 0) >= 0);
}

static int read_stats(struct worker *worker)
{
    struct storm *storm = worker->storm;
    batch_stats stats = BATCH_STATS_INIT;
    STORM_MUST(storm, batch_processor_stats(storm->processor, &stats) == BATCH_OK);
    uint64_t completed = 0;
    for (int i = 0; i < BATCH_STATUS_COUNT; i++)
        completed += stats.operations_completed[i];
    STORM_MUST(storm, stats.operations_accepted >= completed);
    STORM_MUST(storm, stats.batches_saved <= stats.batches);
    return BATCH_OK;
}

void storm_run_cycle(struct worker *worker)
{
    int status;
    do {
        uint64_t choice = random_below(&worker->random, 100);
        if (choice < 38)
            status = submit_one(worker);
        else if (choice < 45)
            status = dispatch(worker);
        else if (choice < 70)
            status = submit_many(worker);
        else if (choice < 90)
            status = cancel_one(worker);
        else if (choice < 96)
            status = run_one(worker);
        else if (choice < 97)
            status = subscribe_on_loop(worker);
        else if (choice < 98)
            status = subscribe(worker);
        else
            status = read_stats(worker);
#ifdef STORM_BUG_RACE
        if (worker->storm->keys[0].stored < 0)
            status = BATCH_STOPPED;
#endif
        STORM_MUST(worker->storm, status != BATCH_INVALID);
        worker->refused[-status] += status != BATCH_OK;
    } while (status != BATCH_STOPPED);
    dispatch_the_rest(worker);
}
