/* What others do to a key between its load and its save. */
#include "driver.h"
#include "must.h"
#include "suite_parts.h"
#include "test.h"

#include <stdatomic.h>

/* What others do while "key" is loaded and not saved; `processor` is another one. */
struct others {
    struct store_fixture *fixture;
    batch_processor *processor;
    int64_t add;
    int status;
};

static void others_write(void *arg)
{
    struct others *others = arg;
    int64_t number = 500;
    others->fixture->write(others->fixture, "key", 3, &number, sizeof number);
}

static void others_delete(void *arg)
{
    struct others *others = arg;
    others->fixture->remove(others->fixture, "key", 3);
}

/* A callback must not wait for a processor: another thread does. */
static void *others_run(void *arg)
{
    struct others *others = arg;
    struct request request;
    request_init(&request, "key", 3, others->add);
    others->status = request_run(others->processor, &request);
    return NULL;
}

static void others_add(void *others)
{
    pthread_t thread;
    MUST(pthread_create(&thread, NULL, others_run, others) == 0);
    MUST(pthread_join(thread, NULL) == 0);
}

static void others_delete_and_add(void *arg)
{
    others_delete(arg);
    others_add(arg);
}

static void others_do_nothing(void *arg)
{
    (void)arg;
}

/* Add 1 to a number that is `before` (-1: not stored) while others meddle; what was reported, and
 * what is stored after that. */
static int add_while(struct store_fixture *fixture, int64_t before, meddle_fn meddle,
                     int64_t *ret_stored)
{
    batch_options options = number_options(fixture->store, 1);
    batch_processor *one = processor_start(&options);
    batch_processor *other = processor_start(&options);
    if (before > 0)
        number_add(one, "key", 3, before);
    struct others others = {fixture, other, 100, BATCH_OK};
    struct request request;
    request_init(&request, "key", 3, 1);
    request.meddle = meddle;
    request.meddle_arg = &others;
    int status = request_run(one, &request);
    assert_int_equal(others.status, BATCH_OK);
    *ret_stored = stored_number(fixture, "key");
    if (status == BATCH_CONFLICT) {
        assert_true(request.result.changed);
        assert_non_null(strstr(request.result.message, "'key'"));
        /* It goes well the next time. */
        int64_t base = *ret_stored == -1 ? 0 : *ret_stored;
        assert_int_equal(number_add(one, "key", 3, 1), base + 1);
    }
    processor_end(one);
    processor_end(other);
    return status;
}

static void test_nobody_else_wrote(void **state)
{
    int64_t stored;
    assert_int_equal(add_while(*state, 7, others_do_nothing, &stored), BATCH_OK);
    assert_int_equal(stored, 8);
}

static void test_written_by_another_process_meanwhile_is_a_conflict(void **state)
{
    int64_t stored;
    assert_int_equal(add_while(*state, 7, others_write, &stored), BATCH_CONFLICT);
    assert_int_equal(stored, 500);
}

static void test_written_by_another_processor_meanwhile_is_a_conflict(void **state)
{
    int64_t stored;
    assert_int_equal(add_while(*state, 7, others_add, &stored), BATCH_CONFLICT);
    assert_int_equal(stored, 107);
}

static void test_made_by_another_process_meanwhile_is_a_conflict(void **state)
{
    int64_t stored;
    assert_int_equal(add_while(*state, -1, others_write, &stored), BATCH_CONFLICT);
    assert_int_equal(stored, 500);
}

static void test_made_by_another_processor_meanwhile_is_a_conflict(void **state)
{
    int64_t stored;
    assert_int_equal(add_while(*state, -1, others_add, &stored), BATCH_CONFLICT);
    assert_int_equal(stored, 100);
}

static void test_deleted_meanwhile_is_a_conflict_and_not_made_again(void **state)
{
    int64_t stored;
    assert_int_equal(add_while(*state, 7, others_delete, &stored), BATCH_CONFLICT);
    assert_int_equal(stored, -1);
}

static void test_deleted_and_made_again_meanwhile_is_a_conflict(void **state)
{
    int64_t stored;
    assert_int_equal(add_while(*state, 7, others_delete_and_add, &stored), BATCH_CONFLICT);
    assert_int_equal(stored, 100);
}

/* ---- Many at once --------------------------------------------------------------------------- */

enum { STORM_THREADS = 4, STORM_ADDS = 250, STORM_KEYS = 5 };

static const char *const storm_keys[STORM_KEYS] = {"a", "b", "c", "d", "e"};

/* Additions completed with BATCH_OK, by anyone. */
struct storm_totals {
    atomic_int_fast64_t added[STORM_KEYS];
};

struct storm {
    batch_processor *processor;
    struct storm_totals *totals;
    atomic_int conflicts;
    atomic_int others; /* statuses that are neither OK nor CONFLICT */
    atomic_int stale;  /* results older than what had been reported before */
};

/* Add to a key, or read it, until it goes well. An addition must see every other one that was
 * reported before it was asked, by this processor or another; what only reads, everything that its
 * thread has seen. */
static bool storm_run(struct storm *storm, size_t key, int64_t number, int64_t *seen)
{
    struct request request;
    request_init(&request, storm_keys[key], 1, number);
    int64_t least = number > 0 ? atomic_load(&storm->totals->added[key]) + number : *seen;
    int status;
    while ((status = request_run(storm->processor, &request)) == BATCH_CONFLICT)
        atomic_fetch_add(&storm->conflicts, 1);
    if (status != BATCH_OK)
        atomic_fetch_add(&storm->others, 1);
    else if (request.seen < least)
        atomic_fetch_add(&storm->stale, 1);
    else
        atomic_fetch_add(&storm->totals->added[key], number);
    *seen = request.seen;
    return status == BATCH_OK;
}

/* Add 1 to one key after the other, and read another one. */
static void *storm_main(void *arg)
{
    int64_t seen[STORM_KEYS] = {0};
    for (size_t i = 0; i < STORM_ADDS; i++) {
        size_t key = i % STORM_KEYS;
        size_t other = (i + 2) % STORM_KEYS;
        if (!storm_run(arg, key, 1, &seen[key]) || !storm_run(arg, other, 0, &seen[other]))
            break;
    }
    return NULL;
}

/* Two processors on the same keys, with options as given. */
static void storm(struct store_fixture *fixture, uint32_t replays_max, uint64_t resource_cache_max)
{
    batch_options options = number_options(fixture->store, fixture->sessions);
    options.replays_max = replays_max;
    options.resource_cache_max = resource_cache_max;
    struct storm_totals totals = {0};
    struct storm storms[2] = {{.processor = processor_start(&options), .totals = &totals},
                              {.processor = processor_start(&options), .totals = &totals}};
    for (size_t i = 0; i < STORM_KEYS; i++)
        atomic_store(&totals.added[i], number_add(storms[0].processor, storm_keys[i], 1, 0));
    int64_t before = atomic_load(&totals.added[0]);
    pthread_t threads[2 * STORM_THREADS];
    for (size_t i = 0; i < 2 * STORM_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, storm_main, &storms[i % 2]), 0);
    for (size_t i = 0; i < 2 * STORM_THREADS; i++)
        pthread_join(threads[i], NULL);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(storms[i].others, 0);
        assert_int_equal(storms[i].stale, 0);
        processor_end(storms[i].processor);
    }
    for (size_t i = 0; i < STORM_KEYS; i++)
        assert_int_equal(stored_number(fixture, storm_keys[i]),
                         before + 2 * STORM_THREADS * STORM_ADDS / STORM_KEYS);
}

static void test_no_addition_is_lost_between_processors(void **state)
{
    storm(*state, 0, 0);
}

static void test_no_addition_is_lost_when_conflicts_are_replayed(void **state)
{
    storm(*state, 100, 0);
}

static void test_no_addition_is_lost_and_none_unseen_with_kept_resources(void **state)
{
    storm(*state, 0, STORM_KEYS);
    storm(*state, 0, 2); /* not enough for all */
    storm(*state, 100, STORM_KEYS);
}

/* A cached resource is worth something: nobody else writes, and nothing is loaded again. */
static void test_what_is_kept_is_not_loaded(void **state)
{
    struct store_fixture *fixture = *state;
    batch_options options = number_options(fixture->store, 1);
    options.resource_cache_max = 1;
    batch_processor *processor = processor_start(&options);
    for (int64_t i = 1; i <= 20; i++)
        assert_int_equal(number_add(processor, "key", 3, 1), i);
    assert_int_equal(batch_processor_stop(processor, BATCH_FOREVER), 0); /* all is counted */
    batch_stats stats = BATCH_STATS_INIT;
    assert_int_equal(batch_processor_stats(processor, &stats), BATCH_OK);
    assert_int_equal(stats.loads_skipped, 19);
    assert_int_equal(stats.load_group.count, 1);
    processor_end(processor);
    assert_int_equal(stored_number(fixture, "key"), 20);
}

int store_suite_conflicts(struct store_fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        SUITE_TEST(fixture, test_nobody_else_wrote),
        SUITE_TEST(fixture, test_written_by_another_process_meanwhile_is_a_conflict),
        SUITE_TEST(fixture, test_written_by_another_processor_meanwhile_is_a_conflict),
        SUITE_TEST(fixture, test_made_by_another_process_meanwhile_is_a_conflict),
        SUITE_TEST(fixture, test_made_by_another_processor_meanwhile_is_a_conflict),
        SUITE_TEST(fixture, test_deleted_meanwhile_is_a_conflict_and_not_made_again),
        SUITE_TEST(fixture, test_deleted_and_made_again_meanwhile_is_a_conflict),
        SUITE_TEST(fixture, test_no_addition_is_lost_between_processors),
        SUITE_TEST(fixture, test_no_addition_is_lost_when_conflicts_are_replayed),
        SUITE_TEST(fixture, test_no_addition_is_lost_and_none_unseen_with_kept_resources),
        SUITE_TEST(fixture, test_what_is_kept_is_not_loaded),
    };
    return cmocka_run_group_tests_name("conflicts", tests, NULL, NULL);
}
