/* judge_end.c: the rest of judge.c: ends of a batch, of a turn, and of everything. */
#include "simulation.h"

/* ---- The end of a batch --------------------------------------------------------------------- */

void sim_judge_record(struct sim *sim, struct sim_node *node, struct batch__batch *batch)
{
    struct sim_judged *key = &node->keys[sim_key_of(batch)];
    sim_must(sim, key->stage == SIM_ANSWERED, "a record of one that is %s", sim_stage_name(key));
    sim_must(sim, batch->ran.count == key->ran_size, "a record of %u operations, not %u",
             (unsigned)batch->ran.count, key->ran_size);
    sim_must(sim, batch->changed == key->changed, "a record of %u changes, not %u",
             (unsigned)batch->changed, key->changed);
    sim_must(sim, batch->replays == key->replays, "a record of %u replays, not %u", batch->replays,
             key->replays);
    sim_must(sim, batch->is_cached == key->is_cached,
             "a record with a load that was skipped or not");
    sim_must(sim, batch->load_ns == key->load_ns && batch->loaded_ns == key->loaded_ns,
             "a record with the times of another load");
    sim_must(sim, batch->save_ns == key->save_ns, "a record with the time of another save");
    sim_must(sim, batch->saved_ns == (key->save_ns != 0 ? key->told_ns : 0),
             "a record with the time of another save");
    sim_must(sim, batch->first_wait_ns == key->first_wait_ns, "a record with another first wait");
    key->stage = key->is_loaded ? SIM_REPORTED : SIM_IDLE;
    key->ran_size = 0;
    key->again_size = key->again_at = 0;
    key->free_ns = sim->now_ns + node->elapsed_ns;
    key->joining = key->waiting; /* if it is kept */
    key->flushes = node->flushes;
}

/* After a conflict, or because nothing changed on a kept resource. */
static bool is_dropped_to_run_again(struct sim *sim, const struct sim_node *node,
                                    struct sim_judged *key, const struct batch__batch *batch)
{
    bool is_conflict = key->stage == SIM_SAVED && key->told == BATCH_CONFLICT;
    bool is_look = key->stage == SIM_OPEN && key->is_cached && key->changed == 0;
    if (key->ran_size == 0 || (!is_conflict && !is_look))
        return false;
    if (is_conflict) {
        sim_must(sim, key->replays < node->core.config.replays_max, "a batch runs again too often");
        sim_must(sim, key->told_ns < batch->deadline_ns, "a batch runs again too late");
        key->replays++;
        sim_saw(sim, SIM_EVENT_replay);
    } else {
        sim_judge_close(sim, node, key);
        sim_saw(sim, SIM_EVENT_looked_again);
    }
    for (uint32_t i = 0; i < key->ran_size; i++)
        key->again[i] = key->ran[i];
    key->again_size = key->ran_size;
    key->again_at = 0;
    key->ran_size = 0;
    key->changed = 0;
    key->save_ns = 0;
    key->is_loaded = false;
    key->is_cached = false;
    key->stage = SIM_DROPPED;
    return true;
}

void sim_judge_release(struct sim *sim, struct sim_node *node, struct batch__batch *batch)
{
    struct sim_judged *key = &node->keys[sim_key_of(batch)];
    sim_must(sim, key->is_loaded, "a release of what was not loaded");
    if (is_dropped_to_run_again(sim, node, key, batch))
        return;
    bool is_left = (key->stage == SIM_OPEN || key->stage == SIM_RERUN) && key->ran_size == 0;
    for (; is_left && key->again_at < key->again_size; key->again_at++) {
        struct sim_op *op = &sim->ops[key->again[key->again_at]];
        sim_must(sim, op->is_canceled, "%c does not run again", sim_op_letter(op->number));
        op->has_left = true;
        sim_saw(sim, SIM_EVENT_replay_left);
    }
    sim_must(sim, is_left || key->stage == SIM_REPORTED, "a release of one that is %s",
             sim_stage_name(key));
    if (is_left) {
        sim_saw(sim, SIM_EVENT_batch_left);
        key->free_ns = sim->now_ns + node->elapsed_ns;
    }
    key->stage = SIM_IDLE;
    key->is_loaded = false;
    key->again_size = key->again_at = 0;
}

/* ---- The end of a turn ---------------------------------------------------------------------- */

/* Who is canceled or late is told so as soon as sweeps may come: a microsecond later for each that
 * waits. So the core must ask to be woken for it. */
static void must_be_woken(struct sim *sim, const struct sim_node *node, uint64_t waiting)
{
    uint64_t now_ns = sim_node_now(sim, node);
    uint64_t due_ns = SIM_NEVER;
    for (uint64_t left = waiting & node->impatient; left != 0; left &= left - 1) {
        const struct sim_op *op = &sim->ops[__builtin_ctzll(left)];
        if (op->is_canceled && !node->is_cancel_wanted)
            due_ns = now_ns;
        else if (op->op.start_by_ns != 0 && op->op.start_by_ns + 1 < due_ns)
            due_ns = op->op.start_by_ns + 1;
    }
    if (due_ns == SIM_NEVER)
        return;
    due_ns = due_ns > now_ns ? due_ns : now_ns;
    sim_must(sim, batch__core_deadline_ns(&node->core) <= due_ns + SIM_OPS * SIM_US,
             "nobody is told in time that he is canceled or late");
}

static void keys_must_be_at_it(struct sim *sim, const struct sim_node *node)
{
    uint64_t waiting = 0;
    for (uint32_t i = 0; i < sim->config->keys_size; i++) {
        const struct sim_judged *key = &node->keys[i];
        waiting |= key->waiting;
        if (key->stage != SIM_OPEN)
            continue;
        sim_must(sim, key->waiting == 0, "%s is open, and somebody waits", sim_key_name(sim, i));
        sim_must(sim, node->state == SIM_UP, "%s is open after stop", sim_key_name(sim, i));
        sim_must(sim, key->ran_size < node->core.config.ops_max, "%s is open, and full",
                 sim_key_name(sim, i));
    }
    must_be_woken(sim, node, waiting);
}

void sim_judge_turn(struct sim *sim, struct sim_node *node)
{
    keys_must_be_at_it(sim, node);
    const struct batch__core *core = &node->core;
    uint32_t taken = (uint32_t)__builtin_popcountll(node->taken);
    sim_must(sim, core->ops == taken, "the core counts %u operations, not %u", (unsigned)core->ops,
             taken);
    sim_must(sim, node->pending == node->taken, "an operation was answered before it was taken");
    uint32_t kept = 0;
    for (uint32_t i = 0; i < sim->config->keys_size; i++)
        kept += node->keys[i].stage == SIM_REPORTED;
    sim_must(sim, core->cached_size == kept, "%u resources are kept, not %u",
             (unsigned)core->cached_size, kept);
    sim_must(sim, kept <= core->config.cache_max, "%u resources are kept", kept);
    sim_must(sim, kept == 0 || node->state == SIM_UP, "a resource is kept after stop");
}

/* ---- Nothing is left to happen -------------------------------------------------------------- */

void sim_judge_rest(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->config->nodes_size; i++) {
        const struct sim_node *node = &sim->nodes[i];
        if (node->state == SIM_DOWN)
            continue;
        sim_must(sim, node->pending == 0, "%c is never answered",
                 sim_op_letter((uint32_t)__builtin_ctzll(node->pending)));
        uint32_t kept = 0;
        for (uint32_t k = 0; k < sim->config->keys_size; k++) {
            const struct sim_judged *key = &node->keys[k];
            kept += key->stage == SIM_REPORTED;
            sim_must(sim, key->waiting == 0, "somebody still waits");
        }
        sim_must(sim, node->core.table.count == kept, "%u keys are left",
                 (unsigned)node->core.table.count);
    }
}

static void count(struct sim *sim, enum sim_outcome outcome, uint64_t set)
{
    sim->tally->outcomes[outcome] += (uint64_t)__builtin_popcountll(set);
}

void sim_judge_end(struct sim *sim)
{
    for (uint32_t i = 0; i < sim->config->nodes_size; i++)
        sim_must(sim, sim->nodes[i].state == SIM_DOWN, "node %u does not come to an end", i + 1);
    uint64_t stored = sim->stored;
    uint64_t maybe = sim->unknown | sim->died;
    uint64_t told = sim->ok | sim->ok_unchanged | sim->refused;
    uint64_t all = sim_bit(sim->ops_size) - 1;
    sim_must(sim, (sim->ok & ~stored) == 0, "told OK, and not stored");
    sim_must(sim, (stored & ~(sim->ok | maybe)) == 0, "stored, and not told so");
    sim_must(sim, (told | maybe) == all, "an operation got lost");
    sim_must(sim, (told & maybe) == 0 && (sim->unknown & sim->died) == 0, "two answers to one");
    count(sim, SIM_OUTCOME_ok, sim->ok);
    count(sim, SIM_OUTCOME_ok_unchanged, sim->ok_unchanged);
    count(sim, SIM_OUTCOME_unknown_applied, sim->unknown & stored);
    count(sim, SIM_OUTCOME_unknown_not_applied, sim->unknown & ~stored);
    count(sim, SIM_OUTCOME_died_applied, sim->died & stored);
    count(sim, SIM_OUTCOME_died_not_applied, sim->died & ~stored);
}
