#include "tally.h"

#include <stddef.h>
#include <stdio.h>

struct row {
    const char *name;
    unsigned drivers;
};

#define TALLY_ROW(name, drivers) {#name, drivers},
static const struct row outcomes[] = {OUTCOME_MAP(TALLY_ROW)};
static const struct row events[] = {EVENT_MAP(TALLY_ROW)};

void tally_add(struct tally *sum, const struct tally *one)
{
    sum->schedules += one->schedules;
    sum->calm += one->calm;
    sum->steps += one->steps;
    sum->hash += one->hash;
    for (uint32_t i = 0; i < OUTCOME_COUNT; i++)
        sum->outcomes[i] += one->outcomes[i];
    for (uint32_t i = 0; i < EVENT_COUNT; i++)
        sum->events[i] += one->events[i];
}

static void print(const char *name, const struct row *rows, const uint64_t *counts, size_t size)
{
    printf(", \"%s\": {", name);
    for (size_t i = 0; i < size; i++)
        printf("%s\"%s\": %lu", i > 0 ? ", " : "", rows[i].name, (unsigned long)counts[i]);
    printf("}");
}

void tally_print(const struct tally *tally)
{
    print("outcomes", outcomes, tally->outcomes, OUTCOME_COUNT);
    print("events", events, tally->events, EVENT_COUNT);
}

static bool is_complete(const struct row *rows, const uint64_t *counts, size_t size,
                        enum driver driver)
{
    bool is_all = true;
    for (size_t i = 0; i < size; i++) {
        if (counts[i] > 0 || (rows[i].drivers & driver) == 0)
            continue;
        fprintf(stderr, "never seen: %s\n", rows[i].name);
        is_all = false;
    }
    return is_all;
}

bool tally_is_complete(const struct tally *tally, enum driver driver)
{
    bool is_all = is_complete(outcomes, tally->outcomes, OUTCOME_COUNT, driver);
    return is_complete(events, tally->events, EVENT_COUNT, driver) && is_all;
}
