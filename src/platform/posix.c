/* posix.c: platform.h on POSIX threads and clocks, with what Linux adds. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* CLOCK_MONOTONIC_COARSE, pthread_setname_np */
#endif
#include "platform.h"

#include "../base/align.h"
#include "../base/check.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

static uint64_t clock_read_ns(clockid_t clock)
{
    struct timespec time;
    int failed = clock_gettime(clock, &time);
    batch__check(failed == 0); /* the clock exists */
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static struct timespec time_of(uint64_t ns)
{
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
}

uint64_t batch__clock_now_ns(void)
{
    return clock_read_ns(CLOCK_MONOTONIC);
}

uint64_t batch__clock_coarse_ns(void)
{
#ifdef CLOCK_MONOTONIC_COARSE
    return clock_read_ns(CLOCK_MONOTONIC_COARSE);
#else
    return clock_read_ns(CLOCK_MONOTONIC);
#endif
}

uint64_t batch__clock_unix_ns(void)
{
    return clock_read_ns(CLOCK_REALTIME);
}

bool batch__random(void *bytes, size_t size)
{
    unsigned char *at = bytes;
    while (size > 0) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        at += got;
        size -= (size_t)got;
    }
    return true;
}

enum { HUGE_PAGE_BYTES = 2 * 1024 * 1024 };

void *batch__memory_allocate(size_t size)
{
#ifdef MADV_HUGEPAGE
    if (size > HUGE_PAGE_BYTES / 2 && size <= SIZE_MAX - HUGE_PAGE_BYTES) {
        size_t pages_size = batch__round_up(size, HUGE_PAGE_BYTES);
        void *memory = aligned_alloc(HUGE_PAGE_BYTES, pages_size);
        if (memory != NULL)
            madvise(memory, pages_size, MADV_HUGEPAGE); /* a wish */
        return memory;
    }
#endif
    return malloc(size);
}

void batch__memory_release(void *memory)
{
    free(memory);
}

void *batch__pages_map(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        return NULL;
#ifdef MADV_HUGEPAGE
    if (size >= 2 * HUGE_PAGE_BYTES)
        madvise(memory, size, MADV_HUGEPAGE); /* a wish */
#endif
    return memory;
}

void batch__pages_unmap(void *memory, size_t size)
{
    int error = munmap(memory, size);
    batch__check(error == 0); /* it was mapped, as a whole */
}

bool batch__lock_init(struct batch__lock *lock)
{
    pthread_condattr_t attributes;
    if (pthread_condattr_init(&attributes) != 0)
        return false;
    bool made = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0 &&
                pthread_cond_init(&lock->changed, &attributes) == 0;
    pthread_condattr_destroy(&attributes);
    if (!made)
        return false;
    if (pthread_mutex_init(&lock->mutex, NULL) != 0) {
        pthread_cond_destroy(&lock->changed);
        return false;
    }
    return true;
}

void batch__lock_destroy(struct batch__lock *lock)
{
    pthread_cond_destroy(&lock->changed);
    int error = pthread_mutex_destroy(&lock->mutex);
    batch__check(error == 0); /* nobody holds it */
}

void batch__lock_take(struct batch__lock *lock)
{
    int error = pthread_mutex_lock(&lock->mutex);
    batch__check(error == 0); /* else it was never made, or is destroyed */
}

void batch__lock_give(struct batch__lock *lock)
{
    int error = pthread_mutex_unlock(&lock->mutex);
    batch__check(error == 0);
}

void batch__lock_wake_one(struct batch__lock *lock)
{
    pthread_cond_signal(&lock->changed);
}

void batch__lock_wake_all(struct batch__lock *lock)
{
    pthread_cond_broadcast(&lock->changed);
}

static void wait_until(struct batch__lock *lock, uint64_t until_ns)
{
    if (until_ns == UINT64_MAX) {
        pthread_cond_wait(&lock->changed, &lock->mutex);
        return;
    }
    struct timespec until = time_of(until_ns);
    pthread_cond_timedwait(&lock->changed, &lock->mutex, &until);
}

void batch__lock_wait(struct batch__lock *lock, uint64_t until_ns)
{
    int before = batch__cancel_disable();
    wait_until(lock, until_ns);
    batch__cancel_restore(before);
}

struct cleanup {
    struct batch__lock *lock;
    void (*undo)(void *arg);
    void *arg;
};

static void clean_up(void *arg)
{
    const struct cleanup *cleanup = arg;
    cleanup->undo(cleanup->arg);
    batch__lock_give(cleanup->lock);
}

void batch__lock_wait_cancelable(struct batch__lock *lock, uint64_t until_ns,
                                 void (*undo)(void *arg), void *arg)
{
    struct cleanup cleanup = {lock, undo, arg};
    pthread_cleanup_push(clean_up, &cleanup);
    wait_until(lock, until_ns);
    pthread_cleanup_pop(0);
}

static void close_fd(int fd)
{
    int error = fd >= 0 ? close(fd) : 0;
    batch__check(error == 0 || errno == EINTR); /* it is closed in either case */
}

bool batch__event_init(struct batch__event *event)
{
    event->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return event->fd >= 0;
}

void batch__event_destroy(struct batch__event *event)
{
    close_fd(event->fd);
    event->fd = -1;
}

/* EAGAIN: it is set already, as often as can be counted. A write is a point of cancellation, and
 * nobody else sets the event. */
void batch__event_set(const struct batch__event *event)
{
    const uint64_t one = 1;
    ssize_t written;
    int before = batch__cancel_disable();
    do
        written = write(event->fd, &one, sizeof one);
    while (written < 0 && errno == EINTR);
    batch__check(written == (ssize_t)sizeof one || errno == EAGAIN);
    batch__cancel_restore(before);
}

/* EAGAIN: it is not set. */
uint64_t batch__event_clear(const struct batch__event *event)
{
    uint64_t times = 0;
    ssize_t got;
    do
        got = read(event->fd, &times, sizeof times);
    while (got < 0 && errno == EINTR);
    batch__check(got == (ssize_t)sizeof times || errno == EAGAIN);
    return times;
}

void batch__event_wait(const struct batch__event *event, uint64_t until_ns)
{
    struct pollfd waiting = {event->fd, POLLIN, 0};
    struct timespec left = {0, 0};
    uint64_t now_ns = until_ns != UINT64_MAX ? batch__clock_now_ns() : 0;
    if (until_ns > now_ns)
        left = time_of(until_ns - now_ns);
    int before = batch__cancel_disable();
    ppoll(&waiting, 1, until_ns != UINT64_MAX ? &left : NULL, NULL);
    batch__cancel_restore(before);
}

static bool watch(int fd, int watched)
{
    struct epoll_event event = {.events = EPOLLIN};
    return epoll_ctl(fd, EPOLL_CTL_ADD, watched, &event) == 0;
}

bool batch__alarm_init(struct batch__alarm *alarm)
{
    alarm->fd = epoll_create1(EPOLL_CLOEXEC);
    alarm->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    bool has_event = batch__event_init(&alarm->event);
    if (has_event && alarm->fd >= 0 && alarm->timer_fd >= 0 && watch(alarm->fd, alarm->event.fd) &&
        watch(alarm->fd, alarm->timer_fd))
        return true;
    batch__alarm_destroy(alarm);
    return false;
}

void batch__alarm_destroy(struct batch__alarm *alarm)
{
    close_fd(alarm->fd);
    close_fd(alarm->timer_fd);
    close_fd(alarm->event.fd);
    alarm->fd = alarm->timer_fd = alarm->event.fd = -1;
}

/* All zero is never, and so would 0 ns be. What is far off comes too early: in some 68 years. */
void batch__alarm_at(const struct batch__alarm *alarm, uint64_t due_ns)
{
    const uint64_t far_ns = (uint64_t)INT32_MAX * 1000000000u; /* where time_t has 32 bits */
    struct itimerspec at = {{0, 0}, {0, 0}};
    if (due_ns != UINT64_MAX)
        at.it_value = time_of(due_ns > far_ns ? far_ns : due_ns + (due_ns == 0));
    int error = timerfd_settime(alarm->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
    batch__check(error == 0);
}

int batch__cancel_disable(void)
{
    int before;
    int error = pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    batch__check(error == 0);
    return before;
}

void batch__cancel_restore(int before)
{
    int disabled;
    int error = pthread_setcancelstate(before, &disabled);
    batch__check(error == 0);
    batch__check(disabled == PTHREAD_CANCEL_DISABLE);
}

/* The calling thread, if it was started here; and who it works for. */
static _Thread_local const struct batch__thread *current;
static _Thread_local const void *current_owner;

static void *thread_main(void *arg)
{
    const struct batch__thread *thread = arg;
    current = thread;
    current_owner = thread->owner;
#ifdef __linux__
    pthread_setname_np(pthread_self(), thread->name); /* others would have to go through /proc */
#endif
    thread->body(thread->arg);
    return NULL;
}

bool batch__thread_start(struct batch__thread *thread, const char *name, const void *owner,
                         void (*body)(void *arg), void *arg)
{
    batch__check(strlen(name) <= 15);
    thread->name = name;
    thread->owner = owner;
    thread->body = body;
    thread->arg = arg;

    /* A thread inherits the mask of the one that starts it. What it does itself comes as a signal
     * to it alone: if that is blocked, the process ends without its handler being called. */
    static const int own[] = {SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
    sigset_t blocked, before;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        sigdelset(&blocked, own[i]);
    pthread_sigmask(SIG_BLOCK, &blocked, &before);
    int error = pthread_create(&thread->id, NULL, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}

void batch__thread_join(struct batch__thread *thread)
{
    int error = pthread_join(thread->id, NULL);
    batch__check(error == 0);
}

bool batch__thread_is_current(const struct batch__thread *thread)
{
    return current == thread;
}

const void *batch__thread_owner(void)
{
    return current_owner;
}

struct batch__role batch__thread_act_as(struct batch__role role)
{
    struct batch__role before = {current, current_owner};
    current = role.thread;
    current_owner = role.owner;
    return before;
}

const void *batch__thread_self(void)
{
    return &current;
}

bool batch__thread_is_ours(void)
{
    return current != NULL;
}

void batch__thread_yield(void)
{
    sched_yield();
}

void batch__cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
