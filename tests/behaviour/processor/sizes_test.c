/* sizes_test.c: structs of programs that were compiled with another version of the library.
 *
 * Here the structs are as they were in the first release, which each later version must read.
 */
#include "harness.h"

struct first_options {
    size_t size;
    uint32_t sessions, shards;
    batch_store *store;
    batch_load_fn load;
    batch_save_fn save;
    batch_release_fn release;
    void *arg;
    size_t resource_size;
    const batch_codec *codec;
    uint64_t window_ns, deadline_ns;
    uint32_t ops_max;
    uint64_t ops_waiting_max, key_ops_waiting_max;
    uint32_t group_max, replays_max;
    uint64_t resource_cache_max;
    batch_allocator allocator;
};

struct first_codec {
    size_t size;
    int (*decode)(void *resource, const void *bytes, size_t bytes_size, void *arg);
    int (*encode)(void *resource, const void **ret_bytes, size_t *ret_bytes_size, void *arg);
    void (*release)(void *resource, void *arg);
    void *arg;
};

struct first_store {
    size_t size;
    const char *name;
    int (*session_open)(batch_store *store, void **ret_session, batch_result *reterr);
    void (*load)(batch_store *store, void *session, batch_call *const *calls, size_t calls_size);
    void (*save)(batch_store *store, void *session, batch_call *const *calls, size_t calls_size);
    void (*session_close)(batch_store *store, void *session);
    void (*close)(batch_store *store);
    uint32_t private_users;
};

struct first_subscription_options {
    size_t size;
    uint32_t queue_max;
    bool block;
};

/* A member that came later begins where the first struct ended: also after its padding. */
_Static_assert(sizeof(struct first_codec) <= offsetof(batch_codec, decode_call), "");
_Static_assert(sizeof(struct first_store) <= offsetof(batch_store, stats), "");
_Static_assert(offsetof(struct first_options, allocator) == offsetof(batch_options, allocator), "");

static int start(const void *options, batch_result *reterr)
{
    batch_processor *processor = NULL;
    int status = batch_processor_start(&processor, options, reterr);
    if (status == BATCH_OK) {
        assert_int_equal(batch_processor_stop(processor, BATCH_FOREVER), 0);
        assert_int_equal(batch_processor_free(processor), BATCH_OK);
    }
    return status;
}

static void expect_invalid(const void *options, const char *message)
{
    batch_result error = {0};
    assert_int_equal(start(options, &error), BATCH_INVALID);
    if (strstr(error.message, message) == NULL)
        fail_msg("\"%s\" is not in: %s", message, error.message);
}

TEST(options_of_an_older_version_are_read)
{
    struct first_options options = {.size = sizeof options, .sessions = 1};
    assert_int_equal(start(&options, NULL), BATCH_OK);
    options.shards = 257; /* each member is where it was */
    expect_invalid(&options, "shards exceeds");
    options.shards = 0;
    options.allocator.arg = &options;
    options.allocator.release = (void (*)(void *, void *))abort;
    expect_invalid(&options, "allocator needs");
    options.size = offsetof(struct first_options, allocator);
    expect_invalid(&options, "options: size is");
    options.size = 0;
    expect_invalid(&options, "options: size is 0");
}

TEST(options_of_a_newer_version_are_read_if_nothing_new_is_set)
{
    struct {
        batch_options known;
        uint64_t later;
    } options = {.known = BATCH_OPTIONS_INIT};
    options.known.size = sizeof options;
    assert_int_equal(start(&options, NULL), BATCH_OK);
    options.later = 1;
    expect_invalid(&options, "options: size is");
}

/* ---- Codec ----------------------------------------------------------------------------------- */

static int decode(void *resource, const void *bytes, size_t bytes_size, void *arg)
{
    (void)arg;
    if (bytes_size > 0)
        memcpy(resource, bytes, bytes_size);
    return BATCH_OK;
}

static int encode(void *resource, const void **ret_bytes, size_t *ret_bytes_size, void *arg)
{
    (void)arg;
    *ret_bytes = resource;
    *ret_bytes_size = sizeof(int64_t);
    return BATCH_OK;
}

TEST(codec_of_an_older_version_works)
{
    struct {
        struct first_codec codec;
        void *behind[2]; /* is not looked at */
    } given = {.codec = {sizeof given.codec, decode, encode, NULL, NULL}};
    memset(given.behind, 0xff, sizeof given.behind);
    struct harness harness;
    harness_begin_with(&harness, HARNESS_STORE, .codec = (batch_codec *)(void *)&given);
    harness_add(&harness, "k", 1);
    harness_add(&harness, "k", 1);
    harness_stop(&harness);
    assert_int_equal(harness_stored(&harness, "k"), 2);
    harness_free(&harness);
    given.codec.size = offsetof(struct first_codec, arg);
    expect_invalid(&harness.options, "options.codec: size is");
    given.codec.size = 0;
    expect_invalid(&harness.options, "options.codec: size is 0");
    harness_destroy(&harness);
}

TEST(codec_of_a_newer_version_works_if_nothing_new_is_set)
{
    struct {
        batch_codec known;
        uint64_t later;
    } codec = {.known = {.size = sizeof codec, .decode = decode, .encode = encode}};
    struct harness harness;
    harness_begin_with(&harness, HARNESS_STORE, .codec = &codec.known);
    harness_add(&harness, "k", 1);
    harness_stop(&harness);
    harness_free(&harness);
    codec.later = 1;
    expect_invalid(&harness.options, "options.codec: size is");
    harness_destroy(&harness);
}

/* ---- Store ----------------------------------------------------------------------------------- */

/* A store whose struct ends where another version ended, around a memory store. */
struct other_store {
    batch_store store;
    uint64_t later;
    batch_store *inner;
};

static struct other_store other;

static int other_open(batch_store *store, void **ret_session, batch_result *reterr)
{
    (void)store;
    return other.inner->session_open(other.inner, ret_session, reterr);
}

static void other_load(batch_store *store, void *session, batch_call *const *calls, size_t count)
{
    (void)store;
    other.inner->load(other.inner, session, calls, count);
}

static void other_save(batch_store *store, void *session, batch_call *const *calls, size_t count)
{
    (void)store;
    other.inner->save(other.inner, session, calls, count);
}

static void other_session_close(batch_store *store, void *session)
{
    (void)store;
    other.inner->session_close(other.inner, session);
}

static void other_close(batch_store *store)
{
    (void)store;
    assert_int_equal(batch_store_close(other.inner), BATCH_OK);
}

static void other_init(void)
{
    memset(&other, 0, sizeof other);
    other.store = (batch_store)BATCH_STORE_INIT;
    other.store.name = "other";
    other.store.session_open = other_open;
    other.store.load = other_load;
    other.store.save = other_save;
    other.store.session_close = other_session_close;
    other.store.close = other_close;
    assert_int_equal(batch_memory_open(&other.inner), BATCH_OK);
}

static void stats_of_another(batch_store *store, batch_store_stats *ret_stats)
{
    (void)store;
    ret_stats->wal_bytes = 4096;
    if (ret_stats->size >= sizeof *ret_stats)
        ret_stats->reconnects = 3;
}

static void expect_store_stats(uint64_t wal_bytes, uint64_t reconnects)
{
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = &other.store;
    options.resource_size = sizeof(int64_t);
    batch_processor *processor = NULL;
    assert_int_equal(batch_processor_start(&processor, &options, NULL), BATCH_OK);
    batch_stats stats = BATCH_STATS_INIT;
    assert_int_equal(batch_processor_stats(processor, &stats), BATCH_OK);
    assert_int_equal(stats.store_wal_bytes, wal_bytes);
    assert_int_equal(stats.store_reconnects, reconnects);
    assert_int_equal(batch_processor_stop(processor, BATCH_FOREVER), 0);
    assert_int_equal(batch_processor_stats(processor, &stats), BATCH_OK); /* until it is freed */
    assert_int_equal(stats.store_reconnects, reconnects);
    assert_int_equal(batch_processor_free(processor), BATCH_OK);
}

TEST(store_of_an_older_version_works_and_reports_nothing)
{
    other_init();
    other.store.stats = stats_of_another; /* what lies there is the older store's own */
    other.store.size = sizeof(struct first_store);
    expect_store_stats(0, 0);
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = &other.store;
    other.store.size = offsetof(struct first_store, close);
    expect_invalid(&options, "options.store: size is");
    other.store.size = 0;
    expect_invalid(&options, "options.store: size is 0");
    assert_int_equal(batch_store_close(&other.store), BATCH_OK);
}

TEST(store_of_a_newer_version_works_if_nothing_new_is_set)
{
    other_init();
    other.store.size = offsetof(struct other_store, inner);
    expect_store_stats(0, 0);
    other.later = 1;
    batch_options options = BATCH_OPTIONS_INIT;
    options.store = &other.store;
    expect_invalid(&options, "options.store: size is");
    assert_int_equal(batch_store_close(&other.store), BATCH_OK);
}

TEST(stats_have_what_the_store_reports)
{
    other_init();
    other.store.stats = stats_of_another;
    expect_store_stats(4096, 3);
    assert_int_equal(batch_store_close(&other.store), BATCH_OK);
}

/* ---- Subscriptions and stats ----------------------------------------------------------------- */

HARNESS_TEST(subscription_options_of_other_versions_are_read, HARNESS_BARE)
{
    batch_subscription *subscription = NULL;
    struct first_subscription_options older = {sizeof older, 2, false};
    const void *given = &older;
    assert_int_equal(batch_metrics_subscribe(harness->processor, given, &subscription), BATCH_OK);
    for (int i = 0; i < 3; i++)
        harness_add(harness, "k", 1);
    harness_settle(harness);
    assert_true(batch_metrics_dropped(subscription) > 0); /* there is room for two */
    batch_metrics_unsubscribe(subscription);
    older.size = offsetof(struct first_subscription_options, block);
    assert_int_equal(batch_metrics_subscribe(harness->processor, given, &subscription),
                     BATCH_INVALID);
    older.size = 0;
    assert_int_equal(batch_metrics_subscribe(harness->processor, given, &subscription),
                     BATCH_INVALID);

    struct {
        batch_subscription_options known;
        uint64_t later;
    } newer = {.known = BATCH_SUBSCRIPTION_OPTIONS_INIT};
    newer.known.size = sizeof newer;
    given = &newer;
    assert_int_equal(batch_metrics_subscribe(harness->processor, given, &subscription), BATCH_OK);
    batch_metrics_unsubscribe(subscription);
    newer.later = 1;
    assert_int_equal(batch_metrics_subscribe(harness->processor, given, &subscription),
                     BATCH_INVALID);
}

HARNESS_TEST(stats_of_other_versions_are_filled_as_far_as_both_know, HARNESS_BARE)
{
    harness_add(harness, "k", 1);
    struct {
        batch_stats known;
        uint64_t later;
    } stats;
    memset(&stats, 0xff, sizeof stats);
    stats.known.size = offsetof(batch_stats, store_wal_bytes); /* as in the first release */
    assert_int_equal(batch_processor_stats(harness->processor, &stats.known), BATCH_OK);
    assert_int_equal(stats.known.operations_accepted, 1);
    assert_int_equal(stats.known.store_wal_bytes, UINT64_MAX);
    stats.known.size = sizeof stats;
    assert_int_equal(batch_processor_stats(harness->processor, &stats.known), BATCH_OK);
    assert_int_equal(stats.known.store_wal_bytes, 0);
    assert_int_equal(stats.later, UINT64_MAX);
    stats.known.size = 0;
    assert_int_equal(batch_processor_stats(harness->processor, &stats.known), BATCH_INVALID);
}
