/* slow_flush.c: a slower disk, for bench/against-direct: every fsync and fdatasync of the program
 * that this is preloaded into takes SLOW_FLUSH_US microseconds longer. This is where disks
 * differ most: from 0.1 ms (a battery-backed cache, or a virtual disk that does not really flush)
 * to 10 ms (a spinning one). */
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_longer(void)
{
    const char *text = getenv("SLOW_FLUSH_US");
    long us = text != NULL ? atol(text) : 0;
    struct timespec pause = {us / 1000000, us % 1000000 * 1000};
    if (us > 0)
        nanosleep(&pause, NULL);
}

/* The function of that name in the C library. */
static int flush(const char *name, int fd)
{
    union { /* ISO C has no cast from an object pointer to a function pointer */
        void *symbol;
        int (*function)(int fd);
    } next = {dlsym(RTLD_NEXT, name)};
    if (next.symbol == NULL)
        abort();
    wait_longer();
    return next.function(fd);
}

int fsync(int fd)
{
    return flush("fsync", fd);
}

int fdatasync(int fd)
{
    return flush("fdatasync", fd);
}
