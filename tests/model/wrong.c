#include "wrong.h"

#include "base/check.h"
#include "transcript.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static struct model *running; /* for batch__panic, which gets none */

void wrong_begin(struct model *model)
{
    running = model;
    model->format = NULL;
}

void model_wrong(struct model *model, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(model->wrong, sizeof model->wrong, format, arguments);
    va_end(arguments);
    model->format = format;
    transcribe(model, NULL, "wrong: %s", model->wrong);
    longjmp(model->on_wrong, 1);
}

void batch__panic(const char *file, int line, const char *broken)
{
    const char *name = strrchr(file, '/');
    running->format = broken;
    snprintf(running->wrong, sizeof running->wrong, "the core: %s:%d: %s",
             name != NULL ? name + 1 : file, line, broken);
    transcribe(running, NULL, "wrong: %s", running->wrong);
    longjmp(running->on_wrong, 1);
}
