#include "events.h"

#include "../base/atomics.h"
#include "../base/check.h"

#define PAUSE_NS UINT64_C(1000000000)

bool batch__events_count(struct batch__events *events, int kind, uint64_t now_ns)
{
    if (kind < 0 || kind >= BATCH_EVENT_COUNT)
        return false;
    batch__add_relaxed(&events->xcounts[kind], (uint64_t)1);
    if (events->log == NULL)
        return false;
    uint64_t *place = &events->xlogged_ns[kind];
    uint64_t logged_ns = batch__load_relaxed(place);
    /* Of several threads one wins. */
    do {
        if (logged_ns != 0 && now_ns < logged_ns + PAUSE_NS)
            return false;
    } while (!batch__compare_exchange_seq_cst(place, &logged_ns, now_ns));
    return true;
}

void batch__events_log(struct batch__events *events, int kind, const char *message)
{
    batch__check(kind >= 0 && kind < BATCH_EVENT_COUNT);
    uint64_t count = batch__load_relaxed(&events->xcounts[kind]);
    uint64_t before = batch__load_relaxed(&events->xlogged[kind]);
    batch__store_relaxed(&events->xlogged[kind], count);
    const batch_event event = {kind, count > before ? count - before : 1, message};
    events->log(&event, events->arg);
}

const char *batch_event_name(int kind)
{
    switch (kind) {
    case BATCH_EVENT_SLOW_BATCH:
        return "slow_batch";
    case BATCH_EVENT_RECONNECTED:
        return "reconnected";
    case BATCH_EVENT_STANDBY_GONE:
        return "standby_gone";
    case BATCH_EVENT_LOCK_WAIT:
        return "lock_wait";
    default:
        return "unknown";
    }
}
