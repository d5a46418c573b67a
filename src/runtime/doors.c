#include "doors.h"

#include "../base/check.h"
#include "../platform/platform.h"

enum { MARGIN = 16 };

#define FULL_US UINT32_MAX /* it takes no more, whoever waits how long */

static uint32_t wait_us_of(const struct batch__core *core, uint32_t hash)
{
    uint64_t wait_ns = batch__core_backlog_ns(core, hash);
    if (wait_ns == UINT64_MAX)
        return FULL_US;
    return wait_ns / 1000 < FULL_US ? (uint32_t)(wait_ns / 1000) : FULL_US - 1;
}

void batch__doors_shut(struct batch__doors *doors, const struct batch__core *core, uint32_t hash)
{
    uint64_t *xdoor = &doors->xdoors[hash % BATCH__DOORS];
    if (batch__door_of(doors, hash) != 0)
        return;
    uint32_t wait_us = wait_us_of(core, hash);
    if (wait_us == 0)
        return; /* it was not for those of its key */
    doors->shut += batch__load_relaxed(xdoor) == 0;
    doors->open_us[hash % BATCH__DOORS] = wait_us == FULL_US ? FULL_US - 1 : wait_us / 2;
    batch__store_relaxed(xdoor, (uint64_t)hash << 32 | wait_us);
}

/* One that is shut. */
static void update(struct batch__doors *doors, const struct batch__core *core, uint32_t hash)
{
    uint32_t i = hash % BATCH__DOORS;
    uint32_t wait_us = wait_us_of(core, hash);
    bool is_shut = wait_us > doors->open_us[i];
    doors->shut -= !is_shut;
    batch__store_relaxed(&doors->xdoors[i], is_shut ? (uint64_t)hash << 32 | wait_us : 0);
}

void batch__doors_update(struct batch__doors *doors, const struct batch__core *core)
{
    for (uint32_t i = 0; doors->shut > 0 && i < BATCH__DOORS; i++) {
        uint64_t door = batch__load_relaxed(&doors->xdoors[i]);
        if (door != 0)
            update(doors, core, (uint32_t)(door >> 32));
    }
}

void batch__doors_update_one(struct batch__doors *doors, const struct batch__core *core,
                             uint32_t hash)
{
    if (doors->shut > 0 && batch__door_of(doors, hash) != 0)
        update(doors, core, hash);
}

bool batch__doors_refuse(uint64_t door, const batch_op *op, uint64_t deadline_ns)
{
    uint64_t wait_us = door & UINT32_MAX;
    if (wait_us == FULL_US)
        return true;
    uint64_t time_ns = deadline_ns;
    if (op->start_by_ns != 0) {
        uint64_t now_ns = batch__clock_now_ns();
        if (now_ns > op->start_by_ns)
            return false; /* it has expired, which the worker reports */
        time_ns = op->start_by_ns - now_ns;
    }
    return wait_us * 1000 > time_ns - time_ns / MARGIN;
}
