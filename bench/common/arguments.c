/* arguments.c: see arguments.h. */
#include "common/arguments.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/say.h"

void argument_is_wrong(const char *option, const char *value, const char *what)
{
    say("%s %s: %s", option, value, what);
    fprintf(stderr, "try: %s --help\n", program_invocation_short_name);
    exit(2);
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
