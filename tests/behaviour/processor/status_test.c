/* status_test.c: what can be asked without a processor, and what will not change: numbers, names
 * and texts of statuses, predicates, sizes, the version. */
#include "harness.h"

_Static_assert(sizeof(void *) != 8 || sizeof(batch_op) == 80, "frozen");
_Static_assert(sizeof(batch_result) == 16 + BATCH_MESSAGE_SIZE, "frozen");
_Static_assert(BATCH_KEY_SIZE_MAX == 65536, "a limit that callers rely on");

struct known {
    int status;
    int number;
    const char *name;
    const char *text;
    bool may_be_applied;
    bool is_retryable;
};

/* Written out: this is what users see, and numbers never change. */
static const struct known all[] = {
    {BATCH_OK, 0, "BATCH_OK", "done", true, false},
    {BATCH_INVALID, -1, "BATCH_INVALID", "invalid argument", false, false},
    {BATCH_CANCELED, -2, "BATCH_CANCELED", "canceled; not applied", false, false},
    {BATCH_EXPIRED, -3, "BATCH_EXPIRED", "could not begin before its start_by_ns; not applied",
     false, false},
    {BATCH_STOPPED, -4, "BATCH_STOPPED", "the processor is stopped; not applied", false, false},
    {BATCH_BUSY, -5, "BATCH_BUSY", "a limit has been reached; not applied, retry later", false,
     true},
    {BATCH_NO_MEMORY, -6, "BATCH_NO_MEMORY", "out of memory; not applied", false, true},
    {BATCH_LOAD_FAILED, -7, "BATCH_LOAD_FAILED", "the resource could not be loaded; not applied",
     false, true},
    {BATCH_SAVE_FAILED, -8, "BATCH_SAVE_FAILED", "the resource could not be saved; not applied",
     false, true},
    {BATCH_CONFLICT, -9, "BATCH_CONFLICT",
     "another writer saved the resource meanwhile; not applied, retry", false, true},
    {BATCH_UNKNOWN, -10, "BATCH_UNKNOWN", "the save may or may not have been applied", true, false},
    {BATCH_DEADLOCK, -11, "BATCH_DEADLOCK",
     "a callback would wait for a processor; use batch_submit here", false, false},
    {BATCH_TIMED_OUT, -12, "BATCH_TIMED_OUT", "timed out", false, false},
    {BATCH_ENDED, -13, "BATCH_ENDED", "the subscription has ended", false, false},
    {BATCH_SYSTEM, -14, "BATCH_SYSTEM", "the operating system refused a thread or another resource",
     false, false},
    {BATCH_STORE_FAILED, -15, "BATCH_STORE_FAILED", "the store could not be opened", false, false},
};
_Static_assert(sizeof all / sizeof all[0] == BATCH_STATUS_COUNT, "every status is here");

TEST(every_status_has_its_number_name_and_text)
{
    for (int i = 0; i < BATCH_STATUS_COUNT; i++) {
        assert_int_equal(all[i].status, all[i].number);
        assert_int_equal(all[i].number, -i);
        assert_string_equal(batch_status_name(all[i].status), all[i].name);
        assert_string_equal(batch_status_text(all[i].status), all[i].text);
        assert_true(strlen(all[i].text) < BATCH_MESSAGE_SIZE);
    }
}

TEST(predicates_follow_the_table)
{
    for (int i = 0; i < BATCH_STATUS_COUNT; i++) {
        assert_int_equal(batch_may_be_applied(all[i].status), all[i].may_be_applied);
        assert_int_equal(batch_is_retryable(all[i].status), all[i].is_retryable);
        assert_false(all[i].may_be_applied && all[i].is_retryable); /* would be applied twice */
    }
}

TEST(number_that_is_no_status_is_named_too)
{
    int numbers[] = {1, 2, -BATCH_STATUS_COUNT, 1000, -1000, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        assert_non_null(batch_status_name(numbers[i]));
        assert_non_null(batch_status_text(numbers[i]));
        assert_true(strlen(batch_status_text(numbers[i])) > 0);
        assert_false(batch_may_be_applied(numbers[i]));
        assert_false(batch_is_retryable(numbers[i]));
    }
}

TEST(close_reasons_have_names)
{
    const char *names[BATCH_CLOSE_REASON_COUNT] = {"window", "store", "size",
                                                   "stop",   "error", "age"};
    for (int i = 0; i < BATCH_CLOSE_REASON_COUNT; i++)
        assert_string_equal(batch_close_reason_name(i), names[i]);
    assert_non_null(batch_close_reason_name(-1));
    assert_non_null(batch_close_reason_name(BATCH_CLOSE_REASON_COUNT));
}

TEST(version_is_that_of_the_header)
{
    char version[32];
    snprintf(version, sizeof version, "%d.%d.%d", BATCH_VERSION_MAJOR, BATCH_VERSION_MINOR,
             BATCH_VERSION_PATCH);
    assert_string_equal(batch_version(), version);
}

TEST(clock_does_not_run_backwards)
{
    uint64_t before_ns = batch_now_ns();
    assert_true(before_ns > 0);
    for (int i = 0; i < 1000; i++) {
        uint64_t now_ns = batch_now_ns();
        assert_true(now_ns >= before_ns);
        before_ns = now_ns;
    }
}
