/* clients.c: see clients.h. */
#include "clients.h"

#include <batch/batch.h>

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { LOOK_NS = 200 * 1000, NUMBER_SIZE = 16 };

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "crash: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- Folder and book ------------------------------------------------------------------------ */

/* In memory if there is room for that: a kill asks nothing of the disk. */
static const char *place_of_folders(void)
{
    const char *chosen = getenv("TMPDIR");
    if (chosen != NULL)
        return chosen;
    return access("/dev/shm", W_OK | X_OK) == 0 ? "/dev/shm" : "/tmp";
}

void crew_make(struct crew *crew)
{
    snprintf(crew->folder, sizeof crew->folder, "%s/batch-crash-XXXXXX", place_of_folders());
    if (mkdtemp(crew->folder) == NULL)
        fail(crew->folder);
    snprintf(crew->book_path, sizeof crew->book_path, "%s/book", crew->folder);
    int file = open(crew->book_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof *crew->book) != 0)
        fail(crew->book_path);
    void *memory = mmap(NULL, sizeof *crew->book, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED)
        fail("mmap");
    close(file);
    crew->book = memory;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status;
    (void)kind;
    (void)place;
    return remove(path);
}

void crew_unmake(struct crew *crew)
{
    munmap(crew->book, sizeof *crew->book);
    nftw(crew->folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

void crew_begin_round(struct crew *crew)
{
    memset((void *)crew->book, 0, sizeof *crew->book);
    crew->round++;
    crew->lives = 0;
}

/* ---- Nodes ---------------------------------------------------------------------------------- */

void crew_start(struct crew *crew, unsigned node)
{
    char numbers[4][NUMBER_SIZE];
    unsigned values[4] = {crew->round, crew->lives, crew->replays, crew->kept};
    for (int i = 0; i < 4; i++)
        snprintf(numbers[i], sizeof numbers[i], "%u", values[i]);
    const char *const arguments[] = {CRASH_NODE, crew->target,  crew->book_path,
                                     numbers[0], numbers[1],    numbers[2],
                                     numbers[3], crew->mistake, NULL};
    crew->nodes[node].life = crew->lives++;
    pid_t parent = getpid();
    pid_t pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() == parent)
            execv(arguments[0], (char **)(uintptr_t)arguments);
        _exit(127);
    }
    crew->nodes[node].pid = pid;
}

static void node_signal(const struct crew *crew, unsigned node, int number)
{
    if (kill(crew->nodes[node].pid, number) != 0)
        fail("kill");
}

void crew_kill(struct crew *crew, unsigned node)
{
    int status = 0;
    node_signal(crew, node, SIGKILL);
    if (waitpid(crew->nodes[node].pid, &status, 0) != crew->nodes[node].pid)
        fail("waitpid");
    crew->nodes[node].pid = 0;
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) {
        fprintf(stderr, "crash: a node ended by itself, status %d\n", status);
        exit(1);
    }
}

void crew_pause(struct crew *crew, unsigned node)
{
    int status;
    node_signal(crew, node, SIGSTOP);
    if (waitpid(crew->nodes[node].pid, &status, WUNTRACED) != crew->nodes[node].pid ||
        !WIFSTOPPED(status))
        fail("a node does not stop");
}

void crew_resume(struct crew *crew, unsigned node)
{
    node_signal(crew, node, SIGCONT);
}

unsigned crew_answered(const struct crew *crew, unsigned node)
{
    return atomic_load(&crew->book->lives[crew->nodes[node].life].answered);
}

bool crew_await(const struct crew *crew, unsigned node, unsigned answered, uint64_t wait_ns)
{
    uint64_t end_ns = batch_now_ns() + wait_ns;
    while (crew_answered(crew, node) < answered) {
        if (batch_now_ns() >= end_ns)
            return false;
        nanosleep(&(struct timespec){0, LOOK_NS}, NULL);
    }
    return true;
}
