/* gate.h: where a test holds threads of the library: it closes the gate, waits until somebody
 * stands at it, does what it wants to see the effect of, and opens it. So every order is made to
 * happen. */
#ifndef BATCH_TEST_SUPPORT_GATE_H
#define BATCH_TEST_SUPPORT_GATE_H

#include <pthread.h>
#include <stdbool.h>

/* Open at first. Whoever comes while it is closed waits until it is opened. */
struct gate {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_closed;
    unsigned waiting; /* stand at it now */
    unsigned arrived; /* came to it so far, open or not */
};

void gate_init(struct gate *gate);
void gate_init_closed(struct gate *gate);
void gate_destroy(struct gate *gate);
void gate_close(struct gate *gate);
void gate_open(struct gate *gate);
void gate_pass(struct gate *gate);                    /* for those who are held */
void gate_await(struct gate *gate, unsigned waiting); /* until so many stand at it */

#endif
