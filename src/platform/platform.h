/* platform.h: everything the library asks of the operating system: clock, threads, locks,
 * randomness.
 *
 * The only place with pthread and getrandom; all else is written against this header. Functions
 * that can fail return true on success. Everything here may be used from any thread.
 */
#ifndef BATCH_PLATFORM_H
#define BATCH_PLATFORM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Nanoseconds on the monotonic clock: exact (about 20 ns to read), and as of the last timer tick
 * of the kernel (about 3 ns to read, up to some milliseconds late, never early). */
uint64_t batch__clock_now_ns(void);
uint64_t batch__clock_coarse_ns(void);

/* Nanoseconds of the wall clock, since 1970. */
uint64_t batch__clock_unix_ns(void);

/* Fill `bytes` from the kernel's random source. False if it has none. */
bool batch__random(void *bytes, size_t size);

/* Memory as from malloc and free; what is large is put on huge pages where the system has them,
 * since random lookups in large tables spend most of their time on page translation. */
void *batch__memory_allocate(size_t size);
void batch__memory_release(void *memory);

/* Pages of zeroes, which cost time only where they are touched; all of them are given back by
 * unmap. NULL if there are none. */
void *batch__pages_map(size_t size);
void batch__pages_unmap(void *memory, size_t size);

/* A mutex and the condition that goes with it: what it guards is stated beside each. Waiting for
 * the condition is on the monotonic clock; UINT64_MAX waits for ever. It may wake without cause. */
struct batch__lock {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
};

bool batch__lock_init(struct batch__lock *lock);
void batch__lock_destroy(struct batch__lock *lock);
void batch__lock_take(struct batch__lock *lock);
void batch__lock_give(struct batch__lock *lock);
void batch__lock_wake_one(struct batch__lock *lock);
void batch__lock_wake_all(struct batch__lock *lock);
void batch__lock_wait(struct batch__lock *lock, uint64_t until_ns);

/* The same, as a cancellation point: if the thread is canceled, `undo(arg)` is called with the lock
 * held, and the lock is released. No other function here is a cancellation point. */
void batch__lock_wait_cancelable(struct batch__lock *lock, uint64_t until_ns,
                                 void (*undo)(void *arg), void *arg);

/* A file descriptor that is readable while it is set. `wait` returns when it is set, when the time
 * has come, and after a signal handler; UINT64_MAX waits for ever. */
struct batch__event {
    int fd;
};

bool batch__event_init(struct batch__event *event);
void batch__event_destroy(struct batch__event *event);
void batch__event_set(const struct batch__event *event);
uint64_t batch__event_clear(const struct batch__event *event); /* how often it had been set */
void batch__event_wait(const struct batch__event *event, uint64_t until_ns);

/* A file descriptor that is readable while `event` is set, or once a time has come; UINT64_MAX
 * never comes. */
struct batch__alarm {
    int fd;
    int timer_fd;
    struct batch__event event;
};

bool batch__alarm_init(struct batch__alarm *alarm);
void batch__alarm_destroy(struct batch__alarm *alarm);
void batch__alarm_at(const struct batch__alarm *alarm, uint64_t due_ns);

/* Around work that must not be left half done on a thread that is not ours: pthread_cancel takes
 * effect later. _disable returns what _restore needs. */
int batch__cancel_disable(void);
void batch__cancel_restore(int before);

/* A thread. All signals are blocked in it except those that report what the thread itself has done
 * (SIGSEGV and the like), so that crash handlers work. `name` has at most 15 bytes. It and the
 * struct stay where they are until the thread is joined. `owner` is what code on the thread itself
 * can ask for. */
struct batch__thread {
    pthread_t id;
    const char *name;
    const void *owner;
    void (*body)(void *arg);
    void *arg;
};

bool batch__thread_start(struct batch__thread *thread, const char *name, const void *owner,
                         void (*body)(void *arg), void *arg);
void batch__thread_join(struct batch__thread *thread);

/* Of the calling thread: is it `thread`; was it started here at all; its owner, or NULL. */
bool batch__thread_is_current(const struct batch__thread *thread);
bool batch__thread_is_ours(void);
const void *batch__thread_owner(void);

/* Who the calling thread is. For a while it may be another, which is not started: returns who it
 * was, to be that again. */
struct batch__role {
    const struct batch__thread *thread;
    const void *owner;
};
struct batch__role batch__thread_act_as(struct batch__role role);

/* An address that no other thread has, whatever its role. */
const void *batch__thread_self(void);

/* Let another thread run; and, in a loop that waits for another processor, spare it. */
void batch__thread_yield(void);
void batch__cpu_relax(void);

#endif
