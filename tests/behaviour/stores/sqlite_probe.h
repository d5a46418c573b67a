/* sqlite_probe.h: what the tests see of the connections that a store has open, and do in them.
 *
 * Every connection that the program opens from sqlite_probe_install on has two functions for
 * triggers, probe() and fail(code), which fails with that code, and counts its statements. SQLite
 * knows one such hook for the whole program, so the state is static.
 */
#ifndef BATCH_TEST_STORE_SQLITE_PROBE_H
#define BATCH_TEST_STORE_SQLITE_PROBE_H

void sqlite_probe_install(void);

/* Call this once, when probe() runs next; NULL: nothing. */
void sqlite_probe_set(void (*called)(void *arg), void *arg);

/* Statements begun since the last call, on all connections; those of triggers are not counted. */
unsigned sqlite_probe_statements(void);

#endif
