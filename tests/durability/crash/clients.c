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

/* ---- Folder and journal ------------------------------------------------------------------------
 * */

void clients_make(struct clients *clients)
{
    /* In memory if nothing else was chosen: a kill asks nothing of the disk. */
    bool has_shm = getenv("TMPDIR") == NULL && access("/dev/shm", W_OK | X_OK) == 0;
    temporary_folder_make(clients->folder, sizeof clients->folder, has_shm ? "/dev/shm" : NULL);
    snprintf(clients->journal_path, sizeof clients->journal_path, "%s/journal", clients->folder);
    int file = open(clients->journal_path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (file < 0 || ftruncate(file, sizeof *clients->journal) != 0)
        fail(clients->journal_path);
    void *memory =
        mmap(NULL, sizeof *clients->journal, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (memory == MAP_FAILED)
        fail("mmap");
    close(file);
    clients->journal = memory;
}

void clients_unmake(struct clients *clients)
{
    munmap(clients->journal, sizeof *clients->journal);
    temporary_folder_remove(clients->folder);
}

void clients_begin_round(struct clients *clients)
{
    memset((void *)clients->journal, 0, sizeof *clients->journal);
    clients->round++;
    clients->incarnations = 0;
}

/* ---- Nodes ---------------------------------------------------------------------------------- */

void clients_start(struct clients *clients, unsigned node)
{
    char numbers[5][NUMBER_SIZE];
    unsigned values[5] = {clients->round, clients->incarnations, clients->replays, clients->cache,
                          clients->transfers};
    for (int i = 0; i < 5; i++)
        snprintf(numbers[i], sizeof numbers[i], "%u", values[i]);
    const char *const arguments[] = {
        CRASH_NODE, clients->target, clients->journal_path, numbers[0], numbers[1], numbers[2],
        numbers[3], numbers[4],      clients->bug,          NULL};
    clients->nodes[node].incarnation = clients->incarnations++;
    clients->nodes[node].pid = process_start(arguments, -1);
}

static void node_signal(const struct clients *clients, unsigned node, int number)
{
    if (kill(clients->nodes[node].pid, number) != 0)
        fail("kill");
}

void clients_kill(struct clients *clients, unsigned node)
{
    node_signal(clients, node, SIGKILL);
    int ended = process_end(clients->nodes[node].pid);
    clients->nodes[node].pid = 0;
    if (ended != -SIGKILL) {
        fprintf(stderr, "crash: a node ended by itself: %d\n", ended);
        exit(1);
    }
}

void clients_pause(struct clients *clients, unsigned node)
{
    process_pause(clients->nodes[node].pid);
}

void clients_resume(struct clients *clients, unsigned node)
{
    node_signal(clients, node, SIGCONT);
}

unsigned clients_completed(const struct clients *clients, unsigned node)
{
    return atomic_load(&clients->journal->incarnations[clients->nodes[node].incarnation].completed);
}

bool clients_await(const struct clients *clients, unsigned node, unsigned completed,
                   uint64_t wait_ns)
{
    uint64_t end_ns = batch_now_ns() + wait_ns;
    while (clients_completed(clients, node) < completed) {
        if (batch_now_ns() >= end_ns)
            return false;
        nanosleep(&(struct timespec){0, LOOK_NS}, NULL);
    }
    return true;
}
