/* shrink.h: from a failing schedule to a short one that fails in the same place.
 *
 * Leave out items, in runs that get shorter until each has been tried alone; then simplify the
 * configuration: fewer nodes, no options, no draws; and repeat that until nothing helps any more.
 * A schedule takes some ten microseconds, so there is no need to be clever. */
#ifndef BATCH_TESTS_MODEL_SHRINK_H
#define BATCH_TESTS_MODEL_SHRINK_H

#include "model.h"

/* Leave out of a failing schedule all that it fails without. Returns how many runs it took. */
uint64_t shrink(struct model *model, struct schedule *schedule);

#endif
