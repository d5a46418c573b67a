/* What the platform says when the system says no, and what it does with large memory. The linker
 * puts the functions of this file between libbatch and the system. */
#include "platform/platform.h"
#include "test.h"

#include <errno.h>
#include <poll.h>
#include <sys/types.h>

static int interruptions, random_bytes_max, is_random_refused;
static int is_attribute_refused, is_condition_refused, is_mutex_refused, conditions;

ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags);
int __real_pthread_condattr_init(pthread_condattr_t *attributes);
int __wrap_pthread_condattr_init(pthread_condattr_t *attributes);
int __real_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes);
int __wrap_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes);
int __real_pthread_cond_destroy(pthread_cond_t *condition);
int __wrap_pthread_cond_destroy(pthread_cond_t *condition);
int __real_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);
int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes);

ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags)
{
    (void)flags;
    if (interruptions > 0) {
        interruptions--;
        errno = EINTR;
        return -1;
    }
    if (is_random_refused) {
        errno = ENOSYS;
        return -1;
    }
    if (size > (size_t)random_bytes_max)
        size = (size_t)random_bytes_max;
    memset(bytes, 7, size);
    return (ssize_t)size;
}

int __wrap_pthread_condattr_init(pthread_condattr_t *attributes)
{
    return is_attribute_refused ? ENOMEM : __real_pthread_condattr_init(attributes);
}

int __wrap_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes)
{
    if (is_condition_refused)
        return EAGAIN;
    conditions++;
    return __real_pthread_cond_init(condition, attributes);
}

int __wrap_pthread_cond_destroy(pthread_cond_t *condition)
{
    conditions--;
    return __real_pthread_cond_destroy(condition);
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    return is_mutex_refused ? EAGAIN : __real_pthread_mutex_init(mutex, attributes);
}

TEST(randomness_comes_whole_though_in_pieces_and_interrupted)
{
    unsigned char bytes[10] = {0};
    random_bytes_max = 3;
    interruptions = 2;
    assert_true(batch__random(bytes, 9));
    for (size_t i = 0; i < 9; i++)
        assert_int_equal(bytes[i], 7);
    assert_int_equal(bytes[9], 0);
    assert_int_equal(interruptions, 0);
}

TEST(without_randomness_it_says_so)
{
    unsigned char bytes[8];
    is_random_refused = 1;
    assert_false(batch__random(bytes, sizeof bytes));
    is_random_refused = 0;
}

TEST(a_lock_that_cannot_be_made_leaves_nothing_behind)
{
    int *const refusals[] = {&is_attribute_refused, &is_condition_refused, &is_mutex_refused};
    struct batch__lock lock;
    for (size_t i = 0; i < 3; i++) {
        *refusals[i] = 1;
        assert_false(batch__lock_init(&lock));
        assert_int_equal(conditions, 0);
        *refusals[i] = 0;
    }
    assert_true(batch__lock_init(&lock));
    batch__lock_destroy(&lock);
    assert_int_equal(conditions, 0);
}

/* A system may not have huge pages; the memory is there all the same, every byte of it. */
TEST(large_memory_is_aligned_for_huge_pages)
{
    enum { HUGE = 2 * 1024 * 1024 };
    static const size_t sizes[] = {HUGE / 2 + 1, HUGE, HUGE + 1, 3 * HUGE - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *memory = batch__memory_allocate(sizes[i]);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % HUGE, 0);
        memset(memory, 1, sizes[i]);
        batch__memory_release(memory);
    }
    assert_null(batch__memory_allocate(SIZE_MAX / 2));
    void *volatile small = batch__memory_allocate(100);
    assert_non_null(small);
    batch__memory_release(small);
}

TEST(pages_are_zero_and_of_any_size)
{
    static const size_t sizes[] = {1, 4096, 131073, 16777216 + 320};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *memory = batch__pages_map(sizes[i]);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 4096, 0);
        assert_int_equal(memory[0] + memory[sizes[i] - 1], 0);
        memset(memory, 1, sizes[i]);
        batch__pages_unmap(memory, sizes[i]);
    }
    assert_null(batch__pages_map(SIZE_MAX - SIZE_MAX / 16)); /* with 32 bits, half may be had */
}

/* What a thread sees of itself, written by it and read after the join. */
struct self {
    struct batch__thread thread;
    const struct batch__thread *other;
    const void *owner;
    bool is_current, is_other;
};

static void look_at_self(void *arg)
{
    struct self *self = arg;
    self->owner = batch__thread_owner();
    self->is_current = batch__thread_is_current(&self->thread);
    self->is_other = batch__thread_is_current(self->other);
}

TEST(a_thread_knows_itself_and_its_owner)
{
    static const char owners[2];
    struct self selves[2];
    memset(selves, 0, sizeof selves);
    for (size_t i = 0; i < 2; i++) {
        selves[i].other = &selves[1 - i].thread;
        assert_true(
            batch__thread_start(&selves[i].thread, "self", &owners[i], look_at_self, &selves[i]));
    }
    for (size_t i = 0; i < 2; i++) {
        batch__thread_join(&selves[i].thread);
        assert_ptr_equal(selves[i].owner, &owners[i]);
        assert_true(selves[i].is_current);
        assert_false(selves[i].is_other);
        assert_false(batch__thread_is_current(&selves[i].thread));
    }
    assert_null(batch__thread_owner());
}

TEST(a_thread_may_be_another_for_a_while)
{
    struct batch__thread thread;
    const char owner = 'o';
    const void *self = batch__thread_self();
    struct batch__role before = batch__thread_act_as((struct batch__role){&thread, &owner});
    assert_true(batch__thread_is_current(&thread));
    assert_true(batch__thread_is_ours());
    assert_ptr_equal(batch__thread_owner(), &owner);
    assert_ptr_equal(batch__thread_self(), self);
    struct batch__role acted = batch__thread_act_as(before);
    assert_ptr_equal(acted.thread, &thread);
    assert_ptr_equal(acted.owner, &owner);
    assert_false(batch__thread_is_ours());
    assert_null(batch__thread_owner());
}

static bool is_readable(int fd)
{
    struct pollfd polled = {fd, POLLIN, 0};
    return poll(&polled, 1, 0) == 1;
}

TEST(an_event_says_how_often_it_was_set)
{
    struct batch__event event;
    assert_true(batch__event_init(&event));
    assert_int_equal(batch__event_clear(&event), 0);
    batch__event_set(&event);
    batch__event_set(&event);
    assert_true(is_readable(event.fd));
    assert_int_equal(batch__event_clear(&event), 2);
    assert_false(is_readable(event.fd));
    batch__event_destroy(&event);
}

TEST(an_alarm_is_an_event_and_a_time)
{
    struct batch__alarm alarm;
    struct pollfd polled = {.events = POLLIN};
    assert_true(batch__alarm_init(&alarm));
    polled.fd = alarm.fd;
    assert_false(is_readable(alarm.fd));
    batch__event_set(&alarm.event);
    assert_true(is_readable(alarm.fd));
    batch__event_clear(&alarm.event);
    assert_false(is_readable(alarm.fd));
    uint64_t due_ns = batch__clock_now_ns() + 1000000;
    batch__alarm_at(&alarm, due_ns);
    assert_int_equal(poll(&polled, 1, -1), 1);
    assert_true(batch__clock_now_ns() >= due_ns);
    batch__alarm_at(&alarm, UINT64_MAX); /* takes it back */
    assert_false(is_readable(alarm.fd));
    batch__alarm_at(&alarm, UINT64_MAX - 1); /* is long after all times of the clock */
    assert_false(is_readable(alarm.fd));
    batch__alarm_at(&alarm, 0); /* has passed */
    assert_int_equal(poll(&polled, 1, -1), 1);
    batch__alarm_destroy(&alarm);
}
