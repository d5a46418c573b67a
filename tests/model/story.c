/* story.c: a history as text, in the style of the stories of tests/behaviour/core: "[  20] node 1
 * a: run A", times in microseconds. On stderr; written only for a history that somebody wants to
 * read. */
#include "simulation.h"

#include <stdarg.h>
#include <stdio.h>

const char *sim_status_name(int status)
{
    switch (status) {
#define NAME_CASE(name, number, text)                                                              \
    case number:                                                                                   \
        return #name;
        BATCH_STATUS_MAP(NAME_CASE)
#undef NAME_CASE
    default:
        return "nothing";
    }
}

const char *sim_stage_name(const struct sim_judged *key)
{
    static const char *const names[] = {
        "at rest", "loading",   "whose load failed", "open",     "saving", "saved",
        "dropped", "reloading", "running again",     "answered", "kept"};
    return names[key->stage];
}

char sim_op_letter(uint32_t number)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    return number < sizeof letters - 1 ? letters[number] : '?';
}

const char *sim_log_text(const struct sim_log *log)
{
    static char text[SIM_LOG + 1];
    uint32_t i = 0;
    for (; i < log->size && i < SIM_LOG; i++)
        text[i] = log->ops[i] == SIM_SOMEBODY_ELSE ? '*' : sim_op_letter(log->ops[i]);
    text[i] = '\0';
    return i == 0 ? "(nothing)" : text;
}

static void say_when(const struct sim *sim, const struct sim_node *node)
{
    uint64_t now_ns = sim->now_ns + (node != NULL ? node->elapsed_ns : 0);
    fprintf(stderr, "[%6lu] ", (unsigned long)(now_ns / SIM_US));
    if (node != NULL)
        fprintf(stderr, "node %u ", sim_node_number(sim, node) + 1);
}

void sim_say_slow(const struct sim *sim, const struct sim_node *node, const char *format, ...)
{
    say_when(sim, node);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static unsigned long us_of(uint64_t ns)
{
    return (unsigned long)(ns / SIM_US);
}

static void say_submit(const struct sim *sim, const struct sim_item *item)
{
    static const char *const verdicts[] = {"", ", which changes nothing",
                                           ", which changes an even log"};
    fprintf(stderr, "submit %c to node %u%s", sim_op_letter(sim->ops_size), item->node + 1,
            verdicts[item->verdict]);
    if (item->is_canceled)
        fprintf(stderr, ", canceled");
    if (item->start_by_ns != 0)
        fprintf(stderr, ", to start by %lu", us_of(sim->now_ns + item->start_by_ns));
    if (item->takes_ns != 0)
        fprintf(stderr, ", takes %lu", us_of(item->takes_ns));
    if (item->lacks_memory)
        fprintf(stderr, ", an allocation fails");
    fputc('\n', stderr);
}

void sim_say_item(const struct sim *sim, const struct sim_item *item)
{
    fprintf(stderr, "[%6lu] ", us_of(sim->now_ns));
    switch ((enum sim_item_kind)item->kind) {
    case SIM_SUBMIT:
        fprintf(stderr, "%s: ", sim_key_name(sim, item->key));
        say_submit(sim, item);
        return;
    case SIM_CANCEL:
        if (item->after != 0)
            fprintf(stderr, "somebody is about to cancel an operation\n");
        else if (item->target < sim->ops_size)
            fprintf(stderr, "cancel %c\n", sim_op_letter(sim->ops_size - 1 - item->target));
        else
            fprintf(stderr, "cancel nobody\n");
        return;
    case SIM_CRASH:
        fprintf(stderr, "node %u is to crash\n", item->node + 1);
        return;
    case SIM_PAUSE:
        fprintf(stderr, "node %u is paused until %lu\n", item->node + 1,
                us_of(sim->now_ns + item->length_ns));
        return;
    case SIM_JUMP:
        fprintf(stderr, "the clock of node %u jumps by %lu\n", item->node + 1,
                us_of(item->length_ns));
        return;
    case SIM_STOP:
        fprintf(stderr, "node %u is to stop%s\n", item->node + 1,
                item->after != 0 ? " in the midst of something" : "");
        return;
    case SIM_WRITE:
        fprintf(stderr, "store %s: somebody else writes *\n", sim_key_name(sim, item->key));
        return;
    case SIM_DELETE:
        fprintf(stderr, "store %s: somebody else deletes it\n", sim_key_name(sim, item->key));
        return;
    default:
        fprintf(stderr, "node %u is woken for nothing\n", item->node + 1);
        return;
    }
}

void sim_say_config(const struct sim_config *config)
{
    const struct batch__core_config *core = &config->core;
    fprintf(stderr, "%u nodes, %u keys%s%s; load up to %lu us, save up to %lu us\n",
            config->nodes_size, config->keys_size, config->is_calm ? ", calm" : "",
            config->is_jumbled ? ", jumbled turns" : "", us_of(config->load_max_ns),
            us_of(config->save_max_ns));
    if (core->window_ns == BATCH_WINDOW_NONE)
        fprintf(stderr, "no window");
    else
        fprintf(stderr, "window %lu us", us_of(core->window_ns));
    fprintf(stderr, ", deadline %lu us", us_of(core->deadline_ns));
    if (core->ops_max != UINT32_MAX)
        fprintf(stderr, ", ops_max %lu", (unsigned long)core->ops_max);
    if (core->ops_waiting_max != UINT32_MAX)
        fprintf(stderr, ", ops_waiting_max %lu", (unsigned long)core->ops_waiting_max);
    if (core->key_ops_waiting_max != UINT32_MAX)
        fprintf(stderr, ", key_ops_waiting_max %lu", (unsigned long)core->key_ops_waiting_max);
    if (core->expire_max != 0)
        fprintf(stderr, ", expire_max %lu", (unsigned long)core->expire_max);
    if (core->cache_max != 0)
        fprintf(stderr, ", cache_max %lu", (unsigned long)core->cache_max);
    if (core->replays_max != 0)
        fprintf(stderr, ", replays_max %u", core->replays_max);
    fprintf(stderr, "%s\n", core->refuses_early ? ", refuses early" : "");
}
