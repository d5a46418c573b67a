/* The SQLite store: the suite, and what it has of its own. */
#include "sqlite_fixture.h"
#include "unit_group.h"

static void lock_all(struct unit_group *group)
{
    group->fixture->lock(group->fixture, NULL, 0);
}

/* While somebody else has the writers' lock of the file. */
static void test_a_unit_that_was_only_read_waits_for_no_writer(void **state)
{
    struct unit_group *group = unit_group_new(*state);
    unit_group_start(group);
    unit_plan_check(group, 5, 7);
    unit_plan_check(group, 5, NOT_STORED);
    unit_plan_check(group, 6, 7);
    unit_plan_check(group, 6, 8);
    unit_group_prepare(group);
    unit_group_run_with(group, lock_all);
    for (size_t i = 0; i < group->size; i++)
        unit_group_assert_outcome(group, i);
    group->fixture->unlock(group->fixture);
    unit_group_free(group);
}

int main(void)
{
    struct sqlite_file file;
    struct store_fixture fixture = sqlite_fixture(&file);
    const struct CMUnitTest tests[] = {
        {"test_a_unit_that_was_only_read_waits_for_no_writer",
         test_a_unit_that_was_only_read_waits_for_no_writer, store_suite_set_up,
         unit_group_tear_down, &fixture},
    };
    return store_suite_run(&fixture) +
           cmocka_run_group_tests_name("SQLite store", tests, NULL, NULL);
}
