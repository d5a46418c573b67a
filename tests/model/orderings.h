/* orderings.h: any event at any time on one core, in orders that no worker would ever produce.
 * Actions are taken at once, or late, or some of them; windows end when they should not; the store
 * finishes calls in any order; whatever the protocol of core.h allows. The whole state of the core
 * is checked after each event and each action. At last a worker takes over, and everything has to
 * come to an end by itself. One ordering in four is calm: operations come to a worker at random
 * times, and nothing goes wrong. */
#ifndef BATCH_TESTS_MODEL_ORDERINGS_H
#define BATCH_TESTS_MODEL_ORDERINGS_H

#include "model.h"

/* One ordering, as `draw` has it. If that has bytes, it ends when they are used up. True if nothing
 * was wrong; else model->wrong has what. */
bool orderings_run(struct model *model, struct draw *draw, struct tally *tally);

#endif
