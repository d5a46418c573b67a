#include "processes.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

struct job {
    uint32_t processes_size;
    uint64_t first, count;
    bool (*run)(uint64_t seed, struct tally *tally);
    struct process *processes;
};

static void work(const struct job *job, uint32_t number)
{
    struct process *process = &job->processes[number];
    for (uint64_t i = number; i < job->count && !process->has_failed; i += job->processes_size) {
        process->seed = job->first + i;
        process->has_failed = !job->run(process->seed, &process->tally);
    }
    process->is_finished = true;
}

static void start(const struct job *job, uint32_t number)
{
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid == -1) {
        perror("fork");
        exit(2);
    }
    if (pid != 0)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() == parent)
        work(job, number);
    _exit(0);
}

static void show_progress(const struct job *job)
{
    uint64_t done = 0;
    for (uint32_t i = 0; i < job->processes_size; i++)
        done += job->processes[i].tally.schedules;
    fprintf(stderr, "\r%lu of %lu schedules ", (unsigned long)done, (unsigned long)job->count);
}

static void wait_for_all(const struct job *job)
{
    bool is_terminal = isatty(STDERR_FILENO) != 0;
    uint32_t left = job->processes_size;
    while (left > 0) {
        pid_t pid = waitpid(-1, NULL, is_terminal ? WNOHANG : 0);
        if (pid > 0) {
            left--;
        } else if (pid == 0) {
            show_progress(job);
            nanosleep(&(struct timespec){0, 200000000}, NULL);
        } else if (errno != EINTR) {
            break;
        }
    }
    if (is_terminal)
        fprintf(stderr, "\r\033[K");
    bool is_broken = false;
    for (uint32_t i = 0; i < job->processes_size; i++) {
        if (job->processes[i].is_finished)
            continue;
        fprintf(stderr, "a process died of seed %lu\n", (unsigned long)job->processes[i].seed);
        is_broken = true;
    }
    if (is_broken)
        exit(1);
}

bool processes_run(uint32_t processes_size, uint64_t first, uint64_t count,
                   bool (*run)(uint64_t seed, struct tally *tally), struct tally *ret_tally,
                   uint64_t *ret_failed)
{
    size_t size = processes_size * sizeof(struct process);
    struct job job = {processes_size, first, count, run, NULL};
    job.processes = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (job.processes == MAP_FAILED) {
        perror("mmap");
        exit(2);
    }
    if (processes_size == 1 && isatty(STDERR_FILENO) == 0) {
        work(&job, 0);
    } else {
        for (uint32_t i = 0; i < processes_size; i++)
            start(&job, i);
        wait_for_all(&job);
    }
    bool has_failed = false;
    *ret_tally = (struct tally){0};
    for (uint32_t i = 0; i < processes_size; i++) {
        const struct process *process = &job.processes[i];
        tally_add(ret_tally, &process->tally);
        if (process->has_failed && (!has_failed || process->seed < *ret_failed))
            *ret_failed = process->seed;
        has_failed = has_failed || process->has_failed;
    }
    munmap(job.processes, size);
    return !has_failed;
}
