/* say.h: messages for people, on standard error. */
#ifndef BENCH_STORE_SAY_H
#define BENCH_STORE_SAY_H

/* "bench/store: what". */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
