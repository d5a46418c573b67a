/* process.c: see process.h. */
#include "process.h"

#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(1);
}

pid_t process_start_prepared(const char *const *arguments, void (*prepare)(pid_t parent, void *arg),
                             void *arg)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0) {
        prepare(parent, arg);
        execv(arguments[0], (char **)(uintptr_t)arguments);
        perror(arguments[0]);
        _exit(127);
    }
    return pid;
}

static void die_with(pid_t parent, void *arg)
{
    const int *output = arg;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(126);
    if (*output >= 0)
        dup2(*output, STDOUT_FILENO);
}

pid_t process_start(const char *const *arguments, int output)
{
    return process_start_prepared(arguments, die_with, &output);
}

int process_end(pid_t pid)
{
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            fail("waitpid");
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

void process_pause(pid_t pid)
{
    int status;
    if (kill(pid, SIGSTOP) != 0 || waitpid(pid, &status, WUNTRACED) != pid || !WIFSTOPPED(status))
        fail("a process does not stop");
}
