/* Rules of the table: what it does to some rows is their own error, and what comes back is what
 * was sent; or it is refused, and nothing of it is stored. */
#include "driver.h"
#include "suite_parts.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KEYS = 200 };

struct keys {
    char bytes[KEYS][16];
    struct request requests[KEYS];
};

/* The first, the last, two neighbours, and one more. */
static bool is_poisoned(size_t i)
{
    return i == 0 || i == 77 || i == 78 || i == 150 || i == KEYS - 1;
}

static struct keys *keys_new(void)
{
    struct keys *keys = calloc(1, sizeof *keys);
    assert_non_null(keys);
    for (size_t i = 0; i < KEYS; i++)
        sprintf(keys->bytes[i], "%s %zu", is_poisoned(i) ? STORE_RULE_KEY : "key", i);
    return keys;
}

/* Add a number to all keys, in one group. */
static void add_to_all(struct keys *keys, batch_processor *processor, int64_t number)
{
    for (size_t i = 0; i < KEYS; i++)
        request_init(&keys->requests[i], keys->bytes[i], strlen(keys->bytes[i]), number);
    requests_run(processor, keys->requests, KEYS);
}

/* -1: nothing is stored. */
static void assert_stored(struct store_fixture *fixture, struct keys *keys, int64_t number,
                          int64_t poisoned_number)
{
    for (size_t i = 0; i < KEYS; i++)
        assert_int_equal(stored_number(fixture, keys->bytes[i]),
                         is_poisoned(i) ? poisoned_number : number);
}

static void assert_failed(const struct keys *keys, int poisoned_status, int status)
{
    for (size_t i = 0; i < KEYS; i++) {
        const batch_result *result = &keys->requests[i].result;
        int expected = is_poisoned(i) ? poisoned_status : status;
        if (result->status != expected)
            fail_msg("%s: %s %s", keys->bytes[i], batch_status_name(result->status),
                     result->message);
        if (expected != BATCH_OK)
            assert_non_null(strstr(result->message, keys->bytes[i]));
    }
}

/* First for rows that are new, then for rows that are there. */
static void check_poison(struct store_fixture *fixture, enum store_rule rule)
{
    if (fixture->impose == NULL || !fixture->impose(fixture, rule))
        skip();
    struct keys *keys = keys_new();
    batch_options options = number_options(fixture->store, 0);
    batch_processor *processor = processor_start(&options);
    add_to_all(keys, processor, 1);
    assert_failed(keys, BATCH_SAVE_FAILED, BATCH_OK);
    assert_stored(fixture, keys, 1, -1);

    assert_true(fixture->impose(fixture, STORE_RULE_NONE));
    add_to_all(keys, processor, 1);
    assert_failed(keys, BATCH_OK, BATCH_OK);
    assert_stored(fixture, keys, 2, 1);

    assert_true(fixture->impose(fixture, rule));
    add_to_all(keys, processor, 1);
    assert_failed(keys, BATCH_SAVE_FAILED, BATCH_OK);
    assert_stored(fixture, keys, 3, 1);
    processor_end(processor);
    free(keys);
}

static void test_a_row_that_is_refused_fails_its_key_alone(void **state)
{
    check_poison(*state, STORE_RULE_REFUSE);
}

static void test_a_row_whose_trigger_fails_fails_its_key_alone(void **state)
{
    check_poison(*state, STORE_RULE_FAIL);
}

static void test_a_row_that_is_refused_at_commit_fails_its_key_alone(void **state)
{
    check_poison(*state, STORE_RULE_DEFER);
}

static void test_a_row_whose_state_is_changed_on_the_way_is_not_saved(void **state)
{
    check_poison(*state, STORE_RULE_ALTER_STATE);
}

static void test_a_row_whose_key_is_changed_on_the_way_is_not_saved(void **state)
{
    check_poison(*state, STORE_RULE_ALTER_KEY);
}

static void test_a_row_that_is_left_out_is_not_saved(void **state)
{
    check_poison(*state, STORE_RULE_LEAVE_OUT);
}

static void test_a_table_that_is_gone_fails_all_and_may_come_back(void **state)
{
    struct store_fixture *fixture = *state;
    if (fixture->impose == NULL)
        skip();
    struct keys *keys = keys_new();
    batch_options options = number_options(fixture->store, 0);
    batch_processor *processor = processor_start(&options);
    add_to_all(keys, processor, 1);
    if (!fixture->impose(fixture, STORE_RULE_GONE))
        skip();
    add_to_all(keys, processor, 1);
    assert_failed(keys, BATCH_LOAD_FAILED, BATCH_LOAD_FAILED);
    assert_true(fixture->impose(fixture, STORE_RULE_NONE));
    add_to_all(keys, processor, 1);
    assert_failed(keys, BATCH_OK, BATCH_OK);
    assert_stored(fixture, keys, 2, 2);
    processor_end(processor);
    free(keys);
}

static void lose_the_table(void *arg)
{
    struct store_fixture *fixture = arg;
    fixture->impose(fixture, STORE_RULE_GONE);
}

static void test_a_table_that_is_lost_before_the_save_fails_all(void **state)
{
    struct store_fixture *fixture = *state;
    if (fixture->impose == NULL || !fixture->impose(fixture, STORE_RULE_GONE))
        skip();
    assert_true(fixture->impose(fixture, STORE_RULE_NONE));
    struct keys *keys = keys_new();
    batch_options options = number_options(fixture->store, 0);
    batch_processor *processor = processor_start(&options);
    for (size_t i = 0; i < KEYS; i++)
        request_init(&keys->requests[i], keys->bytes[i], strlen(keys->bytes[i]), 1);
    keys->requests[0].meddle = lose_the_table;
    keys->requests[0].meddle_arg = fixture;
    requests_run(processor, keys->requests, KEYS);
    assert_failed(keys, BATCH_SAVE_FAILED, BATCH_SAVE_FAILED);
    assert_true(fixture->impose(fixture, STORE_RULE_NONE));
    assert_stored(fixture, keys, -1, -1);
    processor_end(processor);
    free(keys);
}

int store_suite_rules(struct store_fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        SUITE_TEST(fixture, test_a_row_that_is_refused_fails_its_key_alone),
        SUITE_TEST(fixture, test_a_row_whose_trigger_fails_fails_its_key_alone),
        SUITE_TEST(fixture, test_a_row_that_is_refused_at_commit_fails_its_key_alone),
        SUITE_TEST(fixture, test_a_row_whose_state_is_changed_on_the_way_is_not_saved),
        SUITE_TEST(fixture, test_a_row_whose_key_is_changed_on_the_way_is_not_saved),
        SUITE_TEST(fixture, test_a_row_that_is_left_out_is_not_saved),
        SUITE_TEST(fixture, test_a_table_that_is_gone_fails_all_and_may_come_back),
        SUITE_TEST(fixture, test_a_table_that_is_lost_before_the_save_fails_all),
    };
    return cmocka_run_group_tests_name("rules of the table", tests, NULL, NULL);
}
