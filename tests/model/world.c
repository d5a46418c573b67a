/* world.c: time. What happens next is whatever is due first: the next item of the script, a call
 * that reaches a row, a node's turn, a node that starts again. What is due at the same moment comes
 * in this order. It is over when nothing is left to happen; then everything accepted must have been
 * answered, without anybody having stopped, and then all nodes stop. */
#include "simulation.h"

#include "base/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { STEPS_MAX = 20000 };

static struct sim *living; /* for the panic hook, which is told of nobody */

void sim_wrong(struct sim *sim, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sim->wrong, sizeof sim->wrong, format, arguments);
    va_end(arguments);
    sim->format = format;
    sim_say(sim, NULL, "wrong: %s", sim->wrong);
    longjmp(sim->on_wrong, 1);
}

void batch__panic(const char *file, int line, const char *broken)
{
    const char *name = strrchr(file, '/');
    living->format = broken;
    snprintf(living->wrong, sizeof living->wrong, "the core says: %s:%d: %s",
             name != NULL ? name + 1 : file, line, broken);
    sim_say(living, NULL, "wrong: %s", living->wrong);
    longjmp(living->on_wrong, 1);
}

/* ---- Items ---------------------------------------------------------------------------------- */

static const char *const names[SIM_KEYS] = {"a", "b", "", "a key that is longer than others"};

const char *sim_key_name(const struct sim *sim, uint32_t key)
{
    const char *name = names[(key + sim->config->first_name) % SIM_KEYS];
    return name[0] == '\0' ? "(empty)" : name;
}

static void name_op(const struct sim *sim, struct sim_op *op)
{
    const char *name = names[(op->key + sim->config->first_name) % SIM_KEYS];
    op->op.key = name;
    op->op.key_size = strlen(name);
    op->op.private_hash = sim->config->hash[op->key];
}

/* The node that a client is sent to: the one meant, or the next that is up. */
static struct sim_node *route(struct sim *sim, uint32_t number)
{
    for (uint32_t i = 0; i < sim->config->nodes_size; i++) {
        struct sim_node *node = &sim->nodes[(number + i) % sim->config->nodes_size];
        if (node->state != SIM_DOWN)
            return node;
    }
    return NULL;
}

static void submit(struct sim *sim, const struct sim_item *item)
{
    struct sim_node *node = route(sim, item->node);
    if (node == NULL) {
        sim->tally->outcomes[SIM_OUTCOME_not_accepted]++;
        return;
    }
    uint32_t number = sim->ops_size++;
    struct sim_op *op = &sim->ops[number];
    memset(&op->op, 0xDD, sizeof op->op); /* the private part may hold anything */
    memset(&op->luck, 0, sizeof *op - offsetof(struct sim_op, luck));
    op->number = (uint8_t)number;
    op->key = item->key;
    op->node = (uint8_t)sim_node_number(sim, node);
    op->luck = item->luck;
    op->verdict = item->verdict;
    op->takes_ns = item->takes_ns;
    op->lacks_memory = item->lacks_memory;
    op->is_canceled = item->is_canceled;
    op->submitted_ns = sim->now_ns;
    op->floor = sim->rows[op->key].told;
    op->status = 1;
    name_op(sim, op);
    op->op.private_canceled = op->is_canceled && !SIM_MISTAKE(cancel_signal_late);
    op->op.start_by_ns = 0;
    if (item->start_by_ns != 0) {
        op->op.start_by_ns = sim->now_ns + node->offset_ns + item->start_by_ns;
        sim_saw(sim, SIM_EVENT_expiry_set);
    }
    if (node != &sim->nodes[op->key % sim->config->nodes_size])
        sim_saw(sim, SIM_EVENT_misrouted);
    node->pending |= sim_bit(number);
    node->inbox[node->inbox_size++] = op->number;
    if (node->due_ns > sim->now_ns)
        node->due_ns = sim->now_ns;
}

static void cancel(struct sim *sim, const struct sim_item *item)
{
    if (item->target >= sim->ops_size)
        return;
    uint32_t number = sim->ops_size - 1U - item->target;
    struct sim_node *node = &sim->nodes[sim->ops[number].node];
    if (item->after == 0) {
        sim_node_cancel(sim, node, number);
        return;
    }
    node->cancel_op = (uint8_t)number;
    node->cancel_after = item->after;
}

static void happen_to_node(struct sim *sim, struct sim_node *node, const struct sim_item *item)
{
    if (node->state == SIM_DOWN)
        return;
    switch ((enum sim_item_kind)item->kind) {
    case SIM_CRASH:
        sim_node_crash(sim, node, item->length_ns);
        return;
    case SIM_PAUSE:
        if (node->awake_ns < sim->now_ns + item->length_ns)
            node->awake_ns = sim->now_ns + item->length_ns;
        sim_saw(sim, SIM_EVENT_pause);
        return;
    case SIM_JUMP:
        node->offset_ns += item->length_ns;
        sim_saw(sim, SIM_EVENT_clock_jump);
        node->elapsed_ns = 0;
        sim_node_update(sim, node);
        return;
    case SIM_STOP:
        sim_saw(sim, SIM_EVENT_stop);
        node->stop_after = item->after;
        if (item->after != 0)
            return;
        node->is_stop_wanted = true;
        break;
    default:
        node->is_cancel_wanted = true; /* for nothing */
        break;
    }
    if (node->due_ns > sim->now_ns)
        node->due_ns = sim->now_ns;
}

static void happen(struct sim *sim, const struct sim_item *item)
{
    if (item->is_left_out)
        return;
    if (sim->is_told)
        sim_say_item(sim, item);
    sim_step(sim, 0x1000 + item->kind);
    switch ((enum sim_item_kind)item->kind) {
    case SIM_SUBMIT:
        submit(sim, item);
        break;
    case SIM_CANCEL:
        cancel(sim, item);
        break;
    case SIM_WRITE:
        sim_store_write(sim, item->key);
        break;
    case SIM_DELETE:
        sim_store_delete(sim, item->key);
        break;
    default:
        happen_to_node(sim, &sim->nodes[item->node], item);
        break;
    }
}

/* ---- What is next --------------------------------------------------------------------------- */

/* When each node has a turn, and when something else happens: the first of these. */
static bool next(struct sim *sim)
{
    const struct sim_script *script = sim->script;
    while (sim->item < script->items_size && script->items[sim->item].is_left_out)
        sim->item++;
    const struct sim_item *item = &script->items[sim->item];
    uint64_t first_ns = sim->item < script->items_size ? item->at_ns : SIM_NEVER;
    struct sim_call *call = NULL;
    struct sim_node *node = NULL;
    uint64_t due_ns[SIM_NODES];
    for (uint32_t i = 0; i < sim->config->nodes_size; i++)
        due_ns[i] = sim->nodes[i].due_ns;
    for (uint32_t i = 0; i < sim->calls_size; i++) {
        struct sim_call *one = &sim->calls[i];
        if (one->apply_ns < first_ns) {
            first_ns = one->apply_ns;
            call = one;
        }
        if (one->finish_ns < due_ns[one->node])
            due_ns[one->node] = one->finish_ns;
    }
    for (uint32_t i = 0; i < sim->config->nodes_size; i++) {
        struct sim_node *one = &sim->nodes[i];
        uint64_t one_ns = due_ns[i];
        if (one->state == SIM_DOWN)
            one_ns = sim->item < script->items_size ? one->restart_ns : SIM_NEVER;
        else if (one_ns != SIM_NEVER && one_ns < one->awake_ns)
            one_ns = one->awake_ns;
        if (one_ns < first_ns) {
            first_ns = one_ns;
            node = one;
        }
    }
    if (first_ns == SIM_NEVER)
        return false;
    if (first_ns > sim->now_ns)
        sim->now_ns = first_ns;
    if (node == NULL && call == NULL) {
        sim->item++;
        happen(sim, item);
    } else if (node == NULL) {
        sim_store_apply(sim, call);
        if (call->finish_ns == SIM_NEVER)
            sim_store_end(sim, (uint32_t)(call - sim->calls));
    } else if (node->state == SIM_DOWN) {
        sim_node_start(sim, node);
        sim_saw(sim, SIM_EVENT_restart);
        sim_say(sim, node, "start");
    } else {
        sim_node_turn(sim, node);
    }
    return true;
}

static void run_to_rest(struct sim *sim)
{
    while (next(sim))
        sim_must(sim, sim->steps < STEPS_MAX, "it never comes to rest");
}

static void live(struct sim *sim)
{
    const struct sim_config *config = sim->config;
    sim_store_init(sim);
    for (uint32_t i = 0; i < config->nodes_size; i++) {
        struct sim_node *node = &sim->nodes[i];
        node->offset_ns = config->offset_ns[i];
        node->turns = 0;
        sim_node_start(sim, node);
    }
    run_to_rest(sim);
    sim_judge_rest(sim);
    for (uint32_t i = 0; i < config->nodes_size; i++) {
        struct sim_node *node = &sim->nodes[i];
        if (node->state == SIM_DOWN)
            continue;
        node->is_stop_wanted = true;
        node->due_ns = sim->now_ns;
    }
    run_to_rest(sim);
    sim_judge_end(sim);
}

bool sim_run(struct sim *sim, const struct sim_script *script, struct sim_tally *tally)
{
    living = sim;
    sim->script = script;
    sim->config = &script->config;
    sim->tally = tally;
    sim->now_ns = 0;
    sim->hash = 0;
    sim->steps = 0;
    sim->item = 0;
    sim->ops_size = 0;
    sim->others_size = 0;
    sim->ok = sim->ok_unchanged = sim->unknown = sim->died = sim->refused = sim->stored = 0;
    sim->format = NULL;
    bool is_right = setjmp(sim->on_wrong) == 0;
    if (is_right)
        live(sim);
    tally->histories++;
    tally->calm += sim->config->is_calm;
    tally->steps += sim->steps;
    return is_right;
}
