#include "suite_parts.h"
#include "test.h"

int store_suite_run(struct store_fixture *fixture)
{
    cmocka_set_test_filter(getenv("TEST_ONLY")); /* a name, or NULL: all */
    print_message("Store suite: %s\n", fixture->name);
    return store_suite_states(fixture) + store_suite_conflicts(fixture) +
           store_suite_groups(fixture) + store_suite_rules(fixture) + store_suite_units(fixture);
}
