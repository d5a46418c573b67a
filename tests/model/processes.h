/* processes.h: seeds, shared by a few processes. Each takes every so many of them, and counts what
 * it sees in memory that is shared with the parent. */
#ifndef BATCH_TESTS_MODEL_PROCESSES_H
#define BATCH_TESTS_MODEL_PROCESSES_H

#include "tally.h"

struct process {
    struct tally tally;
    uint64_t seed; /* the present one; that of the failure, if it has failed */
    bool has_failed;
    bool is_finished;
};

/* Call `run` for `count` seeds from `first` on, until it returns false. The sum of what was seen in
 * *ret_tally. True if it never did; else the lowest seed for which it did in *ret_failed. Ends the
 * program if a process dies. */
bool processes_run(uint32_t processes_size, uint64_t first, uint64_t count,
                   bool (*run)(uint64_t seed, struct tally *tally), struct tally *ret_tally,
                   uint64_t *ret_failed);

#endif
