/* check.h: what must be true whatever the world does. For our own mistakes, never for input.
 *
 * batch__check is cheap and always on. When one fails the state can no longer be trusted with
 * money, so the panic hook, supplied by whoever links the core, must not return.
 */
#ifndef BATCH_CORE_CHECK_H
#define BATCH_CORE_CHECK_H

__attribute__((noreturn)) void batch__panic(const char *file, int line, const char *broken);

#define batch__check(condition)                                                                    \
    (__builtin_expect(!!(condition), 1) ? (void)0 : batch__panic(__FILE__, __LINE__, #condition))

#endif
