/* driven.h: what tests of a driven processor share: to drive it, and to look at its descriptor. */
#ifndef BATCH_TEST_RUNTIME_DRIVEN_H
#define BATCH_TEST_RUNTIME_DRIVEN_H

#include <batch/driven.h>

#include "harness.h"

/* Drive without waiting, until nothing is due. What batch_processor_drive returned last. */
int64_t driven_drive(struct harness *harness);
/* Drive until a job is complete: whenever the descriptor says so. Its status. */
int driven_wait(struct harness *harness, struct job *job);

bool driven_is_readable(struct harness *harness);
void driven_await_readable(struct harness *harness);

/* Of the process. */
unsigned driven_threads(void);

#endif
