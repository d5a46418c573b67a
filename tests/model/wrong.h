/* wrong.h: what is wrong ends the run of a model: model->wrong has it as text, and model_run ends.
 * So does a broken assumption of the core. */
#ifndef BATCH_TESTS_MODEL_WRONG_H
#define BATCH_TESTS_MODEL_WRONG_H

struct model;

/* This model runs now, on this thread, and nothing is wrong yet. */
void wrong_begin(struct model *model);

__attribute__((noreturn, format(printf, 2, 3))) void model_wrong(struct model *model,
                                                                 const char *format, ...);

#define must(model, condition, ...)                                                                \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            model_wrong(model, __VA_ARGS__);                                                       \
    } while (0)

#endif
