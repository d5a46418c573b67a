#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L
#endif
#include "footprint.h"

#include "faults.h"
#include "pass.h"

#include <dirent.h>

static unsigned entries_of(const char *folder)
{
    unsigned count = 0;
    DIR *opened = opendir(folder);
    MUST(opened != NULL, "%s", folder);
    while (readdir(opened) != NULL)
        count++;
    closedir(opened);
    return count;
}

struct footprint footprint_now(void)
{
    return (struct footprint){faults_live(), entries_of("/proc/self/task"),
                              entries_of("/proc/self/fd")};
}
