/* metrics_fixture.c: see metrics_fixture.h. */
#include "metrics_fixture.h"

#include "base/atomics.h"
#include "platform/platform.h"

#include <inttypes.h>

uint64_t random_seed(void)
{
    const char *given = getenv("BATCH_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : batch__clock_now_ns();
    print_message("BATCH_TEST_SEED=%" PRIu64 "\n", seed);
    return seed;
}
