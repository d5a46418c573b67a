/* arguments.c: see arguments.h. */
#include "common/arguments.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/say.h"

void argument_is_wrong(const char *option, const char *value, const char *what)
{
    say("%s %s: %s", option, value, what);
    fprintf(stderr, "try: %s --help\n", program_invocation_short_name);
    exit(2);
}

void argument_help(int option, const char *help)
{
    if (option == 'h') {
        fputs(help, stdout);
        exit(0);
    }
    fprintf(stderr, "try: %s --help\n", program_invocation_short_name);
    exit(2);
}

int argument_choice(const char *option, const char *value, const char *const *words)
{
    char what[160] = "write";
    for (int i = 0; words[i] != NULL; i++) {
        if (strcmp(value, words[i]) == 0)
            return i;
        size_t size = strlen(what);
        const char *between = i == 0 ? " " : words[i + 1] == NULL ? " or " : ", ";
        snprintf(what + size, sizeof what - size, "%s%s", between, words[i]);
    }
    argument_is_wrong(option, value, what);
}

uint64_t argument_number(const char *option, const char *value, uint64_t min, uint64_t max)
{
    char range[80];
    char *end;
    errno = 0;
    unsigned long long number = strtoull(value, &end, 10);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || errno != 0 || number < min ||
        number > max) {
        snprintf(range, sizeof range, "give a number from %" PRIu64 " to %" PRIu64, min, max);
        argument_is_wrong(option, value, range);
    }
    return number;
}

uint32_t argument_u32(const char *option, const char *value, uint32_t min, uint32_t max)
{
    return (uint32_t)argument_number(option, value, min, max);
}

double argument_decimal(const char *option, const char *value, double min, double max)
{
    char range[80];
    char *end;
    double number = strtod(value, &end);
    if (value[0] < '0' || value[0] > '9' || *end != '\0' || !(number >= min && number <= max)) {
        snprintf(range, sizeof range, "give a number from %g to %g, such as 1 or 0.5", min, max);
        argument_is_wrong(option, value, range);
    }
    return number;
}

uint64_t argument_seconds(const char *option, const char *value, double min)
{
    return (uint64_t)(argument_decimal(option, value, min, 86400) * 1e9);
}
