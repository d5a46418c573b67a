#include "shard.h"

#include "../base/atomics.h"
#include "../base/check.h"
#include "../core/prefetch.h"
#include "allocator.h"
#include "perform.h"
#include "session.h"
#include "shared.h"

#include <string.h>

enum {
    GROUP_OPS = 64,           /* looked up together, so that their waits for memory overlap */
    ITERATION_OPS_MAX = 2048, /* then what the store has finished is taken */
    SORTED_OPS_MAX = 16384,   /* the same, of operations that are not run at once */
    LATE_NS_MAX = 500000000,  /* windows end so much late, or as much as they are long */
    OP_FIRST_NS_MAX = 1000,   /* of a key: most take less, whatever delays the first one */
    EXPIRE_MAX = 1024,        /* windows ended at a time by a worker that saves by itself */
    GATHER_NS = 100000000,    /* for which such a worker lets turns gather */
    OUTAGE_DEADLINES = 4,     /* without a success: then the store is at fault, not a key */
    NAPS_PER_WINDOW = 200,    /* a nap lasts this fraction of the window … */
    NAP_NS_MAX = 500000,      /* … and no longer than this */
    SPINS_MAX = 500           /* with no window: poll about so many times before sleeping */
};

static uint64_t share(uint64_t all, uint32_t shards)
{
    batch__check(shards > 0);
    return all / shards + (all % shards != 0);
}

struct batch__shard *batch__shard_new(struct batch__shared *shared)
{
    const batch_options *options = &shared->options;
    struct batch__shard *shard = batch__allocate(options, sizeof *shard);
    if (shard == NULL)
        return NULL;
    memset(shard, 0, sizeof *shard);
    shard->shared = shared;
    shard->slow_batch_ns = options->slow_batch_ns != 0 ? options->slow_batch_ns : UINT64_MAX;
    shard->has_resource = options->resource_size > 0;
    shard->has_window = options->window_ns != BATCH_WINDOW_NONE;
    struct batch__core_config config = {
        .window_ns = options->window_ns,
        .deadline_ns = options->deadline_ns,
        .age_max_ns = shared->has_load ? options->deadline_ns : UINT64_MAX, /* zeroes do not age */
        .ops_max = options->ops_max,
        .ops_waiting_max = share(options->ops_waiting_max, options->shards),
        .key_ops_waiting_max = options->key_ops_waiting_max,
        .expire_max = options->sessions == 0 ? EXPIRE_MAX : 0,
        .late_max_ns = options->window_ns < LATE_NS_MAX ? options->window_ns : LATE_NS_MAX,
        .turn_ops_max = BATCH__QUANTUM_OPS,
        .turn_ns = BATCH__QUANTUM_NS,
        .op_first_max_ns = OP_FIRST_NS_MAX,
        .cache_max = share(options->resource_cache_max, options->shards),
        .replays_max = options->replays_max,
        .unit_max = options->group_max < UINT16_MAX ? options->group_max : UINT16_MAX,
        .object_size = batch__call_size(options->resource_size),
        .head_size = batch__call_head_size(),
        .allocator = options->allocator,
        .pages = batch__pages_of(options),
    };
    /* Of a driven processor it never stands still: a loop that has nothing to drive is no fault. */
    batch__store_clock_init(&shard->store_clock,
                            options->driven ? UINT64_MAX : options->deadline_ns,
                            batch__clock_now_ns());
    batch__core_init(&shard->core, &config);
    if (!batch__inbox_init(&shard->inbox)) {
        batch__core_destroy(&shard->core);
        batch__release(options, shard);
        return NULL;
    }
    return shard;
}

void batch__shard_free(struct batch__shard *shard)
{
    batch__check(shard->pending == NULL && shard->finished.first == NULL);
    batch__inbox_destroy(&shard->inbox);
    batch__core_destroy(&shard->core);
    batch__release(&shard->shared->options, shard);
}

/* ---- Handing calls to the store ------------------------------------------------------------- */

static void call_store(struct batch__shard *shard, struct batch__calls *calls,
                       enum batch__stage stage)
{
    struct batch__session *session = shard->session;
    batch__check(session != NULL);
    while (calls->first != NULL) {
        size_t count = batch__calls_take(calls, session->calls, shard->shared->options.group_max,
                                         batch__clock_now_ns());
        batch__session_perform(session, stage, count);
        shard->called_ns = batch__clock_now_ns();
    }
}

static void hand_over(struct batch__shard *shard)
{
    struct batch__calls *calls = shard->calls;
    if (shard->session != NULL) { /* the worker's own: no call of it is ever slow */
        call_store(shard, &calls[BATCH__IO_SAVE], BATCH__STAGE_SAVE);
        call_store(shard, &calls[BATCH__IO_LOAD], BATCH__STAGE_LOAD);
        return;
    }
    bool is_empty = true;
    for (int kind = 0; kind < BATCH__IO_KINDS; kind++)
        is_empty = is_empty && calls[kind].first == NULL;
    if (!is_empty)
        batch__io_queue_push(&shard->shared->io_queue, calls);
}

/* ---- An iteration --------------------------------------------------------------------------- */

/* As how many operations it counts. */
static uint64_t accept(struct batch__shard *shard, batch_op *op, uint64_t now_ns)
{
    if (!batch__op_is_leg(op)) {
        batch__core_submit(&shard->core, op, now_ns);
        return 1;
    }
    batch_transaction *transaction = batch__leg_transaction(op);
    batch__core_submit_transaction(&shard->core, transaction, now_ns);
    return transaction->parts_size;
}

static void take_group(struct batch__shard *shard, uint64_t now_ns)
{
    batch_op *group[GROUP_OPS];
    size_t count = 0;
    for (batch_op *op = shard->pending; op != NULL && count < GROUP_OPS; op = op->private_next) {
        batch__op_prefetch(op);
        group[count++] = op;
    }
    batch__check(count > 0);
    shard->pending = group[count - 1]->private_next;
    for (size_t i = 0; i < count; i++) {
        batch__core_prefetch_slot(&shard->core, group[i]->private_hash);
        __builtin_prefetch(group[i]->key);
    }
    for (size_t i = 0; i < count; i++)
        batch__core_prefetch_batch(&shard->core, group[i]->private_hash);
    uint64_t accepted = 0;
    for (size_t i = 0; i < count; i++)
        accepted += accept(shard, group[i], now_ns);
    batch__counters_accepted(&shard->counters, accepted, batch__core_now_ns(&shard->core));
    shard->iteration_ops += count;
}

/* Each group is run at once, with everything near. */
static void take_and_run(struct batch__shard *shard, uint64_t now_ns)
{
    const struct batch__pace *pace = &shard->pace;
    uint64_t ticks_ns = pace->ticks_ns;
    /* When a tick has passed, the iteration ends: others may be due. */
    while (shard->pending != NULL && shard->iteration_ops < ITERATION_OPS_MAX &&
           pace->ticks_ns == ticks_ns && !pace->is_over) {
        take_group(shard, now_ns);
        batch__perform(shard);
    }
}

/* Some operations could not be run when they came. What has come since goes to its keys before any
 * of them runs on, so that each key gets its turn. */
static void take_and_sort(struct batch__shard *shard, uint64_t now_ns)
{
    bool is_over = shard->pace.is_over;
    shard->pace.is_over = true;
    while (shard->pending != NULL && shard->iteration_ops < SORTED_OPS_MAX) {
        take_group(shard, now_ns);
        batch__perform(shard);
    }
    shard->pace.is_over = is_over;
    batch__perform(shard);
}

static void take_ops(struct batch__shard *shard, uint64_t now_ns)
{
    shard->iteration_ops = 0;
    if (shard->pending == NULL)
        shard->pending = batch__inbox_take_ops_sc(&shard->inbox, false);
    if (batch__core_has_turns(&shard->core))
        take_and_sort(shard, now_ns);
    else
        take_and_run(shard, now_ns);
}

/* See io_queue.h. When nothing has succeeded for a long time, it is not one key that delays the
 * others, and trying them one by one would only take longer. */
static uint16_t group_max_after(struct batch__shard *shard, const batch_call *call,
                                uint64_t finished_ns)
{
    bool is_slow = call->status != BATCH_OK && finished_ns >= batch_call_deadline_ns(call);
    uint64_t *failing_from_ns = &shard->failing_from_ns[call->stage];
    if (call->status == BATCH_OK)
        *failing_from_ns = 0;
    if (!is_slow || shard->session != NULL)
        return 0;
    if (*failing_from_ns == 0)
        *failing_from_ns = finished_ns;
    uint64_t failing_ns = finished_ns - *failing_from_ns;
    if (failing_ns / OUTAGE_DEADLINES >= shard->shared->options.deadline_ns)
        return 0;
    batch__check(call->group_size <= 2 * UINT16_MAX);
    return call->group_size > 1 ? (uint16_t)(call->group_size / 2) : 1;
}

static void take_call(struct batch__shard *shard, batch_call *call, uint64_t now_ns)
{
    batch__check(call->shard == shard);
    batch__check(batch__load_relaxed(&call->xis_in_flight) == 0);
    bool is_over = call->stage == BATCH__STAGE_LOAD && !batch__is_awaited(&call->batch);
    uint64_t finished_ns = call->finished_ns != 0 ? call->finished_ns : shard->called_ns;
    call->batch.group_max[call->stage] = group_max_after(shard, call, finished_ns);
    if (call->status == BATCH_OK || is_over)
        batch__call_clear_error(call); /* it will be reported to nobody */
    if (call->stage == BATCH__STAGE_LOAD)
        batch__core_loaded(&shard->core, &call->batch, call->status, finished_ns, now_ns);
    else
        batch__core_saved(&shard->core, &call->batch, call->status, now_ns);
}

/* What the store has finished, here and elsewhere. True if there was any. */
static bool take_finished(struct batch__shard *shard, uint64_t now_ns)
{
    batch_call *chains[2] = {shard->finished.first, batch__inbox_take_calls_sc(&shard->inbox)};
    shard->finished = (struct batch__calls){NULL, NULL, 0};
    if (chains[0] == NULL && chains[1] == NULL)
        return false;
    for (size_t i = 0; i < 2; i++) {
        for (const batch_call *call = chains[i]; call != NULL; call = call->next)
            batch__core_touch_slot(&shard->core, &call->batch);
        for (batch_call *call = chains[i], *next; call != NULL; call = next) {
            next = call->next;
            take_call(shard, call, now_ns);
        }
    }
    batch__perform(shard);
    return true;
}

static void stop(struct batch__shard *shard, uint64_t now_ns)
{
    batch__check(!shard->is_closed);
    batch_op *last = batch__inbox_take_ops_sc(&shard->inbox, true);
    batch_op **end = &shard->pending;
    while (*end != NULL)
        end = &(*end)->private_next;
    *end = last;
    while (shard->pending != NULL) {
        take_group(shard, now_ns);
        batch__perform(shard);
    }
    shard->is_closed = true;
    batch__core_stop(&shard->core, now_ns);
    batch__perform(shard);
}

static void take_signals(struct batch__shard *shard, uint32_t signals, uint64_t now_ns)
{
    if ((signals & BATCH__SIGNAL_STOP) != 0)
        stop(shard, now_ns);
    if ((signals & BATCH__SIGNAL_CANCEL) != 0) {
        batch__core_cancel(&shard->core, now_ns);
        batch__perform(shard);
    }
}

static enum batch__io_idle store_idle(const struct batch__shard *shard)
{
    if (shard->session != NULL || !shard->shared->has_save)
        return BATCH__IO_MAY_SAVE;
    return batch__io_queue_idle(&shard->shared->io_queue);
}

/* A worker that saves by itself runs nothing meanwhile, so nothing gathers while it does: first the
 * operations that wait for their turn. Others save at once what there is, and gather then. */
static bool is_gathering(struct batch__shard *shard, uint64_t now_ns)
{
    bool may_gather = shard->session != NULL && batch__core_has_turns(&shard->core);
    if (may_gather && shard->gather_by_ns == 0)
        shard->gather_by_ns = now_ns + GATHER_NS;
    bool is_gathering = may_gather && now_ns < shard->gather_by_ns;
    if (!is_gathering)
        shard->gather_by_ns = 0;
    return is_gathering;
}

/* With BATCH_WINDOW_NONE: if the store is free, close batches until there is a group to save.
 * Those that changed nothing need no save, so one pass over the open batches may not be enough. */
static void flush(struct batch__shard *shard, uint64_t now_ns)
{
    if (shard->has_window || is_gathering(shard, now_ns))
        return;
    uint64_t group_max = shard->shared->options.group_max;
    const struct batch__calls *saves = &shard->calls[BATCH__IO_SAVE];
    enum batch__io_idle idle = store_idle(shard);
    while (batch__core_has_due(&shard->core) && saves->count < group_max &&
           idle == BATCH__IO_MAY_SAVE) {
        if (batch__core_flush(&shard->core, group_max - saves->count, now_ns) == 0)
            break; /* the others have not had a turn yet */
        batch__perform(shard);
        idle = store_idle(shard);
    }
    if (idle == BATCH__IO_MAY_LOAD && batch__core_has_due(&shard->core)) {
        batch__core_flush(&shard->core, 0, now_ns); /* what was only read waits for no save */
        batch__perform(shard);
    }
}

static uint64_t expire_ns(const struct batch__shard *shard)
{
    return shard->pending != NULL ? batch__core_backlog_deadline_ns(&shard->core)
                                  : batch__core_deadline_ns(&shard->core);
}

/* End windows that have passed; true if there were any. A worker that saves by itself does a few
 * batches at a time, from the end of the window to the completions, while they are in the cache. */
static bool expire(struct batch__shard *shard, uint64_t now_ns)
{
    if (expire_ns(shard) > now_ns)
        return false;
    do {
        batch__core_expire(&shard->core, now_ns);
        batch__perform(shard);
        if (shard->session == NULL && shard->pending == NULL)
            break;
        hand_over(shard);
        take_finished(shard, now_ns);
    } while (expire_ns(shard) <= now_ns);
    return true;
}

static void publish_units(struct batch__shard *shard)
{
    struct batch__core_units units = batch__core_units(&shard->core);
    batch__counters_units(&shard->counters,
                          (const uint64_t[]){units.keys_max, units.conflicted, units.dissolved});
}

static void publish_limit(struct batch__shard *shard)
{
    bool is_full = batch__core_is_full(&shard->core);
    if (is_full != (batch__load_relaxed(&shard->xis_full) != 0))
        batch__store_relaxed(&shard->xis_full, is_full);
    if (shard->doors.shut > 0)
        batch__doors_update(&shard->doors, &shard->core);
}

/* True if there was anything to do. */
static bool iterate(struct batch__shard *shard)
{
    uint64_t now_ns = batch__clock_now_ns();
    batch__store_clock_beat(&shard->store_clock, now_ns);
    batch__pace_iterate(&shard->pace);
    /* Signals first: an operation that comes with its cancel is then seen to be canceled. */
    uint32_t signals = batch__inbox_take_signals_sc(&shard->inbox);
    bool had_turns = batch__core_has_turns(&shard->core); /* what runs now may complete now */
    bool is_busy = take_finished(shard, now_ns) || signals != 0 || had_turns;
    take_ops(shard, now_ns);
    take_signals(shard, signals, now_ns);
    is_busy = expire(shard, now_ns) || is_busy;
    flush(shard, now_ns);
    hand_over(shard);
    publish_limit(shard);
    batch__counters_iteration(&shard->counters, shard->iteration_ops,
                              batch__core_open(&shard->core), batch__core_cached(&shard->core));
    publish_units(shard);
    return is_busy || shard->iteration_ops > 0 || shard->finished.first != NULL ||
           batch__core_has_turns(&shard->core);
}

static bool is_finished(const struct batch__shard *shard)
{
    return shard->is_closed && batch__core_is_idle(&shard->core);
}

/* Operations came just now, so more are likely to come soon. With a window, let them gather: none
 * of them completes before the window ends. Without one, poll for them a little longer. Either
 * way the submitters need not wake us for each. */
static void linger(struct batch__shard *shard, uint64_t until_ns)
{
    if (shard->has_window) {
        uint64_t nap_ns = shard->shared->options.window_ns / NAPS_PER_WINDOW;
        uint64_t end_ns = batch__clock_now_ns() + (nap_ns < NAP_NS_MAX ? nap_ns : NAP_NS_MAX);
        batch__inbox_rest_sc(&shard->inbox, BATCH__NAPPING, until_ns < end_ns ? until_ns : end_ns);
        return;
    }
    for (int i = 0; i < SPINS_MAX && !batch__inbox_has_ops_sc(&shard->inbox); i++)
        batch__cpu_relax();
}

enum batch__left batch__shard_work(struct batch__shard *shard, uint32_t iterations_max)
{
    for (uint32_t i = 0; i < iterations_max && !is_finished(shard); i++) {
        if (!iterate(shard)) /* the last batches may have ended in it */
            return is_finished(shard) ? BATCH__FINISHED : BATCH__NOTHING;
        shard->has_traffic = shard->has_traffic || shard->iteration_ops > 0;
    }
    return is_finished(shard) ? BATCH__FINISHED : BATCH__MORE;
}

/* Until when the worker sleeps. While keys have work, their calls may be at the store. */
static uint64_t wake_ns(const struct batch__shard *shard)
{
    uint64_t due_ns = batch__core_deadline_ns(&shard->core);
    if (batch__core_open(&shard->core) == 0)
        return due_ns;
    uint64_t beat_ns = batch__store_clock_due_ns(&shard->store_clock);
    return due_ns < beat_ns ? due_ns : beat_ns;
}

void batch__shard_rest(struct batch__shard *shard, uint64_t until_ns)
{
    uint64_t due_ns = wake_ns(shard);
    if (due_ns < until_ns)
        until_ns = due_ns;
    if (shard->has_traffic)
        linger(shard, until_ns);
    else
        batch__inbox_rest_sc(&shard->inbox, BATCH__ASLEEP, until_ns);
    shard->has_traffic = false;
}

void batch__shard_end(struct batch__shard *shard)
{
    batch__check(is_finished(shard));
    for (int kind = 0; kind < BATCH__IO_KINDS; kind++)
        batch__check(shard->calls[kind].first == NULL);
    batch__lifecycle_worker_ended(&shard->shared->lifecycle, &shard->shared->io_queue);
}

void batch__shard_main(void *arg)
{
    struct batch__shard *shard = arg;
    batch__check(batch__shared_is_own_thread(shard->shared));
    while (batch__shard_work(shard, UINT32_MAX) != BATCH__FINISHED)
        batch__shard_rest(shard, UINT64_MAX);
    batch__shard_end(shard);
}
