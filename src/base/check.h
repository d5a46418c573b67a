/* check.h: assertions, for every layer. They are for bugs of our own; input and failures of the
 * world get a status.
 *
 * batch__check is cheap and always on. When one fails the state can no longer be trusted with
 * money, so batch__panic must not return. The library's ends the process (check.c); a test may link
 * its own.
 */
#ifndef BATCH_BASE_CHECK_H
#define BATCH_BASE_CHECK_H

__attribute__((noreturn)) void batch__panic(const char *file, int line, const char *broken);

#define batch__check(condition)                                                                    \
    (__builtin_expect(!!(condition), 1) ? (void)0 : batch__panic(__FILE__, __LINE__, #condition))

#endif
