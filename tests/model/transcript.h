/* transcript.h: what happens as text, on stderr, if somebody wants to read it. In the style of the
 * traces of tests/behaviour/core: "[  20] node 1 a: run A", times in microseconds. */
#ifndef BATCH_TESTS_MODEL_TRANSCRIPT_H
#define BATCH_TESTS_MODEL_TRANSCRIPT_H

#include "model.h"

__attribute__((format(printf, 3, 4))) void transcribe_line(const struct model *model,
                                                           const struct model_node *node,
                                                           const char *format, ...);
#define transcribe(model, node, ...)                                                               \
    do {                                                                                           \
        if (__builtin_expect((model)->is_transcribed, 0))                                          \
            transcribe_line(model, node, __VA_ARGS__);                                             \
    } while (0)

void transcribe_item(const struct model *model, const struct schedule_item *item);
void transcribe_config(const struct model_config *config);

const char *key_text(uint32_t key); /* the key itself */
const char *key_name(uint32_t key); /* as it is shown */
const char *status_name(int status);
const char *stage_name(const struct oracle_key *key);
const char *log_text(const struct model_log *log);
char op_letter(uint32_t number);

static inline char letter_of(const struct model_op *op)
{
    return op_letter(op->number);
}

#endif
