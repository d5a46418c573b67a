#include "transcript.h"

#include <stdarg.h>
#include <stdio.h>

const char *status_name(int status)
{
    static const char *const names[BATCH_STATUS_COUNT] = {
#define NAME(name, number, text) [-(number)] = #name,
        BATCH_STATUS_MAP(NAME)
#undef NAME
    };
    return status <= 0 && status > -BATCH_STATUS_COUNT ? names[-status] : "nothing";
}

static const char *const keys[MODEL_KEYS] = {"a", "a key that is longer than others", "", "b"};

const char *key_text(uint32_t key)
{
    return keys[key];
}

const char *key_name(uint32_t key)
{
    return keys[key][0] == '\0' ? "(empty)" : keys[key];
}

const char *stage_name(const struct oracle_key *key)
{
    static const char *const names[] = {
        "at rest", "loading",   "whose load failed", "open",      "saving", "saved",
        "dropped", "reloading", "being replayed",    "completed", "cached"};
    return names[key->stage];
}

char op_letter(uint32_t number)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    return number < sizeof letters - 1 ? letters[number] : '?';
}

const char *log_text(const struct model_log *log)
{
    static char text[MODEL_LOG + 1];
    uint32_t i = 0;
    for (; i < log->size && i < MODEL_LOG; i++)
        text[i] = log->ops[i] == LOG_OTHERS ? '*' : op_letter(log->ops[i]);
    text[i] = '\0';
    return i == 0 ? "(nothing)" : text;
}

static void put_time(const struct model *model, const struct model_node *node)
{
    uint64_t now_ns = model->now_ns + (node != NULL ? node->elapsed_ns : 0);
    fprintf(stderr, "[%6lu] ", (unsigned long)(now_ns / MODEL_US));
    if (node != NULL)
        fprintf(stderr, "node %u ", node_number(model, node) + 1);
}

void transcribe_line(const struct model *model, const struct model_node *node, const char *format,
                     ...)
{
    put_time(model, node);
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
}

static unsigned long us_of(uint64_t ns)
{
    return (unsigned long)(ns / MODEL_US);
}

static void transcribe_submit(const struct model *model, const struct schedule_item *item)
{
    static const char *const effects[] = {"", ", which changes nothing",
                                          ", which changes an even log"};
    fprintf(stderr, "submit %c to node %u%s", op_letter(model->ops_size), item->node + 1,
            effects[item->effect]);
    for (uint32_t i = 0; item->is_transaction && i < model->config->keys_size; i++) {
        if (i != item->key && (item->keys >> i & 1) != 0)
            fprintf(stderr, ", with one more on %s", key_name(i));
    }
    if (item->is_transaction)
        fprintf(stderr, ", as a transaction");
    if (item->is_canceled)
        fprintf(stderr, ", canceled");
    if (item->start_by_ns != 0)
        fprintf(stderr, ", to start by %lu", us_of(model->now_ns + item->start_by_ns));
    if (item->takes_ns != 0)
        fprintf(stderr, ", takes %lu", us_of(item->takes_ns));
    if (item->fails_memory != 0)
        fprintf(stderr, ", an allocation fails");
    fputc('\n', stderr);
}

void transcribe_item(const struct model *model, const struct schedule_item *item)
{
    fprintf(stderr, "[%6lu] ", us_of(model->now_ns));
    switch ((enum schedule_kind)item->kind) {
    case ITEM_SUBMIT:
        fprintf(stderr, "%s: ", key_name(item->key));
        transcribe_submit(model, item);
        return;
    case ITEM_CANCEL:
        if (item->after != 0)
            fprintf(stderr, "somebody is about to cancel an operation\n");
        else if (item->target < model->ops_size)
            fprintf(stderr, "cancel %c\n", op_letter(model->ops_size - 1 - item->target));
        else
            fprintf(stderr, "cancel nobody\n");
        return;
    case ITEM_CRASH:
        fprintf(stderr, "node %u is to crash\n", item->node + 1);
        return;
    case ITEM_PAUSE:
        fprintf(stderr, "node %u is paused until %lu\n", item->node + 1,
                us_of(model->now_ns + item->length_ns));
        return;
    case ITEM_JUMP:
        fprintf(stderr, "the clock of node %u jumps by %lu\n", item->node + 1,
                us_of(item->length_ns));
        return;
    case ITEM_STOP:
        fprintf(stderr, "node %u is to stop%s\n", item->node + 1,
                item->after != 0 ? " between two actions" : "");
        return;
    case ITEM_WRITE:
        fprintf(stderr, "store %s: somebody else writes *\n", key_name(item->key));
        return;
    case ITEM_DELETE:
        fprintf(stderr, "store %s: somebody else deletes it\n", key_name(item->key));
        return;
    default:
        fprintf(stderr, "node %u is woken for nothing\n", item->node + 1);
        return;
    }
}

void transcribe_config(const struct model_config *config)
{
    const struct batch__core_config *core = &config->core;
    fprintf(stderr, "%u nodes, %u keys%s%s; load up to %lu us, save up to %lu us\n",
            config->nodes_size, config->keys_size, config->is_calm ? ", calm" : "",
            config->is_shuffled ? ", jumbled iterations" : "", us_of(config->load_max_ns),
            us_of(config->save_max_ns));
    if (core->window_ns == BATCH_WINDOW_NONE)
        fprintf(stderr, "no window");
    else
        fprintf(stderr, "window %lu us", us_of(core->window_ns));
    fprintf(stderr, ", deadline %lu us", us_of(core->deadline_ns));
    if (core->age_max_ns != UINT64_MAX)
        fprintf(stderr, ", age_max %lu us", us_of(core->age_max_ns));
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
    fprintf(stderr, "%s\n", core->op_first_max_ns > MODEL_US ? ", times count at once" : "");
}
