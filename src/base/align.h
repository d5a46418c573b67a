/* align.h: sizes and addresses, rounded up to a multiple. */
#ifndef BATCH_BASE_ALIGN_H
#define BATCH_BASE_ALIGN_H

#include <stdint.h>

static inline uintptr_t batch__round_up(uintptr_t value, uintptr_t multiple)
{
    return (value + multiple - 1) / multiple * multiple;
}

#endif
