/* store_target.h: opens the store that a text names: "sqlite:PATH" or "postgres:CONNINFO". */
#ifndef BATCH_TEST_CRASH_STORE_TARGET_H
#define BATCH_TEST_CRASH_STORE_TARGET_H

#include <batch/store.h>

/* Ends the program if the text is no such thing. Otherwise as batch_sqlite_open. */
int target_open(batch_store **ret_store, const char *text, batch_result *reterr);

/* The store with a bug: a save overwrites whatever version is stored. For SQLite. Owns `store`
 * from here on. */
batch_store *blind_store_over(batch_store *store, const char *text);

/* Another one: the calls of a unit are saved one by one. Owns `store`. */
batch_store *split_store_over(batch_store *store);

#endif
