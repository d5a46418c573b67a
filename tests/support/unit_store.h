/* unit_store.h: a store that makes units out of keys, to test how the store behind it saves them.
 *
 * A processor gives it calls that are alone; it marks them, and passes the group on:
 *
 *   "u7:any"   belongs to unit 7 (1 to 99)
 *   "u7?any"   belongs to unit 7 and is a check: submit an operation that returns BATCH_CHANGED
 *   others     are alone
 *
 * What comes before the last blank of a key does not count: "any u7:any" belongs to unit 7, too.
 *
 * The calls of a unit are moved together, each unit to where its first one is. To get all into one
 * group, submit them at once to a processor with `sessions = 0`, or while its sessions are busy.
 */
#ifndef BATCH_TEST_SUPPORT_UNIT_STORE_H
#define BATCH_TEST_SUPPORT_UNIT_STORE_H

#include "store_wrapper.h"

/* Passes everything on to `inner`, which stays the test's to close. */
void unit_store_init(struct store_wrapper *wrapper, batch_store *inner);

#endif
