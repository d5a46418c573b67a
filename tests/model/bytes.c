/* bytes.c: the bytes of a fuzzer decide how a core is configured, and what is done to it: see
 * orderings.h. The oracle judges every step, and the whole state is checked after each. */
#include "fuzz.h"
#include "orderings.h"

static struct model model;
static struct tally tally;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_size)
{
    struct draw draw = {.bytes = bytes, .bytes_size = bytes_size};
    if (!orderings_run(&model, &draw, &tally)) {
        fprintf(stderr, "fuzz: %s\n", model.wrong);
        abort();
    }
    return 0;
}

bool fuzz_is_complete(void)
{
    return tally_is_complete(&tally, BYTES);
}
