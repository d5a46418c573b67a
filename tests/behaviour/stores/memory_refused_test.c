/* The memory store while there is no memory: it says so, and what is stored stays. The linker puts
 * functions of this file and of refused.c between the store and the system; the processor has
 * memory of its own. */
#include "driver.h"
#include "refused.h"
#include "test.h"

#include <sys/random.h>

int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
ssize_t __real_getrandom(void *bytes, size_t size, unsigned flags);
ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags);

static bool is_mutex_refused;

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    return is_mutex_refused ? 11 : __real_pthread_mutex_init(mutex, attributes);
}

/* Early at boot there is none for those who do not wait. */
ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags)
{
    return (flags & GRND_NONBLOCK) != 0 ? -1 : __real_getrandom(bytes, size, flags);
}

TEST(test_a_store_without_memory_is_not_opened)
{
    batch_store *store = NULL;
    for (int i = 1; i <= 2; i++) {
        refuse(i);
        assert_int_equal(batch_memory_open(&store), BATCH_NO_MEMORY);
    }
    is_mutex_refused = true;
    assert_int_equal(batch_memory_open(&store), BATCH_NO_MEMORY);
    is_mutex_refused = false;
    assert_null(store);
}

TEST(test_a_session_without_memory_is_not_opened)
{
    batch_store *store = NULL;
    batch_result error = {0};
    void *session = NULL;
    assert_int_equal(batch_memory_open(&store), BATCH_OK);
    refuse(1);
    assert_int_equal(store->session_open(store, &session, &error), BATCH_NO_MEMORY);
    assert_string_equal(error.message, "no memory for a session");
    assert_int_equal(batch_store_close(store), BATCH_OK);
}

/* Without randomness too: keys are found all the same. */
TEST(test_what_is_stored_stays_while_there_is_no_memory)
{
    batch_store *store = NULL;
    assert_int_equal(batch_memory_open(&store), BATCH_OK);
    int64_t seven = 7;
    assert_int_equal(batch_memory_write(store, "old", 3, &seven, sizeof seven), BATCH_OK);
    batch_options options = number_options(store, 1);
    options.allocator = refused_nothing();
    batch_processor *processor = processor_start(&options);
    struct request request;

    refuse_all(true);
    request_init(&request, "old", 3, 1);
    assert_int_equal(request_run(processor, &request), BATCH_LOAD_FAILED);
    assert_non_null(strstr(request.result.message, "no memory to copy the state"));
    request_init(&request, "new", 3, 1);
    assert_int_equal(request_run(processor, &request), BATCH_SAVE_FAILED);
    assert_non_null(strstr(request.result.message, "no memory to store the state"));
    assert_int_equal(batch_memory_write(store, "other", 5, &seven, sizeof seven), BATCH_NO_MEMORY);
    assert_int_equal(batch_memory_write(store, "old", 3, &seven, SIZE_MAX), BATCH_NO_MEMORY);
    refuse_all(false);

    assert_int_equal(number_add(processor, "new", 3, 0), 0);
    assert_int_equal(number_add(processor, "old", 3, 1), 8);
    processor_end_with_store(processor, store);
}

/* Chains that could not be made shorter are only slower. */
TEST(test_a_table_that_cannot_grow_still_finds_everything)
{
    enum { COUNT = 5000 };
    batch_store *store = NULL;
    assert_int_equal(batch_memory_open(&store), BATCH_OK);
    for (int i = 0; i < COUNT; i++) {
        refuse(i % 2 == 0 ? 2 : 0); /* the entry is the first */
        assert_int_equal(batch_memory_write(store, &i, sizeof i, &i, sizeof i), BATCH_OK);
    }
    refuse(0);
    for (int i = 0; i < COUNT; i++) {
        int found = -1;
        assert_true(batch_memory_read(store, &i, sizeof i, &found, sizeof found, NULL, NULL));
        assert_int_equal(found, i);
    }
    assert_int_equal(batch_store_close(store), BATCH_OK);
}
