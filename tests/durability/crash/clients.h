/* clients.h: two nodes on one store: started, killed, stopped where they are and let go on.
 *
 * Nodes die with the driver. What cannot go on (a node that ends by itself, or never completes
 * anything anything) ends the program with a message.
 */
#ifndef BATCH_TEST_CRASH_CLIENTS_H
#define BATCH_TEST_CRASH_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "journal.h"

enum { NODES = 2 };

struct clients {
    const char *target; /* of store_target.h */
    unsigned replays;
    unsigned cache;
    unsigned transfers; /* 1: some operations are transactions */
    const char *bug;    /* or NULL */
    char folder[96];    /* of its own */
    char journal_path[128];
    struct journal *journal;
    unsigned round;
    unsigned incarnations; /* in this round, so far */
    struct {
        pid_t pid; /* 0: does not run */
        unsigned incarnation;
    } nodes[NODES];
};

/* Make a folder and a journal in it; take them away again. */
void clients_make(struct clients *clients);
void clients_unmake(struct clients *clients);

/* Empty the journal, for keys of its own. No node runs. */
void clients_begin_round(struct clients *clients);

void clients_start(struct clients *clients, unsigned node);
void clients_kill(struct clients *clients, unsigned node); /* with SIGKILL; waits for its end */
void clients_pause(struct clients *clients, unsigned node);
void clients_resume(struct clients *clients, unsigned node);

/* How many operations and reads the node has had completed with BATCH_OK in its incarnation. */
unsigned clients_completed(const struct clients *clients, unsigned node);

/* Wait until that is at least so many. False: `wait_ns` have passed. */
bool clients_await(const struct clients *clients, unsigned node, unsigned completed,
                   uint64_t wait_ns);

#endif
