/* outcome.c: see outcome.h. */
#include "tools/outcome.h"

#include <string.h>

const char *const outcome_names[OUTCOMES] = {"ok", "refused", "failed", "unknown", "lost"};

enum outcome outcome_named(const char *name)
{
    int outcome = 0;
    while (outcome < OUTCOMES && strcmp(outcome_names[outcome], name) != 0)
        outcome++;
    return (enum outcome)outcome;
}
