/* errors_test.c: what a store reports for a call, and what the owners of operations get. */
#include "harness.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- Misuse ---------------------------------------------------------------------------------- */

/* First, while there is only one thread: a child is made. */

static int finish_early(batch_call *call, void *resource, void *arg)
{
    (void)resource;
    (void)arg;
    batch_call_finish(call, BATCH_OK);
    return BATCH_OK; /* and it is finished again with this */
}

static batch_verdict do_nothing(void *resource, void *arg)
{
    (void)resource;
    (void)arg;
    return BATCH_UNCHANGED;
}

static void misuse(void)
{
    batch_options options = BATCH_OPTIONS_INIT;
    options.load = finish_early;
    options.sessions = 0;
    options.window_ns = BATCH_WINDOW_NONE;
    batch_processor *processor = NULL;
    MUST(batch_processor_start(&processor, &options, NULL) == BATCH_OK);
    batch_op op = BATCH_OP_INIT;
    op.run = do_nothing;
    batch_run(processor, &op, NULL);
}

TEST(call_finished_twice_aborts)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL); /* cmocka's handler would take it for a failed test */
        misuse();
        _exit(0);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGABRT);
}

/* ---- Outcomes -------------------------------------------------------------------------------- */

/* What a function or store may return, and how the batch ends. */
struct outcome {
    int returned;
    int load_status;
    int save_status;
};

static const struct outcome outcomes[] = {
    {BATCH_OK, BATCH_OK, BATCH_OK},
    {BATCH_LOAD_FAILED, BATCH_LOAD_FAILED, BATCH_UNKNOWN},
    {BATCH_SAVE_FAILED, BATCH_LOAD_FAILED, BATCH_SAVE_FAILED},
    {BATCH_CONFLICT, BATCH_LOAD_FAILED, BATCH_CONFLICT},
    {BATCH_UNKNOWN, BATCH_LOAD_FAILED, BATCH_UNKNOWN},
    {BATCH_CANCELED, BATCH_LOAD_FAILED, BATCH_UNKNOWN},
    {BATCH_STOPPED, BATCH_LOAD_FAILED, BATCH_UNKNOWN},
    {BATCH_BUSY, BATCH_LOAD_FAILED, BATCH_UNKNOWN},
    {BATCH_NO_MEMORY, BATCH_LOAD_FAILED, BATCH_UNKNOWN},
    {BATCH_EXPIRED, BATCH_LOAD_FAILED, BATCH_UNKNOWN},
    {1, BATCH_LOAD_FAILED, BATCH_UNKNOWN},
    {77, BATCH_LOAD_FAILED, BATCH_UNKNOWN},
    {256, BATCH_LOAD_FAILED, BATCH_UNKNOWN},  /* 0 in its last byte */
    {-248, BATCH_LOAD_FAILED, BATCH_UNKNOWN}, /* BATCH_SAVE_FAILED in its last byte */
    {-1000, BATCH_LOAD_FAILED, BATCH_UNKNOWN},
};
enum { OUTCOMES = sizeof outcomes / sizeof outcomes[0] };

static void check_outcomes(enum harness_kind kind, uint32_t sessions)
{
    struct harness harness;
    harness_begin_with(&harness, kind, .sessions = sessions);
    for (int i = 0; i < OUTCOMES; i++) {
        struct job job;
        harness_fault(&harness, outcomes[i].returned, BATCH_OK, 0, NULL);
        job_init(&job, &harness, "k", 1);
        assert_int_equal(job_run(&job), outcomes[i].load_status);
        assert_int_equal(job.result.status, outcomes[i].load_status);
        assert_int_equal(job.runs, outcomes[i].load_status == BATCH_OK);
        harness_fault(&harness, BATCH_OK, outcomes[i].returned, 0, NULL);
        job_init(&job, &harness, "k", 1);
        assert_int_equal(job_run(&job), outcomes[i].save_status);
        assert_int_equal(job.runs, 1);
        assert_true(job.result.changed);
        assert_int_equal(job.result.batch_operations, 1);
    }
    harness_end(&harness);
}

TEST(whatever_a_store_returns_becomes_one_of_four_outcomes)
{
    check_outcomes(HARNESS_FUNCTIONS, 0);
    check_outcomes(HARNESS_FUNCTIONS, 1);
    check_outcomes(HARNESS_STORE, 0);
    check_outcomes(HARNESS_STORE, 2);
}

/* ---- Messages -------------------------------------------------------------------------------- */

static void expect_message(int load_status, int save_status, const char *message)
{
    struct harness harness;
    harness_begin(&harness, HARNESS_FUNCTIONS);
    harness_fault(&harness, load_status, save_status, -42, "the reason");
    batch_subscription *subscription = harness_subscribe(&harness);
    struct job job;
    job_init(&job, &harness, "account-7", 1);
    int status = job_run(&job);
    assert_int_equal(status, load_status != BATCH_OK ? load_status : save_status);
    assert_int_equal(job.result.store_code, -42);
    assert_string_equal(job.result.message, message);
    batch_metric metric;
    assert_int_equal(batch_metrics_next(subscription, BATCH_FOREVER, &metric), BATCH_OK);
    assert_int_equal(metric.status, status);
    assert_int_equal(metric.store_code, -42);
    assert_string_equal(metric.error, message);
    batch_metrics_unsubscribe(subscription);
    harness_end(&harness);
}

TEST(messages_have_stage_key_and_the_stores_code_and_text)
{
    expect_message(BATCH_LOAD_FAILED, BATCH_OK, "could not load key 'account-7': the reason");
    expect_message(BATCH_OK, BATCH_SAVE_FAILED, "could not save key 'account-7': the reason");
    expect_message(BATCH_OK, BATCH_CONFLICT,
                   "another writer saved meanwhile, not applied: key 'account-7': the reason");
    expect_message(BATCH_OK, BATCH_UNKNOWN,
                   "outcome unknown, may or may not have saved key 'account-7': the reason");
}

HARNESS_TEST(failure_without_a_text_still_has_a_message, HARNESS_FUNCTIONS)
{
    harness_fault(harness, BATCH_OK, BATCH_SAVE_FAILED, 0, NULL);
    struct job job;
    assert_int_equal(job_call(&job, harness, "k", 1), BATCH_SAVE_FAILED);
    assert_string_equal(job.result.message, "could not save key 'k'");
    assert_int_equal(job.result.store_code, 0);
    harness_fault(harness, BATCH_OK, BATCH_SAVE_FAILED, 9, NULL);
    assert_int_equal(job_call(&job, harness, "k", 1), BATCH_SAVE_FAILED);
    assert_string_equal(job.result.message, "could not save key 'k'");
    assert_int_equal(job.result.store_code, 9);
}

HARNESS_TEST(long_text_is_cut, HARNESS_FUNCTIONS)
{
    char text[5000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    harness_fault(harness, BATCH_OK, BATCH_SAVE_FAILED, 1, text);
    struct job job;
    assert_int_equal(job_call(&job, harness, "k", 1), BATCH_SAVE_FAILED);
    const char *begin = "could not save key 'k': xxx";
    assert_memory_equal(job.result.message, begin, strlen(begin));
    assert_int_equal(strlen(job.result.message), BATCH_MESSAGE_SIZE - 1);
}

static void expect_key_shown(struct harness *harness, const void *key, size_t key_size,
                             const char *shown)
{
    struct job job;
    job_init_bytes(&job, harness, key, key_size, 1);
    assert_int_equal(job_run(&job), BATCH_SAVE_FAILED);
    char message[BATCH_MESSAGE_SIZE];
    snprintf(message, sizeof message, "could not save key '%s'", shown);
    assert_string_equal(job.result.message, message);
}

HARNESS_TEST(keys_are_shown_readably, HARNESS_FUNCTIONS)
{
    harness_fault(harness, BATCH_OK, BATCH_SAVE_FAILED, 0, NULL);
    expect_key_shown(harness, NULL, 0, "");
    expect_key_shown(harness, "train 7 / Wrocław", 18, "train 7 / Wroc\\xc5\\x82aw");
    expect_key_shown(harness, "\0", 1, "\\x00");
    expect_key_shown(harness, "a\nb\x1b\x7f\xff", 6, "a\\x0ab\\x1b\\x7f\\xff");
    expect_key_shown(harness, "it's \\ %s %n", 12, "it\\x27s \\x5c %s %n");
    const char *digits = "0123456789012345678901234567890123456789012345678901234567890";
    char cut[64];
    snprintf(cut, sizeof cut, "%.48s", digits);
    expect_key_shown(harness, digits, 48, cut);
    char *longest = malloc(BATCH_KEY_SIZE_MAX);
    memset(longest, 'k', BATCH_KEY_SIZE_MAX);
    struct job job;
    job_init_bytes(&job, harness, longest, BATCH_KEY_SIZE_MAX, 1);
    assert_int_equal(job_run(&job), BATCH_SAVE_FAILED);
    assert_non_null(strstr(job.result.message, "kkkk...'"));
    assert_in_range(strlen(job.result.message), 50, 100);
    memset(longest, 0xff, BATCH_KEY_SIZE_MAX); /* longer than a message when written out */
    job_init_bytes(&job, harness, longest, BATCH_KEY_SIZE_MAX, 1);
    assert_int_equal(job_run(&job), BATCH_SAVE_FAILED);
    assert_non_null(strstr(job.result.message, "\\xff\\xff...'"));
    free(longest);
}

/* ---- Errors that belong to nobody ------------------------------------------------------------ */

static int load_with_a_warning(batch_call *call, void *resource, void *arg)
{
    (void)resource;
    (void)arg;
    batch_call_set_error(call, 1, "first thought");
    batch_call_set_error(call, 2, "the replica is slow");
    return BATCH_OK;
}

static int refuse_to_save(batch_call *call, void *resource, void *arg)
{
    (void)call;
    (void)resource;
    (void)arg;
    return BATCH_SAVE_FAILED;
}

HARNESS_TEST_WITH(error_of_a_load_that_went_well_is_not_reported_for_the_save, HARNESS_FUNCTIONS,
                  .load = load_with_a_warning, .save = refuse_to_save, .release = NULL)
{
    struct job job;
    assert_int_equal(job_call(&job, harness, "k", 1), BATCH_SAVE_FAILED);
    assert_string_equal(job.result.message, "could not save key 'k'");
    assert_int_equal(job.result.store_code, 0);
}

HARNESS_TEST(error_of_a_load_that_nobody_waits_for_is_freed, HARNESS_FUNCTIONS)
{
    harness_fault(harness, BATCH_LOAD_FAILED, BATCH_OK, 1, "nobody hears this");
    gate_close(&harness->load_gate);
    struct job job;
    job_send(&job, harness, "k", 1);
    gate_await(&harness->load_gate, 1);
    batch_cancel(harness->processor, &job.op);
    assert_int_equal(job_wait(&job), BATCH_CANCELED);
    gate_open(&harness->load_gate);
    harness_end(harness); /* finds a leak */
}

/* ---- Codecs ---------------------------------------------------------------------------------- */

struct coding {
    int decode_status;
    int encode_status;
    uint32_t releases;
};

static int decode(void *resource, const void *bytes, size_t bytes_size, void *arg)
{
    const struct coding *coding = arg;
    if (bytes != NULL)
        memcpy(resource, bytes, bytes_size);
    return coding->decode_status;
}

static int encode(void *resource, const void **ret_bytes, size_t *ret_bytes_size, void *arg)
{
    const struct coding *coding = arg;
    *ret_bytes = resource;
    *ret_bytes_size = sizeof(int64_t);
    return coding->encode_status;
}

static void release(void *resource, void *arg)
{
    struct coding *coding = arg;
    (void)resource;
    coding->releases++;
}

static void check_codec(int decode_status, int encode_status, int expected, int code,
                        const char *message, uint32_t releases)
{
    struct coding coding = {decode_status, encode_status, 0};
    batch_codec codec = {.size = sizeof codec,
                         .decode = decode,
                         .encode = encode,
                         .release = release,
                         .arg = &coding};
    struct harness harness;
    harness_begin_with(&harness, HARNESS_STORE, .codec = &codec);
    struct job job;
    assert_int_equal(job_call(&job, &harness, "k", 1), expected);
    assert_int_equal(job.result.store_code, code);
    assert_string_equal(job.result.message, message);
    harness_stop(&harness);
    assert_int_equal(coding.releases, releases);
    assert_int_equal(harness_stored(&harness, "k"), expected == BATCH_OK);
    harness_end(&harness);
}

TEST(codec_that_fails_fails_the_load_or_the_save)
{
    check_codec(BATCH_OK, BATCH_OK, BATCH_OK, 0, "done", 1);
    check_codec(-71, BATCH_OK, BATCH_LOAD_FAILED, -71,
                "could not load key 'k': the codec could not decode the stored state", 0);
    check_codec(BATCH_OK, -72, BATCH_SAVE_FAILED, -72,
                "could not save key 'k': the codec could not encode the resource", 1);
}

HARNESS_TEST(stored_state_of_another_size_cannot_be_loaded_without_a_codec, HARNESS_STORE)
{
    assert_int_equal(batch_memory_write(harness->wrapper.inner, "k", 1, "abc", 3), BATCH_OK);
    struct job job;
    assert_int_equal(job_call(&job, harness, "k", 1), BATCH_LOAD_FAILED);
    assert_non_null(strstr(job.result.message, "has 3 bytes, but resource_size is 8"));
}

/* ---- A codec that gets the call -------------------------------------------------------------- */

static int decode_instead(void *resource, const void *bytes, size_t bytes_size, void *arg)
{
    (void)resource;
    (void)bytes;
    (void)bytes_size;
    (void)arg;
    abort();
}

static int decode_call(batch_call *call, void *resource, const void *bytes, size_t bytes_size,
                       void *arg)
{
    const struct coding *coding = arg;
    size_t key_size;
    const char *key = batch_call_key(call, &key_size);
    MUST(key_size == 1 && key[0] == 'k');
    if (bytes != NULL)
        memcpy(resource, bytes, bytes_size);
    if (coding->decode_status != BATCH_OK)
        batch_call_set_error(call, 501, "format 7 is from the future");
    return coding->decode_status;
}

static int encode_call(batch_call *call, void *resource, const void **ret_bytes,
                       size_t *ret_bytes_size, void *arg)
{
    const struct coding *coding = arg;
    *ret_bytes = resource;
    *ret_bytes_size = sizeof(int64_t);
    if (coding->encode_status == -1)
        batch_call_set_error(call, 502, NULL); /* a code, and no text */
    if (coding->encode_status == -2)
        batch_call_set_error(call, 503, "a name is not UTF-8");
    return coding->encode_status;
}

static void check_codec_with_calls(int decode_status, int encode_status, int expected, int code,
                                   const char *message)
{
    struct harness harness;
    harness_init(&harness, HARNESS_STORE);
    struct coding coding = {decode_status, encode_status, 0};
    batch_codec codec = {.size = sizeof codec,
                         .decode_call = decode_call,
                         .encode_call = encode_call,
                         .arg = &coding};
    harness.options.codec = &codec;
    harness_start(&harness);
    struct job job;
    job_init(&job, &harness, "k", 1);
    assert_int_equal(job_run(&job), expected);
    assert_int_equal(job.result.store_code, code);
    assert_string_equal(job.result.message, message);
    assert_int_equal(harness_stored(&harness, "k"), expected == BATCH_OK);
    harness_end(&harness);
}

TEST(codec_that_gets_the_call_says_why_it_failed)
{
    check_codec_with_calls(BATCH_OK, BATCH_OK, BATCH_OK, 0, "done");
    check_codec_with_calls(-1, BATCH_OK, BATCH_LOAD_FAILED, 501,
                           "could not load key 'k': format 7 is from the future");
    check_codec_with_calls(BATCH_OK, -1, BATCH_SAVE_FAILED, 502,
                           "could not save key 'k': the codec could not encode the resource");
    check_codec_with_calls(BATCH_OK, -2, BATCH_SAVE_FAILED, 503,
                           "could not save key 'k': a name is not UTF-8");
    check_codec_with_calls(BATCH_OK, -3, BATCH_SAVE_FAILED, -3,
                           "could not save key 'k': the codec could not encode the resource");
}

/* Functions with the call go before those without; the two ways may be mixed. */
TEST(codec_may_have_both_kinds_of_functions)
{
    struct harness harness;
    harness_init(&harness, HARNESS_STORE);
    struct coding coding = {BATCH_OK, BATCH_OK, 0};
    batch_codec codec = {.size = sizeof codec,
                         .decode = decode_instead,
                         .decode_call = decode_call,
                         .encode = encode,
                         .arg = &coding};
    harness.options.codec = &codec;
    harness_start(&harness);
    harness_add(&harness, "k", 1);
    harness_stop(&harness);
    assert_int_equal(harness_stored(&harness, "k"), 1);
    harness_end(&harness);
}
