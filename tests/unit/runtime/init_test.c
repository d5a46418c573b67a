/* init_test.c: what a language without a preprocessor finds in the shared libraries by name is what
 * the macros of the headers say. */
#include "test.h"

#include <batch/completions.h>
#include <batch/metrics.h>
#include <batch/postgres.h>
#include <batch/sqlite.h>

#include <dlfcn.h>

typedef int (*init_fn)(void *ret, size_t size);

static void *open_library(const char *path)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        fail_msg("%s", dlerror());
    return library;
}

/* As POSIX has it: a function behind a pointer to an object. */
#define FIND(function, library, name)                                                              \
    do {                                                                                           \
        *(void **)(void *)&(function) = dlsym(library, name);                                      \
        if ((function) == NULL)                                                                    \
            fail_msg("no %s", name);                                                               \
    } while (0)

/* Whole, truncated as for an older header, and longer as for a newer one. */
static void check_init(void *library, const char *name, const void *macro, size_t size)
{
    enum { MORE = 24 };
    unsigned char *given = malloc(size + MORE);
    init_fn init;
    assert_non_null(given);
    FIND(init, library, name);
    assert_int_equal(init(NULL, size), BATCH_INVALID);
    assert_int_equal(init(given, 0), BATCH_INVALID);

    memset(given, 0xaa, size + MORE);
    assert_int_equal(init(given, size), BATCH_OK);
    assert_memory_equal(given, macro, size);
    assert_int_equal(given[size], 0xaa);

    memset(given, 0xaa, size + MORE);
    size_t less = size - sizeof(void *);
    assert_int_equal(init(given, less), BATCH_OK);
    assert_memory_equal(given, &less, sizeof less);
    assert_memory_equal(given + sizeof less, (const char *)macro + sizeof less, less - sizeof less);
    assert_int_equal(given[less], 0xaa);

    size_t more = size + MORE;
    assert_int_equal(init(given, more), BATCH_OK);
    assert_memory_equal(given, &more, sizeof more);
    assert_memory_equal(given + sizeof more, (const char *)macro + sizeof more, size - sizeof more);
    for (size_t i = size; i < more; i++)
        assert_int_equal(given[i], 0);
    free(given);
}

#define CHECK_INIT(library, type, function, macro)                                                 \
    do {                                                                                           \
        static const type expected = macro;                                                        \
        check_init(library, function, &expected, sizeof expected);                                 \
    } while (0)

TEST(structs_are_initialized_as_by_the_macros)
{
    void *batch = open_library(LIBBATCH);
    void *sqlite = open_library(LIBBATCH_SQLITE);
    void *postgres = open_library(LIBBATCH_POSTGRES);
    CHECK_INIT(batch, batch_options, "batch_options_init", BATCH_OPTIONS_INIT);
    CHECK_INIT(batch, batch_store, "batch_store_init", BATCH_STORE_INIT);
    CHECK_INIT(batch, batch_stats, "batch_stats_init", BATCH_STATS_INIT);
    CHECK_INIT(batch, batch_subscription_options, "batch_subscription_options_init",
               BATCH_SUBSCRIPTION_OPTIONS_INIT);
    CHECK_INIT(batch, batch_completions_options, "batch_completions_options_init",
               BATCH_COMPLETIONS_OPTIONS_INIT);
    CHECK_INIT(sqlite, batch_sqlite_options, "batch_sqlite_options_init",
               BATCH_SQLITE_OPTIONS_INIT);
    CHECK_INIT(postgres, batch_postgres_options, "batch_postgres_options_init",
               BATCH_POSTGRES_OPTIONS_INIT);
    dlclose(postgres);
    dlclose(sqlite);
    dlclose(batch);
}

TEST(an_operation_is_initialized_as_by_the_macro)
{
    void *batch = open_library(LIBBATCH);
    int (*init)(batch_op *);
    FIND(init, batch, "batch_op_init");
    static const batch_op expected = BATCH_OP_INIT;
    batch_op op;
    memset(&op, 0xaa, sizeof op);
    assert_int_equal(init(&op), BATCH_OK);
    assert_memory_equal(&op, &expected, sizeof op);
    assert_int_equal(init(NULL), BATCH_INVALID);
    dlclose(batch);
}

TEST(a_transaction_is_initialized_as_by_the_macros)
{
    void *batch = open_library(LIBBATCH);
    int (*init_part)(batch_part *);
    int (*init)(batch_transaction *);
    FIND(init_part, batch, "batch_part_init");
    FIND(init, batch, "batch_transaction_init");
    static const batch_part no_part; /* both macros are all zero */
    static const batch_transaction none;
    batch_part part = BATCH_PART_INIT;
    batch_transaction transaction = BATCH_TRANSACTION_INIT;
    memset(&part, 0xaa, sizeof part);
    memset(&transaction, 0xaa, sizeof transaction);
    assert_int_equal(init_part(&part), BATCH_OK);
    assert_int_equal(init(&transaction), BATCH_OK);
    assert_ptr_equal(part.key, no_part.key);
    assert_int_equal(part.key_size, 0);
    assert_false(part.changed);
    assert_int_equal(part.private_leg.private_state, 0);
    assert_ptr_equal(transaction.parts, none.parts);
    assert_int_equal(transaction.parts_size, 0);
    assert_int_equal(transaction.start_by_ns, 0);
    assert_int_equal(transaction.private_state, 0);
    assert_int_equal(init_part(NULL), BATCH_INVALID);
    assert_int_equal(init(NULL), BATCH_INVALID);
    dlclose(batch);
}

TEST(constants_are_those_of_the_macros)
{
    void *batch = open_library(LIBBATCH);
    uint64_t (*time_ns)(void);
    FIND(time_ns, batch, "batch_window_none");
    assert_true(time_ns() == BATCH_WINDOW_NONE);
    FIND(time_ns, batch, "batch_forever");
    assert_true(time_ns() == BATCH_FOREVER);
    uint32_t (*sessions)(void);
    FIND(sessions, batch, "batch_sessions_default");
    assert_true(sessions() == BATCH_SESSIONS_DEFAULT);
    int (*count)(void);
    FIND(count, batch, "batch_status_count");
    assert_int_equal(count(), BATCH_STATUS_COUNT);
    FIND(count, batch, "batch_close_reason_count");
    assert_int_equal(count(), BATCH_CLOSE_REASON_COUNT);
    FIND(count, batch, "batch_histogram_kind_count");
    assert_int_equal(count(), BATCH_HISTOGRAM_KIND_COUNT);
    FIND(count, batch, "batch_event_count");
    assert_int_equal(count(), BATCH_EVENT_COUNT);
    dlclose(batch);
}
