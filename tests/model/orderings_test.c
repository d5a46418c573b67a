/* Random orderings: many histories from consecutive seeds, each judged by the model of history.h.
 *
 *     BATCH_SEED=N BATCH_HISTORIES=1 <this program>      runs history N again
 */
#include "history.h"
#include "test.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define IS_SLOW 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || defined(IS_SLOW)
enum { HISTORIES = 20000 };
#else
enum { HISTORIES = 200000 };
#endif

enum { CONTROL_HISTORIES = 2000 }; /* a mistake must be found within so many */

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void everything_must_have_been_seen(const struct history_tally *tally)
{
    static const int never[] = {BATCH_INVALID, BATCH_DEADLOCK, BATCH_TIMED_OUT,
                                BATCH_ENDED,   BATCH_SYSTEM,   BATCH_STORE_FAILED};
    for (int i = 0; i < BATCH_STATUS_COUNT; i++) {
        bool is_never = false;
        for (size_t n = 0; n < sizeof never / sizeof never[0]; n++)
            is_never = is_never || never[n] == -i;
        print_message("%10lu  %s\n", (unsigned long)tally->answers[i], trace_status_name(-i));
        assert_int_equal(is_never, tally->answers[i] == 0);
    }
    for (int i = 0; i < BATCH_CLOSE_REASON_COUNT; i++)
        assert_true(tally->closed[i] > 0);
    assert_true(tally->batches_unchanged > 0);
    assert_true(tally->batches_left > 0);
    assert_true(tally->batches_together > 0);
    assert_true(tally->unknown_applied > 0);
    assert_true(tally->unknown_not_applied > 0);
    assert_true(tally->stops_with_work > 0);
    assert_true(tally->replays > 0);
    assert_true(tally->replays_left > 0);
    assert_true(tally->loads_skipped > 0);
    assert_true(tally->looks_again > 0);
    assert_true(tally->written_by_others > 0);
    assert_true(tally->refused_early > 0);
}

TEST(whatever_the_order_of_events_every_promise_is_kept)
{
    static struct history history;
    struct history_tally tally = {0};
    uint64_t first = from_environment("BATCH_SEED", 1);
    uint64_t count = from_environment("BATCH_HISTORIES", HISTORIES);
    print_message("histories of the seeds from %lu on: %lu\n", (unsigned long)first,
                  (unsigned long)count);
    for (uint64_t seed = first; seed < first + count; seed++) {
        const char *error = history_run(&history, seed, HISTORY_NO_MISTAKE, &tally);
        if (error != NULL)
            fail_msg("seed %lu: %s", (unsigned long)seed, error);
    }
    if (count >= 10000)
        everything_must_have_been_seen(&tally);
}

/* The control: something that is done wrong around the core must be found, or the histories above
 * show nothing. */
TEST(every_mistake_is_found)
{
    static struct history history;
    for (int mistake = HISTORY_NO_MISTAKE + 1; mistake < HISTORY_MISTAKES; mistake++) {
        struct history_tally tally = {0};
        const char *error = NULL;
        uint64_t seed = 0;
        while (error == NULL && seed < CONTROL_HISTORIES)
            error = history_run(&history, ++seed, (enum history_mistake)mistake, &tally);
        if (error == NULL)
            fail_msg("mistake %d is not found", mistake);
        print_message("mistake %2d, seed %3lu: %s\n", mistake, (unsigned long)seed, error);
    }
}
