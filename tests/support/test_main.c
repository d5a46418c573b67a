/* test_main.c: see test.h. */
#include "test.h"

enum { TESTS_MAX = 128 };

static struct CMUnitTest tests[TESTS_MAX];
static size_t tests_size;
static CMFixtureFunction group_set_up, group_tear_down;

void test_register(struct CMUnitTest test)
{
    if (tests_size == TESTS_MAX)
        abort();
    tests[tests_size++] = test;
}

void test_register_group(CMFixtureFunction set_up, CMFixtureFunction tear_down)
{
    group_set_up = set_up;
    group_tear_down = tear_down;
}

int main(void)
{
    cmocka_set_test_filter(getenv("TEST_ONLY")); /* a name, or NULL: all */
    return _cmocka_run_group_tests("tests", tests, tests_size, group_set_up, group_tear_down);
}
