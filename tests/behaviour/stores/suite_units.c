/* Units: keys that are stored all together or not at all, whatever strangers do meanwhile, and
 * beside other units and keys that are alone.
 *
 * A test plans the calls of one group: what is stored before, what a stranger does between load and
 * save, what the table refuses. From the plan follows what must come of each. To get all calls into
 * one group, the save of another key is held at a gate until every operation has run; and to let
 * strangers in between, so is the save of the group. */
#include "driver.h"
#include "gate.h"
#include "random.h"
#include "suite_parts.h"
#include "test.h"
#include "unit_store.h"

enum {
    CALLS_MAX = 4096,
    KEY_SIZE = 32,
    NOT_STORED = -1,
    OF_STRANGER = 500,
    ENCODE_MAX = 1000000, /* a larger number is not encoded */
    ENCODE_CODE = -4712
};

enum stranger { STRANGER_NOT, STRANGER_WRITES, STRANGER_REMOVES };

struct planned {
    char key[KEY_SIZE];
    unsigned unit; /* 0: alone */
    bool is_check;
    bool is_refused; /* by the table, or because it cannot be encoded */
    int64_t before;  /* or NOT_STORED */
    enum stranger stranger;
    int64_t add;
};

struct group {
    struct store_fixture *fixture;
    struct store_wrapper wrapper;
    struct gate alone; /* where the save of a key that is alone in its group is held, */
    struct gate gate;  /* and that of the others */
    struct latch ran;
    batch_options options;
    batch_processor *processor;
    struct request requests[CALLS_MAX];
    struct planned planned[CALLS_MAX];
    size_t size;
    size_t largest; /* group that was saved; written by sessions, one at a time */
};

static int number_decode(void *resource, const void *bytes, size_t bytes_size, void *arg)
{
    (void)arg;
    if (bytes != NULL && bytes_size == sizeof(int64_t))
        memcpy(resource, bytes, sizeof(int64_t));
    return BATCH_OK;
}

static int number_encode(void *resource, const void **ret_bytes, size_t *ret_bytes_size, void *arg)
{
    (void)arg;
    if (*(int64_t *)resource > ENCODE_MAX)
        return ENCODE_CODE;
    *ret_bytes = resource;
    *ret_bytes_size = sizeof(int64_t);
    return BATCH_OK;
}

static const batch_codec codec = {
    .size = sizeof(batch_codec), .decode = number_decode, .encode = number_encode};

static void before_step(enum store_step step, size_t calls_size, void *arg)
{
    struct group *group = arg;
    if (step != STORE_SAVES)
        return;
    if (calls_size > group->largest)
        group->largest = calls_size;
    gate_pass(calls_size == 1 ? &group->alone : &group->gate);
}

static struct group *group_new(struct store_fixture *fixture)
{
    struct group *group = calloc(1, sizeof *group);
    assert_non_null(group);
    group->fixture = fixture;
    gate_init(&group->alone);
    gate_init(&group->gate);
    unit_store_init(&group->wrapper, fixture->store);
    group->wrapper.before = before_step;
    group->wrapper.arg = group;
    group->wrapper.store.saves_max = 1;
    group->options = number_options(&group->wrapper.store, 2);
    group->options.codec = &codec;
    return group;
}

static void group_start(struct group *group)
{
    group->processor = processor_start(&group->options);
}

static void group_free(struct group *group)
{
    processor_end(group->processor);
    gate_destroy(&group->alone);
    gate_destroy(&group->gate);
    free(group);
}

/* ---- The plan ------------------------------------------------------------------------------- */

/* A key that adds 1 to what is stored under it. */
static struct planned *plan(struct group *group, unsigned unit, int64_t before)
{
    assert_true(group->size < CALLS_MAX);
    struct planned *planned = &group->planned[group->size];
    *planned = (struct planned){.unit = unit, .before = before, .add = 1};
    if (unit == 0)
        snprintf(planned->key, KEY_SIZE, "key %zu", group->size);
    else
        snprintf(planned->key, KEY_SIZE, "u%u:%zu", unit, group->size);
    group->size++;
    return planned;
}

static struct planned *plan_check(struct group *group, unsigned unit, int64_t before)
{
    struct planned *planned = plan(group, unit, before);
    snprintf(planned->key, KEY_SIZE, "u%u?%zu", unit, group->size);
    planned->is_check = true;
    return planned;
}

/* One that the table refuses, as long as the rule is imposed; but not if it is only read. */
static struct planned *plan_poison(struct group *group, unsigned unit, bool is_check,
                                   int64_t before)
{
    struct planned *planned = plan(group, unit, before);
    if (unit == 0)
        snprintf(planned->key, KEY_SIZE, STORE_RULE_KEY " %zu", group->size);
    else
        snprintf(planned->key, KEY_SIZE, STORE_RULE_KEY " u%u%c%zu", unit, is_check ? '?' : ':',
                 group->size);
    planned->is_check = is_check;
    planned->is_refused = !is_check;
    return planned;
}

/* Units that nothing happens to, and a key that is alone. */
static void plan_bystanders(struct group *group, unsigned unit, int64_t before)
{
    plan(group, unit, before);
    plan(group, 0, before);
    plan(group, unit + 1, before);
    plan(group, unit, before);
    plan_check(group, unit + 1, before);
    plan(group, unit + 1, before);
}

static bool is_touched(const struct planned *planned)
{
    return planned->stranger == STRANGER_WRITES ||
           (planned->stranger == STRANGER_REMOVES && planned->before != NOT_STORED);
}

static int64_t after_stranger(const struct planned *planned)
{
    return planned->stranger == STRANGER_WRITES    ? OF_STRANGER
           : planned->stranger == STRANGER_REMOVES ? NOT_STORED
                                                   : planned->before;
}

/* What there is against the unit of a call, or against the call alone. */
struct faults {
    unsigned touched;
    unsigned refused;
};

static bool is_together(const struct planned *one, const struct planned *other)
{
    return one == other || (one->unit != 0 && one->unit == other->unit);
}

static struct faults faults_of(const struct group *group, const struct planned *planned)
{
    struct faults faults = {0, 0};
    for (size_t i = 0; i < group->size; i++) {
        if (!is_together(planned, &group->planned[i]))
            continue;
        faults.touched += is_touched(&group->planned[i]);
        faults.refused += group->planned[i].is_refused;
    }
    return faults;
}

/* ---- The run -------------------------------------------------------------------------------- */

static void count_ran(void *arg)
{
    latch_count_down(arg);
}

static void write_number(struct group *group, const char *key, int64_t number)
{
    group->fixture->write(group->fixture, key, strlen(key), &number, sizeof number);
}

/* As it is planned: all in one group, with the strangers after every load and before every save. */
static void group_run_with(struct group *group, void (*meddle)(struct group *group))
{
    struct latch all, held;
    struct request hold;
    batch_op *ops[CALLS_MAX];
    latch_init(&all, group->size);
    latch_init(&held, 1);
    latch_init(&group->ran, group->size);
    assert_true(group->size > 1);
    group->largest = 0;
    gate_close(&group->alone);
    gate_close(&group->gate);
    request_init(&hold, "hold", 4, 1);
    hold.latch = &held;
    assert_int_equal(batch_submit(group->processor, &hold.op), BATCH_OK);
    gate_await(&group->alone, 1); /* its save */
    for (size_t i = 0; i < group->size; i++) {
        struct planned *planned = &group->planned[i];
        struct request *request = &group->requests[i];
        request_init(request, planned->key, strlen(planned->key), planned->add);
        request->latch = &all;
        request->meddle = count_ran;
        request->meddle_arg = &group->ran;
        ops[i] = &request->op;
    }
    assert_int_equal(batch_submit_many(group->processor, ops, group->size), BATCH_OK);
    latch_wait(&group->ran);
    gate_open(&group->alone);
    gate_await(&group->gate, 1);
    assert_int_equal(group->largest, group->size);
    meddle(group);
    gate_open(&group->gate);
    latch_wait(&all);
    latch_wait(&held);
    latch_destroy(&all);
    latch_destroy(&held);
    latch_destroy(&group->ran);
    assert_int_equal(hold.result.status, BATCH_OK);
}

static void strangers(struct group *group)
{
    for (size_t i = 0; i < group->size; i++) {
        const struct planned *planned = &group->planned[i];
        if (planned->stranger == STRANGER_WRITES)
            write_number(group, planned->key, OF_STRANGER);
        else if (planned->stranger == STRANGER_REMOVES)
            group->fixture->remove(group->fixture, planned->key, strlen(planned->key));
    }
}

static void group_prepare(struct group *group)
{
    for (size_t i = 0; i < group->size; i++) {
        if (group->planned[i].before != NOT_STORED)
            write_number(group, group->planned[i].key, group->planned[i].before);
    }
}

/* The reason names a key that is at fault. */
static void assert_named(const struct group *group, const struct planned *planned,
                         const char *message)
{
    for (size_t i = 0; i < group->size; i++) {
        const struct planned *other = &group->planned[i];
        if (is_together(planned, other) && (is_touched(other) || other->is_refused) &&
            strstr(message, other->key) != NULL)
            return;
    }
    fail_msg("%s: no key at fault in: %s", planned->key, message);
}

static void assert_outcome(struct group *group, size_t i)
{
    const struct planned *planned = &group->planned[i];
    const batch_result *result = &group->requests[i].result;
    struct faults faults = faults_of(group, planned);
    bool is_expected = faults.touched + faults.refused == 0 ? result->status == BATCH_OK
                       : faults.refused == 0                ? result->status == BATCH_CONFLICT
                       : faults.touched == 0                ? result->status == BATCH_SAVE_FAILED
                                                            : result->status == BATCH_CONFLICT ||
                                                   result->status == BATCH_SAVE_FAILED;
    if (!is_expected)
        fail_msg("%s: %s %s", planned->key, batch_status_name(result->status), result->message);
    if (result->status != BATCH_OK)
        assert_named(group, planned, result->message);
    for (size_t j = 0; j < group->size; j++) {
        if (is_together(planned, &group->planned[j]))
            assert_int_equal(group->requests[j].result.status, result->status);
    }
    int64_t stored = after_stranger(planned);
    if (result->status == BATCH_OK && !planned->is_check)
        stored = (planned->before == NOT_STORED ? 0 : planned->before) + planned->add;
    if (stored_number(group->fixture, planned->key) != stored)
        fail_msg("%s: %lld is stored and not %lld", planned->key,
                 (long long)stored_number(group->fixture, planned->key), (long long)stored);
}

static void group_run(struct group *group)
{
    group_prepare(group);
    group_run_with(group, strangers);
    for (size_t i = 0; i < group->size; i++)
        assert_outcome(group, i);
}

/* Plan anew, with the same processor. */
static void group_clear(struct group *group)
{
    for (size_t i = 0; i < group->size; i++) {
        const char *key = group->planned[i].key;
        group->fixture->remove(group->fixture, key, strlen(key));
    }
    group->size = 0;
}

/* ---- Tests ---------------------------------------------------------------------------------- */

static void test_a_unit_is_stored(void **state)
{
    struct group *group = group_new(*state);
    group_start(group);
    plan_bystanders(group, 1, NOT_STORED);
    plan_bystanders(group, 3, 7);
    for (size_t i = 0; i < 20; i++)
        plan(group, 9, i % 2 == 0 ? NOT_STORED : (int64_t)i);
    group_run(group);
    group_free(group);
}

/* Each save finds the version that the one before has set. */
static void test_a_unit_is_stored_again_from_cached_resources(void **state)
{
    struct group *group = group_new(*state);
    group->options.resource_cache_max = 100;
    group_start(group);
    plan_bystanders(group, 1, 3);
    group_prepare(group);
    for (int turn = 0; turn < 3; turn++) {
        group_run_with(group, strangers);
        for (size_t i = 0; i < group->size; i++) {
            assert_outcome(group, i);
            group->planned[i].before += !group->planned[i].is_check;
        }
    }
    group_free(group);
}

/* Wherever the key stands in its unit, and whatever the stranger does. */
static void test_a_conflict_of_one_key_is_one_of_its_unit(void **state)
{
    static const int64_t before[] = {NOT_STORED, 7};
    struct group *group = group_new(*state);
    group_start(group);
    for (size_t at = 0; at < 3; at++) {
        for (int which = 0; which < 4; which++) {
            plan_bystanders(group, 1, before[which % 2]);
            for (size_t i = 0; i < 3; i++) {
                struct planned *planned = plan(group, 5, before[which % 2]);
                if (i == at)
                    planned->stranger = which < 2 ? STRANGER_WRITES : STRANGER_REMOVES;
            }
            plan_bystanders(group, 7, before[which % 2]);
            group_run(group);
            group_clear(group);
        }
    }
    group_free(group);
}

static void test_what_was_only_read_is_compared_and_not_written(void **state)
{
    static const int64_t before[] = {NOT_STORED, 7};
    struct group *group = group_new(*state);
    group_start(group);
    for (int which = 0; which < 6; which++) {
        plan_bystanders(group, 1, before[which % 2]);
        struct planned *check = plan_check(group, 5, before[which % 2]);
        check->stranger = (enum stranger)(which / 2);
        plan(group, 5, before[which % 2]);
        plan_check(group, 5, before[which % 2]);
        group_prepare(group);
        uint64_t version = stored_version(group->fixture, check->key);
        group_run_with(group, strangers);
        for (size_t i = 0; i < group->size; i++)
            assert_outcome(group, i);
        if (check->stranger == STRANGER_NOT)
            assert_int_equal(stored_version(group->fixture, check->key), version);
        group_clear(group);
    }
    group_free(group);
}

static void test_a_unit_that_was_only_read_is_compared(void **state)
{
    static const int64_t before[] = {NOT_STORED, 7};
    struct group *group = group_new(*state);
    group_start(group);
    for (int which = 0; which < 6; which++) {
        plan_check(group, 5, 1);
        plan_check(group, 5, before[which % 2])->stranger = (enum stranger)(which / 2);
        plan_check(group, 5, NOT_STORED);
        group_run(group);
        group_clear(group);
    }
    group_free(group);
}

static void check_refused(struct store_fixture *fixture, enum store_rule rule)
{
    if (fixture->impose == NULL || !fixture->impose(fixture, rule))
        skip();
    struct group *group = group_new(fixture);
    group_start(group);
    for (int which = 0; which < 2; which++) {
        int64_t before = which == 0 ? NOT_STORED : 7;
        assert_true(fixture->impose(fixture, STORE_RULE_NONE));
        plan_bystanders(group, 1, before);
        plan(group, 5, before);
        plan_poison(group, 5, false, before);
        plan(group, 5, before);
        plan_check(group, 5, before);
        plan_poison(group, 0, false, before);
        plan_poison(group, 6, false, before);
        plan(group, 6, before);
        plan(group, 7, before);
        plan_poison(group, 7, true, before);
        plan_bystanders(group, 8, before);
        group_prepare(group);
        assert_true(fixture->impose(fixture, rule));
        group_run_with(group, strangers);
        for (size_t i = 0; i < group->size; i++)
            assert_outcome(group, i);
        group_clear(group);
    }
    group_free(group);
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
    struct group *group = group_new(*state);
    group_start(group);
    plan_bystanders(group, 1, 7);
    plan(group, 5, 7);
    plan_check(group, 5, 7)->add = 2 * ENCODE_MAX; /* which is not encoded, as it is not written */
    plan(group, 6, 7);
    struct planned *planned = plan(group, 6, NOT_STORED);
    planned->add = 2 * ENCODE_MAX;
    planned->is_refused = true;
    plan_check(group, 6, 7);
    group_run(group);
    group_free(group);
}

static void test_a_unit_may_be_as_large_as_a_group(void **state)
{
    static const size_t sizes[] = {BATCH_PARTS_MAX, 1000};
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof sizes[0]; i++) {
        struct group *group = group_new(*state);
        group->options.group_max = (uint32_t)sizes[i / 2];
        group_start(group);
        for (size_t k = 0; k < sizes[i / 2]; k++)
            plan(group, 5, k % 16 == 0 ? 7 : NOT_STORED);
        if (i % 2 == 1)
            group->planned[group->size - 1].stranger = STRANGER_WRITES;
        group_run(group);
        group_clear(group);
        group_free(group);
    }
}

/* Many units, with everything at once. */
static void test_units_at_random(void **state)
{
    struct store_fixture *fixture = *state;
    struct random random = {20261126};
    struct group *group = group_new(fixture);
    bool has_rule = fixture->impose != NULL && fixture->impose(fixture, STORE_RULE_REFUSE);
    group_start(group);
    for (int turn = 0; turn < 15; turn++) {
        uint64_t units = 1 + random_below(&random, 30);
        uint64_t quiet = 1 + random_below(&random, 40);
        for (size_t i = 0; i < 2 * units; i++) {
            for (unsigned k = 0; k < 2; k++) {
                unsigned unit = 1 + (unsigned)((i + k * random_below(&random, 3)) % units);
                int64_t before = random_below(&random, 2) == 0 ? NOT_STORED : (int64_t)i;
                struct planned *planned =
                    random_below(&random, 4) == 0 ? plan_check(group, unit, before)
                    : has_rule && random_below(&random, quiet) == 0
                        ? plan_poison(group, unit, random_below(&random, 4) == 0, before)
                        : plan(group, random_below(&random, 8) == 0 ? 0 : unit, before);
                if (random_below(&random, quiet) == 0)
                    planned->stranger = STRANGER_REMOVES; /* the rule holds for strangers, too */
                if (planned->stranger != STRANGER_NOT && planned->key[0] != STORE_RULE_KEY[0] &&
                    random_below(&random, 2) == 0)
                    planned->stranger = STRANGER_WRITES;
            }
        }
        if (has_rule)
            assert_true(fixture->impose(fixture, STORE_RULE_NONE));
        group_prepare(group);
        if (has_rule)
            assert_true(fixture->impose(fixture, STORE_RULE_REFUSE));
        group_run_with(group, strangers);
        for (size_t i = 0; i < group->size; i++)
            assert_outcome(group, i);
        group_clear(group);
    }
    group_free(group);
}

/* ---- Late, and locked ----------------------------------------------------------------------- */

static void run_past_the_deadline(enum store_step step, size_t calls_size, void *arg)
{
    struct group *group = arg;
    before_step(step, calls_size, arg);
    uint64_t until_ns = batch_now_ns() + group->options.deadline_ns + 1;
    while (step == STORE_SAVES && calls_size > 1 && batch_now_ns() < until_ns)
        ;
}

/* Nobody is at fault here, and nothing may be stored. */
static void assert_unit_failed(struct group *group, unsigned unit)
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
    struct group *group = group_new(*state);
    group->wrapper.before = run_past_the_deadline;
    group->options.deadline_ns = 1000000000;
    group_start(group);
    for (size_t i = 0; i < 5; i++)
        plan(group, 5, 7);
    group_prepare(group);
    group_run_with(group, strangers);
    assert_unit_failed(group, 5);
    group_free(group);
}

static void lock_the_first(struct group *group)
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
    struct group *group = group_new(fixture);
    group->options.deadline_ns = 2000000000;
    group_start(group);
    for (unsigned unit = 5; unit < 9; unit++) {
        plan(group, unit, 7);
        plan_check(group, unit, 7);
        plan(group, unit, 7);
    }
    plan(group, 0, 7);
    group_prepare(group);
    group_run_with(group, lock_the_first);
    assert_unit_failed(group, 5);
    for (size_t i = 0; i < group->size; i++) {
        const struct planned *planned = &group->planned[i];
        int status = group->requests[i].result.status;
        assert_true(status == BATCH_OK || status == BATCH_SAVE_FAILED);
        for (size_t j = 0; j < group->size; j++) {
            if (is_together(planned, &group->planned[j]))
                assert_int_equal(group->requests[j].result.status, status);
        }
        int64_t stored = status == BATCH_OK && !planned->is_check ? 8 : 7;
        assert_int_equal(stored_number(fixture, planned->key), stored);
    }
    fixture->unlock(fixture);
    group_free(group);
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

int store_suite_units(struct store_fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        SUITE_TEST(fixture, test_a_unit_is_stored),
        SUITE_TEST(fixture, test_a_unit_is_stored_again_from_cached_resources),
        SUITE_TEST(fixture, test_a_conflict_of_one_key_is_one_of_its_unit),
        SUITE_TEST(fixture, test_what_was_only_read_is_compared_and_not_written),
        SUITE_TEST(fixture, test_a_unit_that_was_only_read_is_compared),
        SUITE_TEST(fixture, test_a_row_that_is_refused_fails_its_unit),
        SUITE_TEST(fixture, test_a_row_whose_trigger_fails_fails_its_unit),
        SUITE_TEST(fixture, test_a_row_that_is_refused_at_commit_fails_its_unit),
        SUITE_TEST(fixture, test_a_row_whose_state_is_changed_on_the_way_fails_its_unit),
        SUITE_TEST(fixture, test_a_row_whose_key_is_changed_on_the_way_fails_its_unit),
        SUITE_TEST(fixture, test_a_row_that_is_left_out_fails_its_unit),
        SUITE_TEST(fixture, test_a_state_that_is_not_encoded_fails_its_unit),
        SUITE_TEST(fixture, test_a_unit_may_be_as_large_as_a_group),
        SUITE_TEST(fixture, test_units_at_random),
        SUITE_TEST(fixture, test_a_unit_after_the_deadline_is_not_begun),
        SUITE_TEST(fixture, test_a_locked_row_fails_its_unit),
        SUITE_TEST(fixture, test_units_of_two_processors_are_stored_whole),
    };
    return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
