/* One processor on a store: what is saved is what is loaded, whatever the key and the state. */
#include "driver.h"
#include "suite_parts.h"
#include "test.h"

/* ---- One processor -------------------------------------------------------------------------- */

static void test_a_new_key_is_zeroed_and_not_stored_until_it_changes(void **state)
{
    struct store_fixture *fixture = *state;
    batch_processor *processor = number_processor(fixture->store, 1);
    assert_int_equal(number_add(processor, "key", 3, 0), 0);
    assert_false(fixture->read(fixture, "key", 3, NULL, 0, NULL, NULL));
    assert_int_equal(number_add(processor, "key", 3, 5), 5);
    assert_int_equal(stored_number(fixture, "key"), 5);
    processor_end(processor);
}

static void test_what_is_saved_is_what_the_next_batch_loads(void **state)
{
    struct store_fixture *fixture = *state;
    for (uint32_t sessions = 0; sessions <= 2; sessions++) {
        batch_processor *processor = number_processor(fixture->store, sessions);
        int64_t base = 2 * (int64_t)sessions;
        assert_int_equal(number_add(processor, "key", 3, 1), base + 1);
        assert_int_equal(number_add(processor, "key", 3, 1), base + 2);
        assert_int_equal(number_add(processor, "key", 3, 0), base + 2);
        processor_end(processor);
        assert_int_equal(stored_number(fixture, "key"), base + 2);
    }
}

static void test_what_others_wrote_is_loaded(void **state)
{
    struct store_fixture *fixture = *state;
    batch_processor *processor = number_processor(fixture->store, 1);
    int64_t number = 41;
    fixture->write(fixture, "key", 3, &number, sizeof number);
    assert_int_equal(number_add(processor, "key", 3, 1), 42);
    number = 100;
    fixture->write(fixture, "key", 3, &number, sizeof number);
    assert_int_equal(number_add(processor, "key", 3, 1), 101);
    assert_true(fixture->remove(fixture, "key", 3));
    assert_int_equal(number_add(processor, "key", 3, 1), 1);
    processor_end(processor);
}

static void test_every_save_gives_a_new_version_and_nothing_else_does(void **state)
{
    struct store_fixture *fixture = *state;
    batch_processor *processor = number_processor(fixture->store, 1);
    number_add(processor, "key", 3, 1);
    uint64_t first = stored_version(fixture, "key");
    assert_true(first != 0);
    number_add(processor, "key", 3, 0);
    assert_true(stored_version(fixture, "key") == first);
    number_add(processor, "key", 3, 1);
    uint64_t second = stored_version(fixture, "key");
    assert_true(second != 0);
    assert_true(second != first);
    processor_end(processor);
}

static void test_versions_are_not_used_again_after_deleting(void **state)
{
    enum { TIMES = 100 };
    struct store_fixture *fixture = *state;
    batch_processor *processor = number_processor(fixture->store, 1);
    uint64_t versions[2 * TIMES];
    for (size_t i = 0; i < 2 * TIMES; i += 2) {
        number_add(processor, "key", 3, 1);
        versions[i] = stored_version(fixture, "key");
        number_add(processor, "key", 3, 1);
        versions[i + 1] = stored_version(fixture, "key");
        assert_true(fixture->remove(fixture, "key", 3));
    }
    for (size_t i = 0; i < 2 * TIMES; i++) {
        for (size_t j = 0; j < i; j++)
            assert_true(versions[i] != versions[j]);
    }
    processor_end(processor);
}

/* ---- Keys and states ------------------------------------------------------------------------ */

static void test_keys_are_any_bytes(void **state)
{
    struct store_fixture *fixture = *state;
    static char long_keys[2][BATCH_KEY_SIZE_MAX];
    memset(long_keys, 'k', sizeof long_keys);
    long_keys[1][BATCH_KEY_SIZE_MAX - 1] = 'l';
    const struct {
        const void *bytes;
        size_t size;
    } keys[] = {
        {NULL, 0},
        {"\0", 1},
        {"\0\0", 2},
        {"a", 1},
        {"A", 1},
        {"a\0", 2},
        {"a\0b", 3},
        {"a\0c", 3},
        {"\xff\xfe\x80", 3},
        {"it's \"quoted\" %s ?1 ; --", 24},
        {"1", 1},
        {"1.0", 3},
        {long_keys[0], BATCH_KEY_SIZE_MAX},
        {long_keys[1], BATCH_KEY_SIZE_MAX},
        {long_keys[0], BATCH_KEY_SIZE_MAX - 1},
    };
    enum { KEYS = sizeof keys / sizeof keys[0] };
    batch_processor *processor = number_processor(fixture->store, 1);
    struct request requests[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        request_init(&requests[i], keys[i].bytes, keys[i].size, 1000 + (int64_t)i);
    requests_run(processor, requests, KEYS);
    for (size_t i = 0; i < KEYS; i++) {
        assert_int_equal(requests[i].result.status, BATCH_OK);
        int64_t number = 0;
        assert_true(fixture->read(fixture, keys[i].bytes, keys[i].size, &number, sizeof number,
                                  NULL, NULL));
        assert_int_equal(number, 1000 + i);
        assert_int_equal(number_add(processor, keys[i].bytes, keys[i].size, 1), 1001 + i);
    }
    processor_end(processor);
}

static void test_states_are_any_bytes_of_any_length(void **state)
{
    struct store_fixture *fixture = *state;
    batch_processor *processor = text_processor(fixture->store, 1);
    const size_t sizes[] = {1, 3, 0, 4096, 1048576, 2, 100000, 0, 5000000, 17};
    char *bytes = malloc(5000000);
    assert_non_null(bytes);
    for (size_t i = 0; i < 5000000; i++)
        bytes[i] = (char)(i * 31 % 251);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        text_set(processor, "key", 3, bytes + i, sizes[i] - (sizes[i] > i ? i : 0));
        size_t size = SIZE_MAX;
        char *text = text_get(processor, "key", 3, &size);
        assert_non_null(text); /* an empty state is not the same as none */
        assert_int_equal(size, sizes[i] - (sizes[i] > i ? i : 0));
        assert_memory_equal(text, bytes + i, size);
        free(text);
    }
    free(bytes);
    processor_end(processor);
}

static batch_verdict touch(void *resource, void *arg)
{
    *(void **)arg = resource;
    return BATCH_CHANGED;
}

static void test_a_state_of_no_bytes_needs_no_resource(void **state)
{
    struct store_fixture *fixture = *state;
    batch_options options = number_options(fixture->store, 1);
    options.resource_size = 0;
    batch_processor *processor = processor_start(&options);
    for (int i = 0; i < 2; i++) {
        void *resource = &options;
        batch_op op = BATCH_OP_INIT;
        op.key = "key";
        op.key_size = 3;
        op.run = touch;
        op.arg = &resource;
        assert_int_equal(batch_run(processor, &op, NULL), BATCH_OK);
        assert_null(resource);
        size_t size = 77;
        assert_true(fixture->read(fixture, "key", 3, NULL, 0, &size, NULL));
        assert_int_equal(size, 0);
    }
    processor_end(processor);
}

/* ---- Errors of one key ---------------------------------------------------------------------- */

static void test_plain_bytes_of_another_size_are_not_loaded(void **state)
{
    struct store_fixture *fixture = *state;
    fixture->write(fixture, "short", 5, "123", 3);
    fixture->write(fixture, "empty", 5, "", 0);
    batch_processor *processor = number_processor(fixture->store, 0);
    struct request requests[3];
    request_init(&requests[0], "short", 5, 1);
    request_init(&requests[1], "fine", 4, 1);
    request_init(&requests[2], "empty", 5, 1);
    requests_run(processor, requests, 3);
    assert_int_equal(requests[0].result.status, BATCH_LOAD_FAILED);
    assert_non_null(strstr(requests[0].result.message, "short"));
    assert_non_null(strstr(requests[0].result.message, "3 bytes"));
    assert_int_equal(requests[1].result.status, BATCH_OK);
    assert_int_equal(requests[2].result.status, BATCH_LOAD_FAILED);
    assert_non_null(strstr(requests[2].result.message, "0 bytes"));
    processor_end(processor);
}

static void test_a_codec_that_cannot_decode_fails_the_load(void **state)
{
    struct store_fixture *fixture = *state;
    fixture->write(fixture, "key", 3, TEXT_SPOILT " secret", strlen(TEXT_SPOILT " secret"));
    batch_processor *processor = text_processor(fixture->store, 1);
    struct text_request request;
    text_request_init(&request, "key", 3, "new", 3);
    assert_int_equal(request_run(processor, &request.request), BATCH_LOAD_FAILED);
    assert_int_equal(request.request.result.store_code, TEXT_DECODE_CODE);
    assert_null(strstr(request.request.result.message, "secret"));
    processor_end(processor);
}

static void test_a_codec_that_cannot_encode_fails_the_save(void **state)
{
    struct store_fixture *fixture = *state;
    batch_processor *processor = text_processor(fixture->store, 1);
    text_set(processor, "key", 3, "old", 3);
    struct text_request request;
    text_request_init(&request, "key", 3, "new secret", 10);
    request.must_not_encode = true;
    assert_int_equal(request_run(processor, &request.request), BATCH_SAVE_FAILED);
    assert_int_equal(request.request.result.store_code, TEXT_ENCODE_CODE);
    assert_null(strstr(request.request.result.message, "secret"));
    free(request.seen);
    size_t size = 0;
    char *text = text_get(processor, "key", 3, &size);
    assert_string_equal(text, "old");
    free(text);
    processor_end(processor);
}

int store_suite_states(struct store_fixture *fixture)
{
    const struct CMUnitTest tests[] = {
        SUITE_TEST(fixture, test_a_new_key_is_zeroed_and_not_stored_until_it_changes),
        SUITE_TEST(fixture, test_what_is_saved_is_what_the_next_batch_loads),
        SUITE_TEST(fixture, test_what_others_wrote_is_loaded),
        SUITE_TEST(fixture, test_every_save_gives_a_new_version_and_nothing_else_does),
        SUITE_TEST(fixture, test_versions_are_not_used_again_after_deleting),
        SUITE_TEST(fixture, test_keys_are_any_bytes),
        SUITE_TEST(fixture, test_states_are_any_bytes_of_any_length),
        SUITE_TEST(fixture, test_a_state_of_no_bytes_needs_no_resource),
        SUITE_TEST(fixture, test_plain_bytes_of_another_size_are_not_loaded),
        SUITE_TEST(fixture, test_a_codec_that_cannot_decode_fails_the_load),
        SUITE_TEST(fixture, test_a_codec_that_cannot_encode_fails_the_save),
    };
    return cmocka_run_group_tests_name("states", tests, NULL, NULL);
}
