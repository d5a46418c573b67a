/* The SQLite store while SQLite runs out of memory: at every allocation in turn, once, and from
 * there on. */
#ifndef _POSIX_C_SOURCE
#define _POSIX_C_SOURCE 200809L /* setenv */
#endif
#include "driver.h"
#include "sqlite_fixture.h"
#include "test.h"

#include <stdatomic.h>
#include <unistd.h>

/* ---- SQLite's memory ------------------------------------------------------------------------ */

/* SQLite knows one for the whole program, set up once, so this is static. */
static struct {
    sqlite3_mem_methods real;
    atomic_bool is_armed;
    atomic_bool goes_on;
    atomic_uint left; /* allocations until one fails */
    atomic_bool has_failed;
} memory;

static bool fails(void)
{
    if (!atomic_load(&memory.is_armed))
        return false;
    unsigned left = atomic_load(&memory.left);
    if (left > 0)
        atomic_store(&memory.left, left - 1);
    if (left > 1 || (left == 0 && !atomic_load(&memory.goes_on)))
        return false;
    atomic_store(&memory.has_failed, true);
    return true;
}

static void *memory_allocate(int size)
{
    return fails() ? NULL : memory.real.xMalloc(size);
}

static void *memory_reallocate(void *bytes, int size)
{
    return fails() ? NULL : memory.real.xRealloc(bytes, size);
}

static void memory_install(void)
{
    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &memory.real);
    sqlite3_mem_methods methods = memory.real;
    methods.xMalloc = memory_allocate;
    methods.xRealloc = memory_reallocate;
    sqlite3_config(SQLITE_CONFIG_MALLOC, &methods);
}

static void memory_arm(unsigned n, bool goes_on)
{
    atomic_store(&memory.left, n);
    atomic_store(&memory.goes_on, goes_on);
    atomic_store(&memory.has_failed, false);
    atomic_store(&memory.is_armed, true);
}

static bool memory_disarm(void)
{
    atomic_store(&memory.is_armed, false);
    return atomic_load(&memory.has_failed);
}

/* ---- Tests ---------------------------------------------------------------------------------- */

enum { KEYS = 3 };

static const char keys[KEYS + 1] = "abc";

static bool is_no_memory(const batch_result *result)
{
    return result->status == BATCH_NO_MEMORY || (result->store_code & 0xff) == SQLITE_NOMEM ||
           result->store_code == SQLITE_IOERR_NOMEM;
}

/* False: fewer allocations than n. */
static bool check_open(unsigned n, bool goes_on)
{
    struct sqlite_file file;
    sqlite_file_init(&file);
    batch_store *store = NULL;
    batch_result error = {0};
    memory_arm(n, goes_on);
    int status = batch_sqlite_open(&store, file.path, NULL, &error);
    bool has_failed = memory_disarm();
    if (status != BATCH_OK) {
        assert_true(has_failed);
        if (!is_no_memory(&error))
            fail_msg("allocation %u: %d, %s", n, error.store_code, error.message);
        assert_null(store);
        store = sqlite_file_store(&file, NULL);
    }
    batch_options options = number_options(store, 1);
    batch_processor *processor = NULL;
    memory_arm(n, goes_on);
    status = batch_processor_start(&processor, &options, &error);
    has_failed = memory_disarm() || has_failed;
    if (status != BATCH_OK) {
        if (!is_no_memory(&error))
            fail_msg("allocation %u: %d, %s", n, error.store_code, error.message);
        processor = processor_start(&options);
    }
    assert_int_equal(number_add(processor, "a", 1, 1), 1);
    processor_end_with_store(processor, store);
    sqlite_file_destroy(&file);
    return has_failed;
}

TEST(test_opening_without_memory_fails_cleanly)
{
    for (int goes_on = 0; goes_on <= 1; goes_on++) {
        unsigned n = 1;
        while (check_open(n, goes_on))
            n++;
        assert_true(n > 10);
    }
}

static int64_t stored(struct sqlite_file *file, char key)
{
    char sql[160];
    sprintf(sql,
            "SELECT instr(x'000102030405060708', substr(state, 1, 1)) - 1 FROM batch "
            "WHERE key = x'%02x'",
            (unsigned)key);
    return sqlite_file_number(file, sql);
}

/* What was reported is what is stored. */
static bool check_group(unsigned n, bool goes_on)
{
    struct sqlite_file file;
    sqlite_file_init(&file);
    batch_store *store = sqlite_file_store(&file, NULL);
    batch_processor *processor = number_processor(store, 0);
    for (size_t i = 0; i < KEYS; i++)
        number_add(processor, &keys[i], 1, 1);
    struct request requests[KEYS];
    for (size_t i = 0; i < KEYS; i++)
        request_init(&requests[i], &keys[i], 1, 1);
    memory_arm(n, goes_on);
    requests_run(processor, requests, KEYS);
    bool has_failed = memory_disarm();
    for (size_t i = 0; i < KEYS; i++) {
        const batch_result *result = &requests[i].result;
        int64_t number = stored(&file, keys[i]);
        if (result->status == BATCH_UNKNOWN)
            assert_true(number == 1 || number == 2);
        else
            assert_int_equal(number, result->status == BATCH_OK ? 2 : 1);
        if (result->status != BATCH_OK && !is_no_memory(result))
            fail_msg("allocation %u: %d, %s", n, result->store_code, result->message);
        assert_int_equal(number_add(processor, &keys[i], 1, 1), number + 1);
    }
    processor_end_with_store(processor, store);
    sqlite_file_destroy(&file);
    return has_failed;
}

TEST(test_what_is_told_without_memory_is_true)
{
    for (int goes_on = 0; goes_on <= 1; goes_on++) {
        unsigned n = 1;
        while (check_group(n, goes_on))
            n++;
        assert_true(n > 3);
    }
}

static int install(void **state)
{
    (void)state;
    /* A thousand files are made: where nothing needs to be synced, if there is such a place. */
    if (access("/dev/shm", W_OK) == 0)
        setenv("TMPDIR", "/dev/shm", 1);
    memory_install();
    return 0;
}

TEST_GROUP(install, NULL)
