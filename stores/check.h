/* check.h: assertions of the stores. They are for bugs of our own, never for input from a server, a
 * file or a user.
 *
 * Cheap and always on. When one fails the state can no longer be trusted with money, so the process
 * ends, at the line of the check. A store is a library of its own and depends only on what is
 * installed, so it does not have the panic hook that the core has for its tests.
 */
#ifndef BATCH_STORES_CHECK_H
#define BATCH_STORES_CHECK_H

#include <stdlib.h>

#define batch__check(condition) (__builtin_expect(!!(condition), 1) ? (void)0 : abort())

#endif
