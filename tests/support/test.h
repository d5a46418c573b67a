/* test.h: cmocka, what nearly every test needs of C, and tests that are written once.
 *
 *     TEST(what_it_shows)
 *     {
 *         assert_true(...);
 *     }
 *
 * A program of such tests has neither a list of them nor a main function: test_main.c runs them in
 * the order in which they are written, or the one that TEST_ONLY in the environment names.
 */
#ifndef BATCH_TEST_SUPPORT_TEST_H
#define BATCH_TEST_SUPPORT_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEST(name) TEST_WITH(name, NULL, NULL)

/* With functions called before and after it, which come first in the file. */
#define TEST_WITH(name, set_up, tear_down)                                                         \
    static void name(void **state);                                                                \
    __attribute__((constructor)) static void register_##name(void)                                 \
    {                                                                                              \
        test_register((struct CMUnitTest){#name, name, set_up, tear_down, NULL});                  \
    }                                                                                              \
    static void name(__attribute__((unused)) void **state)

/* A test of what `set_up` has made: *state, as its parameter. */
#define TEST_ON(name, parameter, set_up, tear_down)                                                \
    static void name##_on(__attribute__((unused)) parameter);                                      \
    TEST_WITH(name, set_up, tear_down)                                                             \
    {                                                                                              \
        name##_on(*state);                                                                         \
    }                                                                                              \
    static void name##_on(__attribute__((unused)) parameter)

/* A test of a struct that is begun before it and, if it gets there, ended after it. */
#define TEST_OF(name, type, variable, begin, end)                                                  \
    static void name##_of(type *variable);                                                         \
    TEST(name)                                                                                     \
    {                                                                                              \
        type variable;                                                                             \
        begin(&variable);                                                                          \
        name##_of(&variable);                                                                      \
        end(&variable);                                                                            \
    }                                                                                              \
    static void name##_of(type *variable)

/* Functions called before the first test and after the last one. */
#define TEST_GROUP(set_up, tear_down)                                                              \
    __attribute__((constructor)) static void register_group(void)                                  \
    {                                                                                              \
        test_register_group(set_up, tear_down);                                                    \
    }

void test_register(struct CMUnitTest test);
void test_register_group(CMFixtureFunction set_up, CMFixtureFunction tear_down);

#endif
