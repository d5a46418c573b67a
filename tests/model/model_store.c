#include "model_store.h"

#include "model.h"
#include "transcript.h"

/* ---- Rows ----------------------------------------------------------------------------------- */

static uint32_t hash_of(uint32_t hash, uint8_t what)
{
    return (hash ^ what) * 16777619U + 1;
}

void log_append(struct model_log *log, uint8_t what)
{
    log->ops[log->size++] = what;
    log->hash = hash_of(log->hash, what);
}

void model_store_init(struct model *model)
{
    for (uint32_t i = 0; i < model->config->keys_size; i++) {
        struct model_row *row = &model->rows[i];
        row->log = (struct model_log){.hash = 2166136261U};
        row->versions = 0;
        row->history_size = 0;
        row->acknowledged = 0;
        row->hashes[0] = row->log.hash;
    }
    model->calls_size = 0;
}

/* A row has got longer. */
static void row_grew(struct model_row *row, uint32_t from)
{
    for (uint32_t i = from; i < row->log.size; i++) {
        row->hashes[i + 1] = hash_of(row->hashes[i], row->log.ops[i]);
        if (row->history_size < MODEL_HISTORY)
            row->history[row->history_size++] = row->log.ops[i];
    }
    row->log.version = ++row->versions;
}

void model_store_write(struct model *model, uint32_t key)
{
    struct model_row *row = &model->rows[key];
    if (model->others_size == MODEL_OTHERS || row->log.size >= MODEL_LOG - MODEL_OPS / 2)
        return;
    model->others_size++;
    log_append(&row->log, LOG_OTHERS);
    row_grew(row, row->log.size - 1);
    row->acknowledged = row->log.base + row->log.size;
    saw(model, EVENT_written_by_others);
}

void model_store_delete(struct model *model, uint32_t key)
{
    struct model_row *row = &model->rows[key];
    row->log.base += row->log.size + 1;
    if (row->history_size < MODEL_HISTORY)
        row->history[row->history_size++] = LOG_DELETED;
    row->log.size = 0;
    row->log.hash = row->hashes[0];
    row->log.version = ++row->versions;
    if (BUG(version_used_again))
        row->log.version = row->versions = 0;
    row->acknowledged = row->log.base;
    saw(model, EVENT_deleted);
}

/* ---- Calls ---------------------------------------------------------------------------------- */

/* Of a unit, this and every other call. */
static bool is_version_right(const struct model *model, const struct model_call *call)
{
    if (call->unit == 0)
        return call->log.version == model->rows[call->key].log.version || BUG(version_not_checked);
    bool is_right = true;
    for (uint32_t i = 0; i < model->calls_size; i++) {
        const struct model_call *one = &model->calls[i];
        if (one->unit != call->unit || (one->is_check && BUG(check_not_checked)))
            continue;
        is_right = is_right && one->log.version == model->rows[one->key].log.version;
    }
    return is_right || BUG(version_not_checked);
}

static void apply_save(struct model *model, struct model_call *call, bool is_right)
{
    struct model_row *row = &model->rows[call->key];
    bool is_done = call->plan == PLAN_APPLY || call->plan == PLAN_APPLY_AND_LOSE ||
                   (call->plan == PLAN_FAIL && BUG(failed_save_applied));
    if (!is_done || !is_right) {
        if (call->plan == PLAN_APPLY)
            call->status = BATCH_CONFLICT;
        transcribe(model, NULL, "store %s: the save of node %u is not applied%s",
                   key_name(call->key), call->node + 1,
                   is_done ? ": another version is stored" : "");
        return;
    }
    if (call->plan == PLAN_APPLY)
        call->status = BUG(applied_reported_as_conflict) ? BATCH_CONFLICT : BATCH_OK;
    if (call->is_check || (BUG(unit_torn) && call->unit != 0 && call->key % 2 == 1))
        return;
    oracle_applied(model, call);
    uint32_t size = row->log.size;
    row->log = call->log;
    row_grew(row, size);
    call->log.version = row->log.version;
    transcribe(model, NULL, "store %s: the save of node %u is applied: version %u, %s",
               key_name(call->key), call->node + 1, row->log.version, log_text(&row->log));
}

static void apply(struct model *model, struct model_call *call, bool is_right)
{
    call->apply_ns = MODEL_NEVER;
    model_step(model, 0x100 + call->key + (call->is_save ? 0x10U : 0));
    if (call->is_save)
        apply_save(model, call, is_right);
    else
        call->log = model->rows[call->key].log;
}

void model_store_apply(struct model *model, struct model_call *call)
{
    bool is_right = !call->is_save || is_version_right(model, call);
    if (call->unit == 0) {
        apply(model, call, is_right);
        return;
    }
    for (uint32_t i = 0; i < model->calls_size; i++) {
        if (model->calls[i].unit == call->unit)
            apply(model, &model->calls[i], is_right);
    }
    oracle_unit_applied(model);
}

void model_store_end(struct model *model, uint32_t call)
{
    struct model_call *last = &model->calls[--model->calls_size];
    if (last != &model->calls[call])
        model->calls[call] = *last;
}

/* One of its calls has ended. */
static void settle_end(struct model *model, const struct model_call *call)
{
    for (uint32_t i = 0; i < model->calls_size && call->unit != 0; i++) {
        if (model->calls[i].unit == call->unit)
            model->calls[i].is_settled = true;
    }
}

bool model_store_finish(struct model *model, uint32_t at, struct model_call *ret_finished)
{
    struct model_call *call = &model->calls[at];
    if (call->apply_ns <= call->finish_ns)
        model_store_apply(model, call);
    call->is_settled = call->unit != 0;
    settle_end(model, call);
    *ret_finished = *call;
    call->finish_ns = MODEL_NEVER;
    bool is_over = call->apply_ns == MODEL_NEVER;
    if (is_over)
        model_store_end(model, at);
    return is_over;
}

static void fault(struct model *model, struct model_call *call, uint64_t drawn)
{
    static const uint8_t plans[] = {PLAN_FAIL, PLAN_CONFLICT, PLAN_LOSE, PLAN_APPLY_AND_LOSE};
    static const int8_t statuses[] = {BATCH_SAVE_FAILED, BATCH_CONFLICT, BATCH_UNKNOWN,
                                      BATCH_UNKNOWN};
    static const enum event events[] = {EVENT_save_error, EVENT_conflict_false,
                                        EVENT_unknown_reported_not_applied,
                                        EVENT_unknown_reported_applied};
    if (!call->is_save) {
        call->plan = PLAN_FAIL;
        call->status = BATCH_LOAD_FAILED;
        saw(model, EVENT_load_error);
        return;
    }
    uint32_t which = drawn & 3;
    call->plan = plans[which];
    call->status = statuses[which];
    if (call->plan == PLAN_FAIL && BUG(failed_save_reported_ok))
        call->status = BATCH_OK;
    bool is_later = call->plan == PLAN_APPLY_AND_LOSE && (drawn & 4) != 0;
    if (is_later)
        call->apply_ns = call->finish_ns + call->latency_ns + (drawn >> 8 & 0xFF) * MODEL_US;
    saw(model, is_later ? EVENT_unknown_reported_applied_later : events[which]);
}

/* What is so for one call of a unit is so for all. */
static void settle(struct model *model, const struct model_call *call)
{
    for (uint32_t i = 0; i < model->calls_size && call->unit != 0; i++) {
        struct model_call *one = &model->calls[i];
        if (one->unit != call->unit)
            continue;
        one->plan = call->plan;
        one->status = call->status;
        one->latency_ns = call->latency_ns;
        one->apply_ns = call->apply_ns;
        if (one->finish_ns != MODEL_NEVER)
            one->finish_ns = call->finish_ns;
        one->is_settled = call->is_settled;
    }
}

void model_store_fault(struct model *model, struct model_call *call, uint64_t drawn)
{
    if (call->is_settled)
        return;
    fault(model, call, drawn);
    settle(model, call);
}

void model_store_unit(struct model *model, uint32_t first)
{
    uint32_t unit = ++model->units;
    for (uint32_t i = first; i < model->calls_size; i++) {
        struct model_call *call = &model->calls[i];
        call->unit = unit;
        call->is_check = call->is_unchanged;
    }
    settle(model, &model->calls[first]);
}

static const batch_op *first_of(const struct batch__batch *batch, bool is_save)
{
    return is_save ? batch->ran.head : batch->waiting.head;
}

/* How long it takes, and what goes wrong with it, by the draw of its first operation. True if it
 * ends at once. */
static bool draw_call(struct model *model, struct model_call *call, struct model_op *op)
{
    const struct model_config *config = model->config;
    uint64_t drawn = op == NULL || op->draw == 0 ? 0 : random_mix(op->draw + ++op->calls);
    uint64_t max_ns = call->is_save ? config->save_max_ns : config->load_max_ns;
    call->latency_ns = drawn == 0 ? max_ns / 2 : draw_scale(drawn >> 32, (uint32_t)max_ns + 1);
    call->finish_ns += call->latency_ns;
    call->apply_ns += call->latency_ns / 4 * (drawn & 3);
    if (BUG(store_slow))
        call->finish_ns += 3 * (config->load_max_ns + config->save_max_ns);
    if (config->is_calm || drawn == 0)
        return false;

    drawn = random_mix(drawn);
    if (draw_scale(drawn, 100) < config->fault_percent)
        model_store_fault(model, call, drawn >> 32);
    drawn = random_mix(drawn);
    if (draw_scale(drawn, 300) < config->fault_percent) {
        call->finish_ns += (drawn >> 40 & 7) == 0 ? 10 * MODEL_S : 500 * MODEL_US;
        saw(model, EVENT_slow_call);
    } else if (draw_scale(drawn >> 16, 100) < config->at_once_percent) {
        saw(model, EVENT_call_at_once);
        return true;
    }
    return false;
}

bool model_store_call(struct model *model, struct model_node *node, struct batch__batch *batch,
                      bool is_save)
{
    must(model, model->calls_size < MODEL_CALLS, "too many calls");
    struct model_call *call = &model->calls[model->calls_size++];
    call->batch = batch;
    call->node = (uint8_t)node_number(model, node);
    call->key = (uint8_t)key_number(batch);
    call->is_save = is_save;
    call->plan = PLAN_APPLY;
    call->status = BATCH_OK;
    call->unit = 0;
    call->is_check = call->is_settled = false;
    call->is_unchanged = batch->changed == 0;
    if (is_save)
        call->log = *resource_of(batch);
    call->finish_ns = call->apply_ns = model->now_ns + node->elapsed_ns;
    call->latency_ns = 0;
    if (BUG(call_forgotten) && model->steps % 8 == 1)
        model->calls_size--;
    else if (!model->config->is_untimed)
        return draw_call(model, call, op_of((batch_op *)(uintptr_t)first_of(batch, is_save)));
    return false;
}

void model_store_crashed(struct model *model, const struct model_node *node)
{
    uint32_t number = node_number(model, node);
    for (uint32_t i = model->calls_size; i-- > 0;) {
        struct model_call *call = &model->calls[i];
        if (call->node != number || call->finish_ns == MODEL_NEVER)
            continue; /* of another node, or of an earlier incarnation */
        call->finish_ns = MODEL_NEVER;
        call->batch = NULL;
        bool is_on_its_way = call->is_save && call->apply_ns != MODEL_NEVER;
        uint32_t parity = call->unit != 0 ? call->unit : call->log.size;
        if (is_on_its_way && parity % 2 == 0) {
            saw(model, EVENT_crash_save_applied_later);
            call->plan = call->plan == PLAN_APPLY ? PLAN_APPLY_AND_LOSE : call->plan;
            continue;
        }
        if (is_on_its_way)
            saw(model, EVENT_crash_save_lost);
        model_store_end(model, i);
    }
}
