/* hot_test.c: which keys are found to be hot, against how often each had operations. */
#include "metrics_fixture.h"

#include "base/atomics.h"
#include "metrics/hot.h"
#include "platform/platform.h"
#include "random.h"

#define SECOND UINT64_C(1000000000)

static struct batch__hot hot; /* each test begins with set_up */

static int set_up(void **state)
{
    (void)state;
    memset(&hot, 0, sizeof hot);
    return 0;
}

static void batch_of(uint32_t key, uint64_t operations, uint64_t now_ns)
{
    char name[16];
    int size = snprintf(name, sizeof name, "key %u", key);
    batch__hot_batch(&hot, name, (size_t)size, key * 2654435761u, operations, now_ns);
}

static size_t collect(batch_hot_key *keys, size_t keys_max)
{
    const struct batch__hot *shards[] = {&hot};
    return batch__hot_collect(keys, keys_max, shards, 1);
}

static void expect_key(const batch_hot_key *key, uint32_t number, double share, double within)
{
    char name[16];
    int size = snprintf(name, sizeof name, "key %u", number);
    assert_int_equal(key->key_size, size);
    assert_memory_equal(key->key, name, (size_t)size);
    assert_true(key->share >= share - within);
    assert_true(key->share <= share + within);
}

TEST_WITH(test_nothing_is_hot_where_nothing_was_done, set_up, NULL)
{
    batch_hot_key keys[4];
    assert_int_equal(collect(keys, 4), 0);
}

TEST_WITH(test_the_hottest_come_first_with_their_shares, set_up, NULL)
{
    struct random random = {7};
    for (int i = 0; i < 300000; i++) { /* half of all, a quarter, and many that are rare */
        uint64_t draw = random_below(&random, 4);
        batch_of(draw < 2 ? 1 : draw == 2 ? 2 : 10 + (uint32_t)random_below(&random, 5000), 1, 1);
    }
    batch_hot_key keys[3];
    assert_int_equal(collect(keys, 3), 3);
    expect_key(&keys[0], 1, 0.5, 0.05);
    expect_key(&keys[1], 2, 0.25, 0.05);
    assert_true(keys[2].share < 0.1);
    assert_int_equal(collect(keys, 1), 1);
    expect_key(&keys[0], 1, 0.5, 0.05);
    assert_int_equal(collect(keys, 0), 0);
}

TEST_WITH(test_operations_count_and_not_batches, set_up, NULL)
{
    for (int i = 0; i < 2000; i++) {
        batch_of(1, 900, 1);
        for (int j = 0; j < 10; j++)
            batch_of(2, 10, 1);
    }
    batch_hot_key keys[2];
    assert_int_equal(collect(keys, 2), 2);
    expect_key(&keys[0], 1, 0.9, 0.05);
    expect_key(&keys[1], 2, 0.1, 0.05);
}

/* Keys that take turns in the rhythm of the samples all come up. */
TEST_WITH(test_no_rhythm_hides_a_key, set_up, NULL)
{
    for (uint32_t rhythm = 2; rhythm <= 16; rhythm *= 2) {
        memset(&hot, 0, sizeof hot);
        for (uint32_t i = 0; i < 200000; i++)
            batch_of(i % rhythm, 1, 1);
        batch_hot_key keys[BATCH__HOT_KEYS];
        assert_int_equal(collect(keys, BATCH__HOT_KEYS), rhythm);
        for (uint32_t i = 0; i < rhythm; i++)
            assert_true(keys[i].share * rhythm > 0.5 && keys[i].share * rhythm < 1.6);
    }
}

TEST_WITH(test_what_was_hot_is_forgotten_with_time_and_with_work, set_up, NULL)
{
    for (int i = 0; i < 64000; i++)
        batch_of(1, 1, SECOND);
    for (uint64_t minute = 1; minute <= 12; minute++)
        batch_of(2, 2000, (1 + 61 * minute) * SECOND);
    batch_hot_key keys[2];
    assert_true(collect(keys, 2) >= 1);
    expect_key(&keys[0], 2, 0.9, 0.11);

    set_up(NULL);
    for (int i = 0; i < 500000; i++)
        batch_of(1, 1, SECOND);
    for (int i = 0; i < 1500000; i++)
        batch_of(2, 1, SECOND);
    assert_true(collect(keys, 2) >= 1);
    expect_key(&keys[0], 2, 0.98, 0.03);
}

TEST_WITH(test_long_and_empty_keys_are_keys, set_up, NULL)
{
    unsigned char key[BATCH_HOT_KEY_SIZE + 10];
    memset(key, 'x', sizeof key);
    for (int i = 0; i < 10000; i++) {
        batch__hot_batch(&hot, key, sizeof key, 5, 1, 1);
        batch__hot_batch(&hot, NULL, 0, 6, 1, 1);
        batch__hot_batch(&hot, key, BATCH_HOT_KEY_SIZE, 5, 1, 1); /* another one */
    }
    batch_hot_key keys[4];
    assert_int_equal(collect(keys, 4), 3);
    bool found[3] = {false, false, false};
    for (size_t i = 0; i < 3; i++) {
        found[0] |= keys[i].key_size == 0;
        found[1] |= keys[i].key_size == BATCH_HOT_KEY_SIZE;
        found[2] |= keys[i].key_size == sizeof key;
        if (keys[i].key_size > 0)
            assert_memory_equal(keys[i].key, key, BATCH_HOT_KEY_SIZE);
    }
    assert_true(found[0] && found[1] && found[2]);
}

TEST(test_the_shares_of_several_shards_are_of_all_operations)
{
    static struct batch__hot two[2];
    for (int i = 0; i < 100000; i++) {
        batch__hot_batch(&two[0], "a", 1, 1, 1, 1);
        batch__hot_batch(&two[0], "a", 1, 1, 1, 1);
        batch__hot_batch(&two[1], "b", 1, 2, 1, 1);
    }
    const struct batch__hot *shards[] = {&two[0], &two[1]};
    batch_hot_key keys[3];
    assert_int_equal(batch__hot_collect(keys, 3, shards, 2), 2);
    assert_int_equal(keys[0].key[0], 'a');
    assert_true(keys[0].share > 0.6 && keys[0].share < 0.73);
    assert_int_equal(keys[1].key[0], 'b');
}

/* ---- Threads -------------------------------------------------------------------------------- */

/* Keys whose bytes are all the same: one that is torn has two. */
static void work(void *arg)
{
    unsigned char key[BATCH_HOT_KEY_SIZE];
    for (uint32_t i = 0; i < 300000; i++) {
        memset(key, (int)(i % 200), sizeof key);
        batch__hot_batch(&hot, key, sizeof key, i % 200, 40, 1);
    }
    batch__store_release((uint32_t *)arg, 1u);
}

TEST_WITH(test_a_key_is_never_torn, set_up, NULL)
{
    uint32_t xended = 0;
    struct batch__thread thread;
    assert_true(batch__thread_start(&thread, "worker", NULL, work, &xended));
    while (batch__load_acquire(&xended) == 0) {
        batch_hot_key keys[BATCH__HOT_KEYS];
        size_t size = collect(keys, BATCH__HOT_KEYS);
        for (size_t i = 0; i < size; i++) {
            for (size_t j = 1; j < BATCH_HOT_KEY_SIZE; j++)
                assert_int_equal(keys[i].key[j], keys[i].key[0]);
            assert_true(keys[i].share > 0 && keys[i].share <= 1);
        }
    }
    batch__thread_join(&thread);
}
