/* clients.c: see clients.h. */
#include "clients.h"

#include <batch/batch.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "process.h"
#include "temporary_folder.h"

enum { LOOK_NS = 200 * 1000, NUMBER_SIZE = 16 };

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "crash: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* ---- Folder and book ------------------------------------------------------------------------ */

void crew_make(struct crew *crew)
{
    /* In memory if nothing else was chosen: a kill asks nothing of the disk. */
    bool has_shm = getenv("TMPDIR") == NULL && access("/dev/shm", W_OK | X_OK) == 0;
    temporary_folder_make(crew->folder, sizeof crew->folder, has_shm ? "/dev/shm" : NULL);
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

void crew_unmake(struct crew *crew)
{
    munmap(crew->book, sizeof *crew->book);
    temporary_folder_remove(crew->folder);
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
    crew->nodes[node].pid = process_start(arguments, -1);
}

static void node_signal(const struct crew *crew, unsigned node, int number)
{
    if (kill(crew->nodes[node].pid, number) != 0)
        fail("kill");
}

void crew_kill(struct crew *crew, unsigned node)
{
    node_signal(crew, node, SIGKILL);
    int ended = process_end(crew->nodes[node].pid);
    crew->nodes[node].pid = 0;
    if (ended != -SIGKILL) {
        fprintf(stderr, "crash: a node ended by itself: %d\n", ended);
        exit(1);
    }
}

void crew_pause(struct crew *crew, unsigned node)
{
    process_pause(crew->nodes[node].pid);
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
