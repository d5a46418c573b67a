/* The memory store: the suite, and what only it has. */
#include "suite.h"
#include "test.h"

static void fixture_open(struct store_fixture *fixture)
{
    assert_int_equal(batch_memory_open(&fixture->store), BATCH_OK);
}

static void fixture_close(struct store_fixture *fixture)
{
    (void)fixture;
}

static bool fixture_read(struct store_fixture *fixture, const void *key, size_t key_size,
                         void *state, size_t state_size, size_t *ret_state_size,
                         uint64_t *ret_version)
{
    return batch_memory_read(fixture->store, key, key_size, state, state_size, ret_state_size,
                             ret_version);
}

static void fixture_write(struct store_fixture *fixture, const void *key, size_t key_size,
                          const void *state, size_t state_size)
{
    batch_memory_write(fixture->store, key, key_size, state, state_size);
}

static bool fixture_remove(struct store_fixture *fixture, const void *key, size_t key_size)
{
    return batch_memory_delete(fixture->store, key, key_size);
}

static void test_reading_gives_as_much_as_there_is_room_for(void **state)
{
    (void)state;
    batch_store *store = NULL;
    assert_int_equal(batch_memory_open(&store), BATCH_OK);
    assert_int_equal(batch_memory_write(store, "key", 3, "state", 5), BATCH_OK);
    char bytes[8] = "........";
    size_t size = 0;
    uint64_t version = 0;
    assert_true(batch_memory_read(store, "key", 3, bytes, 2, &size, &version));
    assert_memory_equal(bytes, "st......", 8);
    assert_int_equal(size, 5);
    assert_true(version != 0);
    assert_true(batch_memory_read(store, "key", 3, NULL, 0, NULL, NULL));
    size = 77;
    assert_false(batch_memory_read(store, "ke", 2, bytes, 8, &size, NULL));
    assert_int_equal(size, 77);
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

static void test_a_key_that_is_too_long_is_not_valid(void **state)
{
    (void)state;
    static const char key[BATCH_KEY_SIZE_MAX + 1];
    batch_store *store = NULL;
    assert_int_equal(batch_memory_open(&store), BATCH_OK);
    assert_int_equal(batch_memory_write(store, key, sizeof key, "", 0), BATCH_INVALID);
    assert_int_equal(batch_memory_write(store, key, sizeof key - 1, "", 0), BATCH_OK);
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

static void test_a_hundred_thousand_keys_are_found_and_deleted(void **state)
{
    (void)state;
    enum { KEYS = 100000 };
    batch_store *store = NULL;
    assert_int_equal(batch_memory_open(&store), BATCH_OK);
    char key[16];
    for (int i = 0; i < KEYS; i++) {
        size_t key_size = (size_t)sprintf(key, "key %d", i);
        assert_int_equal(batch_memory_write(store, key, key_size, &i, sizeof i), BATCH_OK);
    }
    for (int i = 0; i < KEYS; i++) {
        size_t key_size = (size_t)sprintf(key, "key %d", i);
        int found = -1;
        assert_true(batch_memory_read(store, key, key_size, &found, sizeof found, NULL, NULL));
        assert_int_equal(found, i);
        assert_true(batch_memory_delete(store, key, key_size));
        assert_false(batch_memory_delete(store, key, key_size));
    }
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

int main(void)
{
    struct store_fixture fixture = {
        .name = "memory",
        .sessions = 4,
        .open = fixture_open,
        .close = fixture_close,
        .read = fixture_read,
        .write = fixture_write,
        .remove = fixture_remove,
    };
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reading_gives_as_much_as_there_is_room_for),
        cmocka_unit_test(test_a_key_that_is_too_long_is_not_valid),
        cmocka_unit_test(test_a_hundred_thousand_keys_are_found_and_deleted),
    };
    int failed = store_suite_run(&fixture);
    return failed + cmocka_run_group_tests_name("memory store", tests, NULL, NULL);
}
