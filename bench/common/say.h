/* say.h: messages for people, on standard error. */
#ifndef BENCH_SAY_H
#define BENCH_SAY_H

/* "program: what". */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* The same, and exit with 1. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
