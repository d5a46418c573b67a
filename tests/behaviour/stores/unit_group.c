/* unit_group.c: see unit_group.h. */
#include "unit_group.h"

#include "test.h"

enum { ENCODE_CODE = -4712 };

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

void unit_group_before_step(enum store_step step, size_t calls_size, void *arg)
{
    struct unit_group *group = arg;
    if (step != STORE_SAVES)
        return;
    if (calls_size > group->largest)
        group->largest = calls_size;
    gate_pass(calls_size == 1 ? &group->alone : &group->gate);
}

/* Of a test that failed; its processor holds on to the store. */
static struct unit_group *unfinished;

struct unit_group *unit_group_new(struct store_fixture *fixture)
{
    struct unit_group *group = calloc(1, sizeof *group);
    assert_non_null(group);
    group->fixture = fixture;
    gate_init(&group->alone);
    gate_init(&group->gate);
    unit_store_init(&group->wrapper, fixture->store);
    group->wrapper.before = unit_group_before_step;
    group->wrapper.arg = group;
    group->wrapper.store.saves_max = 1;
    group->options = number_options(&group->wrapper.store, 2);
    group->options.codec = &codec;
    return group;
}

void unit_group_start(struct unit_group *group)
{
    group->processor = processor_start(&group->options);
    unfinished = group;
}

void unit_group_free(struct unit_group *group)
{
    unfinished = NULL;
    processor_end(group->processor);
    gate_destroy(&group->alone);
    gate_destroy(&group->gate);
    free(group);
}

int unit_group_tear_down(void **state)
{
    if (unfinished != NULL) {
        gate_open(&unfinished->alone);
        gate_open(&unfinished->gate);
        unit_group_free(unfinished);
    }
    return store_suite_tear_down(state);
}

/* ---- The plan ------------------------------------------------------------------------------- */

/* A key that adds 1 to what is stored under it. */
struct planned *unit_plan(struct unit_group *group, unsigned unit, int64_t before)
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

struct planned *unit_plan_check(struct unit_group *group, unsigned unit, int64_t before)
{
    struct planned *planned = unit_plan(group, unit, before);
    snprintf(planned->key, KEY_SIZE, "u%u?%zu", unit, group->size);
    planned->is_check = true;
    return planned;
}

/* One that the table refuses, as long as the rule is imposed; but not if it is only read. */
struct planned *unit_plan_poison(struct unit_group *group, unsigned unit, bool is_check,
                                 int64_t before)
{
    struct planned *planned = unit_plan(group, unit, before);
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
void unit_plan_bystanders(struct unit_group *group, unsigned unit, int64_t before)
{
    unit_plan(group, unit, before);
    unit_plan(group, 0, before);
    unit_plan(group, unit + 1, before);
    unit_plan(group, unit, before);
    unit_plan_check(group, unit + 1, before);
    unit_plan(group, unit + 1, before);
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

bool unit_group_is_together(const struct planned *one, const struct planned *other)
{
    return one == other || (one->unit != 0 && one->unit == other->unit);
}

static struct faults faults_of(const struct unit_group *group, const struct planned *planned)
{
    struct faults faults = {0, 0};
    for (size_t i = 0; i < group->size; i++) {
        if (!unit_group_is_together(planned, &group->planned[i]))
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

static void write_number(struct unit_group *group, const char *key, int64_t number)
{
    group->fixture->write(group->fixture, key, strlen(key), &number, sizeof number);
}

/* As it is planned: all in one group, with the strangers after every load and before every save. */
void unit_group_run_with(struct unit_group *group, void (*meddle)(struct unit_group *group))
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

void unit_group_strangers(struct unit_group *group)
{
    for (size_t i = 0; i < group->size; i++) {
        const struct planned *planned = &group->planned[i];
        if (planned->stranger == STRANGER_WRITES)
            write_number(group, planned->key, OF_STRANGER);
        else if (planned->stranger == STRANGER_REMOVES)
            group->fixture->remove(group->fixture, planned->key, strlen(planned->key));
    }
}

void unit_group_prepare(struct unit_group *group)
{
    for (size_t i = 0; i < group->size; i++) {
        if (group->planned[i].before != NOT_STORED)
            write_number(group, group->planned[i].key, group->planned[i].before);
    }
}

/* The reason names a key that is at fault. */
static void assert_named(const struct unit_group *group, const struct planned *planned,
                         const char *message)
{
    for (size_t i = 0; i < group->size; i++) {
        const struct planned *other = &group->planned[i];
        if (unit_group_is_together(planned, other) && (is_touched(other) || other->is_refused) &&
            strstr(message, other->key) != NULL)
            return;
    }
    fail_msg("%s: no key at fault in: %s", planned->key, message);
}

void unit_group_assert_outcome(struct unit_group *group, size_t i)
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
        if (unit_group_is_together(planned, &group->planned[j]))
            assert_int_equal(group->requests[j].result.status, result->status);
    }
    int64_t stored = after_stranger(planned);
    if (result->status == BATCH_OK && !planned->is_check)
        stored = (planned->before == NOT_STORED ? 0 : planned->before) + planned->add;
    if (stored_number(group->fixture, planned->key) != stored)
        fail_msg("%s: %lld is stored and not %lld", planned->key,
                 (long long)stored_number(group->fixture, planned->key), (long long)stored);
}

void unit_group_run(struct unit_group *group)
{
    unit_group_prepare(group);
    unit_group_run_with(group, unit_group_strangers);
    for (size_t i = 0; i < group->size; i++)
        unit_group_assert_outcome(group, i);
}

/* Plan anew, with the same processor. */
void unit_group_clear(struct unit_group *group)
{
    for (size_t i = 0; i < group->size; i++) {
        const char *key = group->planned[i].key;
        group->fixture->remove(group->fixture, key, strlen(key));
    }
    group->size = 0;
}
