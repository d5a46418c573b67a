/* check.h: what must be true whatever the world does, in a store. For our own bugs, never for what
 * comes from a server, a file or a user.
 *
 * Cheap and always on. When one fails the state can no longer be trusted with money, so the process
 * ends, at the line of the check. A store is a library of its own and stands on
 * what is installed: it has no panic hook, as the core has for its tests.
 */
#ifndef BATCH_STORES_CHECK_H
#define BATCH_STORES_CHECK_H

#include <stdlib.h>

#define batch__check(condition) (__builtin_expect(!!(condition), 1) ? (void)0 : abort())

#endif
