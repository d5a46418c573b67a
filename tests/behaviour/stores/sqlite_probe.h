/* sqlite_probe.h: what the tests see of the connections that a store has open, and do in them.
 *
 * Every connection that the program opens from sqlite_probe_set_up on has two functions for
 * triggers, probe() and fail(code), which fails with that code, and counts its statements. SQLite
 * knows one such hook for the whole program, so the state is static.
 */
#ifndef BATCH_TEST_STORE_SQLITE_PROBE_H
#define BATCH_TEST_STORE_SQLITE_PROBE_H

/* For a group of tests that make many files: also where nothing needs to be synced, if there is
 * such a place. */
int sqlite_probe_set_up(void **state);

/* Call this once, when probe() runs next; NULL: nothing. */
void sqlite_probe_set(void (*called)(void *arg), void *arg);

/* Statements begun since the last call, on all connections; those of triggers are not counted. */
unsigned sqlite_probe_statements(void);

#endif
