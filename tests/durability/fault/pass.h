/* pass.h: the pass that runs, one at a time: what is said of it when something is not as it must
 * be. */
#ifndef BATCH_TEST_FAULT_PASS_H
#define BATCH_TEST_FAULT_PASS_H

#include "faults.h"

#include <stdint.h>
#include <stdio.h>

/* A crash or a hang from now on is reported, too. */
void pass_watch(void);

/* The next pass, of a case. */
void pass_begin(const char *name, const struct faults_plan *plan);
uint64_t pass_count(void); /* so far */

/* The first mode of failures: that of FAULT_FIRST_MODE in the environment, for a seeded bug that
 * shows there; or FAULTS_ONCE. */
int pass_first_mode(void);

/* A sum of all, in a line; and the places of faults, if the environment names a file for them
 * (FAULT_PLACES). */
void pass_report(const char *program);

/* Say what is wrong, and in which pass, and end the program. */
void wrong(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

#define MUST(condition, ...)                                                                       \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: not so: %s: ", __FILE__, __LINE__, #condition);                \
            wrong(__VA_ARGS__);                                                                    \
        }                                                                                          \
    } while (0)

#endif
