#include "driven.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>

int64_t driven_drive(struct harness *harness)
{
    int64_t due_ns;
    do
        due_ns = batch_processor_drive(harness->processor, 0);
    while (due_ns == 0);
    return due_ns;
}

static bool is_readable(struct harness *harness, int timeout_ms)
{
    struct pollfd waiting = {batch_processor_fd(harness->processor), POLLIN, 0};
    int ready;
    do
        ready = poll(&waiting, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    assert_true(ready >= 0);
    return ready == 1;
}

bool driven_is_readable(struct harness *harness)
{
    return is_readable(harness, 0);
}

void driven_await_readable(struct harness *harness)
{
    assert_true(is_readable(harness, -1));
}

int driven_wait(struct harness *harness, struct job *job)
{
    while (!job_is_complete(job)) {
        driven_await_readable(harness);
        assert_true(batch_processor_drive(harness->processor, 0) >= 0);
    }
    return job->result.status;
}

unsigned driven_threads(void)
{
    DIR *tasks = opendir("/proc/self/task");
    assert_non_null(tasks);
    unsigned count = 0;
    for (struct dirent *task; (task = readdir(tasks)) != NULL;)
        count += task->d_name[0] != '.';
    closedir(tasks);
    return count;
}
