/* pace.h: how long operations take, found out without reading a clock for each.
 *
 * Most operations take some ten nanoseconds, less than to read a clock. So the worker reads the
 * coarse clock after each, which advances with the kernel's ticks, some hundred a second, and
 * measures a few operations after each tick. A key whose operation took long is marked, and its
 * operations are measured until they are quick again: turns (core/turns.h) are exact where it
 * matters and cost nothing where it does not.
 *
 * When operations that take long have run for a quantum in an iteration of the worker, no more are
 * run in it: what has come meanwhile is taken first. The same when a tick has passed since a long
 * row of operations began, however quick they are.
 */
#ifndef BATCH_RUNTIME_PACE_H
#define BATCH_RUNTIME_PACE_H

#include "../core/batch.h"
#include "../platform/platform.h"

enum {
    BATCH__QUANTUM_NS = 100000, /* a turn of a key … */
    BATCH__QUANTUM_OPS = 1024   /* … or so many operations */
};

struct batch__pace {
    uint64_t ticks_ns;    /* the coarse clock after the latest operation */
    uint64_t measured_ns; /* when the latest operation ended, if nothing else came since; or 0 */
    uint64_t long_ns;     /* of this iteration, operations that take long */
    uint32_t samples;     /* so many operations are measured, whatever their key */
    uint32_t row;         /* operations since the worker looked around */
    bool is_over;         /* no more operations in this iteration */
};

/* An iteration begins. */
void batch__pace_iterate(struct batch__pace *pace);
/* An operation of `batch`, which began at `began_ns`, has ended, and was measured or had a tick. */
uint64_t batch__pace_measure(struct batch__pace *pace, struct batch__batch *batch,
                             uint64_t began_ns, bool has_ticked);

/* An operation of `batch` begins. When, or 0 if it is not measured. */
static inline uint64_t batch__pace_begin(const struct batch__pace *pace,
                                         const struct batch__batch *batch)
{
    if (pace->samples == 0 && !batch->is_slow)
        return 0;
    return pace->measured_ns != 0 ? pace->measured_ns : batch__clock_now_ns();
}

/* It has ended, and began at `began_ns`. When, or 0 if no clock was read. */
static inline uint64_t batch__pace_end(struct batch__pace *pace, struct batch__batch *batch,
                                       uint64_t began_ns)
{
    uint64_t ticks_ns = batch__clock_coarse_ns();
    bool has_ticked = ticks_ns != pace->ticks_ns;
    pace->row++;
    pace->measured_ns = 0;
    if (!has_ticked && began_ns == 0)
        return 0;
    pace->ticks_ns = ticks_ns;
    return batch__pace_measure(pace, batch, began_ns, has_ticked);
}

#endif
