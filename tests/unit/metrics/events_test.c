/* events_test.c: what is counted, and what of it is logged. */
#include "metrics_fixture.h"

#include "base/atomics.h"
#include "metrics/events.h"
#include "platform/platform.h"

#define SECOND UINT64_C(1000000000)

struct logged {
    uint32_t xcalls;
    uint64_t count;
    int kind;
    char message[64];
};

static void take(const batch_event *event, void *arg)
{
    struct logged *logged = arg;
    batch__add_relaxed(&logged->xcalls, 1u);
    logged->count += event->count;
    logged->kind = event->kind;
    snprintf(logged->message, sizeof logged->message, "%s", event->message);
}

static void note(struct batch__events *events, int kind, uint64_t now_ns, const char *message)
{
    if (batch__events_count(events, kind, now_ns))
        batch__events_log(events, kind, message);
}

TEST(test_each_kind_is_logged_once_a_second_and_all_are_counted)
{
    struct logged logged = {0};
    struct batch__events events = {.log = take, .arg = &logged};
    note(&events, BATCH_EVENT_LOCK_WAIT, 5 * SECOND, "one");
    assert_int_equal(logged.xcalls, 1);
    assert_int_equal(logged.count, 1);
    assert_int_equal(logged.kind, BATCH_EVENT_LOCK_WAIT);
    assert_string_equal(logged.message, "one");
    note(&events, BATCH_EVENT_LOCK_WAIT, 6 * SECOND - 1, "two");
    note(&events, BATCH_EVENT_LOCK_WAIT, 5 * SECOND, "three");
    assert_int_equal(logged.xcalls, 1);
    note(&events, BATCH_EVENT_RECONNECTED, 5 * SECOND, "other"); /* waits for no other kind */
    assert_int_equal(logged.xcalls, 2);
    note(&events, BATCH_EVENT_LOCK_WAIT, 6 * SECOND, "four");
    assert_int_equal(logged.xcalls, 3);
    assert_string_equal(logged.message, "four");
    assert_int_equal(logged.count, 1 + 1 + 3); /* two and three are in the count of four */
    assert_int_equal(events.xcounts[BATCH_EVENT_LOCK_WAIT], 4);
    assert_int_equal(events.xcounts[BATCH_EVENT_RECONNECTED], 1);
}

TEST(test_without_a_log_they_are_only_counted)
{
    struct batch__events events = {.log = NULL};
    assert_false(batch__events_count(&events, BATCH_EVENT_SLOW_BATCH, SECOND));
    assert_int_equal(events.xcounts[BATCH_EVENT_SLOW_BATCH], 1);
}

TEST(test_a_kind_that_does_not_exist_is_ignored)
{
    struct logged logged = {0};
    struct batch__events events = {.log = take, .arg = &logged};
    assert_false(batch__events_count(&events, -1, SECOND));
    assert_false(batch__events_count(&events, BATCH_EVENT_COUNT, SECOND));
    for (int kind = 0; kind < BATCH_EVENT_COUNT; kind++) {
        assert_int_equal(events.xcounts[kind], 0);
        assert_string_not_equal(batch_event_name(kind), "unknown");
    }
    assert_string_equal(batch_event_name(-1), "unknown");
    assert_string_equal(batch_event_name(BATCH_EVENT_COUNT), "unknown");
}

/* ---- Threads -------------------------------------------------------------------------------- */

enum { THREADS = 4, ROUNDS = 20000 };

static void note_many(void *arg)
{
    for (int i = 0; i < ROUNDS; i++)
        note(arg, BATCH_EVENT_LOCK_WAIT, SECOND + (uint64_t)i, "again");
}

TEST(test_of_several_threads_one_logs)
{
    struct logged logged = {0};
    struct batch__events events = {.log = take, .arg = &logged};
    struct batch__thread threads[THREADS];
    for (int i = 0; i < THREADS; i++)
        assert_true(batch__thread_start(&threads[i], "noter", NULL, note_many, &events));
    for (int i = 0; i < THREADS; i++)
        batch__thread_join(&threads[i]);
    assert_int_equal(logged.xcalls, 1);
    assert_int_equal(events.xcounts[BATCH_EVENT_LOCK_WAIT], THREADS * ROUNDS);
}
