/* api.c: bytes are the configuration of a core and what is done to it: submits, cancels, ends of
 * loads and saves with every outcome, time that passes, windows that end, flushes, stops, memory
 * that is not there, actions taken at once or late, and what other processes write. The model of
 * tests/model judges every step, and the whole state is checked after each.
 */
#include "fuzz.h"

#include "history.h"

static struct history history;
static struct history_tally tally;

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t bytes_size)
{
    const char *error = history_run_bytes(&history, bytes, bytes_size, &tally);
    if (error != NULL) {
        fprintf(stderr, "fuzz: %s\n", error);
        abort();
    }
    return 0;
}

static bool is_seen(const char *what, uint64_t times)
{
    printf("%10lu  %s%s\n", (unsigned long)times, what, times == 0 ? ": never" : "");
    return times > 0;
}

bool fuzz_is_complete(void)
{
    static const int statuses[] = {
        BATCH_OK,        BATCH_BUSY,        BATCH_EXPIRED,     BATCH_CANCELED, BATCH_STOPPED,
        BATCH_NO_MEMORY, BATCH_LOAD_FAILED, BATCH_SAVE_FAILED, BATCH_CONFLICT, BATCH_UNKNOWN};
    bool is_complete = true;
    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        is_complete &= is_seen(trace_status_name(statuses[i]), tally.answers[-statuses[i]]);
    for (int i = 0; i < BATCH_CLOSE_REASON_COUNT; i++)
        is_complete &= is_seen("closed, by reason", tally.closed[i]);
    is_complete &= is_seen("unchanged", tally.batches_unchanged);
    is_complete &= is_seen("left by all", tally.batches_left);
    is_complete &= is_seen("unknown, applied", tally.unknown_applied);
    is_complete &= is_seen("unknown, not applied", tally.unknown_not_applied);
    is_complete &= is_seen("stops with work", tally.stops_with_work);
    is_complete &= is_seen("replays", tally.replays);
    is_complete &= is_seen("left before a replay", tally.replays_left);
    is_complete &= is_seen("loads skipped", tally.loads_skipped);
    is_complete &= is_seen("looks again", tally.looks_again);
    is_complete &= is_seen("refused early", tally.refused_early);
    return is_complete;
}
