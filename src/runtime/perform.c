/* perform.c: see perform.h. User callbacks run from here, and from completions.c. */
#include "perform.h"

#include "../base/atomics.h"
#include "../base/check.h"
#include "../platform/probes.h"
#include "pace.h"
#include "result.h"
#include "shard.h"
#include "shared.h"

#include <string.h>

_Static_assert(offsetof(struct batch_call, batch) == 0, "a call is known by its batch");

static batch_call *call_of(struct batch__batch *batch)
{
    batch__check(batch != NULL);
    return (batch_call *)(void *)batch;
}

static void run(struct batch__shard *shard, const struct batch__action *action)
{
    batch_op *op = action->op;
    void *resource = shard->has_resource ? batch__call_memory(call_of(action->batch)) : NULL;
    uint64_t began_ns = batch__pace_begin(&shard->pace, action->batch);
    batch_verdict verdict = op->run(resource, op->arg);
    uint64_t now_ns = batch__pace_end(&shard->pace, action->batch, began_ns);
    batch__core_ran(&shard->core, verdict, now_ns);
}

static void run_transaction(struct batch__shard *shard, const struct batch__action *action)
{
    batch_transaction *transaction = batch__leg_transaction(action->op);
    void *resources[BATCH_PARTS_MAX] = {NULL};
    for (size_t i = 0; i < transaction->parts_size; i++) {
        batch_part *part = &transaction->parts[i];
        part->changed = false;
        if (shard->has_resource)
            resources[i] = batch__call_memory(call_of(part->private_batch));
    }
    uint64_t began_ns = batch__pace_begin(&shard->pace, action->batch);
    transaction->run(resources, transaction);
    uint64_t now_ns = batch__pace_end(&shard->pace, action->batch, began_ns);
    batch__core_ran_transaction(&shard->core, now_ns);
}

static void load(struct batch__shard *shard, struct batch__batch *batch)
{
    batch_call *call = call_of(batch);
    batch__call_begin(call, shard);
    if (!shard->shared->has_load) {
        batch__core_loaded(&shard->core, batch, BATCH_OK, UINT64_MAX, 0);
        return;
    }
    batch__call_hand_over(call, BATCH__STAGE_LOAD);
    batch__calls_push(&shard->calls[batch__io_kind_of(call)], call);
}

/* Of a unit, and how slow the slowest of its keys was: none may go in a group of more. */
static uint16_t size_of_unit(struct batch__batch *batch, uint16_t *ret_group_max)
{
    uint16_t size = 0;
    struct batch__batch *each = batch;
    *ret_group_max = 0;
    do {
        uint16_t group_max = each->group_max[BATCH__STAGE_SAVE];
        if (group_max != 0 && (*ret_group_max == 0 || group_max < *ret_group_max))
            *ret_group_max = group_max;
        size++;
        each = batch__unit_next(each);
    } while (each != batch);
    return size;
}

/* All of its unit, one after the other. */
static void save(struct batch__shard *shard, struct batch__batch *batch)
{
    uint16_t group_max;
    uint16_t size = size_of_unit(batch, &group_max);
    bool is_unit = size > 1;
    for (struct batch__batch *each = batch, *next; size > 0; each = next, size--) {
        batch_call *call = call_of(each);
        next = batch__unit_next(each); /* with the last one the unit may end */
        batch__check(call->shard == shard);
        if (!shard->shared->has_save) {
            batch__core_saved(&shard->core, each, BATCH_OK, 0);
            continue;
        }
        each->group_max[BATCH__STAGE_SAVE] = group_max;
        call->unit = is_unit ? size : 0;
        call->is_check = each->changed == 0;
        batch__call_hand_over(call, BATCH__STAGE_SAVE);
        batch__calls_push(&shard->calls[batch__io_kind_of(call)], call);
    }
}

/* ---- The end of a batch --------------------------------------------------------------------- */

static uint64_t between(uint64_t from_ns, uint64_t to_ns)
{
    return from_ns != 0 && to_ns > from_ns ? to_ns - from_ns : 0;
}

static void fill_metric(batch_metric *metric, const struct batch__shard *shard,
                        const batch_call *call)
{
    const struct batch__batch *batch = &call->batch;
    uint32_t operations = (uint32_t)batch->ran.count;
    batch__check(operations == batch->ran.count && batch->changed <= operations);
    metric->start_unix_ns = 0;
    metric->start_ns = batch->begun_ns;
    metric->key = batch->key;
    metric->key_size = batch->key_size;
    metric->load_ns = between(batch->load_ns, batch->loaded_ns);
    metric->save_ns = between(batch->save_ns, batch->saved_ns);
    metric->total_ns = between(batch->begun_ns, batch__core_now_ns(&shard->core));
    metric->first_wait_ns = batch->first_wait_ns;
    metric->group_size = call->group_size;
    metric->operations = operations;
    metric->operations_ok = batch->status == BATCH_OK ? operations : 0;
    metric->operations_unknown = batch->status == BATCH_UNKNOWN ? operations : 0;
    metric->operations_not_applied =
        operations - metric->operations_ok - metric->operations_unknown;
    metric->operations_changed = (uint32_t)batch->changed;
    metric->replays = batch->replays;
    metric->load_skipped = batch->is_cached;
    metric->close_reason = batch->close_reason;
    metric->status = batch->status;
    metric->store_code = batch->status == BATCH_OK ? 0 : call->store_code;
    metric->error[0] = '\0';
    metric->unit_keys = batch->unit_size > 0 ? batch->unit_size : 1;
}

static void log_slow(struct batch__shard *shard, const batch_call *call, const batch_metric *metric)
{
    struct batch__events *events = &shard->shared->events;
    if (!batch__events_count(events, BATCH_EVENT_SLOW_BATCH, batch__core_now_ns(&shard->core)))
        return;
    batch__completions_flush(shard); /* before whatever the log may take */
    char message[BATCH_MESSAGE_SIZE];
    batch__result_slow(message, sizeof message, call, metric);
    batch__events_log(events, BATCH_EVENT_SLOW_BATCH, message);
}

static void report(struct batch__shard *shard, batch_call *call)
{
    const struct batch__batch *batch = &call->batch;
    batch_metric metric;
    fill_metric(&metric, shard, call);
    bool is_saved = shard->shared->has_save && metric.status == BATCH_OK && batch->changed > 0;
    batch__counters_batch(&shard->counters, &metric, is_saved);
    batch__hot_batch(&shard->hot, batch->key, batch->key_size, batch->hash, metric.operations,
                     batch__core_now_ns(&shard->core));
    batch__probe_batch(metric.key, metric.key_size, metric.operations, metric.total_ns,
                       metric.status);
    if (metric.total_ns >= shard->slow_batch_ns)
        log_slow(shard, call, &metric);
    if (metric.status == BATCH_OK && batch->unit_count > 0) /* one of each unit */
        batch__counters_unit(&shard->counters, batch->unit_size);
    struct batch__hub *hub = &shard->shared->hub;
    if (batch__hub_is_listening(hub)) {
        batch__completions_flush(shard); /* publishing may have to wait; no completion should */
        uint64_t age_ns = batch__clock_now_ns() - metric.start_ns;
        metric.start_unix_ns = batch__clock_unix_ns() - age_ns;
        if (metric.status != BATCH_OK) {
            batch_result result;
            batch__result_of_call(&result, call);
            memcpy(metric.error, result.message, sizeof metric.error);
        }
        batch__hub_publish(hub, &metric);
    }
}

static void free_resource(const struct batch__shard *shard, batch_call *call)
{
    const struct batch__shared *shared = shard->shared;
    if (shared->release != NULL)
        shared->release(batch_call_resource(call), shared->release_arg);
}

static bool next(struct batch__shard *shard, struct batch__action *ret_action)
{
    if (shard->pace.is_over)
        return batch__core_next_but_run(&shard->core, ret_action);
    return batch__core_next(&shard->core, ret_action);
}

static void perform(struct batch__shard *shard, const struct batch__action *action)
{
    switch (action->kind) {
    case BATCH__LOAD:
        load(shard, action->batch);
        break;
    case BATCH__RUN:
        run(shard, action);
        return;
    case BATCH__RUN_TRANSACTION:
        run_transaction(shard, action);
        break;
    case BATCH__SAVE:
        save(shard, action->batch);
        break;
    case BATCH__DONE:
        if (action->batch != NULL)
            batch__completions_batch(shard, call_of(action->batch), action->op, action->count);
        else
            batch__completions_refused(shard, action->op);
        break;
    case BATCH__METRIC:
        report(shard, call_of(action->batch));
        batch__call_clear_error(call_of(action->batch));
        break;
    case BATCH__FREE_RESOURCE:
        free_resource(shard, call_of(action->batch));
        break;
    }
    shard->pace.measured_ns = 0; /* what took time since is no operation's */
}

void batch__perform(struct batch__shard *shard)
{
    struct batch__action action;
    shard->pace.measured_ns = 0;
    shard->pace.row = 0;
    while (next(shard, &action))
        perform(shard, &action);
    batch__completions_flush(shard);
}
