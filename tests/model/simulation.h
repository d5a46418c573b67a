/* simulation.h: time. What happens next is whatever is due first: the next item of the schedule, a
 * call that reaches a row, a worker's iteration, a node that starts again. What is due at the same
 * moment comes in this order. It is over when nothing is left to happen; then everything accepted
 * must have been completed, without anybody having stopped, and then all nodes stop. */
#ifndef BATCH_TESTS_MODEL_SIMULATION_H
#define BATCH_TESTS_MODEL_SIMULATION_H

#include "model.h"

/* Carry out a schedule. True if nothing was wrong; else model->wrong has what. */
bool simulation_run(struct model *model, const struct schedule *schedule, struct tally *tally);

/* What is due first, if it is by then. False: nothing is. */
bool simulation_step(struct model *model, uint64_t until_ns);

/* Until nothing is left to happen; then the end of all nodes. */
void simulation_finish(struct model *model);

#endif
