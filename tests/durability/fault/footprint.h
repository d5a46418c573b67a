/* footprint.h: what this process has, to see that a pass has given all of it back. */
#ifndef BATCH_TEST_FAULT_FOOTPRINT_H
#define BATCH_TEST_FAULT_FOOTPRINT_H

#include <stdint.h>

struct footprint {
    int64_t blocks; /* of memory */
    unsigned threads;
    unsigned files; /* that are open */
};

struct footprint footprint_now(void);

#endif
