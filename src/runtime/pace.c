#include "pace.h"

enum {
    LONG_NS = 1000, /* an operation that takes so long is worth measuring the next one */
    SAMPLES = 16    /* measured after a tick */
};

void batch__pace_iterate(struct batch__pace *pace)
{
    pace->ticks_ns = batch__clock_coarse_ns();
    pace->long_ns = 0;
    pace->row = 0;
    pace->is_over = false;
}

static void took(struct batch__pace *pace, struct batch__batch *batch, uint64_t op_ns)
{
    batch->is_slow = op_ns >= LONG_NS;
    if (!batch->is_slow) {
        pace->samples -= pace->samples > 0;
        return;
    }
    pace->samples = SAMPLES;
    pace->long_ns += op_ns;
    if (pace->long_ns >= BATCH__QUANTUM_NS)
        pace->is_over = true;
}

uint64_t batch__pace_measure(struct batch__pace *pace, struct batch__batch *batch,
                             uint64_t began_ns, bool has_ticked)
{
    uint64_t now_ns = batch__clock_now_ns();
    if (has_ticked && pace->samples == 0)
        pace->samples = SAMPLES;
    if (has_ticked && pace->row >= BATCH__QUANTUM_OPS)
        pace->is_over = true;
    if (began_ns != 0) {
        pace->measured_ns = now_ns;
        took(pace, batch, now_ns > began_ns ? now_ns - began_ns : 0);
    }
    return now_ns;
}
