/* store_model.c: the store of the simulation, one row for each key, and the calls on their way.
 *
 * A call has two moments: when it reaches the row, and when its node is told. In between the node
 * may crash, be paused, or see the row change; and a save of which the node was told that nobody
 * knows may still reach the row later, as may that of a node that is dead. A save is applied if the
 * row has the version that it was loaded with; versions are never used again, not even for a row
 * that is deleted and made again. What it is applied to must be a prefix of what it brings.
 */
#include "simulation.h"

#include <string.h>

static uint32_t hash_of(uint32_t hash, uint8_t what)
{
    return (hash ^ what) * 16777619U + 1;
}

void sim_log_append(struct sim_log *log, uint8_t what)
{
    log->ops[log->size++] = what;
    log->hash = hash_of(log->hash, what);
}

void sim_store_init(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->config->keys_size; i++) {
        struct sim_row *row = &sim->rows[i];
        row->log = (struct sim_log){.hash = 2166136261U};
        row->versions = 0;
        row->told = 0;
        row->hashes[0] = row->log.hash;
    }
    sim->calls_size = 0;
}

/* A row has got longer. */
static void row_grew(struct sim_row *row, uint32_t from)
{
    for (uint32_t i = from; i < row->log.size; i++)
        row->hashes[i + 1] = hash_of(row->hashes[i], row->log.ops[i]);
    row->log.version = ++row->versions;
}

void sim_store_write(struct sim *sim, uint32_t key)
{
    struct sim_row *row = &sim->rows[key];
    if (sim->others_size == SIM_OTHERS || row->log.size >= SIM_LOG - SIM_OPS / 2)
        return;
    sim->others_size++;
    sim_log_append(&row->log, SIM_SOMEBODY_ELSE);
    row_grew(row, row->log.size - 1);
    row->told = row->log.base + row->log.size;
    sim_saw(sim, SIM_EVENT_written_by_others);
}

void sim_store_delete(struct sim *sim, uint32_t key)
{
    struct sim_row *row = &sim->rows[key];
    row->log.base += row->log.size + 1;
    row->log.size = 0;
    row->log.hash = row->hashes[0];
    row->log.version = ++row->versions;
    if (SIM_MISTAKE(version_used_again))
        row->log.version = row->versions = 0;
    row->told = row->log.base;
    sim_saw(sim, SIM_EVENT_deleted);
}

/* ---- Calls ---------------------------------------------------------------------------------- */

static void apply_save(struct sim *sim, struct sim_call *call)
{
    struct sim_row *row = &sim->rows[call->key];
    bool is_right = call->log.version == row->log.version || SIM_MISTAKE(version_not_checked);
    bool is_done = call->plan == SIM_DO || call->plan == SIM_DO_AND_LOSE;
    if (!is_done || !is_right) {
        if (call->plan == SIM_DO)
            call->status = BATCH_CONFLICT;
        sim_say(sim, NULL, "store %s: the save of node %u is not applied%s",
                sim_key_name(sim, call->key), call->node + 1,
                is_done ? ": another version is stored" : "");
        return;
    }
    sim_judge_row(sim, call);
    uint32_t size = row->log.size;
    row->log = call->log;
    row_grew(row, size);
    call->log.version = row->log.version;
    if (call->plan == SIM_DO)
        call->status = BATCH_OK;
    if (SIM_MISTAKE(applied_told_as_conflict) && call->plan == SIM_DO)
        call->status = BATCH_CONFLICT;
    sim_say(sim, NULL, "store %s: the save of node %u is applied: version %u, %s",
            sim_key_name(sim, call->key), call->node + 1, row->log.version,
            sim_log_text(&row->log));
}

void sim_store_apply(struct sim *sim, struct sim_call *call)
{
    call->apply_ns = SIM_NEVER;
    sim_step(sim, 0x100 + call->key + (call->is_save ? 0x10U : 0));
    if (call->is_save)
        apply_save(sim, call);
    else
        call->log = sim->rows[call->key].log;
}

void sim_store_end(struct sim *sim, uint32_t call)
{
    struct sim_call *last = &sim->calls[--sim->calls_size];
    if (last != &sim->calls[call])
        sim->calls[call] = *last;
}

/* What goes wrong with a call. */
static void plan(struct sim *sim, struct sim_call *call, uint64_t luck, uint64_t latency_ns)
{
    static const uint8_t plans[] = {SIM_FAIL, SIM_SAY_CONFLICT, SIM_LOSE, SIM_DO_AND_LOSE};
    static const int8_t statuses[] = {BATCH_SAVE_FAILED, BATCH_CONFLICT, BATCH_UNKNOWN,
                                      BATCH_UNKNOWN};
    if (!call->is_save) {
        call->plan = SIM_FAIL;
        call->status = BATCH_LOAD_FAILED;
        sim_saw(sim, SIM_EVENT_load_error);
        return;
    }
    uint32_t which = luck & 3;
    call->plan = plans[which];
    call->status = statuses[which];
    bool is_later = call->plan == SIM_DO_AND_LOSE && (luck & 4) != 0;
    if (is_later)
        call->apply_ns = call->finish_ns + latency_ns + (luck >> 8 & 0xFF) * SIM_US;
    static const enum sim_event events[] = {SIM_EVENT_save_error, SIM_EVENT_conflict_false,
                                            SIM_EVENT_unknown_told_not_applied,
                                            SIM_EVENT_unknown_told_applied};
    sim_saw(sim, is_later ? SIM_EVENT_unknown_told_applied_later : events[which]);
}

static const batch_op *first_of(const struct batch__batch *batch, bool is_save)
{
    if (is_save)
        return batch->ran.head;
    return batch->to_replay.head != NULL ? batch->to_replay.head : batch->waiting.head;
}

void sim_store_call(struct sim *sim, struct sim_node *node, struct batch__batch *batch,
                    bool is_save)
{
    const struct sim_config *config = sim->config;
    sim_must(sim, sim->calls_size < SIM_CALLS, "too many calls");
    struct sim_call *call = &sim->calls[sim->calls_size++];
    struct sim_op *op = sim_op_of((batch_op *)(uintptr_t)first_of(batch, is_save));
    uint64_t luck = op == NULL || op->luck == 0 ? 0 : sim_mix(op->luck + ++op->calls);
    uint64_t max_ns = is_save ? config->save_max_ns : config->load_max_ns;
    uint64_t latency_ns = luck == 0 ? max_ns / 2 : sim_below(luck >> 32, (uint32_t)max_ns + 1);
    uint64_t now_ns = sim->now_ns + node->elapsed_ns;
    call->batch = batch;
    call->node = (uint8_t)sim_node_number(sim, node);
    call->key = (uint8_t)sim_key_of(batch);
    call->is_save = is_save;
    call->plan = SIM_DO;
    call->status = BATCH_OK;
    if (is_save)
        call->log = *sim_resource_of(batch);
    call->finish_ns = now_ns + latency_ns;
    call->apply_ns = now_ns + latency_ns / 4 * (luck & 3);
    if (config->is_calm || luck == 0)
        return;

    luck = sim_mix(luck);
    if (sim_below(luck, 100) < config->fault_percent)
        plan(sim, call, luck >> 32, latency_ns);
    luck = sim_mix(luck);
    if (sim_below(luck, 300) < config->fault_percent) {
        call->finish_ns += (luck >> 40 & 7) == 0 ? 10 * SIM_S : 500 * SIM_US;
        sim_saw(sim, SIM_EVENT_slow_call);
    } else if (sim_below(luck >> 16, 100) < config->at_once_percent) {
        uint32_t at = sim->calls_size - 1;
        sim_saw(sim, SIM_EVENT_call_at_once);
        if (call->apply_ns <= call->finish_ns)
            sim_store_apply(sim, call);
        struct sim_call told = *call;
        call->finish_ns = SIM_NEVER;
        if (call->apply_ns == SIM_NEVER)
            sim_store_end(sim, at);
        sim_node_told(sim, node, &told);
    }
}

void sim_store_node_died(struct sim *sim, const struct sim_node *node)
{
    uint32_t number = sim_node_number(sim, node);
    for (uint32_t i = sim->calls_size; i-- > 0;) {
        struct sim_call *call = &sim->calls[i];
        if (call->node != number || call->finish_ns == SIM_NEVER)
            continue; /* of another node, or of an earlier life */
        call->finish_ns = SIM_NEVER;
        call->batch = NULL;
        bool is_on_its_way = call->is_save && call->apply_ns != SIM_NEVER;
        if (is_on_its_way && call->log.size % 2 == 0) {
            sim_saw(sim, SIM_EVENT_crash_save_applied_later);
            call->plan = call->plan == SIM_DO ? SIM_DO_AND_LOSE : call->plan;
            continue;
        }
        if (is_on_its_way)
            sim_saw(sim, SIM_EVENT_crash_save_lost);
        sim_store_end(sim, i);
    }
}
