/* wrappers.c: what stands in the place of the system's functions, and fails as they do.
 *
 * The linker's --wrap sends the calls of this program to __wrap_…, and faults_hook() those of a
 * client library to the same functions, or to others that only it calls. A connection that fails
 * once has failed for good: its socket is shut down.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "faults.h"

#include "wrappers.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CALLER __builtin_return_address(0)

/* True if the call is to fail; errno says how. */
static bool fails(enum faults_kind kind, int error, bool can_interrupt, const void *caller)
{
    int said = faults_error(kind, error, can_interrupt, caller);
    if (said != 0)
        errno = said;
    return said != 0;
}

/* ---- Memory --------------------------------------------------------------------------------- */

WRAPPED(void *, malloc, (size_t size))
WRAPPED(void *, calloc, (size_t count, size_t size))
WRAPPED(void *, realloc, (void *memory, size_t size))
WRAPPED(void *, aligned_alloc, (size_t alignment, size_t size))
WRAPPED(char *, strdup, (const char *text))
WRAPPED(char *, strndup, (const char *text, size_t size))
WRAPPED(void, free, (void *memory))

static void *counted(void *memory)
{
    if (memory != NULL)
        faults_count_live(1);
    return memory;
}

void *__wrap_malloc(size_t size)
{
    return fails(FAULTS_MEMORY, ENOMEM, false, CALLER) ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails(FAULTS_MEMORY, ENOMEM, false, CALLER) ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *memory, size_t size)
{
    if (fails(FAULTS_MEMORY, ENOMEM, false, CALLER))
        return NULL;
    bool is_new = memory == NULL;
    void *moved = __real_realloc(memory, size);
    return is_new ? counted(moved) : moved;
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    if (fails(FAULTS_MEMORY, ENOMEM, false, CALLER))
        return NULL;
    return counted(__real_aligned_alloc(alignment, size));
}

char *__wrap_strdup(const char *text)
{
    return fails(FAULTS_MEMORY, ENOMEM, false, CALLER) ? NULL : counted(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t size)
{
    return fails(FAULTS_MEMORY, ENOMEM, false, CALLER) ? NULL : counted(__real_strndup(text, size));
}

void __wrap_free(void *memory)
{
    if (memory != NULL)
        faults_count_live(-1);
    __real_free(memory);
}

/* ---- Threads, locks, randomness, wishes ----------------------------------------------------- */

WRAPPED(int, pthread_create,
        (pthread_t * thread, const pthread_attr_t *attributes, void *(*body)(void *), void *arg))
WRAPPED(int, pthread_mutex_init, (pthread_mutex_t * mutex, const pthread_mutexattr_t *attributes))
WRAPPED(int, pthread_cond_init, (pthread_cond_t * condition, const pthread_condattr_t *attributes))
WRAPPED(int, pthread_condattr_init, (pthread_condattr_t * attributes))
WRAPPED(int, pthread_condattr_setclock, (pthread_condattr_t * attributes, clockid_t clock))
WRAPPED(int, pthread_setname_np, (pthread_t thread, const char *name))
WRAPPED(int, madvise, (void *memory, size_t size, int advice))
WRAPPED(ssize_t, getrandom, (void *bytes, size_t size, unsigned flags))
WRAPPED(int, eventfd, (unsigned count, int flags))
WRAPPED(int, epoll_create1, (int flags))
WRAPPED(int, epoll_ctl, (int fd, int operation, int watched, struct epoll_event *event))
WRAPPED(int, timerfd_create, (int clock, int flags))

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes,
                          void *(*body)(void *), void *arg)
{
    int error = faults_error(FAULTS_THREAD, EAGAIN, false, CALLER);
    return error != 0 ? error : __real_pthread_create(thread, attributes, body, arg);
}

int __wrap_pthread_mutex_init(pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes)
{
    int error = faults_error(FAULTS_LOCK, ENOMEM, false, CALLER);
    return error != 0 ? error : __real_pthread_mutex_init(mutex, attributes);
}

int __wrap_pthread_cond_init(pthread_cond_t *condition, const pthread_condattr_t *attributes)
{
    int error = faults_error(FAULTS_LOCK, EAGAIN, false, CALLER);
    return error != 0 ? error : __real_pthread_cond_init(condition, attributes);
}

int __wrap_pthread_condattr_init(pthread_condattr_t *attributes)
{
    int error = faults_error(FAULTS_LOCK, ENOMEM, false, CALLER);
    return error != 0 ? error : __real_pthread_condattr_init(attributes);
}

int __wrap_pthread_condattr_setclock(pthread_condattr_t *attributes, clockid_t clock)
{
    int error = faults_error(FAULTS_LOCK, EINVAL, false, CALLER);
    return error != 0 ? error : __real_pthread_condattr_setclock(attributes, clock);
}

int __wrap_pthread_setname_np(pthread_t thread, const char *name)
{
    int error = faults_error(FAULTS_WISH, ERANGE, false, CALLER);
    return error != 0 ? error : __real_pthread_setname_np(thread, name);
}

int __wrap_madvise(void *memory, size_t size, int advice)
{
    return fails(FAULTS_WISH, EINVAL, false, CALLER) ? -1 : __real_madvise(memory, size, advice);
}

ssize_t __wrap_getrandom(void *bytes, size_t size, unsigned flags)
{
    return fails(FAULTS_RANDOM, ENOSYS, true, CALLER) ? -1 : __real_getrandom(bytes, size, flags);
}

int __wrap_eventfd(unsigned count, int flags)
{
    return fails(FAULTS_THREAD, EMFILE, false, CALLER) ? -1 : __real_eventfd(count, flags);
}

int __wrap_epoll_create1(int flags)
{
    return fails(FAULTS_THREAD, EMFILE, false, CALLER) ? -1 : __real_epoll_create1(flags);
}

int __wrap_epoll_ctl(int fd, int operation, int watched, struct epoll_event *event)
{
    return fails(FAULTS_THREAD, ENOSPC, false, CALLER)
               ? -1
               : __real_epoll_ctl(fd, operation, watched, event);
}

int __wrap_timerfd_create(int clock, int flags)
{
    return fails(FAULTS_THREAD, EMFILE, false, CALLER) ? -1 : __real_timerfd_create(clock, flags);
}

/* ---- Waits: they may end without cause, or at a signal --------------------------------------- */

WRAPPED(int, pthread_cond_wait, (pthread_cond_t * condition, pthread_mutex_t *mutex))
WRAPPED(int, pthread_cond_timedwait,
        (pthread_cond_t * condition, pthread_mutex_t *mutex, const struct timespec *until))
WRAPPED(int, nanosleep, (const struct timespec *time, struct timespec *ret_left))
WRAPPED(int, clock_gettime, (clockid_t clock, struct timespec *ret_time))

static struct timespec moved(const struct timespec *time, int64_t by_ns)
{
    enum { SECOND_NS = 1000000000 };
    int64_t ns = (int64_t)time->tv_sec * SECOND_NS + time->tv_nsec + by_ns;
    if (ns < 0)
        ns = 0; /* it has passed, and would be no time */
    return (struct timespec){.tv_sec = (time_t)(ns / SECOND_NS), .tv_nsec = (long)(ns % SECOND_NS)};
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
    int error = __real_clock_gettime(clock, ret_time);
    *ret_time = moved(ret_time, (int64_t)faults_jumped_ns());
    return error;
}

int __wrap_pthread_cond_wait(pthread_cond_t *condition, pthread_mutex_t *mutex)
{
    return faults_interrupts(CALLER) ? 0 : __real_pthread_cond_wait(condition, mutex);
}

static bool is_before(const struct timespec *time, const struct timespec *other)
{
    return time->tv_sec != other->tv_sec ? time->tv_sec < other->tv_sec
                                         : time->tv_nsec < other->tv_nsec;
}

/* The clock of the library may jump while this waits, so that its time comes sooner. */
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                                  const struct timespec *until)
{
    enum { LOOK_NS = 1000000 };
    if (faults_interrupts(CALLER))
        return 0;
    for (;;) {
        struct timespec now;
        __real_clock_gettime(CLOCK_MONOTONIC, &now); /* as those of batch__lock */
        struct timespec real_until = moved(until, -(int64_t)faults_jumped_ns());
        struct timespec look = moved(&now, LOOK_NS);
        bool is_last = !faults_may_jump() || !is_before(&look, &real_until);
        int error = __real_pthread_cond_timedwait(condition, mutex, is_last ? &real_until : &look);
        if (is_last || error != ETIMEDOUT)
            return error;
    }
}

int __wrap_nanosleep(const struct timespec *time, struct timespec *ret_left)
{
    if (faults_nap())
        return 0;
    if (!faults_interrupts(CALLER))
        return __real_nanosleep(time, ret_left);
    errno = EINTR;
    return -1;
}

static int sleep_us(useconds_t time_us)
{
    return faults_nap() ? 0 : usleep(time_us);
}

/* ---- Sockets -------------------------------------------------------------------------------- */

WRAPPED(int, poll, (struct pollfd * fds, nfds_t fds_size, int timeout_ms))

int __wrap_poll(struct pollfd *fds, nfds_t fds_size, int timeout_ms)
{
    if (!fails(FAULTS_POLL, ENOMEM, true, CALLER))
        return __real_poll(fds, fds_size, timeout_ms);
    faults_nap();
    return -1;
}

static ssize_t cut(int fd)
{
    if (errno != EINTR)
        shutdown(fd, SHUT_RDWR);
    return -1;
}

static atomic_bool is_slow;
static atomic_uint sends;

void faults_slow_down(bool slow)
{
    atomic_store(&is_slow, slow);
}

static ssize_t socket_send(int fd, const void *bytes, size_t size, int flags)
{
    enum { SLOW_SIZE = 400 };
    if (fails(FAULTS_SOCKET, ECONNRESET, true, CALLER))
        return cut(fd);
    if (!atomic_load(&is_slow))
        return send(fd, bytes, size, flags);
    if (atomic_fetch_add(&sends, 1) % 2 == 0) {
        errno = EAGAIN;
        return -1;
    }
    return send(fd, bytes, size < SLOW_SIZE ? size : SLOW_SIZE, flags);
}

static ssize_t socket_recv(int fd, void *bytes, size_t size, int flags)
{
    return fails(FAULTS_SOCKET, ECONNRESET, true, CALLER) ? cut(fd) : recv(fd, bytes, size, flags);
}

static int socket_make(int domain, int type, int protocol)
{
    return fails(FAULTS_SOCKET, EMFILE, false, CALLER) ? -1 : socket(domain, type, protocol);
}

static int socket_connect(int fd, const struct sockaddr *address, socklen_t size)
{
    return fails(FAULTS_SOCKET, ECONNREFUSED, false, CALLER) ? -1 : connect(fd, address, size);
}

static int socket_set(int fd, int level, int name, const void *value, socklen_t size)
{
    if (fails(FAULTS_SOCKET, ENOBUFS, false, CALLER))
        return -1;
    return setsockopt(fd, level, name, value, size);
}

static int socket_get(int fd, int level, int name, void *value, socklen_t *size)
{
    if (fails(FAULTS_SOCKET, ENOBUFS, false, CALLER))
        return -1;
    return getsockopt(fd, level, name, value, size);
}

static int socket_name(int fd, struct sockaddr *address, socklen_t *size)
{
    return fails(FAULTS_SOCKET, ENOBUFS, false, CALLER) ? -1 : getsockname(fd, address, size);
}

static int look_up(const char *node, const char *service, const struct addrinfo *hints,
                   struct addrinfo **ret_first)
{
    if (fails(FAULTS_SOCKET, ENOMEM, false, CALLER))
        return EAI_MEMORY;
    return getaddrinfo(node, service, hints, ret_first);
}

/* ---- Files ---------------------------------------------------------------------------------- */

static int file_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
    va_end(arguments);
    return fails(FAULTS_FILE, EMFILE, true, CALLER) ? -1 : open(path, flags, mode);
}

/* To give back a lock never fails. */
static bool gives_back(int command, const void *arg)
{
    return command == F_SETLK && ((const struct flock *)arg)->l_type == F_UNLCK;
}

static int file_control(int fd, int command, ...)
{
    va_list arguments;
    va_start(arguments, command);
    void *arg = va_arg(arguments, void *);
    va_end(arguments);
    if (!gives_back(command, arg) && fails(FAULTS_FILE, EIO, false, CALLER))
        return -1;
    return fcntl(fd, command, arg);
}

static ssize_t file_read_at(int fd, void *bytes, size_t size, off_t at)
{
    return fails(FAULTS_FILE, EIO, true, CALLER) ? -1 : pread(fd, bytes, size, at);
}

static ssize_t file_write_at(int fd, const void *bytes, size_t size, off_t at)
{
    return fails(FAULTS_FILE, ENOSPC, true, CALLER) ? -1 : pwrite(fd, bytes, size, at);
}

static int file_truncate(int fd, off_t size)
{
    return fails(FAULTS_FILE, EIO, true, CALLER) ? -1 : ftruncate(fd, size);
}

static int file_sync(int fd)
{
    return fails(FAULTS_FILE, EIO, false, CALLER) ? -1 : fdatasync(fd);
}

static int file_describe(int fd, struct stat *ret_stat)
{
    return fails(FAULTS_FILE, EIO, false, CALLER) ? -1 : fstat(fd, ret_stat);
}

static void *file_map(void *address, size_t size, int protection, int flags, int fd, off_t at)
{
    if (fails(FAULTS_FILE, ENOMEM, false, CALLER))
        return MAP_FAILED;
    return mmap(address, size, protection, flags, fd, at);
}

/* ---- The list ------------------------------------------------------------------------------- */

#define HOOK(name, function)                                                                       \
    {                                                                                              \
        name, (void (*)(void))(function)                                                           \
    }

const struct wrapper wrappers[] = {
    HOOK("malloc", __wrap_malloc),
    HOOK("calloc", __wrap_calloc),
    HOOK("realloc", __wrap_realloc),
    HOOK("strdup", __wrap_strdup),
    HOOK("free", __wrap_free),
    HOOK("usleep", sleep_us),
    HOOK("poll", __wrap_poll),
    HOOK("send", socket_send),
    HOOK("recv", socket_recv),
    HOOK("socket", socket_make),
    HOOK("connect", socket_connect),
    HOOK("setsockopt", socket_set),
    HOOK("getsockopt", socket_get),
    HOOK("getsockname", socket_name),
    HOOK("getaddrinfo", look_up),
    HOOK("fcntl", file_control),
    HOOK("open64", file_open),
    HOOK("fcntl64", file_control),
    HOOK("pread64", file_read_at),
    HOOK("pwrite64", file_write_at),
    HOOK("ftruncate64", file_truncate),
    HOOK("fdatasync", file_sync),
    HOOK("fstat64", file_describe),
    HOOK("mmap64", file_map),
    {NULL, NULL},
};
