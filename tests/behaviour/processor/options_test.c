/* options_test.c: what batch_processor_start refuses, and what it reports and leaves then. */
#include "harness.h"

/* Starting must fail, with this message, and touch nothing else. */
static void expect_invalid(const batch_options *options, const char *message)
{
    batch_processor *const untouched = (batch_processor *)(void *)&untouched;
    batch_processor *processor = untouched;
    batch_result error;
    memset(&error, 0xff, sizeof error);
    assert_int_equal(batch_processor_start(&processor, options, &error), BATCH_INVALID);
    assert_ptr_equal(processor, untouched);
    assert_int_equal(error.status, BATCH_INVALID);
    assert_int_equal(error.store_code, 0);
    assert_int_equal(error.batch_operations, 0);
    assert_false(error.changed);
    assert_string_equal(error.message, message);
    assert_int_equal(batch_processor_start(&processor, options, NULL), BATCH_INVALID);
}

TEST(numbers_out_of_range_are_refused)
{
    batch_options options = BATCH_OPTIONS_INIT;
    options.sessions = 1025;
    expect_invalid(&options, "options: sessions exceeds 1,024");
    options = (batch_options)BATCH_OPTIONS_INIT;
    options.shards = 257;
    expect_invalid(&options, "options: shards exceeds 256");
    options = (batch_options)BATCH_OPTIONS_INIT;
    options.resource_size = 16 * 1024 * 1024 + 1;
    expect_invalid(&options, "options: resource_size exceeds 16 MiB");
    options = (batch_options)BATCH_OPTIONS_INIT;
    options.group_max = 65537;
    expect_invalid(&options, "options: group_max exceeds 65,536");
}

TEST(deadline_shorter_than_the_window_is_refused)
{
    batch_options options = BATCH_OPTIONS_INIT;
    options.window_ns = 10 * MS;
    options.deadline_ns = 10 * MS - 1;
    expect_invalid(
        &options,
        "options: deadline_ns is shorter than window_ns: what is loaded would get older than that");
    options.window_ns = 0; /* 100 ms */
    expect_invalid(
        &options,
        "options: deadline_ns is shorter than window_ns: what is loaded would get older than that");
}

TEST(pointers_are_looked_at)
{
    batch_processor *processor = NULL;
    batch_options options = BATCH_OPTIONS_INIT;
    batch_result error;
    assert_int_equal(batch_processor_start(NULL, &options, &error), BATCH_INVALID);
    assert_string_equal(error.message, "ret_processor is NULL");
    assert_int_equal(batch_processor_start(&processor, NULL, &error), BATCH_INVALID);
    assert_string_equal(error.message, "options is NULL");
    assert_null(processor);
}

static void *take(size_t size, void *arg)
{
    (void)arg;
    return malloc(size);
}

static void give(void *memory, void *arg)
{
    (void)arg;
    free(memory);
}

TEST(half_an_allocator_is_refused)
{
    batch_options options = BATCH_OPTIONS_INIT;
    options.allocator.allocate = take;
    expect_invalid(&options, "options: allocator needs both functions or neither");
    options.allocator = (batch_allocator){NULL, give, NULL};
    expect_invalid(&options, "options: allocator needs both functions or neither");
}

/* ---- Stores and codecs ----------------------------------------------------------------------- */

static int load_nothing(batch_call *call, void *resource, void *arg)
{
    (void)call;
    (void)resource;
    (void)arg;
    return BATCH_OK;
}

static void release_nothing(void *resource, void *arg)
{
    (void)resource;
    (void)arg;
}

TEST(store_and_functions_exclude_each_other)
{
    const char *message = "options: load, save and release replace a store: set one or the other";
    batch_options options = BATCH_OPTIONS_INIT;
    assert_int_equal(batch_memory_open(&options.store), BATCH_OK);
    options.load = load_nothing;
    expect_invalid(&options, message);
    options.load = NULL;
    options.save = load_nothing;
    expect_invalid(&options, message);
    options.save = NULL;
    options.release = release_nothing;
    expect_invalid(&options, message);
    assert_int_equal(batch_store_close(options.store), BATCH_OK); /* refused: not in use */
}

TEST(store_that_lacks_something_is_refused)
{
    struct harness harness;
    harness_init(&harness, HARNESS_STORE);
#define EXPECT_NEEDED(member)                                                                      \
    do {                                                                                           \
        batch_store whole = harness.wrapper.store;                                                 \
        harness.wrapper.store.member = NULL;                                                       \
        expect_invalid(&harness.options, "options.store: " #member " is NULL");                    \
        harness.wrapper.store = whole;                                                             \
    } while (0)
    EXPECT_NEEDED(name);
    EXPECT_NEEDED(session_open);
    EXPECT_NEEDED(session_close);
    EXPECT_NEEDED(load);
    EXPECT_NEEDED(save);
    EXPECT_NEEDED(close);
#undef EXPECT_NEEDED
    harness_destroy(&harness);
}

TEST(codec_is_for_a_store_and_needs_both_ways)
{
    struct harness harness;
    harness_init(&harness, HARNESS_STORE);
    batch_codec codec = {.size = sizeof codec, .decode = harness_decode, .encode = harness_encode};
    harness.options.codec = &codec;
    codec.decode = NULL;
    expect_invalid(&harness.options, "options.codec: decode is NULL");
    codec.decode = harness_decode;
    codec.encode = NULL;
    expect_invalid(&harness.options, "options.codec: encode is NULL");
    codec.encode = harness_encode;
    harness.options.store = NULL;
    expect_invalid(&harness.options, "options: codec needs a store");
    harness.options.store = &harness.wrapper.store;
    harness_start(&harness);
    harness_end(&harness);
}

/* ---- Sessions -------------------------------------------------------------------------------- */

TEST(session_that_cannot_be_opened_fails_the_start_and_closes_the_others)
{
    struct harness harness;
    harness_init(&harness, HARNESS_STORE);
    harness.options.sessions = 3;
    harness.open_status = BATCH_STORE_FAILED;
    harness.open_failures_after = 2;
    harness.fault_code = 111;
    harness.fault_text = "connection refused";
    batch_processor *processor = NULL;
    batch_result error;
    assert_int_equal(batch_processor_start(&processor, &harness.options, &error),
                     BATCH_STORE_FAILED);
    assert_null(processor);
    assert_int_equal(error.status, BATCH_STORE_FAILED);
    assert_int_equal(error.store_code, 111);
    assert_string_equal(error.message, "connection refused");
    assert_int_equal(harness.sessions_opened, 2);
    assert_int_equal(harness.sessions_closed, 2);
    assert_int_equal(batch_processor_start(&processor, &harness.options, NULL), BATCH_STORE_FAILED);

    harness.open_failures_after = 0; /* with no text from the store */
    harness.open_status = BATCH_NO_MEMORY;
    harness.fault_code = 0;
    harness.fault_text = NULL;
    harness.sessions_opened = harness.sessions_closed = 0;
    assert_int_equal(batch_processor_start(&processor, &harness.options, &error), BATCH_NO_MEMORY);
    assert_int_equal(error.status, BATCH_NO_MEMORY);
    assert_string_equal(error.message, "store harness could not open a session");
    harness_destroy(&harness);
}

HARNESS_TEST_WITH(each_session_thread_has_a_session, HARNESS_STORE, .sessions = 5, .shards = 2)
{
    assert_int_equal(harness->sessions_opened, 5);
}

HARNESS_TEST_WITH(each_worker_without_sessions_has_one, HARNESS_STORE, .sessions = 0, .shards = 3)
{
    assert_int_equal(harness->sessions_opened, 3);
}

HARNESS_TEST_WITH(the_most_shards_work, HARNESS_FUNCTIONS, .sessions = 0, .shards = 256)
{
    enum { KEYS = 1000 };
    struct job *jobs = calloc(KEYS, sizeof *jobs);
    for (int i = 0; i < KEYS; i++) {
        job_init_number(&jobs[i], harness, i, 1);
        job_submit(&jobs[i]);
    }
    jobs_wait(jobs, KEYS);
    harness_end(harness);
    free(jobs);
}

TEST(options_may_be_gone_after_the_start)
{
    struct harness harness;
    batch_codec codec = {.size = sizeof codec, .decode = harness_decode, .encode = harness_encode};
    harness_begin_with(&harness, HARNESS_STORE, .codec = &codec);
    memset(&harness.options, 0xff, sizeof harness.options);
    memset(&codec, 0xff, sizeof codec);
    harness_add(&harness, "k", 1);
    harness_end(&harness);
}
