/* sleep.h: wait for some time. */
#ifndef BENCH_SLEEP_H
#define BENCH_SLEEP_H

#include <stdint.h>

/* Signals do not shorten it. */
void sleep_ns(uint64_t time_ns);

#endif
