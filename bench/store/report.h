/* report.h: progress for people, the result for scripts. */
#ifndef BENCH_STORE_REPORT_H
#define BENCH_STORE_REPORT_H

#include "runner.h"
#include "target.h"

/* Sleep for `time_ns`, with a live line on standard error if that is a terminal. */
void report_wait(struct runner *runner, const char *what, uint64_t time_ns);

/* The line of JSON, of what was counted in `time_ns`. */
void report_print(const struct settings *settings, const struct target *target,
                  const struct tally *counted, uint64_t time_ns, bool is_verified);

#endif
