/* processor.c: start, stop and free. */
#include "processor.h"

#include "../base/atomics.h"

#include <string.h>

/* ---- Threads -------------------------------------------------------------------------------- */

bool batch__processor_is_own_thread(const batch_processor *processor)
{
    return batch__thread_owner() == processor;
}

static bool is_own_thread(void *arg)
{
    return batch__processor_is_own_thread(arg);
}

static void thread_ended(batch_processor *processor)
{
    batch__lock_take(&processor->lock);
    processor->threads_left--;
    batch__lock_wake_all(&processor->lock);
    batch__lock_give(&processor->lock);
}

void batch__processor_worker_ended(batch_processor *processor)
{
    batch__lock_take(&processor->lock);
    bool is_last = --processor->shards_left == 0;
    batch__lock_give(&processor->lock);
    if (is_last)
        batch__io_queue_close(&processor->io_queue); /* every call has come back */
    thread_ended(processor);
}

void batch__processor_session_ended(batch_processor *processor)
{
    thread_ended(processor);
}

/* ---- Start ---------------------------------------------------------------------------------- */

static void choose_store(batch_processor *processor, const batch_options *options)
{
    processor->store = options->store;
    processor->has_load = processor->has_save = true;
    if (options->codec != NULL)
        processor->codec = *options->codec;
    processor->release = processor->codec.release;
    processor->release_arg = processor->codec.arg;
    if (options->store != NULL)
        return;
    processor->has_load = options->load != NULL;
    processor->has_save = options->save != NULL;
    processor->release = options->release;
    processor->release_arg = options->arg;
    batch__function_store_init(&processor->functions, options);
    processor->store = &processor->functions.store;
}

static int make_shards(batch_processor *processor)
{
    uint32_t shards = processor->options.shards;
    processor->shards =
        batch__allocate(&processor->options, shards * sizeof(struct batch__shard *));
    if (processor->shards == NULL)
        return BATCH_NO_MEMORY;
    memset(processor->shards, 0, shards * sizeof(struct batch__shard *));
    for (uint32_t i = 0; i < shards; i++) {
        processor->shards[i] = batch__shard_new(processor);
        if (processor->shards[i] == NULL)
            return BATCH_NO_MEMORY;
    }
    return BATCH_OK;
}

static int open_session(batch_processor *processor, struct batch__session *session,
                        batch_result *reterr)
{
    const batch_options *options = &processor->options;
    session->calls = batch__allocate(options, options->group_max * sizeof(batch_call *));
    if (session->calls == NULL)
        return batch__result_set(reterr, BATCH_NO_MEMORY, "no memory for a session");
    batch_result error;
    batch__result_set(&error, BATCH_STORE_FAILED, "store %s could not open a session",
                      processor->store->name);
    int status = processor->store->session_open(processor->store, &session->session, &error);
    if (status == BATCH_OK) {
        session->processor = processor;
        session->is_open = true;
        return BATCH_OK;
    }
    error.status = status == BATCH_NO_MEMORY ? BATCH_NO_MEMORY : BATCH_STORE_FAILED;
    if (reterr != NULL)
        *reterr = error;
    return error.status;
}

static int open_sessions(batch_processor *processor, batch_result *reterr)
{
    const batch_options *options = &processor->options;
    uint32_t count = options->sessions > 0 ? options->sessions : options->shards;
    size_t size = count * sizeof(struct batch__session);
    processor->sessions = batch__allocate(options, size);
    if (processor->sessions == NULL)
        return batch__result_set(reterr, BATCH_NO_MEMORY, "no memory for the sessions");
    memset(processor->sessions, 0, size);
    processor->sessions_size = count;
    for (uint32_t i = 0; i < count; i++) {
        int status = open_session(processor, &processor->sessions[i], reterr);
        if (status != BATCH_OK)
            return status;
        if (options->sessions == 0)
            processor->shards[i]->session = &processor->sessions[i];
    }
    return BATCH_OK;
}

static void signal_stop(batch_processor *processor)
{
    for (uint32_t i = 0; i < processor->options.shards; i++)
        batch__inbox_signal_mp(&processor->shards[i]->inbox, BATCH__SIGNAL_STOP);
}

/* Start the threads; if one can't be started, end those that were. */
static int start_threads(batch_processor *processor, batch_result *reterr)
{
    const batch_options *options = &processor->options;
    uint32_t sessions = 0;
    uint32_t shards = 0;
    while (sessions < options->sessions &&
           batch__thread_start(&processor->sessions[sessions].thread, "batch-session", processor,
                               batch__session_main, &processor->sessions[sessions]))
        sessions++;
    if (sessions == options->sessions) {
        while (shards < options->shards &&
               batch__thread_start(&processor->shards[shards]->thread, "batch-worker", processor,
                                   batch__shard_main, processor->shards[shards]))
            shards++;
        if (shards == options->shards)
            return BATCH_OK;
    }
    signal_stop(processor);
    for (uint32_t i = 0; i < shards; i++)
        batch__thread_join(&processor->shards[i]->thread);
    batch__io_queue_close(&processor->io_queue);
    for (uint32_t i = 0; i < sessions; i++)
        batch__thread_join(&processor->sessions[i].thread);
    return batch__result_set(reterr, BATCH_SYSTEM, "the system refused to start a thread");
}

/* Those that were opened and are not closed yet. May take the store some time. */
static void close_sessions(batch_processor *processor)
{
    for (uint32_t i = 0; i < processor->sessions_size; i++) {
        struct batch__session *session = &processor->sessions[i];
        if (session->is_open)
            processor->store->session_close(processor->store, session->session);
        session->is_open = false;
    }
}

/* Undo everything that was made; the threads have ended. */
static void unmake(batch_processor *processor)
{
    batch_options options = processor->options;
    close_sessions(processor);
    for (uint32_t i = 0; i < processor->sessions_size; i++)
        batch__release(&options, processor->sessions[i].calls);
    batch__release(&options, processor->sessions);
    for (uint32_t i = 0; processor->shards != NULL && i < options.shards; i++) {
        if (processor->shards[i] != NULL)
            batch__shard_free(processor->shards[i]);
    }
    batch__release(&options, processor->shards);
    batch__hub_destroy(&processor->hub);
    batch__io_queue_destroy(&processor->io_queue);
    batch__lock_destroy(&processor->lock);
    if (options.store != NULL)
        batch__store_leave(options.store);
    batch__release(&options, processor);
}

/* The parts that unmake expects to be there. */
static int make_base(batch_processor **ret_processor, const batch_options *options,
                     batch_result *reterr)
{
    batch_processor *processor = batch__allocate(options, sizeof *processor);
    if (processor == NULL)
        return batch__result_set(reterr, BATCH_NO_MEMORY, "no memory for the processor");
    memset(processor, 0, sizeof *processor);
    processor->options = *options;
    choose_store(processor, options);
    if (!batch__random(processor->hash_key, sizeof processor->hash_key)) {
        batch__release(options, processor);
        return batch__result_set(reterr, BATCH_SYSTEM, "the system gave no random bytes");
    }
    bool has_lock = batch__lock_init(&processor->lock);
    bool has_queue = has_lock && batch__io_queue_init(&processor->io_queue, options->sessions);
    int status = BATCH_SYSTEM;
    if (has_queue)
        status = batch__hub_init(&processor->hub, &options->allocator, is_own_thread, processor);
    if (status == BATCH_OK) {
        if (options->store != NULL)
            batch__store_use(options->store);
        *ret_processor = processor;
        return BATCH_OK;
    }
    if (has_queue)
        batch__io_queue_destroy(&processor->io_queue);
    if (has_lock)
        batch__lock_destroy(&processor->lock);
    batch__release(options, processor);
    return batch__result_set(reterr, status, "the processor: %s", batch_status_text(status));
}

int batch_processor_start(batch_processor **ret_processor, const batch_options *options,
                          batch_result *reterr)
{
    if (ret_processor == NULL)
        return batch__result_set(reterr, BATCH_INVALID, "ret_processor is NULL");
    batch_options taken;
    int status = batch__options_take(&taken, options, reterr);
    if (status != BATCH_OK)
        return status;
    batch_processor *processor = NULL;
    status = make_base(&processor, &taken, reterr);
    if (status != BATCH_OK)
        return status;
    processor->shards_left = taken.shards;
    processor->threads_left = taken.shards + taken.sessions;
    status = make_shards(processor);
    if (status != BATCH_OK)
        batch__result_set(reterr, status, "no memory for a shard");
    if (status == BATCH_OK)
        status = open_sessions(processor, reterr);
    if (status == BATCH_OK)
        status = start_threads(processor, reterr);
    if (status != BATCH_OK) {
        unmake(processor);
        return status;
    }
    *ret_processor = processor;
    return BATCH_OK;
}

/* ---- Stop ----------------------------------------------------------------------------------- */

static void begin_stopping(batch_processor *processor)
{
    processor->state = BATCH__STOPPING;
    batch__store_seq_cst(&processor->xis_stopping, 1);
    /* seq_cst, not acquire: or the look might come before the store, and miss a submitter that has
     * not seen it. They do not block: not for long. */
    while (batch__load_seq_cst(&processor->xgroup_submitters) != 0)
        batch__thread_yield();
    signal_stop(processor);
}

/* All threads have ended but for returning. */
static void join_all(batch_processor *processor)
{
    batch__hub_end(&processor->hub);
    for (uint32_t i = 0; i < processor->options.shards; i++)
        batch__thread_join(&processor->shards[i]->thread);
    for (uint32_t i = 0; i < processor->options.sessions; i++)
        batch__thread_join(&processor->sessions[i].thread);
    while (batch__load_acquire(&processor->xfinishers) != 0)
        batch__thread_yield(); /* a store's own thread is about to return from its last finish */
    close_sessions(processor);
}

static int64_t ops_left(batch_processor *processor)
{
    batch_stats stats = BATCH_STATS_INIT;
    batch_processor_stats(processor, &stats);
    uint64_t left = stats.operations_waiting;
    return left > 0 ? (int64_t)left : 1; /* at least a thread has not ended */
}

static uint64_t until_of(uint64_t timeout_ns)
{
    uint64_t now_ns = batch__clock_now_ns();
    return timeout_ns <= UINT64_MAX - now_ns ? now_ns + timeout_ns : UINT64_MAX;
}

int64_t batch_processor_stop(batch_processor *processor, uint64_t timeout_ns)
{
    if (processor == NULL)
        return BATCH_INVALID;
    if (batch__processor_is_own_thread(processor))
        return BATCH_DEADLOCK;
    uint64_t until_ns = until_of(timeout_ns);
    batch__lock_take(&processor->lock);
    if (processor->state == BATCH__RUNNING)
        begin_stopping(processor);
    while (processor->state != BATCH__STOPPED) {
        if (processor->threads_left == 0 && processor->state == BATCH__STOPPING) {
            processor->state = BATCH__JOINING;
            batch__lock_give(&processor->lock);
            join_all(processor);
            batch__lock_take(&processor->lock);
            processor->state = BATCH__STOPPED;
            batch__lock_wake_all(&processor->lock);
            break;
        }
        if (batch__clock_now_ns() >= until_ns) {
            if (timeout_ns > 0)
                batch__store_relaxed(&processor->xis_giving_up, 1);
            batch__lock_give(&processor->lock);
            return ops_left(processor);
        }
        batch__lock_wait(&processor->lock, until_ns);
    }
    batch__lock_give(&processor->lock);
    return 0;
}

int batch_processor_free(batch_processor *processor)
{
    if (processor == NULL)
        return BATCH_OK;
    if (batch__processor_is_own_thread(processor))
        return BATCH_DEADLOCK;
    batch__lock_take(&processor->lock);
    bool is_stopped = processor->state == BATCH__STOPPED;
    batch__lock_give(&processor->lock);
    if (!is_stopped)
        return BATCH_BUSY;
    unmake(processor);
    return BATCH_OK;
}

/* ---- Metrics and the clock ------------------------------------------------------------------ */

int batch_metrics_subscribe(batch_processor *processor, const batch_subscription_options *options,
                            batch_subscription **ret_subscription)
{
    if (processor == NULL || ret_subscription == NULL)
        return BATCH_INVALID;
    return batch__hub_subscribe(&processor->hub, options, ret_subscription);
}

int batch_processor_stats(batch_processor *processor, batch_stats *stats)
{
    if (processor == NULL || stats == NULL)
        return BATCH_INVALID;
    const struct batch__counters *counters[BATCH__SHARDS_MAX];
    for (uint32_t i = 0; i < processor->options.shards; i++)
        counters[i] = &processor->shards[i]->counters;
    struct batch__shared_counts shared = {
        .metrics_dropped = batch__hub_dropped(&processor->hub),
        .loads_queued = batch__load_relaxed(&processor->io_queue.xloads),
        .saves_queued = batch__load_relaxed(&processor->io_queue.xsaves),
    };
    return batch__stats_collect(stats, counters, processor->options.shards,
                                &processor->group_counters, &shared);
}

uint64_t batch_now_ns(void)
{
    return batch__clock_now_ns();
}
