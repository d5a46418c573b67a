/* Units: keys that are stored all together or not at all, whatever strangers do meanwhile, and
 * beside other units and keys that are alone. */
#include "random.h"
#include "test.h"
#include "unit_group.h"

/* ---- Tests ---------------------------------------------------------------------------------- */

static void test_a_unit_is_stored(void **state)
{
    struct unit_group *group = unit_group_new(*state);
    unit_group_start(group);
    unit_plan_bystanders(group, 1, NOT_STORED);
    unit_plan_bystanders(group, 3, 7);
    for (size_t i = 0; i < 20; i++)
        unit_plan(group, 9, i % 2 == 0 ? NOT_STORED : (int64_t)i);
    unit_group_run(group);
    unit_group_free(group);
}

/* Each save finds the version that the one before has set. */
static void test_a_unit_is_stored_again_from_cached_resources(void **state)
{
    struct unit_group *group = unit_group_new(*state);
    group->options.resource_cache_max = 100;
    unit_group_start(group);
    unit_plan_bystanders(group, 1, 3);
    unit_group_prepare(group);
    for (int turn = 0; turn < 3; turn++) {
        unit_group_run_with(group, unit_group_strangers);
        for (size_t i = 0; i < group->size; i++) {
            unit_group_assert_outcome(group, i);
            group->planned[i].before += !group->planned[i].is_check;
        }
    }
    unit_group_free(group);
}

/* Wherever the key stands in its unit, and whatever the stranger does. */
static void test_a_conflict_of_one_key_is_one_of_its_unit(void **state)
{
    static const int64_t before[] = {NOT_STORED, 7};
    struct unit_group *group = unit_group_new(*state);
    unit_group_start(group);
    for (size_t at = 0; at < 3; at++) {
        for (int which = 0; which < 4; which++) {
            unit_plan_bystanders(group, 1, before[which % 2]);
            for (size_t i = 0; i < 3; i++) {
                struct planned *planned = unit_plan(group, 5, before[which % 2]);
                if (i == at)
                    planned->stranger = which < 2 ? STRANGER_WRITES : STRANGER_REMOVES;
            }
            unit_plan_bystanders(group, 7, before[which % 2]);
            unit_group_run(group);
            unit_group_clear(group);
        }
    }
    unit_group_free(group);
}

/* Nothing but units: a store may treat the one that it begins with differently. */
static void test_a_conflict_of_the_first_unit_is_not_one_of_the_others(void **state)
{
    struct unit_group *group = unit_group_new(*state);
    unit_group_start(group);
    for (size_t conflict = 0; conflict < 9; conflict++) {
        for (size_t i = 0; i < 9; i++) {
            struct planned *planned = unit_plan(group, 1 + (unsigned)i / 3, 7);
            if (i == conflict)
                planned->stranger = STRANGER_WRITES;
        }
        unit_group_run(group);
        unit_group_clear(group);
    }
    unit_group_free(group);
}

static void test_what_was_only_read_is_compared_and_not_written(void **state)
{
    static const int64_t before[] = {NOT_STORED, 7};
    struct unit_group *group = unit_group_new(*state);
    unit_group_start(group);
    for (int which = 0; which < 6; which++) {
        unit_plan_bystanders(group, 1, before[which % 2]);
        struct planned *check = unit_plan_check(group, 5, before[which % 2]);
        check->stranger = (enum stranger)(which / 2);
        unit_plan(group, 5, before[which % 2]);
        unit_plan_check(group, 5, before[which % 2]);
        unit_group_prepare(group);
        uint64_t version = stored_version(group->fixture, check->key);
        unit_group_run_with(group, unit_group_strangers);
        for (size_t i = 0; i < group->size; i++)
            unit_group_assert_outcome(group, i);
        if (check->stranger == STRANGER_NOT)
            assert_int_equal(stored_version(group->fixture, check->key), version);
        unit_group_clear(group);
    }
    unit_group_free(group);
}

static void test_a_unit_that_was_only_read_is_compared(void **state)
{
    static const int64_t before[] = {NOT_STORED, 7};
    struct unit_group *group = unit_group_new(*state);
    unit_group_start(group);
    for (int which = 0; which < 6; which++) {
        unit_plan_check(group, 5, 1);
        unit_plan_check(group, 5, before[which % 2])->stranger = (enum stranger)(which / 2);
        unit_plan_check(group, 5, NOT_STORED);
        unit_group_run(group);
        unit_group_clear(group);
    }
    unit_group_free(group);
}

static void check_refused(struct store_fixture *fixture, enum store_rule rule)
{
    if (fixture->impose == NULL || !fixture->impose(fixture, rule))
        skip();
    struct unit_group *group = unit_group_new(fixture);
    unit_group_start(group);
    for (int which = 0; which < 2; which++) {
        int64_t before = which == 0 ? NOT_STORED : 7;
        assert_true(fixture->impose(fixture, STORE_RULE_NONE));
        unit_plan_bystanders(group, 1, before);
        unit_plan(group, 5, before);
        unit_plan_poison(group, 5, false, before);
        unit_plan(group, 5, before);
        unit_plan_check(group, 5, before);
        unit_plan_poison(group, 0, false, before);
        unit_plan_poison(group, 6, false, before);
        unit_plan(group, 6, before);
        unit_plan(group, 7, before);
        unit_plan_poison(group, 7, true, before);
        unit_plan_bystanders(group, 8, before);
        unit_group_prepare(group);
        assert_true(fixture->impose(fixture, rule));
        unit_group_run_with(group, unit_group_strangers);
        for (size_t i = 0; i < group->size; i++)
            unit_group_assert_outcome(group, i);
        unit_group_clear(group);
    }
    unit_group_free(group);
}

static void test_a_row_that_is_refused_fails_its_unit(void **state)
{
    check_refused(*state, STORE_RULE_REFUSE);
}

static void test_a_row_whose_trigger_fails_fails_its_unit(void **state)
{
    check_refused(*state, STORE_RULE_FAIL);
}

static void test_a_row_that_is_refused_at_commit_fails_its_unit(void **state)
{
    check_refused(*state, STORE_RULE_DEFER);
}

static void test_a_row_whose_state_is_changed_on_the_way_fails_its_unit(void **state)
{
    check_refused(*state, STORE_RULE_ALTER_STATE);
}

static void test_a_row_whose_key_is_changed_on_the_way_fails_its_unit(void **state)
{
    check_refused(*state, STORE_RULE_ALTER_KEY);
}

static void test_a_row_that_is_left_out_fails_its_unit(void **state)
{
    check_refused(*state, STORE_RULE_LEAVE_OUT);
}

static void test_a_state_that_is_not_encoded_fails_its_unit(void **state)
{
    struct unit_group *group = unit_group_new(*state);
    unit_group_start(group);
    unit_plan_bystanders(group, 1, 7);
    unit_plan(group, 5, 7);
    unit_plan_check(group, 5, 7)->add =
        2 * ENCODE_MAX; /* which is not encoded, as it is not written */
    unit_plan(group, 6, 7);
    struct planned *planned = unit_plan(group, 6, NOT_STORED);
    planned->add = 2 * ENCODE_MAX;
    planned->is_refused = true;
    unit_plan_check(group, 6, 7);
    unit_group_run(group);
    unit_group_free(group);
}

static void test_a_unit_may_be_as_large_as_a_group(void **state)
{
    static const size_t sizes[] = {BATCH_PARTS_MAX, 1000};
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        struct unit_group *group = unit_group_new(*state);
        group->options.group_max = (uint32_t)sizes[i / 2];
        unit_group_start(group);
        for (size_t k = 0; k < sizes[i / 2]; k++)
            unit_plan(group, 5, k % 16 == 0 ? 7 : NOT_STORED);
        if (i % 2 == 1)
            group->planned[group->size - 1].stranger = STRANGER_WRITES;
        unit_group_run(group);
        unit_group_clear(group);
        unit_group_free(group);
    }
}

/* Many units, with everything at once. */
static void test_units_at_random(void **state)
{
    struct store_fixture *fixture = *state;
    struct random random = {20261126};
    struct unit_group *group = unit_group_new(fixture);
    bool has_rule = fixture->impose != NULL && fixture->impose(fixture, STORE_RULE_REFUSE);
    unit_group_start(group);
    for (int turn = 0; turn < 15; turn++) {
        uint64_t units = 1 + random_below(&random, 30);
        uint64_t quiet = 1 + random_below(&random, 40);
        for (size_t i = 0; i < 2 * units; i++) {
            for (unsigned k = 0; k < 2; k++) {
                unsigned unit = 1 + (unsigned)((i + k * random_below(&random, 3)) % units);
                int64_t before = random_below(&random, 2) == 0 ? NOT_STORED : (int64_t)i;
                struct planned *planned =
                    random_below(&random, 4) == 0 ? unit_plan_check(group, unit, before)
                    : has_rule && random_below(&random, quiet) == 0
                        ? unit_plan_poison(group, unit, random_below(&random, 4) == 0, before)
                        : unit_plan(group, random_below(&random, 8) == 0 ? 0 : unit, before);
                if (random_below(&random, quiet) == 0)
                    planned->stranger =
                        STRANGER_REMOVES; /* the rule holds for unit_group_strangers, too */
                if (planned->stranger != STRANGER_NOT && planned->key[0] != STORE_RULE_KEY[0] &&
                    random_below(&random, 2) == 0)
                    planned->stranger = STRANGER_WRITES;
            }
        }
        if (has_rule)
            assert_true(fixture->impose(fixture, STORE_RULE_NONE));
        unit_group_prepare(group);
        if (has_rule)
            assert_true(fixture->impose(fixture, STORE_RULE_REFUSE));
        unit_group_run_with(group, unit_group_strangers);
        for (size_t i = 0; i < group->size; i++)
            unit_group_assert_outcome(group, i);
        unit_group_clear(group);
    }
    unit_group_free(group);
}

/* ---- Late, and locked ----------------------------------------------------------------------- */

static void save_too_late(batch_store *store, void *session, batch_call *const *calls,
                          size_t calls_size)
{
    const struct store_wrapper *wrapper = store_wrapper_of(store);
    wrapper->before(STORE_SAVES, calls_size, wrapper->arg);
    if (calls_size > 1)
        store_suite_await_deadline(calls[0]);
    wrapper->inner->save(wrapper->inner, session, calls, calls_size);
}

/* Nobody is at fault here, and nothing may be stored. */
static void assert_unit_failed(struct unit_group *group, unsigned unit)
{
    for (size_t i = 0; i < group->size; i++) {
        const struct planned *planned = &group->planned[i];
        if (planned->unit != unit)
            continue;
        assert_int_equal(group->requests[i].result.status, BATCH_SAVE_FAILED);
        assert_true(group->requests[i].result.message[0] != '\0');
        assert_int_equal(stored_number(group->fixture, planned->key), planned->before);
    }
}

static void test_a_unit_after_the_deadline_is_not_begun(void **state)
{
    struct unit_group *group = unit_group_new(*state);
    group->wrapper.store.save = save_too_late;
    group->options.deadline_ns = 1000000000;
    unit_group_start(group);
    for (size_t i = 0; i < 5; i++)
        unit_plan(group, 5, 7);
    unit_group_prepare(group);
    unit_group_run_with(group, unit_group_strangers);
    assert_unit_failed(group, 5);
    unit_group_free(group);
}

static void lock_the_first(struct unit_group *group)
{
    const char *key = group->planned[0].key;
    group->fixture->lock(group->fixture, key, strlen(key));
}

/* What else is in the group may be saved or not, but alike. */
static void test_a_locked_row_fails_its_unit(void **state)
{
    struct store_fixture *fixture = *state;
    if (fixture->lock == NULL)
        skip();
    struct unit_group *group = unit_group_new(fixture);
    group->options.deadline_ns = 2000000000;
    unit_group_start(group);
    for (unsigned unit = 5; unit < 9; unit++) {
        unit_plan(group, unit, 7);
        unit_plan_check(group, unit, 7);
        unit_plan(group, unit, 7);
    }
    unit_plan(group, 0, 7);
    unit_group_prepare(group);
    unit_group_run_with(group, lock_the_first);
    assert_unit_failed(group, 5);
    for (size_t i = 0; i < group->size; i++) {
        const struct planned *planned = &group->planned[i];
        int status = group->requests[i].result.status;
        assert_true(status == BATCH_OK || status == BATCH_SAVE_FAILED);
        for (size_t j = 0; j < group->size; j++) {
            if (unit_group_is_together(planned, &group->planned[j]))
                assert_int_equal(group->requests[j].result.status, status);
        }
        int64_t stored = status == BATCH_OK && !planned->is_check ? 8 : 7;
        assert_int_equal(stored_number(fixture, planned->key), stored);
    }
    fixture->unlock(fixture);
    unit_group_free(group);
}

/* ---- Two at once ---------------------------------------------------------------------------- */

enum { STORM_PAIRS = 4, STORM_TURNS = 150 };

struct storm {
    struct store_wrapper wrapper;
    batch_processor *processor;
    uint64_t seed;
    int64_t stored[STORM_PAIRS]; /* how often a pair was */
    unsigned different;          /* outcomes within a pair */
};

/* Add 1 to both keys of some pairs, in one group each time. */
static void *storm_main(void *arg)
{
    struct storm *storm = arg;
    struct random random = {storm->seed};
    for (int turn = 0; turn < STORM_TURNS; turn++) {
        struct request requests[2 * STORM_PAIRS];
        char keys[2 * STORM_PAIRS][8];
        size_t pairs[STORM_PAIRS], pairs_size = 0;
        for (size_t pair = 0; pair < STORM_PAIRS; pair++) {
            if (random_below(&random, 2) == 0)
                pairs[pairs_size++] = pair;
        }
        for (size_t i = 0; i < 2 * pairs_size; i++) {
            snprintf(keys[i], sizeof keys[i], "u%u:%c", (unsigned)pairs[i / 2] + 1,
                     i % 2 == 0 ? 'a' : 'b');
            request_init(&requests[i], keys[i], strlen(keys[i]), 1);
        }
        if (pairs_size > 0)
            requests_run(storm->processor, requests, 2 * pairs_size);
        for (size_t i = 0; i < pairs_size; i++) {
            int status = requests[2 * i].result.status;
            storm->different += status != requests[2 * i + 1].result.status;
            storm->stored[pairs[i]] += status == BATCH_OK;
        }
    }
    return NULL;
}

/* Processors whose units overlap: what each was told adds up to what is stored, in both keys. */
static void test_units_of_two_processors_are_stored_whole(void **state)
{
    struct store_fixture *fixture = *state;
    struct storm storms[2] = {{.seed = 1}, {.seed = 2}};
    pthread_t threads[2];
    for (size_t i = 0; i < 2; i++) {
        unit_store_init(&storms[i].wrapper, fixture->store);
        batch_options options = number_options(&storms[i].wrapper.store, 0);
        storms[i].processor = processor_start(&options);
    }
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, storm_main, &storms[i]), 0);
    for (size_t i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 2; i++) {
        processor_end(storms[i].processor);
        assert_int_equal(storms[i].different, 0);
    }
    for (size_t pair = 0; pair < STORM_PAIRS; pair++) {
        char keys[2][8];
        snprintf(keys[0], sizeof keys[0], "u%zu:a", pair + 1);
        snprintf(keys[1], sizeof keys[1], "u%zu:b", pair + 1);
        int64_t stored = storms[0].stored[pair] + storms[1].stored[pair];
        assert_true(stored > 0);
        assert_int_equal(stored_number(fixture, keys[0]), stored);
        assert_int_equal(stored_number(fixture, keys[1]), stored);
    }
}

#define UNIT_TEST(fixture, function)                                                               \
    {                                                                                              \
#function, function, store_suite_set_up, unit_group_tear_down, fixture                     \
    }

int store_suite_units(struct store_fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        UNIT_TEST(fixture, test_a_unit_is_stored),
        UNIT_TEST(fixture, test_a_unit_is_stored_again_from_cached_resources),
        UNIT_TEST(fixture, test_a_conflict_of_one_key_is_one_of_its_unit),
        UNIT_TEST(fixture, test_a_conflict_of_the_first_unit_is_not_one_of_the_others),
        UNIT_TEST(fixture, test_what_was_only_read_is_compared_and_not_written),
        UNIT_TEST(fixture, test_a_unit_that_was_only_read_is_compared),
        UNIT_TEST(fixture, test_a_row_that_is_refused_fails_its_unit),
        UNIT_TEST(fixture, test_a_row_whose_trigger_fails_fails_its_unit),
        UNIT_TEST(fixture, test_a_row_that_is_refused_at_commit_fails_its_unit),
        UNIT_TEST(fixture, test_a_row_whose_state_is_changed_on_the_way_fails_its_unit),
        UNIT_TEST(fixture, test_a_row_whose_key_is_changed_on_the_way_fails_its_unit),
        UNIT_TEST(fixture, test_a_row_that_is_left_out_fails_its_unit),
        UNIT_TEST(fixture, test_a_state_that_is_not_encoded_fails_its_unit),
        UNIT_TEST(fixture, test_a_unit_may_be_as_large_as_a_group),
        UNIT_TEST(fixture, test_units_at_random),
        UNIT_TEST(fixture, test_a_unit_after_the_deadline_is_not_begun),
        UNIT_TEST(fixture, test_units_of_two_processors_are_stored_whole),
        UNIT_TEST(fixture, test_a_locked_row_fails_its_unit),
    };
    return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
