/* suite_parts.h: for the files of the suite only. */
#ifndef BATCH_TEST_STORE_SUITE_PARTS_H
#define BATCH_TEST_STORE_SUITE_PARTS_H

#include "suite.h"

/* A test with a fixture of its own, opened before it and closed after it. */
#define SUITE_TEST(fixture, function)                                                              \
    {                                                                                              \
#function, function, store_suite_set_up, store_suite_tear_down, fixture                    \
    }

int store_suite_set_up(void **state);
int store_suite_tear_down(void **state);

/* What is stored under a key, read behind the back of the store; 0 and -1: nothing. */
uint64_t stored_version(struct store_fixture *fixture, const char *key);
int64_t stored_number(struct store_fixture *fixture, const char *key);

/* As a process does that is suspended just before its store is called. However long that takes: on
 * a busy machine the time limit may stand still. */
void store_suite_await_deadline(const batch_call *call);

int store_suite_states(struct store_fixture *fixture);
int store_suite_conflicts(struct store_fixture *fixture);
int store_suite_groups(struct store_fixture *fixture);
int store_suite_rules(struct store_fixture *fixture);
int store_suite_units(struct store_fixture *fixture);

#endif
