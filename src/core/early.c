/* early.c: refusing at once what would only expire.
 *
 * An operation whose key is being saved waits for the rest of that save, and for a load. How long
 * these take is known from those before: moving means of the shard, in which each new time counts
 * for an eighth. Only a key that is being saved is judged, so the next save is always measured and
 * the judgement follows what the store does; a key at rest is never refused.
 */
#include "check.h"
#include "parts.h"

enum { WEIGHT = 8 };

void batch__mean_add(uint64_t *mean_ns, uint64_t time_ns)
{
    if (*mean_ns == 0)
        *mean_ns = time_ns;
    else
        *mean_ns = *mean_ns - *mean_ns / WEIGHT + time_ns / WEIGHT;
}

/* How long until the next batch of this key can run operations, at the least. */
static uint64_t wait_ns(const struct batch__core *core, const struct batch__batch *batch)
{
    uint64_t save_ns = core->save_mean_ns;
    uint64_t load_ns = core->config.kept_max > 0 ? 0 : core->load_mean_ns;
    uint64_t since_ns;
    switch ((enum batch__phase)batch->phase) {
    case BATCH__SAVING:
        since_ns = core->now_ns - batch->save_ns;
        return (save_ns > since_ns ? save_ns - since_ns : 0) + load_ns;
    case BATCH__CLOSED:
    case BATCH__RERUN:
        return save_ns + load_ns;
    case BATCH__DROP:
    case BATCH__RELOAD:
        return core->load_mean_ns + save_ns + load_ns;
    case BATCH__RELOADING: /* load_ns of the batch is when that began */
        since_ns = core->now_ns - batch->load_ns;
        return (core->load_mean_ns > since_ns ? core->load_mean_ns - since_ns : 0) + save_ns +
               load_ns;
    default:
        return 0;
    }
}

bool batch__is_hopeless(const struct batch__core *core, const struct batch__batch *batch,
                        const batch_op *op)
{
    if (op->start_by_ns == 0 || core->save_mean_ns == 0)
        return false;
    uint64_t left_ns = op->start_by_ns - core->now_ns; /* it has not expired */
    return wait_ns(core, batch) > left_ns;
}
