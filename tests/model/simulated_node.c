/* simulated_node.c: what the runtime does around a core, and what it suffers.
 *
 * A worker has turns. In a turn it takes the calls that the store has finished, the operations in
 * its inbox, and its signals, ends what is due, and performs the actions. Usually there is one
 * thing to take; after a pause, or when it was busy, there are many. In a jumbled history the parts
 * of a turn come in any order, and actions are taken late: the core must not care.
 */
#include "simulation.h"

#include <string.h>

/* ---- Memory --------------------------------------------------------------------------------- */

static void *take(size_t size, void *arg)
{
    struct sim_node *node = arg;
    if (node->fails_next) {
        node->fails_next = false;
        node->has_failed = true;
        return NULL;
    }
    size = (size + 63) / 64 * 64;
    if (size > SIM_ARENA - node->arena_size)
        return NULL; /* a leak: nobody gets so much */
    void *memory = &node->arena[node->arena_size];
#ifdef BATCH_DEBUG_CHECKS
    memset(memory, 0xA5, size); /* nobody may count on zeroes */
#endif
    node->arena_size += (uint32_t)size;
    node->arena_live++;
    return memory;
}

static void give(void *memory, void *arg)
{
    struct sim_node *node = arg;
    if (memory != NULL)
        node->arena_live--;
}

/* ---- A life --------------------------------------------------------------------------------- */

void sim_node_start(struct sim *sim, struct sim_node *node)
{
    uint64_t offset_ns = node->offset_ns;
    uint64_t turns = node->turns;
    memset(node, 0, offsetof(struct sim_node, arena));
    node->offset_ns = offset_ns;
    node->turns = turns;
    node->state = SIM_UP;
    node->is_clean = true;
    node->due_ns = SIM_NEVER;
    node->restart_ns = SIM_NEVER;
    struct batch__core_config config = sim->config->core;
    config.allocator = (batch_allocator){take, give, node};
    batch__core_init(&node->core, &config);
    node->core.pool.slab_bytes = 1024; /* it grows from here: small, and often */
}

static void sleep_until(struct sim *sim, struct sim_node *node, uint64_t down_ns)
{
    node->state = SIM_DOWN;
    node->due_ns = SIM_NEVER;
    node->restart_ns = down_ns == SIM_NEVER ? SIM_NEVER : sim->now_ns + down_ns;
}

void sim_node_crash(struct sim *sim, struct sim_node *node, uint64_t down_ns)
{
    if (node->state == SIM_DOWN)
        return;
    sim_say(sim, node, "crash");
    sim_saw(sim, SIM_EVENT_crash);
    sim_step(sim, 0x200 + sim_node_number(sim, node));
    sim->died |= node->pending;
    sim_store_node_died(sim, node);
    sleep_until(sim, node, down_ns);
}

/* It has stopped, and everything is answered. */
static void end(struct sim *sim, struct sim_node *node)
{
    batch__core_destroy(&node->core);
    sim_must(sim, node->arena_live == 0, "%u blocks of memory are left", node->arena_live);
    sim_say(sim, node, "has stopped");
    sleep_until(sim, node, (node->luck & 7) < 2 ? SIM_NEVER : (node->luck >> 8 & 0xFF) * SIM_US);
}

void sim_node_update(const struct sim *sim, struct sim_node *node)
{
    uint64_t due_ns = batch__core_deadline_ns(&node->core);
    uint64_t now_ns = sim_node_now(sim, node);
    if (due_ns != UINT64_MAX)
        due_ns = due_ns > now_ns ? due_ns - node->offset_ns : sim->now_ns + node->elapsed_ns;
    if (SIM_MISTAKE(wake_lost))
        due_ns = SIM_NEVER;
    bool is_natural = node->core.config.window_ns == BATCH_WINDOW_NONE;
    if (node->inbox_size > 0 || node->is_stop_wanted || node->is_cancel_wanted)
        due_ns = sim->now_ns;
    else if (is_natural && batch__core_has_due(&node->core) && due_ns > sim->now_ns + 5 * SIM_US)
        due_ns = sim->now_ns + 5 * SIM_US; /* the store will be free then */
    node->due_ns = due_ns;
}

/* ---- Actions -------------------------------------------------------------------------------- */

static void run(struct sim *sim, struct sim_node *node, const struct batch__action *action)
{
    struct sim_op *op = sim_op_of(action->op);
    struct sim_log *log = sim_resource_of(action->batch);
    op->is_changed =
        op->verdict == SIM_CHANGES || (op->verdict == SIM_CHANGES_EVEN && log->size % 2 == 0);
    sim_judge_run(sim, node, action->batch, op);
    sim_must(sim, log->size <= SIM_LOG - 2, "%c runs on a resource that is not there",
             sim_op_letter(op->number));
    if (op->is_changed)
        sim_log_append(log, op->number);
    if (op->is_changed && SIM_MISTAKE(run_twice) && op->number % 4 == 1)
        sim_log_append(log, op->number);
    op->seen_base = log->base;
    op->seen_size = log->size;
    op->seen_hash = log->hash;
    sim_say(sim, node, "%s: run %c%s", sim_key_name(sim, op->key), sim_op_letter(op->number),
            op->is_changed ? "" : ", unchanged");
    node->elapsed_ns += op->takes_ns;
    batch__core_ran(&node->core, op->is_changed ? BATCH_CHANGED : BATCH_UNCHANGED,
                    op->takes_ns == 0 ? 0 : sim_node_now(sim, node));
}

static void done(struct sim *sim, struct sim_node *node, const struct batch__action *action)
{
    batch_op *op = action->op;
    if (SIM_MISTAKE(answer_lost) && action->batch == NULL)
        return;
    sim_judge_done(sim, node, action);
    for (batch_op *next; op != NULL; op = next) { /* theirs again */
        next = op->private_next;
        memset(&op->private_next, 0xDD, sizeof op->private_next);
    }
}

static void perform(struct sim *sim, struct sim_node *node, const struct batch__action *action)
{
    struct batch__batch *batch = action->batch;
    uint32_t number = action->op != NULL ? sim_op_of(action->op)->number : 0;
    uint32_t key = batch != NULL ? sim_key_of(batch) : SIM_KEYS;
    sim_step(sim, 0x400 + (uint64_t)action->kind * 0x40 + sim_node_number(sim, node) * 0x10 + key +
                      ((uint64_t)number << 12) + (action->count << 18));
    switch (action->kind) {
    case BATCH__LOAD:
        sim_judge_load(sim, node, batch);
        sim_say(sim, node, "%s: load", sim_key_name(sim, key));
        sim_store_call(sim, node, batch, false);
        break;
    case BATCH__RUN:
        run(sim, node, action);
        break;
    case BATCH__SAVE:
        sim_judge_save(sim, node, batch);
        sim_say(sim, node, "%s: save of version %u: %s", sim_key_name(sim, key),
                sim_resource_of(batch)->version, sim_log_text(sim_resource_of(batch)));
        sim_store_call(sim, node, batch, true);
        break;
    case BATCH__DONE:
        done(sim, node, action);
        break;
    case BATCH__METRIC:
        sim_judge_record(sim, node, batch);
        break;
    case BATCH__FREE_RESOURCE:
        sim_judge_release(sim, node, batch);
        sim_say(sim, node, "%s: release", sim_key_name(sim, key));
        if (!SIM_MISTAKE(old_resource_loaded))
            sim_resource_of(batch)->size = SIM_POISON;
        break;
    }
}

/* From any thread, at any time: the flag first, then the signal. */
void sim_node_cancel(struct sim *sim, struct sim_node *node, uint32_t number)
{
    struct sim_op *op = &sim->ops[number];
    if ((node->pending & sim_bit(number)) == 0 || node->state == SIM_DOWN)
        return;
    sim_saw(sim, SIM_EVENT_cancel);
    op->is_canceled = true;
    node->impatient |= sim_bit(number);
    op->op.private_canceled = !SIM_MISTAKE(cancel_signal_late);
    node->is_cancel_wanted = true;
    if (node->due_ns > sim->now_ns)
        node->due_ns = sim->now_ns;
}

static void stop(struct sim *sim, struct sim_node *node)
{
    node->is_stop_wanted = false;
    node->state = SIM_STOPPING;
    node->is_clean = false;
    sim_say(sim, node, "stop");
    batch__core_stop(&node->core, sim_node_now(sim, node));
}

/* What comes between two actions. A real worker looks at its signals only when there are no more
 * actions; to the core it must not matter. */
static void be_disturbed(struct sim *sim, struct sim_node *node)
{
    if (node->cancel_after != 0 && --node->cancel_after == 0) {
        sim_say(sim, node, "cancel %c in the midst of this", sim_op_letter(node->cancel_op));
        sim_saw(sim, SIM_EVENT_cancel_in_midst);
        sim_node_cancel(sim, node, node->cancel_op);
        if (sim->config->is_jumbled) {
            node->is_clean = false;
            batch__core_cancel(&node->core, sim_node_now(sim, node));
        }
    }
    if (node->stop_after != 0 && --node->stop_after == 0) {
        sim_saw(sim, SIM_EVENT_stop_in_midst);
        stop(sim, node);
    }
}

/* Take actions, at most `max`. */
static void take_actions(struct sim *sim, struct sim_node *node, uint32_t max)
{
    struct batch__action action;
    for (; max > 0; max--) {
        if (!batch__core_next(&node->core, &action)) {
            node->is_clean = true;
            break;
        }
        perform(sim, node, &action);
        be_disturbed(sim, node);
    }
#ifdef BATCH_DEBUG_CHECKS
    batch__core_check(&node->core);
#endif
}

/* After an event: all actions or, in a jumbled history, as it comes. */
static void after_event(struct sim *sim, struct sim_node *node)
{
    sim_step(sim, 0x800);
    be_disturbed(sim, node);
    node->is_clean = false;
    if (!sim->config->is_jumbled) {
        take_actions(sim, node, UINT32_MAX);
        return;
    }
    uint32_t how = (uint32_t)(node->luck & 7);
    node->luck = node->luck >> 3 | node->luck << 61;
    take_actions(sim, node, how < 4 ? how : UINT32_MAX);
}

/* ---- Events --------------------------------------------------------------------------------- */

/* Clocks of several threads may differ a little: time may seem to go back by that much. */
static uint64_t event_ns(const struct sim *sim, struct sim_node *node)
{
    uint64_t now_ns = sim_node_now(sim, node);
    bool is_back = (node->luck & 0xF0) == 0 && node->core.now_ns == now_ns && !sim->config->is_calm;
    return is_back ? now_ns - 2 : now_ns;
}

void sim_node_told(struct sim *sim, struct sim_node *node, const struct sim_call *call)
{
    struct sim_log *resource = sim_resource_of(call->batch);
    sim_say(sim, node, "%s: %s %s", sim_key_name(sim, call->key),
            call->is_save ? "the save ends" : "the load ends", sim_status_name(call->status));
    uint64_t now_ns = event_ns(sim, node);
    if (call->is_save) {
        resource->version = call->log.version;
        if (call->status == BATCH_CONFLICT && call->plan == SIM_DO)
            sim_saw(sim, SIM_EVENT_conflict_told);
        sim_judge_saved(sim, node, call->key, call->status, now_ns);
        batch__core_saved(&node->core, call->batch, call->status, now_ns);
    } else {
        bool is_stale = SIM_MISTAKE(old_resource_loaded) && resource->size <= SIM_LOG / 2 &&
                        resource->hash != 0;
        if (call->status == BATCH_OK && !is_stale)
            *resource = call->log;
        sim_judge_loaded(sim, node, call->key, call->status, now_ns);
        batch__core_loaded(&node->core, call->batch, call->status, now_ns);
    }
}

static void take_finished(struct sim *sim, struct sim_node *node)
{
    uint32_t number = sim_node_number(sim, node);
    for (uint32_t i = 0; i < sim->calls_size; i++) {
        struct sim_call *call = &sim->calls[i];
        if (call->node != number || call->finish_ns > sim->now_ns)
            continue;
        if (call->apply_ns <= call->finish_ns)
            sim_store_apply(sim, call);
        struct sim_call told = *call;
        call->finish_ns = SIM_NEVER;
        if (call->apply_ns == SIM_NEVER) {
            sim_store_end(sim, i);
            i--;
        }
        sim_node_told(sim, node, &told);
        after_event(sim, node);
    }
}

static void take_inbox(struct sim *sim, struct sim_node *node)
{
    for (uint32_t i = 0; i < node->inbox_size; i++) {
        struct sim_op *op = &sim->ops[node->inbox[i]];
        uint64_t now_ns = event_ns(sim, node);
        sim_judge_submit(sim, node, op, now_ns);
        node->fails_next = op->lacks_memory;
        node->has_failed = false;
        batch__core_submit(&node->core, &op->op, now_ns);
        node->fails_next = false;
        op->may_lack_memory = node->has_failed;
        if (node->has_failed)
            sim_saw(sim, SIM_EVENT_allocation_failed);
        after_event(sim, node);
    }
    node->inbox_size = 0;
}

static void take_signals(struct sim *sim, struct sim_node *node)
{
    if (node->is_stop_wanted) {
        stop(sim, node);
        after_event(sim, node);
    }
    if (node->is_cancel_wanted) {
        node->is_cancel_wanted = false;
        batch__core_cancel(&node->core, event_ns(sim, node));
        after_event(sim, node);
    }
}

static void expire(struct sim *sim, struct sim_node *node)
{
    bool is_due = batch__core_deadline_ns(&node->core) <= sim_node_now(sim, node);
    if (is_due && !SIM_MISTAKE(wake_lost)) {
        batch__core_expire(&node->core, event_ns(sim, node));
        after_event(sim, node);
    }
    bool is_natural = node->core.config.window_ns == BATCH_WINDOW_NONE;
    if (is_natural && batch__core_has_due(&node->core)) {
        uint64_t calls_max = sim->config->is_calm ? UINT64_MAX : node->luck >> 16 & 3;
        node->flushes += calls_max > 0;
        batch__core_flush(&node->core, calls_max, event_ns(sim, node));
        after_event(sim, node);
    }
}

/* ---- A turn --------------------------------------------------------------------------------- */

void sim_node_turn(struct sim *sim, struct sim_node *node)
{
    typedef void part(struct sim * sim, struct sim_node * node);
    static part *const parts[] = {take_finished, take_inbox, take_signals, expire};
    node->elapsed_ns = 0;
    node->luck = sim_mix(sim->config->luck + ++node->turns + sim_node_number(sim, node) * 1000);
    uint32_t first = sim->config->is_jumbled ? (uint32_t)(node->luck >> 32 & 3) : 0;
    for (uint32_t i = 0; i < 4; i++)
        parts[(first + i) % 4](sim, node);
    take_actions(sim, node, UINT32_MAX);
    sim_judge_turn(sim, node);
    node->awake_ns = sim->now_ns + node->elapsed_ns;
    if (sim_below(node->luck >> 8, 100) < sim->config->late_percent) {
        node->awake_ns += (node->luck >> 40 & 0x3F) * SIM_US;
        sim_saw(sim, SIM_EVENT_late_worker);
    }
    if (node->state == SIM_STOPPING && batch__core_is_idle(&node->core))
        end(sim, node);
    else
        sim_node_update(sim, node);
}
