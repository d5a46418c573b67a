/* processor.c: start, stop and free. */
#include "processor.h"

#include "../base/atomics.h"
#include "../base/check.h"
#include "../loop/loop.h"
#include "allocator.h"
#include "drive.h"
#include "options.h"
#include "result.h"
#include "shard.h"
#include "store_users.h"

#include <string.h>

/* ---- Start ---------------------------------------------------------------------------------- */

static void choose_store(batch_processor *processor, const struct batch__asked *asked)
{
    struct batch__shared *shared = &processor->shared;
    const batch_options *options = &shared->options;
    if (options->store != NULL) {
        shared->store = options->store;
        shared->has_load = shared->has_save = true;
        shared->saves_units = asked->store.saves_units != 0;
        shared->store_stats = asked->store.stats;
        shared->codec = asked->codec;
        shared->release = shared->codec.release;
        shared->release_arg = shared->codec.arg;
        return;
    }
    batch__function_store_init(&processor->functions, options);
    shared->store = &processor->functions.store;
    shared->has_load = options->load != NULL;
    shared->has_save = options->save != NULL;
    shared->saves_units = !shared->has_load && !shared->has_save; /* there is nothing to tear */
    shared->release = options->release;
    shared->release_arg = options->arg;
}

static int make_shards(struct batch__shared *shared, batch_result *reterr)
{
    uint32_t shards = shared->options.shards;
    batch__check(shards > 0 && shards <= BATCH__SHARDS_MAX);
    shared->shards = batch__allocate(&shared->options, shards * sizeof(struct batch__shard *));
    if (shared->shards == NULL)
        return batch__result_set(reterr, BATCH_NO_MEMORY, "no memory for a shard");
    memset(shared->shards, 0, shards * sizeof(struct batch__shard *));
    for (uint32_t i = 0; i < shards; i++) {
        shared->shards[i] = batch__shard_new(shared);
        if (shared->shards[i] == NULL)
            return batch__result_set(reterr, BATCH_NO_MEMORY, "no memory for a shard");
        shared->shards[i]->inbox.event = &shared->driver.alarm.event;
    }
    return BATCH_OK;
}

static int open_sessions(batch_processor *processor, batch_result *reterr)
{
    struct batch__shared *shared = &processor->shared;
    const batch_options *options = &shared->options;
    uint32_t count = options->sessions > 0 ? options->sessions : options->shards;
    size_t size = count * sizeof(struct batch__session);
    processor->sessions = batch__allocate(options, size);
    if (processor->sessions == NULL)
        return batch__result_set(reterr, BATCH_NO_MEMORY, "no memory for the sessions");
    memset(processor->sessions, 0, size);
    processor->sessions_size = count;
    for (uint32_t i = 0; i < count; i++) {
        int status = batch__session_open(&processor->sessions[i], shared, reterr);
        if (status != BATCH_OK)
            return status;
        if (options->sessions == 0)
            shared->shards[i]->session = &processor->sessions[i];
    }
    return BATCH_OK;
}

static void signal_stop(const struct batch__shared *shared)
{
    for (uint32_t i = 0; i < shared->options.shards; i++)
        batch__inbox_signal_mp(&shared->shards[i]->inbox, BATCH__SIGNAL_STOP);
}

/* Start the threads; if one can't be started, end those that were. */
static int start_threads(batch_processor *processor, batch_result *reterr)
{
    struct batch__shared *shared = &processor->shared;
    const batch_options *options = &shared->options;
    uint32_t workers = options->driven ? 0 : options->shards;
    uint32_t sessions = 0;
    uint32_t shards = 0;
    while (sessions < options->sessions &&
           batch__thread_start(&processor->sessions[sessions].thread, "batch-session", shared,
                               batch__session_main, &processor->sessions[sessions]))
        sessions++;
    if (sessions == options->sessions) {
        while (shards < workers &&
               batch__thread_start(&shared->shards[shards]->thread, "batch-worker", shared,
                                   batch__shard_main, shared->shards[shards]))
            shards++;
        if (shards == workers)
            return BATCH_OK;
    }
    signal_stop(shared);
    for (uint32_t i = 0; i < shards; i++)
        batch__thread_join(&shared->shards[i]->thread);
    batch__io_queue_close(&shared->io_queue);
    for (uint32_t i = 0; i < sessions; i++)
        batch__thread_join(&processor->sessions[i].thread);
    return batch__result_set(reterr, BATCH_SYSTEM,
                             "could not start a thread: %u sessions and %u shards need one each",
                             options->sessions, workers);
}

/* Those that were opened and are not closed yet. May take the store some time. */
static void close_sessions(batch_processor *processor)
{
    for (uint32_t i = 0; i < processor->sessions_size; i++)
        batch__session_close(&processor->sessions[i]);
}

void batch__processor_close_all(void *arg)
{
    batch_processor *processor = arg;
    struct batch__shared *shared = &processor->shared;
    batch__hub_end(&shared->hub);
    while (batch__load_acquire(&shared->xfinishers) != 0)
        batch__thread_yield(); /* a store's own thread is about to return from its last finish */
    close_sessions(processor);
}

/* Undo everything that was made; no thread runs. */
static void unmake(batch_processor *processor)
{
    struct batch__shared *shared = &processor->shared;
    batch__check(shared->lifecycle.state == BATCH__RUNNING || /* it could not be started */
                 shared->lifecycle.state == BATCH__STOPPED);
    batch_options options = shared->options;
    close_sessions(processor);
    for (uint32_t i = 0; i < processor->sessions_size; i++)
        batch__session_free(&processor->sessions[i]);
    batch__release(&options, processor->sessions);
    for (uint32_t i = 0; shared->shards != NULL && i < options.shards; i++) {
        if (shared->shards[i] != NULL)
            batch__shard_free(shared->shards[i]);
    }
    batch__release(&options, shared->shards);
    batch__hub_destroy(&shared->hub);
    batch__driver_destroy(shared);
    batch__io_queue_destroy(&shared->io_queue);
    batch__lifecycle_destroy(&shared->lifecycle);
    if (options.store != NULL)
        batch__store_leave(options.store);
    batch__release(&options, processor);
}

/* What waits would wait for the calling thread itself, or might. */
static bool is_ours(void *arg)
{
    return batch__thread_is_ours() || batch__is_driver(arg);
}

/* The parts that unmake expects to be there. */
static int make_base(batch_processor **ret_processor, const struct batch__asked *asked,
                     batch_result *reterr)
{
    const batch_options *options = &asked->options;
    batch_processor *processor = batch__allocate(options, sizeof *processor);
    if (processor == NULL)
        return batch__result_set(reterr, BATCH_NO_MEMORY, "no memory for the processor");
    memset(processor, 0, sizeof *processor);
    struct batch__shared *shared = &processor->shared;
    shared->options = *options;
    shared->events.log = options->log;
    shared->events.arg = options->log_arg;
    choose_store(processor, asked);
    struct batch__pages pages = batch__pages_of(options);
    shared->has_pages = batch__pool_has_pages(&pages, batch__call_size(options->resource_size));
    if (!batch__random(shared->hash_key, sizeof shared->hash_key)) {
        batch__release(options, processor);
        return batch__result_set(reterr, BATCH_SYSTEM,
                                 "could not get random bytes from the system");
    }
    bool has_lock = batch__lifecycle_init(&shared->lifecycle, options->shards, options->sessions,
                                          batch__processor_close_all, processor);
    bool has_queue = has_lock && batch__io_queue_init(&shared->io_queue, options->sessions,
                                                      asked->store.saves_max);
    bool has_driver = has_queue && batch__driver_init(shared);
    int status = BATCH_SYSTEM;
    if (has_driver)
        status = batch__hub_init(&shared->hub, &options->allocator, is_ours, shared);
    if (status == BATCH_OK) {
        if (options->store != NULL)
            batch__store_use(options->store);
        *ret_processor = processor;
        return BATCH_OK;
    }
    if (has_driver)
        batch__driver_destroy(shared);
    if (has_queue)
        batch__io_queue_destroy(&shared->io_queue);
    if (has_lock)
        batch__lifecycle_destroy(&shared->lifecycle);
    batch__release(options, processor);
    return batch__result_set(reterr, status, "the processor: %s", batch_status_text(status));
}

static int start(batch_processor **ret_processor, const batch_options *options,
                 batch_result *reterr)
{
    if (ret_processor == NULL)
        return batch__result_set(reterr, BATCH_INVALID, "ret_processor is NULL");
    struct batch__asked asked;
    int status = batch__options_take(&asked, options, reterr);
    if (status != BATCH_OK)
        return status;
    batch_processor *processor = NULL;
    status = make_base(&processor, &asked, reterr);
    if (status != BATCH_OK)
        return status;
    status = make_shards(&processor->shared, reterr);
    if (status == BATCH_OK)
        status = open_sessions(processor, reterr);
    if (status == BATCH_OK)
        status = start_threads(processor, reterr);
    if (status != BATCH_OK) {
        unmake(processor);
        return status;
    }
    batch__check(processor->sessions_size > 0);
    *ret_processor = processor;
    return BATCH_OK;
}

int batch_processor_start(batch_processor **ret_processor, const batch_options *options,
                          batch_result *reterr)
{
    int before = batch__cancel_disable(); /* the store connects on this thread */
    int status = start(ret_processor, options, reterr);
    batch__cancel_restore(before);
    return status;
}

/* ---- Stop ----------------------------------------------------------------------------------- */

/* Locks: lifecycle.lock is held. */
static void begin_stopping(struct batch__shared *shared)
{
    batch__check(shared->lifecycle.state == BATCH__RUNNING);
    shared->lifecycle.state = BATCH__STOPPING;
    batch__store_seq_cst(&shared->xis_stopping, 1);
    /* seq_cst, not acquire: or the load might come before the store, and miss a submitter that has
     * not seen it. Submitters do not block, so this does not take long. */
    while (batch__load_seq_cst(&shared->xgroup_submitters) != 0)
        batch__thread_yield();
    signal_stop(shared);
}

/* All threads have ended but for returning. */
static void join_all(batch_processor *processor)
{
    struct batch__shared *shared = &processor->shared;
    batch__check(shared->lifecycle.state == BATCH__JOINING);
    for (uint32_t i = 0; !shared->options.driven && i < shared->options.shards; i++)
        batch__thread_join(&shared->shards[i]->thread);
    for (uint32_t i = 0; i < shared->options.sessions; i++)
        batch__thread_join(&processor->sessions[i].thread);
}

static int64_t ops_left(batch_processor *processor)
{
    uint64_t left = 0;
    for (uint32_t i = 0; i < processor->shared.options.shards; i++)
        left += batch__counters_waiting(&processor->shared.shards[i]->counters);
    return left > 0 ? (int64_t)left : 1; /* at least a thread has not ended */
}

static uint64_t until_of(uint64_t timeout_ns)
{
    uint64_t now_ns = batch__clock_now_ns();
    return timeout_ns <= UINT64_MAX - now_ns ? now_ns + timeout_ns : UINT64_MAX;
}

/* Where nobody else would. */
static void drive_to_end(struct batch__shared *shared, uint64_t until_ns)
{
    while (batch__is_driver(shared) && batch__drive(shared, until_ns) >= 0 &&
           batch__clock_now_ns() < until_ns)
        continue;
}

static int64_t stop(batch_processor *processor, uint64_t timeout_ns)
{
    struct batch__shared *shared = &processor->shared;
    struct batch__lifecycle *lifecycle = &shared->lifecycle;
    uint64_t until_ns = until_of(timeout_ns);
    batch__lock_take(&lifecycle->lock);
    if (lifecycle->state == BATCH__RUNNING)
        begin_stopping(shared);
    batch__lock_give(&lifecycle->lock);
    drive_to_end(shared, until_ns);
    batch__lock_take(&lifecycle->lock);
    while (lifecycle->state != BATCH__STOPPED) {
        if (batch__lifecycle_begin_join(lifecycle)) {
            batch__lock_give(&lifecycle->lock);
            join_all(processor);
            batch__lock_take(&lifecycle->lock);
            batch__lifecycle_joined(lifecycle);
            break;
        }
        if (batch__clock_now_ns() >= until_ns) {
            if (timeout_ns > 0)
                batch__store_relaxed(&shared->xis_aborting, 1);
            batch__lock_give(&lifecycle->lock);
            return ops_left(processor);
        }
        batch__lock_wait(&lifecycle->lock, until_ns);
    }
    batch__lock_give(&lifecycle->lock);
    return 0;
}

int64_t batch_processor_stop(batch_processor *processor, uint64_t timeout_ns)
{
    if (processor == NULL)
        return BATCH_INVALID;
    if (batch__shared_is_own_thread(&processor->shared) ||
        (batch__thread_is_ours() && timeout_ns > 0))
        return BATCH_DEADLOCK;
    int before = batch__cancel_disable();
    int64_t left = stop(processor, timeout_ns);
    batch__cancel_restore(before);
    return left;
}

/* On the loop, after all threads have ended but for returning. */
static void on_stopped(batch_op *op, const batch_result *result)
{
    struct batch__stop_event *event = (struct batch__stop_event *)(void *)op;
    batch_processor *processor = event->processor;
    batch__check(result->status == BATCH_OK);
    int64_t left = stop(processor, BATCH_FOREVER); /* joins them */
    batch__check(left == 0);
    batch__lifecycle_reported(&processor->shared.lifecycle);
    event->stopped(processor, event->arg);
}

int batch_processor_stop_to(batch_processor *processor, batch_completions *completions,
                            batch_stopped_fn stopped, void *arg)
{
    if (processor == NULL || completions == NULL || stopped == NULL)
        return BATCH_INVALID;
    struct batch__lifecycle *lifecycle = &processor->shared.lifecycle;
    struct batch__stop_event *event = &processor->stop_event;
    batch__lock_take(&lifecycle->lock);
    if (lifecycle->is_event_wanted) {
        batch__lock_give(&lifecycle->lock);
        return BATCH_BUSY;
    }
    *event = (struct batch__stop_event){
        .op = BATCH_OP_INIT, .processor = processor, .stopped = stopped, .arg = arg};
    event->op.done = on_stopped;
    batch__loop_use(completions, 1);
    if (lifecycle->state == BATCH__RUNNING)
        begin_stopping(&processor->shared);
    batch__lifecycle_report_to(lifecycle, completions, &event->op);
    return BATCH_OK;
}

int batch_processor_free(batch_processor *processor)
{
    if (processor == NULL)
        return BATCH_OK;
    struct batch__lifecycle *lifecycle = &processor->shared.lifecycle;
    if (batch__shared_is_own_thread(&processor->shared))
        return BATCH_DEADLOCK;
    batch__lock_take(&lifecycle->lock);
    bool is_over = lifecycle->state == BATCH__STOPPED && !lifecycle->is_event_out &&
                   !batch__is_driving(&processor->shared);
    batch__lock_give(&lifecycle->lock);
    if (!is_over)
        return BATCH_BUSY;
    int before = batch__cancel_disable(); /* the allocator is the user's */
    unmake(processor);
    batch__cancel_restore(before);
    return BATCH_OK;
}
