/* arguments.h: values on a command line. A wrong one ends the program with 2 and a sentence. */
#ifndef BENCH_ARGUMENTS_H
#define BENCH_ARGUMENTS_H

#include <stdint.h>

/* What is wrong with the value of an option ("--keys"), and where to look. */
_Noreturn void argument_is_wrong(const char *option, const char *value, const char *what);

/* What is left of a command line: `option` is 'h', for --help, or not known, as getopt_long has
 * said. Ends the program. */
_Noreturn void argument_help(int option, const char *help);

/* The place of `value` in a list of words, which ends in NULL. */
int argument_choice(const char *option, const char *value, const char *const *words);

/* A number in digits. */
uint64_t argument_number(const char *option, const char *value, uint64_t min, uint64_t max);
uint32_t argument_u32(const char *option, const char *value, uint32_t min, uint32_t max);

/* A decimal number, "0.5". */
double argument_decimal(const char *option, const char *value, double min, double max);

/* A number of seconds, "5" or "0.5", as nanoseconds; a day at most. */
uint64_t argument_seconds(const char *option, const char *value, double min);

#endif
