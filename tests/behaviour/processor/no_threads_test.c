/* no_threads_test.c: the system refuses a thread, a lock, a condition or a descriptor, the first,
 * the second, and so on: start fails cleanly, with all undone. The library's calls go through the
 * wrappers below (the linker's --wrap). */
#include "harness.h"

#include <batch/driven.h>

#include <errno.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Calls until one fails; 0: none. The test's thread alone sets and reads it while no processor
 * runs; what the library's threads call meanwhile does not fail. */
static unsigned threads_until, conditions_until, descriptors_until;

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

int __real_epoll_create1(int flags);
int __real_timerfd_create(int clock, int flags);
int __real_eventfd(unsigned count, int flags);
int __real_epoll_ctl(int fd, int operation, int watched, struct epoll_event *event);
int __wrap_epoll_create1(int flags);
int __wrap_timerfd_create(int clock, int flags);
int __wrap_eventfd(unsigned count, int flags);
int __wrap_epoll_ctl(int fd, int operation, int watched, struct epoll_event *event);

static bool is_descriptor_refused(void)
{
    errno = EMFILE;
    return descriptors_until > 0 && --descriptors_until == 0;
}

int __wrap_epoll_create1(int flags)
{
    return is_descriptor_refused() ? -1 : __real_epoll_create1(flags);
}

int __wrap_timerfd_create(int clock, int flags)
{
    return is_descriptor_refused() ? -1 : __real_timerfd_create(clock, flags);
}

int __wrap_eventfd(unsigned count, int flags)
{
    return is_descriptor_refused() ? -1 : __real_eventfd(count, flags);
}

int __wrap_epoll_ctl(int fd, int operation, int watched, struct epoll_event *event)
{
    return is_descriptor_refused() ? -1 : __real_epoll_ctl(fd, operation, watched, event);
}

enum { DESCRIPTOR_CALLS = 5 };

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

/* Which one is free next shows whether any was left open. */
static int free_descriptor(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

TEST(refused_descriptor_fails_the_start_of_a_driven_processor)
{
    int first = free_descriptor();
    for (unsigned number = 1; number <= DESCRIPTOR_CALLS; number++) {
        struct harness harness;
        batch_result error;
        harness_init_with(&harness, HARNESS_STORE, .driven = true);
        descriptors_until = number;
        assert_int_equal(batch_processor_start(&harness.processor, &harness.options, &error),
                         BATCH_SYSTEM);
        assert_int_equal(descriptors_until, 0);
        assert_int_equal(error.status, BATCH_SYSTEM);
        assert_int_equal(harness.memory.live, 0);
        assert_int_equal(free_descriptor(), first);
        harness_start(&harness); /* now it goes well */
        assert_true(batch_processor_fd(harness.processor) >= 0);
        harness_end(&harness);
        assert_int_equal(free_descriptor(), first);
    }
}

TEST(refused_thread_fails_the_start_of_a_driven_processor)
{
    for (unsigned number = 1; number <= SESSIONS; number++) {
        struct harness harness;
        batch_result error;
        harness_init_with(&harness, HARNESS_STORE, .driven = true, .sessions = SESSIONS);
        threads_until = number;
        assert_int_equal(batch_processor_start(&harness.processor, &harness.options, &error),
                         BATCH_SYSTEM);
        assert_int_equal(threads_until, 0);
        assert_string_equal(error.message,
                            "could not start a thread: 3 sessions and 0 shards need one each");
        harness_destroy(&harness);
    }
}
