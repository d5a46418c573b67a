/* sleep.c: see sleep.h. */
#include "common/sleep.h"

#include <time.h>

void sleep_ns(uint64_t time_ns)
{
    struct timespec time = {(time_t)(time_ns / 1000000000u), (long)(time_ns % 1000000000u)};
    while (nanosleep(&time, &time) != 0)
        ; /* a signal */
}
