/* clients.h: two nodes on one store: started, killed, stopped where they are and let go on.
 *
 * Nodes die with the driver. What cannot go on (a node that ends by itself, or never answers
 * anything) ends the program with a message.
 */
#ifndef BATCH_TEST_CRASH_CREW_H
#define BATCH_TEST_CRASH_CREW_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "journal.h"

enum { NODES = 2 };

struct crew {
    const char *target; /* of store_target.h */
    unsigned replays;
    unsigned kept;
    const char *mistake; /* or NULL */
    char folder[96];     /* of its own */
    char book_path[128];
    struct book *book;
    unsigned round;
    unsigned lives; /* in this round, so far */
    struct {
        pid_t pid; /* 0: does not run */
        unsigned life;
    } nodes[NODES];
};

/* Make a folder and a book in it; take them away again. */
void crew_make(struct crew *crew);
void crew_unmake(struct crew *crew);

/* Empty the book, for keys of its own. No node runs. */
void crew_begin_round(struct crew *crew);

void crew_start(struct crew *crew, unsigned node);
void crew_kill(struct crew *crew, unsigned node); /* with SIGKILL; waits for its end */
void crew_pause(struct crew *crew, unsigned node);
void crew_resume(struct crew *crew, unsigned node);

/* How many operations and reads the node has had answered BATCH_OK in its life. */
unsigned crew_answered(const struct crew *crew, unsigned node);

/* Wait until that is at least so many. False: `wait_ns` have passed. */
bool crew_await(const struct crew *crew, unsigned node, unsigned answered, uint64_t wait_ns);

#endif
