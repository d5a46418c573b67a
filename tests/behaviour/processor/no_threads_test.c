/* no_threads_test.c: the system refuses a thread, a lock or a condition, the first, the second, and
 * so on: start fails cleanly, with all undone. The library's calls go through the wrappers below
 * (the linker's --wrap). */
#include "harness.h"

#include <errno.h>

/* Calls until one fails; 0: none. The test's thread alone sets and reads it while no processor
 * runs; what the library's threads call meanwhile does not fail. */
static unsigned threads_until, conditions_until;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *arg);
int __real_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *arg);
int __wrap_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *arg)
{
    if (threads_until > 0 && --threads_until == 0)
        return EAGAIN;
    return __real_pthread_create(thread, attributes, body, arg);
}

int __wrap_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes)
{
    if (conditions_until > 0 && --conditions_until == 0)
        return EAGAIN;
    return __real_pthread_cond_init(condition, attributes);
}

enum { SESSIONS = 3, SHARDS = 2 };

static void check_refused_thread(uint32_t sessions, unsigned number)
{
    struct harness harness;
    harness_init(&harness, HARNESS_STORE);
    harness.options.sessions = sessions;
    harness.options.shards = SHARDS;
    batch_result error;
    threads_until = number;
    assert_int_equal(batch_processor_start(&harness.processor, &harness.options, &error),
                     BATCH_SYSTEM);
    assert_int_equal(threads_until, 0);
    assert_null(harness.processor);
    assert_int_equal(error.status, BATCH_SYSTEM);
    char expected[80];
    snprintf(expected, sizeof expected,
             "could not start a thread: %u sessions and %u shards need one each",
             (unsigned)sessions, (unsigned)SHARDS);
    assert_string_equal(error.message, expected);
    assert_int_equal(harness.sessions_opened, harness.sessions_closed);
    assert_int_equal(harness.memory.live, 0);
    harness_start(&harness); /* now it goes well */
    harness_add(&harness, "k", 1);
    harness_end(&harness);
}

TEST(refused_thread_fails_the_start_and_undoes_it)
{
    for (unsigned number = 1; number <= SESSIONS + SHARDS; number++)
        check_refused_thread(SESSIONS, number);
    for (unsigned number = 1; number <= SHARDS; number++)
        check_refused_thread(0, number);
}

TEST(refused_lock_fails_the_start_and_undoes_it)
{
    bool has_started = false;
    for (unsigned number = 1; !has_started; number++) {
        struct harness harness;
        harness_init(&harness, HARNESS_STORE);
        harness.options.shards = SHARDS;
        conditions_until = number;
        batch_result error;
        int status = batch_processor_start(&harness.processor, &harness.options, &error);
        has_started = status == BATCH_OK;
        if (has_started) {
            assert_true(conditions_until > 0);
            conditions_until = 0;
            assert_true(number > 3);
            harness_end(&harness);
            break;
        }
        assert_true(status == BATCH_NO_MEMORY || status == BATCH_SYSTEM);
        assert_int_equal(error.status, status);
        harness_destroy(&harness);
        assert_true(number < 100);
    }
}

HARNESS_TEST(blocking_run_that_cannot_make_its_lock_is_refused, HARNESS_STORE)
{
    struct job job;
    job_init(&job, harness, "k", 1);
    conditions_until = 1;
    int status = job_run(&job);
    assert_int_equal(conditions_until, 0);
    assert_true(status == BATCH_NO_MEMORY || status == BATCH_SYSTEM);
    assert_int_equal(job_run(&job), BATCH_OK);
}
